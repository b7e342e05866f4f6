/* outbox_dated - the time that publishes of a row carry (outbox.h): since when a broker may have
 * it, as consumers judge by it whether they may have forgotten its id */
#include "store/outbox.h"

#include "store/sqlite/db_int.h"

int outbox_date(struct db *db, const int64_t *ids, size_t n, int64_t dated_at, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; rc == OK && i < n; i++) {
        struct query q = query_start(db, STATEMENT_OUTBOX_DATE);

        query_int(&q, dated_at);
        query_int(&q, ids[i]);
        rc = query_run(&q, err);
    }
    return rc;
}

int outbox_age(struct db *db, int64_t id, int64_t at, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_AGE);

    query_int(&q, at);
    query_int(&q, id);
    return query_run(&q, err);
}

/* recent - see recent.h. */
#include "store/recent.h"

#include "store/sqlite/db_int.h"

int recent_add(struct db *db, const struct recent *r, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RECENT_ADD);

    query_int(&q, r->at);
    query_slice(&q, r->queue);
    query_message(&q, &r->message, r->exchange, r->routing_key);
    return query_run(&q, err);
}

int recent_trim(struct db *db, size_t max, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RECENT_TRIM);

    query_int(&q, (int64_t)max);
    return query_run(&q, err);
}

int recent_list(struct db *db, size_t limit, recent_fn *fn, void *arg, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RECENT_LIST);
    int rc;

    query_int(&q, (int64_t)limit);
    while ((rc = query_row(&q, err)) == 1) {
        struct recent r = {.at = sqlite3_column_int64(q.stmt, 0)};

        r.queue = column_slice(q.stmt, 1);
        (void)column_message(q.stmt, 2, &r.message, &r.exchange, &r.routing_key);
        if (!fn(arg, &r))
            break;
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

/* aside - see aside.h. */
#include "store/aside.h"

#include "store/db_int.h"

#include <string.h>

int aside_set(struct db *db, int64_t row, struct slice outlet, struct err *err)
{
    struct query q = query_start(db, STATEMENT_ASIDE_SET);

    query_slice(&q, outlet);
    query_int(&q, row);
    return query_run(&q, err);
}

int aside_has_rows(struct db *db, struct slice outlet, bool *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_ASIDE_HAS_ROWS);
    int64_t found = 0;
    int rc;

    query_slice(&q, outlet);
    rc = query_get_int(&q, &found, err);
    *out = found != 0;
    return rc;
}

int aside_next(struct db *db, struct slice after, char *name, size_t size, size_t *len_out,
               struct err *err)
{
    struct query q = query_start(db, STATEMENT_ASIDE_NEXT);
    int rc;

    *len_out = 0;
    query_slice(&q, after);
    rc = query_row(&q, err);
    if (rc == 1) {
        struct slice found = column_slice(q.stmt, 0);

        *len_out = found.len < size ? found.len : size;
        memcpy(name, found.data, *len_out);
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

int aside_again(struct db *db, struct err *err)
{
    struct query q = query_start(db, STATEMENT_ASIDE_AGAIN);

    return query_run(&q, err);
}

/* rules_taken - see rules_taken.h. */
#include "store/rules_taken.h"

#include "store/sqlite/db_int.h"

int rules_taken_read(struct db *db, struct buf *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_TAKEN_READ);
    int rc = query_row(&q, err);

    if (rc == 1) {
        struct slice text = column_slice(q.stmt, 0);

        rc = buf_append(out, text.data, text.len) == OK
                 ? OK
                 : err_set(err, ERR_NOMEM, "out of memory for the rules that were taken last");
    }
    query_end(&q);
    return rc;
}

int rules_taken_types(struct db *db, rules_taken_type_fn *fn, void *arg, struct err *err)
{
    struct query q = query_start(db, STATEMENT_TAKEN_TYPES);
    int rc;

    while ((rc = query_row(&q, err)) == 1)
        if (!fn(arg, column_slice(q.stmt, 0)))
            break;
    query_end(&q);
    return rc < 0 ? rc : OK;
}

int rules_taken_write(struct db *db, struct slice text, struct err *err)
{
    struct query q = query_start(db, STATEMENT_TAKEN_WRITE);

    query_blob(&q, text);
    return query_run(&q, err);
}

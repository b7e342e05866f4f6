/* mark - see mark.h. */
#include "store/mark.h"

#include "store/sqlite/db_int.h"

int mark_read(struct db *db, const char *name, int64_t *value_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_MARK_READ);

    *value_out = 0;
    query_text(&q, name);
    return query_get_int(&q, value_out, err);
}

int mark_write(struct db *db, const char *name, int64_t value, struct err *err)
{
    struct query q = query_start(db, STATEMENT_MARK_WRITE);

    query_text(&q, name);
    query_int(&q, value);
    return query_run(&q, err);
}

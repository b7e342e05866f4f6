/* outbox_backlog - see outbox_backlog.h. */
#include "store/outbox_backlog.h"

#include "store/sqlite/db_int.h"

#include <string.h>

int backlog_set(struct db *db, int64_t row, struct slice outlet, struct err *err)
{
    struct query q = query_start(db, STATEMENT_BACKLOG_SET);

    query_slice(&q, outlet);
    query_int(&q, row);
    return query_run(&q, err);
}

int backlog_has_rows(struct db *db, struct slice outlet, bool *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_BACKLOG_HAS_ROWS);
    int64_t found = 0;
    int rc;

    query_slice(&q, outlet);
    rc = query_get_int(&q, &found, err);
    *out = found != 0;
    return rc;
}

int backlog_next(struct db *db, struct slice after, char *name, size_t size, size_t *len_out,
                 struct err *err)
{
    struct query q = query_start(db, STATEMENT_BACKLOG_NEXT);
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

static const char *text_or_none(sqlite3_stmt *stmt, int column)
{
    const char *text = column_text(stmt, column);

    return text != NULL ? text : "";
}

static void read_glance(sqlite3_stmt *stmt, struct outbox_row *row)
{
    *row = (struct outbox_row){.id = sqlite3_column_int64(stmt, 0)};
    row->message.type = column_slice(stmt, 3);
    row->message.key[1] = column_slice(stmt, 4);
    row->attempts = sqlite3_column_int(stmt, 5);
    row->leg_kind = column_text(stmt, 6);
    row->leg_exchange = text_or_none(stmt, 7);
    row->leg_routing_key = text_or_none(stmt, 8);
}

int backlog_glance(struct db *db, int64_t after, size_t limit, outbox_row_fn *fn, void *arg,
                   int64_t *last_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_BACKLOG_GLANCE);
    struct outbox_row row;
    int rc;

    query_int(&q, after);
    query_int(&q, (int64_t)limit);
    *last_out = after;
    while ((rc = query_row(&q, err)) == 1) {
        if (sqlite3_column_int64(q.stmt, 1) == 0 && sqlite3_column_type(q.stmt, 2) == SQLITE_NULL) {
            read_glance(q.stmt, &row);
            if (!fn(arg, &row))
                break;
        }
        *last_out = sqlite3_column_int64(q.stmt, 0);
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

int backlog_again(struct db *db, struct err *err)
{
    struct query q = query_start(db, STATEMENT_BACKLOG_AGAIN);

    return query_run(&q, err);
}

/* history - see history.h. */
#include "store/history.h"

#include "store/sqlite/db_int.h"

int history_add(struct db *db, const struct history_row *row, struct err *err)
{
    struct query q = query_start(db, STATEMENT_HISTORY_ADD);

    query_int(&q, row->at);
    query_slice(&q, row->side);
    query_slice(&q, row->outcome);
    query_slice(&q, row->queue);
    query_int(&q, row->attempts);
    query_int(&q, row->generation);
    query_message(&q, &row->message, row->exchange, row->routing_key);
    return query_run(&q, err);
}

/* A clock that was far ahead for a while leaves times that would not be old for ages: what is
 * as far ahead as may be kept is old, too. */
static bool is_old(const struct history_care *c, int64_t at)
{
    return at < c->now_ms - c->keep_ms || at > c->now_ms + c->keep_ms || c->keep_ms == 0;
}

/* The last of the oldest rows that may go; 0: none. */
static int find_end(struct db *db, const struct history_care *c, int64_t *end, bool *more,
                    struct err *err)
{
    struct query q = query_start(db, STATEMENT_HISTORY_OLD);
    size_t rows = 0, bytes = 0;
    int rc;

    *end = 0;
    *more = false;
    while ((rc = query_row(&q, err)) == 1 && is_old(c, sqlite3_column_int64(q.stmt, 1))) {
        *more = rows == c->rows || (rows > 0 && bytes >= c->bytes);
        if (*more)
            break;
        *end = sqlite3_column_int64(q.stmt, 0);
        bytes += (size_t)sqlite3_column_int64(q.stmt, 2);
        rows++;
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

int history_prune(struct db *db, const struct history_care *c, bool *more_out, struct err *err)
{
    struct query q;
    int64_t end;
    int rc = find_end(db, c, &end, more_out, err);

    if (rc != OK || end == 0)
        return rc;
    q = query_start(db, STATEMENT_HISTORY_DELETE);
    query_int(&q, end);
    return query_run(&q, err);
}

/* history - see history.h. */
#include "store/history.h"

#include "store/sqlite/db_int.h"

#include <stdlib.h>

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

static void read_row(sqlite3_stmt *stmt, struct history_row *row)
{
    int c = 0;

    row->id = sqlite3_column_int64(stmt, c++);
    row->at = sqlite3_column_int64(stmt, c++);
    row->side = column_slice(stmt, c++);
    row->outcome = column_slice(stmt, c++);
    row->queue = column_slice(stmt, c++);
    row->attempts = sqlite3_column_int(stmt, c++);
    row->generation = sqlite3_column_int64(stmt, c++);
    (void)column_message(stmt, c, &row->message, &row->exchange, &row->routing_key);
}

/* 1: it is there, 0: it is not, or an ERR_ code. */
static int give(struct db *db, int64_t id, history_fn *fn, void *arg, bool *go_on, struct err *err)
{
    struct query q = query_start(db, STATEMENT_HISTORY_GET);
    struct history_row row = {.id = 0};
    int rc;

    query_int(&q, id);
    rc = query_row(&q, err);
    if (rc == 1) {
        read_row(q.stmt, &row);
        *go_on = fn(arg, &row);
    }
    query_end(&q);
    return rc;
}

int history_get(struct db *db, int64_t id, history_fn *fn, void *arg, struct err *err)
{
    bool go_on;
    int rc = give(db, id, fn, arg, &go_on, err);

    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "no message %lld in the history", (long long)id);
    return rc == 1 ? OK : rc;
}

/* What was pruned a moment ago is passed over. */
int history_list(struct db *db, const struct pick *p, int64_t after, size_t limit, history_fn *fn,
                 void *arg, struct err *err)
{
    int64_t *ids;
    bool go_on = true;
    size_t n;
    int rc = pick_ids(db, PICK_HISTORY, p, after, limit, &ids, &n, err);

    for (size_t i = 0; i < n && rc >= 0 && go_on; i++)
        rc = give(db, ids[i], fn, arg, &go_on, err);
    free(ids);
    return rc < 0 ? rc : OK;
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

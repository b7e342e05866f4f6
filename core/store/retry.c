/* retry - see retry.h. */
#include "store/retry.h"

#include "store/sqlite/db_int.h"
#include "store/tries.h"

#include <stdlib.h>

enum { QUEUE_NAME_MAX = 64 * 1024 }; /* whatever somebody may have written there */

static void query_read(struct query *q, const struct message *read)
{
    query_slice(q, read->type);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        query_slice(q, read->key[i]);
}

int retry_add(struct db *db, const struct retry_row *row, struct err *err)
{
    const struct message nothing = {.timestamp_s = 0};
    struct query q = query_start(db, STATEMENT_RETRY_ADD);

    query_int(&q, row->id);
    query_int(&q, row->due_at);
    query_slice(&q, row->queue);
    query_slice(&q, row->identity);
    query_fingerprint(&q, row->fingerprint);
    query_int(&q, row->unidentified);
    query_int(&q, row->attempts);
    query_int(&q, row->first_at);
    query_text(&q, row->error != NULL ? row->error : "");
    query_int(&q, row->generation);
    query_slice(&q, row->lane);
    query_message(&q, &row->message, row->exchange, row->routing_key);
    query_slice(&q, row->tries);
    query_read(&q, row->read != NULL ? row->read : &nothing);
    return query_run(&q, err);
}

int retry_set_read(struct db *db, int64_t id, const struct message *read, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_SET_READ);

    query_read(&q, read);
    query_int(&q, id);
    return query_run(&q, err);
}

/* A body that no rule is asked about is not looked at, either. */
int retry_resolve(struct message *m, struct envelope *e, struct err *err)
{
    struct err unread = {.code = OK};

    if (m->body.data == NULL || m->body.len > MESSAGE_BODY_MAX ||
        message_resolve(m, e, &unread) != ERR_NOMEM)
        return OK;
    return err_set(err, ERR_NOMEM, "%s", unread.text);
}

static void read_row(sqlite3_stmt *stmt, struct retry_row *row)
{
    int c = 0;

    row->id = sqlite3_column_int64(stmt, c++);
    row->due_at = sqlite3_column_int64(stmt, c++);
    row->queue = column_slice(stmt, c++);
    row->identity = column_slice(stmt, c++);
    row->fingerprint = column_fingerprint(stmt, c);
    c += 2;
    row->unidentified = sqlite3_column_int(stmt, c++) != 0;
    row->attempts = sqlite3_column_int(stmt, c++);
    row->first_at = sqlite3_column_int64(stmt, c++);
    row->error = column_text(stmt, c++);
    if (row->error == NULL) /* out of memory */
        row->error = "";
    row->generation = sqlite3_column_int64(stmt, c++);
    row->lane = column_slice(stmt, c++);
    (void)column_message(stmt, c, &row->message, &row->exchange, &row->routing_key);
}

/* Notes which rows are due before any is given: the callback changes the rows, and
 * with them the index; one that is put off to a time already past waits for the next
 * call. */
static int list_due(struct db *db, struct slice queue, int64_t now_ms,
                    const struct retry_place *after, size_t limit, struct retry_place *out,
                    size_t *n_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_DUE);
    int rc;

    *n_out = 0;
    query_slice(&q, queue);
    query_int(&q, now_ms);
    query_int(&q, after->due_at);
    query_int(&q, after->id);
    query_int(&q, (int64_t)limit);
    while ((rc = query_row(&q, err)) == 1)
        out[(*n_out)++] = (struct retry_place){.id = sqlite3_column_int64(q.stmt, 0),
                                               .due_at = sqlite3_column_int64(q.stmt, 1)};
    query_end(&q);
    return rc;
}

/* The first queue behind `name`, which becomes its name. 1, 0: there is none, or an ERR_ code. */
static int next_queue(struct db *db, struct buf *name, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_QUEUE);
    struct slice found;
    int rc;

    query_slice(&q, (struct slice){name->len > 0 ? name->data : "", name->len});
    rc = query_row(&q, err);
    buf_clear(name);
    if (rc == 1) {
        found = column_slice(q.stmt, 0);
        if (buf_append(name, found.data, found.len) != OK)
            rc = err_set(err, ERR_NOMEM, "out of memory");
    }
    query_end(&q);
    return rc;
}

int retry_queues(struct db *db, int64_t now_ms, retry_queue_fn *fn, void *arg, struct err *err)
{
    const struct retry_place start = {.id = 0};
    struct retry_place first;
    struct buf name;
    bool go_on = true;
    size_t n;
    int rc;

    buf_init(&name, QUEUE_NAME_MAX);
    while (go_on && (rc = next_queue(db, &name, err)) == 1) {
        const struct slice queue = {name.data, name.len};

        rc = list_due(db, queue, now_ms, &start, 1, &first, &n, err);
        if (rc != OK)
            break;
        go_on = n == 0 || fn(arg, queue, first.due_at);
    }
    buf_free(&name);
    return rc < 0 ? rc : OK;
}

/* 1: it was there, 0: it was not, or an ERR_ code. */
static int give(struct db *db, int64_t id, retry_row_fn *fn, void *arg, bool *go_on,
                struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_GET);
    struct retry_row row = {.id = 0};
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

/* A row that an earlier callback removed is passed over. */
int retry_due(struct db *db, struct slice queue, int64_t now_ms, struct retry_place *place,
              size_t limit, retry_row_fn *fn, void *arg, struct err *err)
{
    struct retry_place *rows = calloc(limit > 0 ? limit : 1, sizeof *rows);
    bool go_on = true;
    size_t n = 0;
    int rc;

    if (rows == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    rc = list_due(db, queue, now_ms, place, limit, rows, &n, err);
    for (size_t i = 0; rc >= 0 && go_on && i < n; i++) {
        *place = rows[i];
        rc = give(db, rows[i].id, fn, arg, &go_on, err);
    }
    free(rows);
    return rc < 0 ? rc : OK;
}

int retry_next_due(struct db *db, int64_t *due_at_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_NEXT_DUE);

    *due_at_out = INT64_MAX;
    return query_get_int(&q, due_at_out, err);
}

int retry_again(struct db *db, int64_t id, int attempts, int64_t due_at, const char *error,
                int64_t generation, struct slice tries, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_AGAIN);

    query_int(&q, clock_wall(&db->clock));
    query_int(&q, attempts);
    query_int(&q, due_at);
    query_text(&q, error != NULL ? error : "");
    query_int(&q, generation);
    query_slice(&q, tries);
    query_int(&q, id);
    return query_run(&q, err);
}

int retry_tries(struct db *db, int64_t id, struct buf *tries, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_TRIES);
    struct slice before = {NULL, 0};
    int rc, begun;

    query_int(&q, id);
    rc = query_row(&q, err);
    if (rc == 1)
        before = column_slice(q.stmt, 0);
    begun = tries_begin(tries, before, err);
    query_end(&q);
    return rc < 0 ? rc : begun;
}

int retry_defer(struct db *db, int64_t id, int64_t due_at, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_DEFER);

    query_int(&q, due_at);
    query_int(&q, id);
    return query_run(&q, err);
}

int retry_defer_all(struct db *db, struct slice queue, int64_t from, int64_t due_at,
                    struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_DEFER_ALL);

    query_int(&q, due_at);
    query_int(&q, from);
    query_slice(&q, queue);
    return query_run(&q, err);
}

int retry_remove(struct db *db, int64_t id, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_REMOVE);

    query_int(&q, id);
    return query_run(&q, err);
}

int retry_adopt(struct db *db, int64_t now_ms, int64_t until_ms, size_t limit, bool *more_out,
                struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_ADOPT);
    int rc;

    query_int(&q, now_ms);
    query_int(&q, until_ms);
    query_int(&q, (int64_t)limit);
    rc = query_run(&q, err);
    *more_out = rc == OK && sqlite3_changes64(db->work) == (sqlite3_int64)limit;
    return rc;
}

int retry_count(struct db *db, int64_t *count_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_COUNT_GET);

    *count_out = 0;
    query_text(&q, "retry");
    return query_get_int(&q, count_out, err);
}

int retry_place(struct db *db, int64_t row, int64_t *place_out, struct err *err)
{
    struct query q;
    int rc;

    *place_out = row;
    if (row != 0)
        return OK;
    q = query_start(db, STATEMENT_RETRY_PLACE);
    rc = query_get_int(&q, place_out, err);
    if (rc != OK || *place_out != 0)
        return rc;
    *place_out = 1; /* there never was a retry */
    q = query_start(db, STATEMENT_RETRY_FIRST_PLACE);
    return query_run(&q, err);
}

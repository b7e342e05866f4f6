/* rows - see rows.h. */
#include "store/rows.h"

#include "base/message.h"
#include "store/inbox.h"
#include "store/lane.h"
#include "store/outbox.h"
#include "store/outbox_aside.h"
#include "store/retry.h"
#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void read_keys(sqlite3_stmt *stmt, int *column, struct slice key[3])
{
    for (int i = 0; i < MESSAGE_KEYS; i++)
        key[i] = column_slice(stmt, (*column)++);
}

/* What the engine writes when it finds no subscription (engine/turn_handle.c). */
static bool says_orphaned(struct slice error)
{
    static const char word[] = "orphaned:";

    return error.len >= sizeof word - 1 && memcmp(error.data, word, sizeof word - 1) == 0;
}

/* The message is stored as it was received: what a body says is read here. */
static int read_retry(sqlite3_stmt *stmt, struct envelope *e, struct retry_view *r, struct err *err)
{
    struct message m = {.timestamp_s = 0};
    int c = 0, rc;

    r->id = sqlite3_column_int64(stmt, c++);
    r->due_at = sqlite3_column_int64(stmt, c++);
    r->first_at = sqlite3_column_int64(stmt, c++);
    r->generation = sqlite3_column_int64(stmt, c++);
    r->attempts = sqlite3_column_int(stmt, c++);
    r->queue = column_slice(stmt, c++);
    r->message_id = column_slice(stmt, c++);
    m.type = column_slice(stmt, c++);
    read_keys(stmt, &c, m.key);
    r->error = column_slice(stmt, c++);
    r->lane = column_slice(stmt, c++);
    r->tries = column_slice(stmt, c++);
    r->orphaned = says_orphaned(r->error);
    m.body = column_slice(stmt, c++);
    m.content_type = column_slice(stmt, c++);
    rc = retry_resolve(&m, e, err);
    r->type = m.type;
    memcpy(r->key, m.key, sizeof r->key);
    return rc;
}

static enum outbox_state state_of(const struct outbox_view *r)
{
    if (r->due_at == LANE_HELD)
        return OUTBOX_BEHIND;
    if (r->due_at == ASIDE_DUE)
        return OUTBOX_WAITING;
    if (r->reason.data != NULL)
        return r->due_at > 0 ? OUTBOX_POSTPONED : OUTBOX_AGAIN;
    return r->due_at > 0 ? OUTBOX_SCHEDULED : OUTBOX_FRESH;
}

static void read_outbox(sqlite3_stmt *stmt, struct outbox_view *r)
{
    int c = 0;

    r->id = sqlite3_column_int64(stmt, c++);
    r->due_at = sqlite3_column_int64(stmt, c++);
    r->created_at = sqlite3_column_int64(stmt, c++);
    r->attempts = sqlite3_column_int(stmt, c++);
    r->message_id = column_slice(stmt, c++);
    r->type = column_slice(stmt, c++);
    read_keys(stmt, &c, r->key);
    r->name = column_slice(stmt, c++);
    r->reason = column_slice(stmt, c++);
    r->exchange = column_slice(stmt, c++);
    r->routing_key = column_slice(stmt, c++);
    r->lane = column_slice(stmt, c++);
    r->outlet = column_slice(stmt, c++);
    r->state = state_of(r);
}

/* One row each of the rows that are meant: who shows it, and to whom. */
struct viewer {
    enum pick_table table;
    retry_view_fn *retry;
    outbox_view_fn *outbox;
    void *arg;
    struct envelope envelope; /* of the retry that is shown */
};

/* Both show the row at which a query stands: OK or an ERR_ code; *go_on: whether more are wanted.
 */
static int show_outbox(struct db *db, sqlite3_stmt *stmt, struct viewer *v, bool *go_on)
{
    struct outbox_view row;
    char id[STORE_ID_LEN + 24];

    read_outbox(stmt, &row);
    if (row.message_id.data == NULL) {
        snprintf(id, sizeof id, "%s:%lld", db_store_id(db, row.id), (long long)row.id);
        row.message_id = slice_of(id);
    }
    *go_on = v->outbox(v->arg, &row);
    return OK;
}

static int show_retry(sqlite3_stmt *stmt, struct viewer *v, bool *go_on, struct err *err)
{
    struct retry_view row;
    int rc = read_retry(stmt, &v->envelope, &row, err);

    if (rc == OK)
        *go_on = v->retry(v->arg, &row);
    return rc;
}

/* A row that went meanwhile is passed over. */
static int show(struct db *db, int64_t id, struct viewer *v, bool *go_on, struct err *err)
{
    struct query q =
        query_start(db, v->table == PICK_RETRY ? STATEMENT_RETRY_VIEW : STATEMENT_OUTBOX_VIEW);
    int rc;

    query_int(&q, id);
    rc = query_row(&q, err);
    if (rc == 1)
        rc = v->table == PICK_RETRY ? show_retry(q.stmt, v, go_on, err)
                                    : show_outbox(db, q.stmt, v, go_on);
    query_end(&q);
    return rc < 0 ? rc : OK;
}

static int list(struct db *db, const struct pick *p, int64_t after, size_t limit, struct viewer *v,
                struct err *err)
{
    int64_t *ids;
    bool go_on = true;
    size_t n;
    int rc;

    envelope_init(&v->envelope);
    rc = pick_ids(db, v->table, p, after, limit, &ids, &n, err);

    for (size_t i = 0; i < n && rc == OK && go_on; i++)
        rc = show(db, ids[i], v, &go_on, err);
    envelope_free(&v->envelope);
    free(ids);
    return rc;
}

int rows_retries(struct db *db, const struct pick *p, int64_t after, size_t limit,
                 retry_view_fn *fn, void *arg, struct err *err)
{
    struct viewer v = {.table = PICK_RETRY, .retry = fn, .arg = arg};

    return list(db, p, after, limit, &v, err);
}

int rows_outbox(struct db *db, const struct pick *p, int64_t after, size_t limit,
                outbox_view_fn *fn, void *arg, struct err *err)
{
    struct viewer v = {.table = PICK_OUTBOX, .outbox = fn, .arg = arg};

    return list(db, p, after, limit, &v, err);
}

/* Runs a query that has its parameters and counts the row it changed. */
static int run_counted(struct db *db, struct query *q, struct picked *done, struct err *err)
{
    int rc = query_run(q, err);

    if (rc == OK && sqlite3_changes64(db->work) > 0)
        done->changed++;
    return rc;
}

/* Where it is not due by now. */
static int make_due(struct db *db, enum statement which, int64_t id, int64_t now_ms,
                    struct picked *done, struct err *err)
{
    struct query q = query_start(db, which);

    query_int(&q, now_ms);
    query_int(&q, id);
    query_int(&q, now_ms);
    return run_counted(db, &q, done, err);
}

int retry_now(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    return make_due(db, STATEMENT_RETRY_NOW, id, now_ms, done, err);
}

/* Not 0: that would be a fresh row below the engine's cursor, which nobody looks at. */
int outbox_now(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    return make_due(db, STATEMENT_OUTBOX_NOW, id, now_ms > 0 ? now_ms : 1, done, err);
}

/* The message is settled: its inbox row goes the way of all that are done. */
static int settle(struct db *db, const struct query *q, int64_t now_ms, struct err *err)
{
    struct slice queue = column_slice(q->stmt, 0), identity = column_slice(q->stmt, 1);

    if (identity.data == NULL)
        return OK;
    return inbox_set(db, queue, identity, column_fingerprint(q->stmt, 2), INBOX_DONE, now_ms, err);
}

int retry_drop(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_KEY);
    bool found;
    int rc;

    query_int(&q, id);
    rc = query_row(&q, err);
    found = rc == 1;
    if (found)
        rc = settle(db, &q, now_ms, err);
    query_end(&q);
    if (rc != OK || !found)
        return rc;
    done->changed++;
    return retry_remove(db, id, err);
}

/* A row in flight may go, too: its confirm finds nothing to delete. */
int outbox_drop(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    struct outbox_record record;
    int rc = outbox_record(db, id, &record, err);

    (void)now_ms;
    if (rc == ERR_NOT_FOUND) {
        *err = (struct err){.code = OK};
        return OK;
    }
    if (rc != OK)
        return rc;
    done->changed++;
    return outbox_confirm(db, &id, 1, err);
}

/* waiting - see waiting.h. Each class has an index, and its oldest row is the index's first. */
#include "store/waiting.h"

#include "store/outbox.h"
#include "store/retry.h"
#include "store/sqlite/db_int.h"

const char *waiting_word(enum waiting_class c)
{
    static const char *const words[WAITING_CLASSES] = {
        [WAITING_FRESH] = "fresh",         [WAITING_DUE] = "due",
        [WAITING_SCHEDULED] = "scheduled", [WAITING_REFUSED] = "refused",
        [WAITING_UNHEARD] = "unheard",     [WAITING_OUTLET] = "outlet",
        [WAITING_BEHIND] = "behind",
    };

    return words[c];
}

static int64_t earlier(int64_t a, int64_t b)
{
    if (a == 0 || b == 0)
        return a + b;
    return a < b ? a : b;
}

/* What is due now is due again at no time that is yet to come. */
static void note(struct waiting_rows *rows, int64_t since, int64_t due_at, int64_t now_ms)
{
    rows->n++;
    rows->since = earlier(rows->since, since);
    rows->next = due_at > now_ms ? earlier(rows->next, due_at) : rows->next;
}

/* Rows with a time of their own: what happened to them says why. */
static int look_at_due(struct db *db, int64_t now_ms, struct waiting_outbox *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_WAITING_DUE);
    int rc;

    query_int(&q, WAITING_COUNT_MAX);
    while ((rc = query_row(&q, err)) == 1) {
        int64_t due_at = sqlite3_column_int64(q.stmt, 0);
        int64_t attempts = sqlite3_column_int64(q.stmt, 1);
        int64_t refused_at = sqlite3_column_int64(q.stmt, 2);
        int64_t sent_at = sqlite3_column_int64(q.stmt, 3);
        struct waiting_rows *refused = &out->rows[WAITING_REFUSED];

        if (attempts > 0) {
            note(refused, earlier(refused_at, sent_at), due_at, now_ms);
            refused->attempts = attempts > refused->attempts ? attempts : refused->attempts;
        } else if (sent_at > 0) {
            note(&out->rows[WAITING_UNHEARD], sent_at, due_at, now_ms);
        } else if (due_at <= now_ms) {
            note(&out->rows[WAITING_DUE], due_at, due_at, now_ms);
        } else {
            note(&out->rows[WAITING_SCHEDULED], 0, due_at, now_ms);
        }
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

static int look_at_outlets(struct db *db, struct waiting_rows *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_WAITING_OUTLET);
    int rc;

    query_int(&q, WAITING_COUNT_MAX);
    rc = query_row(&q, err);
    if (rc == 1) {
        out->n = sqlite3_column_int64(q.stmt, 0);
        out->since = sqlite3_column_int64(q.stmt, 1);
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

/* Beyond the first ones, what is of no other class is fresh. */
static int reckon_fresh(struct db *db, struct waiting_outbox *out, struct err *err)
{
    struct waiting_rows *fresh = &out->rows[WAITING_FRESH];
    struct outbox_counts all;
    int rc = outbox_count(db, &all, err);

    for (int i = WAITING_FRESH + 1; i < WAITING_CLASSES; i++) {
        all.pending -= out->rows[i].n;
        fresh->more = fresh->more || out->rows[i].more;
    }
    if (!fresh->more && all.pending > fresh->n)
        fresh->n = all.pending;
    return rc;
}

static int look_at_fresh(struct db *db, int64_t cursor, struct waiting_outbox *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_WAITING_FRESH);
    struct waiting_rows *fresh = &out->rows[WAITING_FRESH];
    int64_t seen = 0;
    int rc;

    query_int(&q, cursor);
    query_int(&q, WAITING_COUNT_MAX);
    rc = query_row(&q, err);
    if (rc == 1) {
        seen = sqlite3_column_int64(q.stmt, 0);
        fresh->n = sqlite3_column_int64(q.stmt, 1);
        fresh->since = sqlite3_column_int64(q.stmt, 2);
    }
    query_end(&q);
    if (rc < 0)
        return rc;
    return seen < WAITING_COUNT_MAX ? OK : reckon_fresh(db, out, err);
}

/* Rows with a time of their own are counted together. */
static void note_limits(struct waiting_outbox *out)
{
    int64_t timed = 0;

    for (int i = WAITING_DUE; i <= WAITING_UNHEARD; i++)
        timed += out->rows[i].n;
    for (int i = WAITING_DUE; i <= WAITING_UNHEARD; i++)
        out->rows[i].more = timed == WAITING_COUNT_MAX && out->rows[i].n > 0;
    for (int i = WAITING_OUTLET; i <= WAITING_BEHIND; i++)
        out->rows[i].more = out->rows[i].n == WAITING_COUNT_MAX;
}

int waiting_outbox(struct db *db, int64_t cursor, int64_t now_ms, struct waiting_outbox *out,
                   struct err *err)
{
    struct query q;
    int rc;

    *out = (struct waiting_outbox){.rows = {{0}}};
    rc = look_at_due(db, now_ms, out, err);
    if (rc == OK)
        rc = look_at_outlets(db, &out->rows[WAITING_OUTLET], err);
    if (rc != OK)
        return rc;
    q = query_start(db, STATEMENT_WAITING_BEHIND);
    query_int(&q, WAITING_COUNT_MAX);
    rc = query_get_int(&q, &out->rows[WAITING_BEHIND].n, err);
    note_limits(out);
    return rc == OK ? look_at_fresh(db, cursor, out, err) : rc;
}

static int count_queue(struct db *db, int64_t now_ms, struct waiting_queue *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_WAITING_RETRIES);
    int rc;

    query_slice(&q, out->queue);
    query_int(&q, now_ms);
    query_int(&q, WAITING_COUNT_MAX);
    rc = query_row(&q, err);
    if (rc == 1) {
        out->due = sqlite3_column_int64(q.stmt, 0);
        out->later = sqlite3_column_int64(q.stmt, 1);
        out->behind = sqlite3_column_int64(q.stmt, 2);
        out->next = sqlite3_column_int64(q.stmt, 3);
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

struct telling {
    struct db *db;
    int64_t now_ms;
    waiting_queue_fn *fn;
    void *arg;
    int rc;
    struct err *err;
};

/* A retry_queue_fn. */
static bool tell_queue(void *arg, struct slice name, int64_t due_at)
{
    struct telling *t = arg;
    struct waiting_queue queue = {.queue = name};
    struct query q;

    t->rc = count_queue(t->db, t->now_ms, &queue, t->err);
    if (t->rc != OK)
        return false;
    q = query_start(t->db, STATEMENT_WAITING_FIRST);
    query_slice(&q, name);
    t->rc = query_row(&q, t->err);
    if (t->rc == 1) {
        queue.since = due_at <= t->now_ms ? due_at : 0;
        queue.attempts = sqlite3_column_int64(q.stmt, 0);
        queue.error = column_slice(q.stmt, 1);
        t->fn(t->arg, &queue);
    }
    query_end(&q);
    t->rc = t->rc < 0 ? t->rc : OK;
    return t->rc == OK;
}

int waiting_queues(struct db *db, int64_t now_ms, waiting_queue_fn *fn, void *arg, struct err *err)
{
    struct telling t = {.db = db, .now_ms = now_ms, .fn = fn, .arg = arg, .rc = OK, .err = err};
    int rc = retry_queues(db, INT64_MAX, tell_queue, &t, err);

    return rc == OK ? t.rc : rc;
}

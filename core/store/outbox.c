/* outbox - see outbox.h for the states
 *
 * How many rows are pending is told without counting them: the sequence says how many
 * were ever written, and herald_meta's outbox_removed how many herald has removed,
 * moved in the transaction that removes them. Rows that others delete, and ids that
 * producers leave out, make the difference too large; it is set right whenever the
 * outbox runs empty. Up to FEW rows are counted, so a small number is always exact. */
#include "store/outbox.h"

#include "store/lane.h"
#include "store/letter.h"
#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEW = 1000, OWN_ID_MAX = STORE_ID_LEN + 1 + TEXT_INT_MAX };

/* Room for what a row lacks: its id and its body. */
struct filler {
    char id[OWN_ID_MAX];
    struct buf body; /* owned; the default body */
};

int outbox_add(struct db *db, const struct message *m, int64_t due_at, int64_t *id_out,
               struct err *err)
{
    return outbox_add_keyed(db, m, due_at, (struct slice){NULL, 0}, id_out, err);
}

int outbox_add_keyed(struct db *db, const struct message *m, int64_t due_at, struct slice key,
                     int64_t *id_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_ADD);
    int rc;

    query_slice(&q, m->type);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        query_slice(&q, m->key[i]);
    query_blob(&q, m->body);
    query_slice(&q, m->headers);
    query_slice(&q, m->id);
    query_int(&q, due_at);
    query_int(&q, clock_wall(&db->clock));
    query_slice(&q, key);
    query_slice(&q, m->properties);
    rc = query_run(&q, err);
    if (rc == OK && id_out != NULL)
        *id_out = sqlite3_last_insert_rowid(db->work);
    return rc;
}

int outbox_add_reply(struct db *db, const struct message *m, struct slice queue, int64_t until,
                     int64_t *id_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_ADD_REPLY);
    int rc;

    query_slice(&q, m->type);
    query_blob(&q, m->body);
    query_slice(&q, m->headers);
    query_slice(&q, m->properties);
    query_int(&q, clock_wall(&db->clock));
    query_slice(&q, queue);
    query_int(&q, until);
    rc = query_run(&q, err);
    if (rc == OK)
        *id_out = sqlite3_last_insert_rowid(db->work);
    return rc;
}

static const char *text_or_none(sqlite3_stmt *stmt, int column)
{
    const char *text = column_text(stmt, column);

    return text != NULL ? text : "";
}

static void read_row(sqlite3_stmt *stmt, struct outbox_row *row)
{
    struct message *m = &row->message;
    int c = 0;

    *row = (struct outbox_row){.id = sqlite3_column_int64(stmt, c++)};
    row->due_at = sqlite3_column_int64(stmt, c++);
    row->outlet = column_slice(stmt, c++);
    m->type = column_slice(stmt, c++);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        m->key[i] = column_slice(stmt, c++);
    m->body = column_slice(stmt, c++);
    m->headers = column_slice(stmt, c++);
    m->id = column_slice(stmt, c++);
    row->created_at = sqlite3_column_int64(stmt, c++);
    row->attempts = sqlite3_column_int(stmt, c++);
    row->reason = column_text(stmt, c++);
    row->first_sent_at = sqlite3_column_int64(stmt, c++);
    row->dated_at = sqlite3_column_int64(stmt, c++);
    row->lane = column_slice(stmt, c++);
    m->properties = column_slice(stmt, c++);
    row->format = column_text(stmt, c++);
    row->reply_until = sqlite3_column_int64(stmt, c++);
    m->timestamp_s = (row->dated_at > 0 ? row->dated_at : row->created_at) / 1000;
    row->leg_kind = column_text(stmt, c++);
    if (row->leg_kind == NULL)
        return;
    row->leg_exchange = text_or_none(stmt, c++);
    row->leg_routing_key = text_or_none(stmt, c++);
}

/* "<store id>:<row>" */
static struct slice own_id(char room[OWN_ID_MAX], const char *store_id, int64_t row)
{
    memcpy(room, store_id, STORE_ID_LEN);
    room[STORE_ID_LEN] = ':';
    return (struct slice){room, STORE_ID_LEN + 1 + text_int(room + STORE_ID_LEN + 1, row)};
}

/* What a producer left out (docs/design.md#the-outbox). */
static int fill(struct db *db, struct outbox_row *row, struct filler *f, struct err *err)
{
    struct message *m = &row->message;

    if (m->id.data == NULL)
        m->id = own_id(f->id, db_store_id(db, row->id), row->id);
    if (m->body.data == NULL) {
        buf_clear(&f->body);
        if (message_default_body(&f->body, m, row->id) != OK)
            return err_set(err, ERR_NOMEM, "out of memory");
        m->body = (struct slice){f->body.data, f->body.len};
    }
    return OK;
}

static void filler_init(struct filler *f)
{
    /* The schema bounds the keys, and quoting makes a byte six at most: what fails is
     * memory, never the limit, which no later try would pass. */
    buf_init(&f->body, (size_t)8 * MESSAGE_BODY_MAX);
}

static void filler_free(struct filler *f)
{
    buf_free(&f->body);
}

int outbox_add_leg(struct db *db, const struct outbox_row *row, const struct destination *to,
                   struct slice lane, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_ADD_LEG);
    const struct message *m = &row->message;

    query_slice(&q, m->type);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        query_slice(&q, m->key[i]);
    query_blob(&q, m->body);
    query_slice(&q, m->headers);
    query_slice(&q, m->id);
    query_int(&q, row->created_at);
    query_int(&q, row->dated_at);
    query_text(&q, to->kind == EXCHANGE_DEFAULT ? "queue" : exchange_kind_word(to->kind));
    query_text(&q, to->exchange);
    query_text(&q, to->routing_key);
    query_int(&q, row->id);
    query_slice(&q, lane);
    query_slice(&q, m->properties);
    query_text(&q, row->format);
    query_int(&q, row->reply_until);
    return query_run(&q, err);
}

/* The row, lent until query_end: 1 it is there, 0 it is not, or an ERR_ code. The query has to be
 * ended and the filler to be freed in any case. */
static int get_row(struct db *db, struct query *q, int64_t id, struct outbox_row *row,
                   struct filler *f, struct err *err)
{
    int rc;

    *q = query_start(db, STATEMENT_OUTBOX_GET);
    filler_init(f);
    query_int(q, id);
    rc = query_row(q, err);
    if (rc != 1)
        return rc;
    read_row(q->stmt, row);
    rc = fill(db, row, f, err);
    return rc == OK ? 1 : rc;
}

int outbox_look(struct db *db, int64_t id, outbox_row_fn *fn, void *arg, struct err *err)
{
    struct outbox_row row;
    struct query q;
    struct filler f;
    int rc = get_row(db, &q, id, &row, &f, err);

    if (rc == 1)
        (void)fn(arg, &row); /* there is nothing to go on with */
    query_end(&q);
    filler_free(&f);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "no outbox row %lld", (long long)id);
    return rc == 1 ? OK : rc;
}

int outbox_claim(struct db *db, int64_t after, size_t limit, outbox_row_fn *fn, void *arg,
                 int64_t *last_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_CLAIM);
    struct outbox_row row;
    struct filler f;
    int rc;

    filler_init(&f);
    query_int(&q, after);
    query_int(&q, (int64_t)limit);
    *last_out = after;
    while ((rc = query_row(&q, err)) == 1) {
        /* What waits is passed over unread, and so is what was sent ahead of the cursor. */
        if (sqlite3_column_int64(q.stmt, 1) == 0 && sqlite3_column_type(q.stmt, 2) == SQLITE_NULL) {
            read_row(q.stmt, &row);
            rc = fill(db, &row, &f, err);
            if (rc != OK || !fn(arg, &row))
                break;
        }
        *last_out = sqlite3_column_int64(q.stmt, 0);
    }
    query_end(&q);
    filler_free(&f);
    return rc < 0 ? rc : OK;
}

/* Calls back for the rows of a query and notes the ids that were taken. Rows above the cursor
 * are left to it: outbox_claim passes them first, so the cursor gets there. */
static int take_rows(struct query *q, int64_t cursor, outbox_row_fn *fn, void *arg, int64_t *ids,
                     size_t *n_out, struct err *err)
{
    struct outbox_row row;
    struct filler f;
    int rc;

    filler_init(&f);
    while ((rc = query_row(q, err)) == 1) {
        read_row(q->stmt, &row);
        if (row.id > cursor)
            continue;
        rc = fill(q->db, &row, &f, err);
        if (rc != OK || !fn(arg, &row))
            break;
        ids[(*n_out)++] = row.id;
    }
    query_end(q);
    filler_free(&f);
    return rc < 0 ? rc : OK;
}

/* Rows are woken after the walk: waking moves them in the index that is walked. */
static int claim_rows(struct query *q, int64_t cursor, size_t limit, outbox_row_fn *fn, void *arg,
                      struct err *err)
{
    struct db *db = q->db;
    int64_t *ids = calloc(limit > 0 ? limit : 1, sizeof *ids);
    size_t n = 0;
    int rc;

    if (ids == NULL) {
        query_end(q);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    rc = take_rows(q, cursor, fn, arg, ids, &n, err);
    for (size_t i = 0; i < n; i++) {
        struct query wake = query_start(db, STATEMENT_OUTBOX_WAKE);
        int woken;

        query_int(&wake, ids[i]);
        woken = query_run(&wake, rc == OK ? err : NULL);
        rc = rc == OK ? woken : rc;
    }
    free(ids);
    return rc;
}

/* Looking at `limit` rows at most keeps this flat when a million are due after a restart. */
int outbox_claim_due(struct db *db, int64_t cursor, int64_t now_ms, size_t limit, outbox_row_fn *fn,
                     void *arg, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_DUE);

    query_int(&q, now_ms);
    query_int(&q, (int64_t)limit);
    return claim_rows(&q, cursor, limit, fn, arg, err);
}

int outbox_claim_backlog(struct db *db, struct slice outlet, size_t limit, outbox_row_fn *fn,
                         void *arg, struct err *err)
{
    struct query q = query_start(db, STATEMENT_BACKLOG_CLAIM);

    query_slice(&q, outlet);
    query_int(&q, (int64_t)limit);
    return claim_rows(&q, INT64_MAX, limit, fn, arg, err);
}

int outbox_next_due(struct db *db, int64_t *due_at_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_NEXT_DUE);

    *due_at_out = INT64_MAX;
    return query_get_int(&q, due_at_out, err);
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

int outbox_each(struct db *db, int64_t *ids, size_t n, outbox_row_fn *fn, void *arg,
                struct err *err)
{
    int rc = OK;

    if (n > 1)
        qsort(ids, n, sizeof *ids, compare);
    for (size_t i = 0; i < n && rc == OK; i++) {
        if (i > 0 && ids[i] == ids[i - 1])
            continue;
        rc = outbox_look(db, ids[i], fn, arg, err);
        if (rc == ERR_NOT_FOUND) { /* somebody deleted it meanwhile */
            *err = (struct err){.code = OK};
            rc = OK;
        }
    }
    return rc;
}

static int delete_run(struct db *db, int64_t first, int64_t last, int64_t *removed, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_DELETE);
    int rc;

    query_int(&q, first);
    query_int(&q, last);
    rc = query_run(&q, err);
    if (rc == OK)
        *removed += sqlite3_changes64(db->work);
    return rc;
}

static int note_removed(struct db *db, int64_t removed, struct err *err)
{
    struct query q;

    if (removed == 0)
        return OK;
    q = query_start(db, STATEMENT_OUTBOX_REMOVED);
    query_int(&q, removed);
    return query_run(&q, err);
}

int outbox_confirm(struct db *db, int64_t *ids, size_t n, struct err *err)
{
    int64_t removed = 0;
    int rc = OK;

    if (n > 1)
        qsort(ids, n, sizeof *ids, compare);
    for (size_t i = 0, end; rc == OK && i < n; i = end) {
        /* A second word about the same row does no harm. */
        for (end = i + 1; end < n && ids[end] - ids[end - 1] <= 1; end++)
            continue;
        rc = delete_run(db, ids[i], ids[end - 1], &removed, err);
    }
    return rc == OK ? note_removed(db, removed, err) : rc;
}

int outbox_last(struct db *db, int64_t *id_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_LAST);

    *id_out = 0;
    return query_get_int(&q, id_out, err);
}

int outbox_cancel(struct db *db, struct slice key, int64_t cursor, enum cancelled *out,
                  struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_KEY_SENT);
    int64_t sent = -1; /* an aggregate over no rows is null */
    int rc;

    *out = CANCEL_NONE;
    query_int(&q, cursor);
    query_slice(&q, key);
    rc = query_row(&q, err);
    if (rc == 1 && sqlite3_column_type(q.stmt, 0) != SQLITE_NULL)
        sent = sqlite3_column_int64(q.stmt, 0);
    query_end(&q);
    if (rc < 0 || sent < 0)
        return rc < 0 ? rc : OK;
    q = query_start(db, STATEMENT_OUTBOX_KEY_DELETE);
    query_slice(&q, key);
    rc = query_run(&q, err);
    if (rc != OK)
        return rc;
    *out = sent ? CANCEL_SENT : CANCEL_DONE;
    return note_removed(db, sqlite3_changes64(db->work), err);
}

int outbox_record(struct db *db, int64_t id, struct outbox_record *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_RECORD);
    int rc;

    query_int(&q, id);
    rc = query_row(&q, err);
    if (rc == 1)
        *out = (struct outbox_record){.attempts = sqlite3_column_int(q.stmt, 0),
                                      .refused_at = sqlite3_column_int64(q.stmt, 1),
                                      .first_sent_at = sqlite3_column_int64(q.stmt, 2)};
    query_end(&q);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "no outbox row %lld", (long long)id);
    return rc < 0 ? rc : OK;
}

int outbox_postpone(struct db *db, int64_t id, enum outbox_trouble trouble, const char *reason,
                    int64_t due_at, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_POSTPONE);

    query_text(&q, reason);
    query_int(&q, due_at > 0 ? due_at : 1); /* 0 would be a fresh row below the cursor */
    query_int(&q, trouble == OUTBOX_REFUSED || trouble == OUTBOX_DENIED);
    query_int(&q, trouble == OUTBOX_UNHEARD);
    query_int(&q, clock_wall(&db->clock));
    query_int(&q, id);
    query_int(&q, trouble == OUTBOX_REFUSED || trouble == OUTBOX_UNHEARD);
    return query_run(&q, err);
}

/* Legs of one message are letters of their own, which say where they were to go. */
static void address_letter(struct letter *letter, const struct outbox_row *row)
{
    uint64_t hash = message_hash(&row->message);

    letter->fingerprint = message_fingerprint(&row->message);
    if (row->leg_kind == NULL)
        return;
    letter->leg_kind = row->leg_kind;
    letter->lane = row->lane;
    letter->exchange = slice_of(row->leg_exchange);
    letter->routing_key = slice_of(row->leg_routing_key);
    /* With its end: "a", "bc". */
    hash = text_hash(hash, letter->exchange.data, letter->exchange.len + 1);
    letter->fingerprint.bits = text_hash(hash, letter->routing_key.data, letter->routing_key.len);
}

static void letter_of(struct letter *letter, const struct outbox_row *row)
{
    letter->identity = row->message.id;
    letter->message = row->message;
    address_letter(letter, row);
    /* Whoever replays it must see that it may have been sent. */
    letter->attempts = row->attempts == 0 && row->first_sent_at > 0 ? 1 : row->attempts;
    letter->reply_until = row->reply_until;
    letter->format = row->format != NULL ? row->format : letter->attempts > 0 ? "" : NULL;
}

/* The letter is written while the row is still lent by the query. */
static int dead_letter(struct db *db, int64_t id, const char *reason, int64_t now_ms, bool *found,
                       struct err *err)
{
    struct letter letter = {.side = LETTER_OUTBOX, .error = reason, .at = now_ms};
    struct outbox_row row;
    struct query q;
    struct filler f;
    int rc = get_row(db, &q, id, &row, &f, err);

    *found = rc == 1;
    if (*found) {
        letter_of(&letter, &row);
        rc = letter_add(db, &letter, NULL, NULL, err);
    }
    query_end(&q);
    filler_free(&f);
    return rc;
}

int outbox_park(struct db *db, int64_t id, const char *reason, int64_t now_ms, bool *parked_out,
                struct err *err)
{
    int64_t removed = 0;
    bool found;
    int rc = dead_letter(db, id, reason, now_ms, &found, err);

    if (parked_out != NULL)
        *parked_out = found;
    if (rc != OK || !found)
        return rc;
    rc = delete_run(db, id, id, &removed, err);
    return rc == OK ? note_removed(db, removed, err) : rc;
}

static int count_pending(struct db *db, int64_t *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_FEW);
    int64_t many = 0;
    int rc;

    query_int(&q, FEW + 1);
    rc = query_get_int(&q, out, err);
    if (rc != OK || *out <= FEW)
        return rc;
    q = query_start(db, STATEMENT_OUTBOX_MANY);
    rc = query_get_int(&q, &many, err);
    if (many > *out)
        *out = many;
    return rc;
}

int outbox_count(struct db *db, struct outbox_counts *out, struct err *err)
{
    struct query q;
    int rc;

    *out = (struct outbox_counts){.pending = 0};
    rc = count_pending(db, &out->pending, err);
    if (rc != OK)
        return rc;
    q = query_start(db, STATEMENT_OUTBOX_OLDEST);
    return query_get_int(&q, &out->oldest_at, err);
}

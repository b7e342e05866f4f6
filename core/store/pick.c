/* pick - see pick.h. */
#include "store/pick.h"

#include "base/buf.h"
#include "store/due.h"
#include "store/retry.h"
#include "store/sqlite/db_int.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    const char *error; /* column; NULL: none */
    const char *age;   /* column, ms since 1970 UTC */
} tables[] = {
    [PICK_LETTERS] = {"herald_dead", "error", "at"},
    [PICK_RETRY] = {"herald_retry", "error", "first_at"},
    [PICK_OUTBOX] = {"herald_outbox", "reason", "created_at"},
    [PICK_HISTORY] = {"herald_history", NULL, "at"},
};

/* A retry is stored as it was received, so its type and keys may stand in its body alone: then
 * each row that fits otherwise is read, and judged here. */
static bool looks_inside(enum pick_table table, const struct pick *p)
{
    return table == PICK_RETRY && (p->type.data != NULL || p->key1.data != NULL ||
                                   p->order_type.data != NULL || p->key3.data != NULL);
}

/* Puts the words into `sql`, or the values into the statement: one walk over the
 * conditions does either, so both keep the same order. */
struct writer {
    struct buf *sql;    /* NULL: values are put */
    struct query query; /* takes the values */
};

static void condition(struct writer *w, const char *before, const char *column, const char *after)
{
    if (w->sql != NULL)
        buf_printf(w->sql, "%s%s%s", before, column, after);
}

static void text_condition(struct writer *w, const char *column, struct slice value)
{
    if (value.data == NULL)
        return;
    condition(w, " and ", column, " = ?");
    if (w->sql == NULL)
        query_slice(&w->query, value);
}

/* The id that a row of the outbox goes out with says which row it is, unless it brought one. */
static int64_t row_of(struct db *db, struct slice id)
{
    const char *colon = memchr(id.data, ':', id.len);
    size_t len = colon != NULL ? (size_t)(colon - id.data) : 0;
    char digits[TEXT_INT_MAX];
    int64_t row = 0;

    if (colon == NULL || id.len - len - 1 > 18)
        return 0;
    for (size_t i = len + 1; i < id.len; i++) {
        if (id.data[i] < '0' || id.data[i] > '9')
            return 0;
        row = row * 10 + (id.data[i] - '0');
    }
    if (row == 0 || !slice_is((struct slice){id.data, len}, db_store_id(db, row)))
        return 0;
    return text_int(digits, row) == id.len - len - 1 ? row : 0; /* no zeros before it */
}

static void message_condition(struct writer *w, enum pick_table table, struct slice id)
{
    static const char *const otherwise[] = {
        [PICK_LETTERS] = "identity = ?",
        [PICK_RETRY] = "identity = ?",
        [PICK_OUTBOX] = "(message_id is null and id = ?)",
    };
    bool both = table != PICK_HISTORY; /* which has what a message was known by */

    if (id.data == NULL)
        return;
    condition(w, both ? " and (message_id = ? or " : " and message_id = ?",
              both ? otherwise[table] : "", both ? ")" : "");
    if (w->sql != NULL)
        return;
    query_slice(&w->query, id);
    if (table == PICK_OUTBOX)
        query_int(&w->query, row_of(w->query.db, id));
    else if (both)
        query_slice(&w->query, id);
}

static void number_condition(struct writer *w, const char *column, const char *after, int64_t value,
                             bool wanted)
{
    if (!wanted)
        return;
    condition(w, " and ", column, after);
    if (w->sql == NULL)
        query_int(&w->query, value);
}

static void these_ids(struct writer *w, const struct pick *p)
{
    if (w->sql == NULL || p->n_ids == 0)
        return;
    for (size_t i = 0; i < p->n_ids; i++)
        buf_printf(w->sql, "%s%lld", i == 0 ? " and id in (" : ", ", (long long)p->ids[i]);
    buf_text(w->sql, ")");
}

/* By time, since that is what people ask the history for; rows of one moment stand by id.
 * When the row that `after` names was pruned, so was all behind it. */
static void begin_history(struct writer *w, const struct pick *p, int64_t after)
{
    condition(w, " where ", "at", " >= ? and at < min(?, coalesce(");
    condition(w, "(select at + 1 from ", tables[PICK_HISTORY].name, " where id = ?), ");
    condition(w, "9223372036854775807)) and (id < ? or ", "+at", " < ");
    condition(w, "(select at from ", tables[PICK_HISTORY].name, " where id = ?))");
    if (w->sql != NULL)
        return;
    query_int(&w->query, p->since_ms);
    query_int(&w->query, p->before_ms > 0 ? p->before_ms : INT64_MAX);
    query_int(&w->query, after);
    query_int(&w->query, after > 0 ? after : INT64_MAX);
    query_int(&w->query, after);
}

/* The literal lets SQLite use the index of postponed rows, which has only those. What is
 * behind in a lane is due when that lane says, and no earlier. */
static void begin_where(struct writer *w, const struct pick *p, int64_t after)
{
    condition(w, " where ", p->later_ms > 0 ? "+id" : "id", " > ?");
    if (w->sql == NULL)
        query_int(&w->query, after);
    number_condition(w, "due_at > 0 and due_at", " > ?", p->later_ms, p->later_ms > 0);
    number_condition(w, "due_at", " < ?", LANE_BEHIND, p->later_ms > 0);
}

static void write_age(struct writer *w, enum pick_table table, const struct pick *p)
{
    number_condition(w, tables[table].age, " >= ?", p->since_ms, p->since_ms > 0);
    number_condition(w, tables[table].age, " < ?", p->before_ms, p->before_ms > 0);
}

static void write_where(struct writer *w, enum pick_table table, const struct pick *p,
                        int64_t after)
{
    if (table == PICK_HISTORY)
        begin_history(w, p, after);
    else
        begin_where(w, p, after);
    these_ids(w, p);
    number_condition(w, "error_group", " = ?", p->group, table == PICK_LETTERS && p->group >= 0);
    text_condition(w, "side", p->side);
    text_condition(w, "queue", p->queue);
    if (!looks_inside(table, p)) {
        text_condition(w, "type", p->type);
        text_condition(w, "business_key1", p->key1);
        text_condition(w, "business_key2", p->order_type);
        text_condition(w, "business_key3", p->key3);
    }
    message_condition(w, table, p->message_id);
    text_condition(w, "+lane", p->lane); /* by id: its index would have to be sorted */
    if (table != PICK_HISTORY)
        write_age(w, table, p);
    number_condition(w, "(reason is null)", " = ?", 0, p->failed);
    if (p->header.data != NULL) {
        condition(w, " and instr(", "headers", ", ?) > 0");
        if (w->sql == NULL)
            query_slice(&w->query, p->header);
    }
    if (p->error.data == NULL || tables[table].error == NULL)
        return;
    condition(w, " and instr(", tables[table].error, ", ?) > 0");
    if (w->sql == NULL)
        query_slice(&w->query, p->error);
}

static const char *order_of(enum pick_table table, const struct pick *p)
{
    if (table == PICK_HISTORY)
        return "at desc, id desc";
    return p->later_ms > 0 ? "due_at" : "id";
}

/* What read_inside reads. */
#define INSIDE                                                                                     \
    ", " RETRY_TYPE ", " RETRY_KEY1 ", " RETRY_KEY2 ", " RETRY_KEY3                                \
    ", body, content_type, " RETRY_READ

/* By due time where that is the condition: sorting by id would cost more. */
static void write_select(struct buf *sql, enum pick_table table, const struct pick *p)
{
    struct writer w = {.sql = sql};

    buf_printf(sql, "select id%s from %s", looks_inside(table, p) ? INSIDE : "",
               tables[table].name);
    write_where(&w, table, p, 0);
    buf_printf(sql, " order by %s limit ?", order_of(table, p));
}

int pick_sql(enum pick_table table, const struct pick *p, char *out, size_t size)
{
    struct buf sql;
    int rc = ERR_LIMIT;

    buf_init(&sql, size - 1);
    write_select(&sql, table, p);
    if (!sql.failed) {
        memcpy(out, sql.data, sql.len);
        out[sql.len] = '\0';
        rc = OK;
    }
    buf_free(&sql);
    return rc;
}

/* Prepares what was written and puts the values; `limit` is the last one. */
static int prepare(struct db *db, const struct buf *sql, enum pick_table table,
                   const struct pick *p, int64_t after, size_t limit, struct writer *w,
                   struct err *err)
{
    int rc;

    *w = (struct writer){.sql = NULL};
    if (sql->failed)
        return err_set(err, ERR_NOMEM, "out of memory");
    rc = query_prepare(&w->query, db, (struct slice){sql->data, sql->len}, "look for rows", err);
    if (rc != OK)
        return rc;
    write_where(w, table, p, after);
    query_int(&w->query, limit < INT64_MAX && !looks_inside(table, p) ? (int64_t)limit : INT64_MAX);
    return OK;
}

static int add_id(int64_t **ids, size_t *n, size_t *room, int64_t id, struct err *err)
{
    if (*n == *room) {
        size_t more = *room > 0 ? *room * 2 : 128;
        int64_t *grown = realloc(*ids, more * sizeof *grown);

        if (grown == NULL)
            return err_set(err, ERR_NOMEM, "out of memory: use a smaller --limit");
        *ids = grown;
        *room = more;
    }
    (*ids)[(*n)++] = id;
    return OK;
}

static bool is_or_any(struct slice wanted, struct slice found)
{
    return wanted.data == NULL || slice_equal(wanted, found);
}

/* Whether the row at which the query stands is meant. */
static int read_inside(sqlite3_stmt *stmt, const struct pick *p, struct envelope *e, bool *meant,
                       struct err *err)
{
    struct message m = {.type = column_slice(stmt, 1)};
    int rc, c = 2;

    for (int i = 0; i < MESSAGE_KEYS; i++)
        m.key[i] = column_slice(stmt, c++);
    m.body = column_slice(stmt, c++);
    m.content_type = column_slice(stmt, c++);
    rc = sqlite3_column_int(stmt, c) != 0 ? OK : retry_resolve(&m, e, err);
    *meant = is_or_any(p->type, m.type) && is_or_any(p->key1, m.key[0]) &&
             is_or_any(p->order_type, m.key[1]) && is_or_any(p->key3, m.key[2]);
    return rc;
}

static int read_ids(struct query *q, enum pick_table table, const struct pick *p, size_t limit,
                    int64_t **ids, size_t *n, struct err *err)
{
    bool inside = looks_inside(table, p), meant = true;
    struct envelope e;
    size_t room = 0;
    int rc = OK;

    envelope_init(&e);
    while (*n < limit && (rc = query_row(q, err)) == 1) {
        rc = inside ? read_inside(q->stmt, p, &e, &meant, err) : OK;
        if (rc == OK && meant)
            rc = add_id(ids, n, &room, sqlite3_column_int64(q->stmt, 0), err);
        if (rc != OK)
            break;
    }
    envelope_free(&e);
    return rc < 0 ? rc : OK;
}

int pick_ids(struct db *db, enum pick_table table, const struct pick *p, int64_t after,
             size_t limit, int64_t **ids_out, size_t *n_out, struct err *err)
{
    struct writer w;
    struct buf sql;
    int rc;

    *ids_out = NULL;
    *n_out = 0;
    buf_init(&sql, (size_t)1024 * 1024);
    write_select(&sql, table, p);
    rc = prepare(db, &sql, table, p, after, limit, &w, err);
    if (rc == OK)
        rc = read_ids(&w.query, table, p, limit, ids_out, n_out, err);
    (void)sqlite3_finalize(w.query.stmt); /* repeats what query_row said */
    buf_free(&sql);
    return rc;
}

int pick_batch(struct db *db, const int64_t *ids, size_t n, pick_fn *fn, size_t *passed_out,
               struct picked *done_out, struct err *err)
{
    int64_t now_ms = clock_wall(&db->clock);
    struct picked done = {.changed = 0};
    size_t i = 0;
    int rc = db_begin(db, err);

    *passed_out = 0;
    *done_out = done;
    if (rc != OK)
        return rc;
    while (rc == OK && i < n && i < PICK_BATCH && done.bytes <= PICK_BATCH_BYTES)
        rc = fn(db, ids[i++], now_ms, &done, err);
    if (rc == OK)
        rc = db_commit(db, err);
    if (rc != OK) {
        db_rollback(db);
        return rc;
    }
    *passed_out = i;
    *done_out = done;
    return OK;
}

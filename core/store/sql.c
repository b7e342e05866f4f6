/* sql - see sql.h
 *
 * A statement is in one of three rings: IDLE (may be given out; the one used longest
 * ago first, and gone when there are too many), USED (given out), OVER (its handler
 * has returned, but a script may still hold it until its garbage is collected). All
 * are found by their text in a hash table; a text may be there more than once, when
 * a handler runs the same statement inside itself. */
#include "store/sql.h"

#include "store/sqlite/db_int.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum place { IDLE, USED, OVER, PLACES };

struct ring {
    struct ring *prev, *next; /* a head alone points at itself */
};

struct sql_stmt {
    struct ring ring;           /* first, so that a ring leads here */
    enum place place;           /* whose ring that is */
    struct sql *sql;            /* lent */
    sqlite3_stmt *stmt;         /* owned */
    struct sql_stmt *in_bucket; /* the next one there */
    uint64_t hash;              /* of the text */
    size_t len;                 /* of the text */
    char text[];                /* the key; not terminated */
};

struct sql {
    struct db *db;            /* lent */
    size_t cache;             /* idle statements kept at most */
    size_t n_idle;            /* of them now */
    struct ring head[PLACES]; /* next is the oldest */
    size_t n_buckets;         /* a power of two */
    struct sql_stmt **bucket; /* all statements */
    int64_t deadline_ms;      /* monotonic: handlers' statements are interrupted then */
};

enum {
    LOOK_EVERY = 20000,               /* virtual machine steps: about a millisecond */
    VALUE_MAX = 4 * MESSAGE_BODY_MAX, /* bytes of a handler's value or row */
};

/* SQLite's progress handler: true interrupts the statement. */
static int out_of_time(void *arg)
{
    const struct sql *sql = arg;

    return sql->db->actor == ACTOR_HANDLER && clock_mono(&sql->db->clock) > sql->deadline_ms;
}

int sql_new(struct sql **out, struct db *db, size_t cache, struct err *err)
{
    struct sql *sql = calloc(1, sizeof *sql);
    size_t buckets = 16;

    while (buckets < cache && buckets < 65536)
        buckets *= 2;
    *out = NULL;
    if (sql != NULL)
        sql->bucket = calloc(buckets, sizeof *sql->bucket);
    if (sql == NULL || sql->bucket == NULL) {
        free(sql);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    sql->db = db;
    sql->cache = cache;
    sql->deadline_ms = INT64_MAX;
    sqlite3_progress_handler(db->work, LOOK_EVERY, out_of_time, sql);
    sql->n_buckets = buckets;
    for (int i = 0; i < PLACES; i++)
        sql->head[i].prev = sql->head[i].next = &sql->head[i];
    *out = sql;
    return OK;
}

static struct sql_stmt **bucket_of(struct sql *sql, uint64_t hash)
{
    return &sql->bucket[hash & (sql->n_buckets - 1)];
}

static void enter_ring(struct sql_stmt *s, enum place place)
{
    struct ring *head = &s->sql->head[place];

    s->ring = (struct ring){.prev = head->prev, .next = head};
    head->prev->next = &s->ring;
    head->prev = &s->ring;
    s->place = place;
    s->sql->n_idle += place == IDLE;
}

static void leave_ring(struct sql_stmt *s)
{
    s->ring.prev->next = s->ring.next;
    s->ring.next->prev = s->ring.prev;
    s->sql->n_idle -= s->place == IDLE;
}

/* The oldest of a place; NULL: nobody there. */
static struct sql_stmt *oldest(struct sql *sql, enum place place)
{
    struct ring *first = sql->head[place].next;

    return first == &sql->head[place] ? NULL : (struct sql_stmt *)first;
}

static void destroy(struct sql_stmt *s)
{
    struct sql_stmt **p = bucket_of(s->sql, s->hash);

    while (*p != s)
        p = &(*p)->in_bucket;
    *p = s->in_bucket;
    leave_ring(s);
    (void)sqlite3_finalize(s->stmt); /* repeats what its last step said */
    free(s);
}

void sql_free(struct sql **out)
{
    struct sql *sql = *out;
    struct sql_stmt *s;

    if (sql == NULL)
        return;
    for (int place = 0; place < PLACES; place++)
        while ((s = oldest(sql, (enum place)place)) != NULL)
            destroy(s);
    sqlite3_progress_handler(sql->db->work, 0, NULL, NULL);
    free(sql->bucket);
    free(sql);
    *out = NULL;
}

void sql_enter(struct sql *sql, int64_t deadline_ms)
{
    sql_leave(sql);
    (void)sqlite3_limit(sql->db->work, SQLITE_LIMIT_LENGTH, VALUE_MAX); /* gives the old one */
    sql->deadline_ms = deadline_ms;
}

/* An open SELECT would keep its read mark beyond the turn and the WAL growing. */
void sql_leave(struct sql *sql)
{
    struct sql_stmt *s;

    (void)sqlite3_limit(sql->db->work, SQLITE_LIMIT_LENGTH, DB_LENGTH_MAX);
    while ((s = oldest(sql, USED)) != NULL) {
        (void)sqlite3_reset(s->stmt); /* repeats what its last step said */
        leave_ring(s);
        enter_ring(s, OVER);
    }
}

/* Every statement of a handler is compiled and stepped while watched: compiling
 * happens in both (see authorizer.c). */
static void watch(struct db *db)
{
    db->actor = ACTOR_HANDLER;
    db->denied[0] = '\0';
}

static void unwatch(struct db *db)
{
    db->actor = ACTOR_HERALD;
}

static int refuse(struct slice text, const char *why, struct err *err)
{
    int shown = text.len > 400 ? 400 : (int)text.len;

    return err_set(err, ERR_SCRIPT, "%s in: %.*s%s", why, shown, text.data,
                   text.len > 400 ? " ..." : "");
}

/* The store's trouble keeps its code; anything else is the statement's fault. A busy
 * lock inside a transaction is the statement's, too (it waits for itself). */
static int failed(struct sql *sql, struct slice text, int rc, struct err *err)
{
    int code = db_code(rc);
    const char *words = sqlite3_errmsg(sql->db->work);

    if (err_is_environment(code))
        return db_fail(sql->db, sql->db->work, rc, "run a handler's statement", err);
    if (rc == SQLITE_INTERRUPT)
        words = "it ran beyond the handler's time limit (handler_timeout)";
    if (sql->db->began && sqlite3_get_autocommit(sql->db->work) != 0) {
        refuse(text, words, err);
        code = ERR_TX_LOST;
        if (err != NULL) {
            err->code = code;
            err_prefix(err, "this statement ended the transaction");
        }
        return code;
    }
    if (sql->db->denied[0] != '\0')
        words = sql->db->denied;
    return refuse(text, words, err);
}

const char *sql_skip_blank(const char *p, const char *end)
{
    while (p < end) {
        if (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r' || *p == '\f') {
            p++;
        } else if (end - p >= 2 && p[0] == '-' && p[1] == '-') {
            while (p < end && *p != '\n')
                p++;
        } else if (end - p >= 2 && p[0] == '/' && p[1] == '*') {
            p += 2;
            while (p < end && !(end - p >= 2 && p[0] == '*' && p[1] == '/'))
                p++;
            p = end - p >= 2 ? p + 2 : end;
        } else {
            break;
        }
    }
    return p;
}

static int compile(struct sql *sql, struct slice text, sqlite3_stmt **out, struct err *err)
{
    const char *tail = text.data;
    int rc;

    *out = NULL;
    if (text.len > INT_MAX)
        return err_set(err, ERR_SCRIPT, "a statement of %zu bytes is too long", text.len);
    watch(sql->db);
    rc = sqlite3_prepare_v3(sql->db->work, text.data, (int)text.len, SQLITE_PREPARE_PERSISTENT, out,
                            &tail);
    unwatch(sql->db);
    if (rc != SQLITE_OK)
        return failed(sql, text, rc, err);
    if (*out == NULL)
        return refuse(text, "no statement", err);
    if (sql_skip_blank(tail, text.data + text.len) == text.data + text.len)
        return OK;
    (void)sqlite3_finalize(*out); /* never stepped */
    return refuse(text, "more than one statement", err);
}

static struct sql_stmt *find_idle(struct sql *sql, struct slice text, uint64_t hash)
{
    for (struct sql_stmt *s = *bucket_of(sql, hash); s != NULL; s = s->in_bucket)
        if (s->place == IDLE && s->hash == hash && s->len == text.len &&
            memcmp(s->text, text.data, text.len) == 0)
            return s;
    return NULL;
}

static int make(struct sql *sql, struct slice text, uint64_t hash, struct sql_stmt **out,
                struct err *err)
{
    struct sql_stmt *s = malloc(sizeof *s + text.len);
    struct sql_stmt **bucket = bucket_of(sql, hash);
    int rc;

    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *s = (struct sql_stmt){.sql = sql, .hash = hash, .len = text.len, .in_bucket = *bucket};
    memcpy(s->text, text.data, text.len);
    rc = compile(sql, text, &s->stmt, err);
    if (rc != OK) {
        free(s);
        return rc;
    }
    *bucket = s;
    enter_ring(s, USED);
    *out = s;
    return OK;
}

int sql_prepare(struct sql *sql, struct slice text, struct sql_stmt **out, struct err *err)
{
    struct slice t = text.data != NULL ? text : slice_of("");
    uint64_t hash = text_hash(TEXT_HASH_START, t.data, t.len);

    *out = find_idle(sql, t, hash);
    if (*out == NULL)
        return make(sql, t, hash, out, err);
    leave_ring(*out);
    enter_ring(*out, USED);
    return OK;
}

int sql_error_at(const struct sql *sql)
{
    return sqlite3_error_offset(sql->db->work);
}

int sql_parameters(const struct sql_stmt *s)
{
    return sqlite3_bind_parameter_count(s->stmt);
}

const char *sql_parameter_name(const struct sql_stmt *s, int index)
{
    return sqlite3_bind_parameter_name(s->stmt, index);
}

int sql_bind(struct sql_stmt *s, int index, const struct value *v, struct err *err)
{
    struct slice text = {s->text, s->len};
    int rc;

    if (v->kind == VALUE_REAL && isnan(v->real)) /* SQLite would make it a null */
        return refuse(text, "NaN has no value in SQL", err);
    rc = bind_value(s->stmt, index, v);
    if (rc == SQLITE_OK)
        return OK;
    return rc == SQLITE_RANGE ? refuse(text, "no such parameter", err)
                              : failed(s->sql, text, rc, err);
}

int sql_step(struct sql_stmt *s, struct err *err)
{
    struct db *db = s->sql->db;
    struct slice text = {s->text, s->len};
    int rc;

    if (s->place != USED)
        return refuse(text, "a statement used after its handler returned", err);
    if (db->began && sqlite3_get_autocommit(db->work) != 0)
        return err_set(err, ERR_TX_LOST, "the transaction has ended");
    watch(db);
    rc = sqlite3_step(s->stmt);
    unwatch(db);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return failed(s->sql, text, rc, err);
    if (db->began && sqlite3_get_autocommit(db->work) != 0)
        return failed(s->sql, text, SQLITE_ERROR, err);
    return rc == SQLITE_ROW;
}

int sql_columns(const struct sql_stmt *s)
{
    return sqlite3_column_count(s->stmt);
}

const char *sql_column_name(const struct sql_stmt *s, int column)
{
    const char *name = sqlite3_column_name(s->stmt, column);

    return name != NULL ? name : ""; /* out of memory */
}

void sql_column(const struct sql_stmt *s, int column, struct value *out)
{
    column_value(s->stmt, column, out);
}

int64_t sql_changes(const struct sql *sql)
{
    return sqlite3_changes64(sql->db->work);
}

int64_t sql_total_changes(const struct sql *sql)
{
    return sqlite3_total_changes64(sql->db->work);
}

bool sql_expand(const struct sql_stmt *s, struct buf *out)
{
    char *text = sqlite3_expanded_sql(s->stmt);
    bool good = text != NULL && buf_text(out, text) == 0;

    sqlite3_free(text);
    return good;
}

void sql_end(struct sql_stmt *s)
{
    (void)sqlite3_reset(s->stmt); /* repeats what its last step said */
}

void sql_done(struct sql_stmt **out)
{
    struct sql_stmt *s = *out, *old;

    if (s == NULL)
        return;
    (void)sqlite3_reset(s->stmt);          /* repeats what its last step said */
    (void)sqlite3_clear_bindings(s->stmt); /* always SQLITE_OK */
    leave_ring(s);
    enter_ring(s, IDLE);
    old = oldest(s->sql, IDLE);
    if (s->sql->n_idle > s->sql->cache && old != NULL)
        destroy(old);
    *out = NULL;
}

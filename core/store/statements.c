/* statements - see statements.h and the query part of db_int.h. */
#include "store/statements.h"

#include "store/sqlite/db_int.h"

static const struct {
    const char *doing; /* for messages */
    const char *sql;
} texts[STATEMENTS] = {
#define X(name, doing, sql) {doing, sql},
    STATEMENT_MAP(X)
#undef X
};

const char *statement_sql(enum statement which)
{
    return texts[which].sql;
}

int statements_open(struct db *db, struct err *err)
{
    for (int i = 0; i < STATEMENTS; i++) {
        int rc = sqlite3_prepare_v3(db->work, texts[i].sql, -1, SQLITE_PREPARE_PERSISTENT,
                                    &db->own[i], NULL);

        if (rc != SQLITE_OK)
            return db_fail(db, db->work, rc, texts[i].doing, err);
    }
    return OK;
}

void statements_close(struct db *db)
{
    for (int i = 0; i < STATEMENTS; i++) {
        (void)sqlite3_finalize(db->own[i]); /* repeats the error of the last step */
        db->own[i] = NULL;
    }
}

struct query query_start(struct db *db, enum statement which)
{
    sqlite3_stmt *stmt = db->own[which];

    /* A callback that comes back to the statement it was called from would pull the
     * lent row from under its caller. */
    REQUIRE(!sqlite3_stmt_busy(stmt));
    return (struct query){.db = db, .stmt = stmt, .doing = texts[which].doing, .rc = SQLITE_OK};
}

int query_prepare(struct query *q, struct db *db, struct slice sql, const char *doing,
                  struct err *err)
{
    int rc;

    *q = (struct query){.db = db, .doing = doing, .rc = SQLITE_OK};
    rc = sqlite3_prepare_v2(db->work, sql.data, (int)sql.len, &q->stmt, NULL);
    return rc == SQLITE_OK ? OK : db_fail(db, db->work, rc, doing, err);
}

static void note(struct query *q, int rc)
{
    if (q->rc == SQLITE_OK)
        q->rc = rc;
}

void query_int(struct query *q, int64_t value)
{
    note(q, sqlite3_bind_int64(q->stmt, ++q->at, value));
}

void query_text(struct query *q, const char *text)
{
    query_slice(q, slice_of(text));
}

/* SQLITE_STATIC is right here: lender, bind and step are one call of herald's. */
void query_slice(struct query *q, struct slice s)
{
    if (s.data == NULL)
        note(q, sqlite3_bind_null(q->stmt, ++q->at));
    else
        note(q, sqlite3_bind_text64(q->stmt, ++q->at, s.data, s.len, SQLITE_STATIC, SQLITE_UTF8));
}

void query_blob(struct query *q, struct slice s)
{
    if (s.data == NULL)
        note(q, sqlite3_bind_null(q->stmt, ++q->at));
    else
        note(q, sqlite3_bind_blob64(q->stmt, ++q->at, s.data, s.len, SQLITE_STATIC));
}

/* Fingerprints are unsigned, SQLite's integers are not: the bits are kept. */
void query_fingerprint(struct query *q, struct fingerprint f)
{
    query_int(q, (int64_t)f.bits);
    query_int(q, f.version);
}

void query_message(struct query *q, const struct message *m, struct slice exchange,
                   struct slice routing_key)
{
    query_slice(q, m->id);
    query_slice(q, m->type);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        query_slice(q, m->key[i]);
    query_blob(q, m->body);
    query_slice(q, m->headers);
    query_slice(q, m->content_type);
    query_int(q, m->timestamp_s);
    query_slice(q, m->properties);
    query_slice(q, exchange);
    query_slice(q, routing_key);
}

/* Where a handler's statement ended the transaction, a write would commit by itself. */
static bool would_commit(const struct query *q)
{
    return q->db->began && sqlite3_get_autocommit(q->db->work) != 0 &&
           sqlite3_stmt_readonly(q->stmt) == 0;
}

int query_row(struct query *q, struct err *err)
{
    int rc;

    if (would_commit(q))
        return err_set(err, ERR_TX_LOST, "a statement ended the transaction");
    rc = q->rc != SQLITE_OK ? q->rc : sqlite3_step(q->stmt);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE)
        return 0;
    return db_fail(q->db, q->db->work, rc, q->doing, err);
}

void query_end(struct query *q)
{
    (void)sqlite3_reset(q->stmt);          /* repeats what query_row said */
    (void)sqlite3_clear_bindings(q->stmt); /* always SQLITE_OK; lent text ends here */
}

int query_run(struct query *q, struct err *err)
{
    int rc = query_row(q, err);

    query_end(q);
    return rc < 0 ? rc : OK;
}

int query_get_int(struct query *q, int64_t *out, struct err *err)
{
    int rc = query_row(q, err);

    if (rc == 1)
        *out = sqlite3_column_int64(q->stmt, 0);
    query_end(q);
    return rc < 0 ? rc : OK;
}

/* Columns of the outbox hold whatever a producer wrote: bytes are taken as they are,
 * numbers as SQLite's text for them. sqlite3_value_blob neither converts nor
 * terminates text, so it cannot run out of memory (a store is UTF-8: db_open looks). */
struct slice column_slice(sqlite3_stmt *stmt, int column)
{
    /* Asked for once, not by each of the three calls; good in the thread that steps. */
    sqlite3_value *value = sqlite3_column_value(stmt, column);
    const void *data;

    if (sqlite3_value_type(value) == SQLITE_NULL)
        return (struct slice){NULL, 0};
    data = sqlite3_value_blob(value);
    if (data == NULL) /* of no length */
        return (struct slice){"", 0};
    return (struct slice){data, (size_t)sqlite3_value_bytes(value)};
}

int bind_value(sqlite3_stmt *stmt, int index, const struct value *v)
{
    const char *data = v->bytes.data != NULL ? v->bytes.data : "";

    switch (v->kind) {
    case VALUE_NULL:
        return sqlite3_bind_null(stmt, index);
    case VALUE_INT:
        return sqlite3_bind_int64(stmt, index, v->integer);
    case VALUE_REAL:
        return sqlite3_bind_double(stmt, index, v->real);
    case VALUE_TEXT:
        return sqlite3_bind_text64(stmt, index, data, v->bytes.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    case VALUE_BLOB:
        return sqlite3_bind_blob64(stmt, index, data, v->bytes.len, SQLITE_TRANSIENT);
    }
    return SQLITE_MISUSE;
}

void column_value(sqlite3_stmt *stmt, int column, struct value *out)
{
    *out = (struct value){.kind = VALUE_NULL};
    switch (sqlite3_column_type(stmt, column)) {
    case SQLITE_INTEGER:
        out->kind = VALUE_INT;
        out->integer = sqlite3_column_int64(stmt, column);
        break;
    case SQLITE_FLOAT:
        out->kind = VALUE_REAL;
        out->real = sqlite3_column_double(stmt, column);
        break;
    case SQLITE_TEXT:
        out->kind = VALUE_TEXT;
        out->bytes = column_slice(stmt, column);
        break;
    case SQLITE_BLOB:
        out->kind = VALUE_BLOB;
        out->bytes = column_slice(stmt, column);
        break;
    default:
        break;
    }
}

const char *column_text(sqlite3_stmt *stmt, int column)
{
    return (const char *)sqlite3_column_text(stmt, column);
}

struct fingerprint column_fingerprint(sqlite3_stmt *stmt, int column)
{
    return (struct fingerprint){.bits = (uint64_t)sqlite3_column_int64(stmt, column),
                                .version = sqlite3_column_int(stmt, column + 1)};
}

int column_message(sqlite3_stmt *stmt, int first, struct message *m, struct slice *exchange,
                   struct slice *routing_key)
{
    int c = first;

    m->id = column_slice(stmt, c++);
    m->type = column_slice(stmt, c++);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        m->key[i] = column_slice(stmt, c++);
    m->body = column_slice(stmt, c++);
    m->headers = column_slice(stmt, c++);
    m->content_type = column_slice(stmt, c++);
    m->timestamp_s = message_seconds((uint64_t)sqlite3_column_int64(stmt, c++));
    m->properties = column_slice(stmt, c++);
    *exchange = column_slice(stmt, c++);
    *routing_key = column_slice(stmt, c++);
    return c;
}

/*
 * herald.h - put a message into herald's outbox, in your own transaction
 *
 * For C and C++ programs that write to an SQLite database which is a herald store.
 * Header only; needs sqlite3.h, C99. The row is sent if, and only if, your transaction
 * commits:
 *
 *     herald_prepare_connection(db);                      once per connection
 *
 *     sqlite3_exec(db, "begin immediate", 0, 0, 0);
 *     sqlite3_exec(db, "update orders set status = 'paid' where id = 16", 0, 0, 0);
 *     struct herald_message m = {.type = "payresult_notify",
 *                                .business_key1 = "16", .business_key2 = "60201"};
 *     rc = herald_outbox_add(db, &m, NULL);
 *     sqlite3_exec(db, rc == SQLITE_OK ? "commit" : "rollback", 0, 0, 0);
 *
 * BEGIN IMMEDIATE is not a matter of taste: a transaction that reads first and writes
 * later can fail with SQLITE_BUSY at once, whatever the busy time-out (sqlite.org,
 * SQLITE_BUSY_SNAPSHOT).
 */
#ifndef HERALD_H
#define HERALD_H

#include <sqlite3.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Members that are NULL or 0 take the default; all text is UTF-8. */
struct herald_message {
    const char *type;          /* message type; required */
    const char *business_key1; /* what it is about */
    const char *business_key2; /* order type */
    const char *business_key3;
    const void *body;       /* sent as it is; NULL: a JSON object of type, keys and row id */
    size_t body_size;       /* bytes of body */
    const char *headers;    /* JSON object: a header each */
    const char *message_id; /* unique for ever; NULL: made by herald */
    sqlite3_int64 due_at;   /* not before; milliseconds since 1970 UTC; 0: at once */
    const char *key;        /* a name: takes the place of older ones of it; NULL: none */
    const char *properties; /* JSON object of AMQP properties, such as {"priority":5}; NULL: none */
};

/*
 * The settings a connection needs beside a router; call it once after opening.
 *
 *   synchronous = FULL     a commit that was acknowledged survives a power cut
 *   wal_autocheckpoint = 0 herald checkpoints; SQLite before 3.51.3 can lose commits
 *                          when several connections do (sqlite.org/wal.html, WAL reset)
 *   busy time-out 5 s      herald leaves the lock free again and again while anybody else has the
 *                          store open, so waiting ends, unless a handler lasts for seconds
 *
 * Returns an SQLite result code.
 */
static inline int herald_prepare_connection(sqlite3 *db)
{
    int rc = sqlite3_busy_timeout(db, 5000);

    if (rc != SQLITE_OK)
        return rc;
    return sqlite3_exec(db, "pragma synchronous = full; pragma wal_autocheckpoint = 0", NULL, NULL,
                        NULL);
}

/* A helper of herald_outbox_add. */
static inline int herald_bind_text(sqlite3_stmt *stmt, int index, const char *text)
{
    return text == NULL ? sqlite3_bind_null(stmt, index)
                        : sqlite3_bind_text(stmt, index, text, -1, SQLITE_STATIC);
}

/* A helper of herald_outbox_add. */
static inline int herald_bind_message(sqlite3_stmt *stmt, const struct herald_message *m)
{
    const char *texts[7];
    int i, rc = SQLITE_OK;

    texts[0] = m->type;
    texts[1] = m->business_key1;
    texts[2] = m->business_key2;
    texts[3] = m->business_key3;
    texts[4] = m->headers;
    texts[5] = m->message_id;
    texts[6] = m->key;
    for (i = 0; rc == SQLITE_OK && i < 7; i++)
        rc = herald_bind_text(stmt, i + 1, texts[i]);
    if (rc == SQLITE_OK && m->body != NULL)
        rc = sqlite3_bind_blob64(stmt, 8, m->body, m->body_size, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_bind_int64(stmt, 9, m->due_at);
    return rc == SQLITE_OK && m->properties != NULL ? herald_bind_text(stmt, 10, m->properties)
                                                    : rc;
}

/*
 * Adds an outbox row in the caller's transaction, which this never begins and never
 * ends. *id_out (may be NULL) is the row's id. Returns an SQLite result code; on any
 * but SQLITE_OK nothing was added, sqlite3_errmsg has the words, and the caller should
 * roll back:
 *
 *   SQLITE_MISUSE      no transaction is open: the message would not be bound to anything
 *   SQLITE_ERROR       no table herald_outbox: this database is not a herald store. No column
 *                      properties: herald 0.1.0 has made it, and a newer one upgrades it
 *   SQLITE_CONSTRAINT  no type, a due time below 0, more than 16 MiB, or a key that is not of
 *                      1 to 255 bytes
 *   SQLITE_BUSY        somebody else is writing (not after BEGIN IMMEDIATE)
 */
static inline int herald_outbox_add(sqlite3 *db, const struct herald_message *m,
                                    sqlite3_int64 *id_out)
{
    /* A store of a herald before 0.2.0 has no properties, and needs none for the others. */
    static const char plain[] =
        "insert into herald_outbox(type, business_key1, business_key2, business_key3, headers, "
        "message_id, key, body, due_at) values (?, ?, ?, ?, ?, ?, ?, ?, ?)";
    static const char with_properties[] =
        "insert into herald_outbox(type, business_key1, business_key2, business_key3, headers, "
        "message_id, key, body, due_at, properties) values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    sqlite3_stmt *stmt = NULL;
    int rc, rc_end;

    if (sqlite3_get_autocommit(db))
        return SQLITE_MISUSE;
    rc = sqlite3_prepare_v2(db, m->properties != NULL ? with_properties : plain, -1, &stmt, NULL);
    if (rc != SQLITE_OK)
        return rc;
    rc = herald_bind_message(stmt, m);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(db);
    rc_end = sqlite3_finalize(stmt);
    if (rc == SQLITE_OK)
        rc = rc_end;
    if (rc == SQLITE_OK && id_out != NULL)
        *id_out = sqlite3_last_insert_rowid(db);
    return rc;
}

#ifdef __cplusplus
}
#endif

#endif

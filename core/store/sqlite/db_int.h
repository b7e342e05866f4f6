/*
 * db_int - what the rooms of core/store share: the struct behind db.h, herald's own
 * statements, and the parts a store is put together from
 */
#ifndef HERALD_STORE_SQLITE_DB_INT_H
#define HERALD_STORE_SQLITE_DB_INT_H

#include "base/message.h"
#include "base/text.h"
#include "base/value.h"
#include "store/sqlite/db.h"
#include "store/statements.h"

#include <sqlite3.h>
#include <stddef.h>
#include <sys/types.h>

enum { STORE_ID_LEN = 12 };

/* Rows with ids above `above` carry this store id, up to the next epoch's `above`. */
struct epoch {
    int64_t above;
    char store_id[STORE_ID_LEN + 1];
};

/* Whose statement is being prepared or stepped: what the authorizer lets through. */
enum actor {
    ACTOR_HERALD,    /* herald's own statements: everything */
    ACTOR_HANDLER,   /* a handler's: see sql.h */
    ACTOR_MIGRATION, /* a migration's: see db.h */
};

/* Which file it is; inode 0: not known. */
struct file_id {
    dev_t device;
    ino_t inode;
};

struct lock_spy;   /* lock_spy.c */
struct epoch_page; /* epoch.c */

struct db {
    const char *vfs;               /* as in the settings */
    bool unsynced;                 /* the same */
    sqlite3 *work;                 /* everything of the turn */
    sqlite3 *check;                /* TRUNCATE checkpoints only; NULL unless exclusive */
    sqlite3 *pin;                  /* holds a read mark; NULL unless exclusive */
    sqlite3_stmt *own[STATEMENTS]; /* herald's statements on `work` */
    char *path;                    /* absolute, symbolic links resolved */
    char *wal_path;                /* path + "-wal" */
    struct log *log;               /* lent; may be NULL */
    struct clock clock;            /* for created_at and for when things were seen */
    bool exclusive;                /* this is the store's router */
    bool made;                     /* this very opening made the schema */
    int refused;                   /* begins in a row that were busy */
    bool began;                    /* between db_begin and its commit or rollback */
    bool broken;                   /* an outcome is unknown: no further transaction */

    enum actor actor; /* who the authorizer watches now */
    char denied[160]; /* why the authorizer last said no; "" when it did not */

    int lock_fd; /* of the lock file; -1: not held */
    int shm_fd;  /* SQLite's own, of the WAL's index; -1: not known (presence.c) */

    struct file_id file_id; /* of the database; identity.c, unless not exclusive */
    struct file_id wal_id;  /* of its WAL */

    struct epoch *epochs;          /* ascending by `above`; the first starts at 0 */
    size_t n_epochs;               /* of them */
    int64_t sent_before;           /* highest outbox id that the outside saw before this opening */
    struct epoch_page *epoch_page; /* mapped side file; NULL unless exclusive */

    bool version_known;      /* data_version has been read once */
    int64_t data_version;    /* as last read */
    int64_t foreign_seen_ms; /* monotonic; -1: never */
    bool foreign_pending;    /* noticed inside a checkpoint, not reported yet */

    struct lock_spy *spy;        /* which WAL lock `check` waits for */
    sqlite3_stmt *pin_read;      /* its open row is the read mark */
    bool pinned;                 /* that row is open */
    int64_t wal_limit;           /* bytes; above, a checkpoint is due */
    int64_t checkpoint_after_ms; /* monotonic; not before, after one that failed */
    int64_t checkpoint_pause_ms; /* the pause after the next failure */
    int64_t idle_after_ms;       /* monotonic; not for idleness before */
    int naps_left;               /* milliseconds the running checkpoint may still wait */
    char checkpoint_why[400];    /* why the WAL could not be emptied; "": it could */
    bool looked_under_lock;      /* foreign commits were looked at under its write lock */
};

/* Steps of the schema that stand in files of their own. */
extern const char schema_identity[];

/* Maps an SQLite result on a handle to an ERR_ code with words: "<path>: <doing>:
 * <SQLite's words>". */
int db_fail(struct db *db, sqlite3 *handle, int rc, const char *doing, struct err *err);
/* The same for a commit, whose errno SQLite does not keep. */
int db_fail_commit(struct db *db, int rc, int system_errno, struct err *err);
/* The same for a file beside the store, which is not broken by it. */
int db_fail_copy(const char *path, sqlite3 *handle, int rc, const char *doing, struct err *err);
/* The code alone. */
int db_code(int sqlite_rc);

/* Opens one more handle on the store with herald's settings; it does not wait. */
int db_connect(struct db *db, int flags, sqlite3 **out, struct err *err);
/* Runs SQL that has no result; for opening and migrating, not for turns. */
int db_exec(struct db *db, sqlite3 *handle, const char *sql, const char *doing, struct err *err);
/* Runs change(db, arg) in a transaction of its own, under the write lock from its beginning:
 * committed when it returns OK, else rolled back. For opening, not for turns. */
int db_change(struct db *db, const char *doing,
              int (*change)(struct db *db, void *arg, struct err *err), void *arg, struct err *err);
/* One integer from a query made on the spot; `absent` where it has no row. */
int db_number(struct db *db, sqlite3 *handle, const char *sql, int64_t absent, int64_t *out,
              struct err *err);

/* transaction.c: notes whether foreign processes have committed, for db_foreign_commits. */
void db_look(struct db *db);
int db_read_version(struct db *db, int64_t *version_out);

/* statements.c: prepares and frees `own`. */
int statements_open(struct db *db, struct err *err);
void statements_close(struct db *db);

/* One run of a statement of herald's own: parameters are put in order, the first
 * failure is kept and comes out of query_row. Text is lent until query_end, which
 * every query_start needs. */
struct query {
    struct db *db;
    sqlite3_stmt *stmt;
    const char *doing; /* for messages: "claim outbox rows" */
    int at;            /* parameters put so far */
    int rc;            /* first SQLite error while putting */
};

struct query query_start(struct db *db, enum statement which);
/* A statement that is no one of its own: the caller's to finalize, also after an error. `doing` is
 * lent for life. */
int query_prepare(struct query *q, struct db *db, struct slice sql, const char *doing,
                  struct err *err);
void query_int(struct query *q, int64_t value);
void query_text(struct query *q, const char *text); /* NULL: null */
void query_slice(struct query *q, struct slice s);  /* as text; absent: null */
void query_blob(struct query *q, struct slice s);
/* Two columns: fingerprint and fingerprint_version. */
void query_fingerprint(struct query *q, struct fingerprint f);
/* The columns of MESSAGE_COLUMNS, in that order. */
void query_message(struct query *q, const struct message *m, struct slice exchange,
                   struct slice routing_key);
/* 1: a row, 0: no further one, or an ERR_ code. */
int query_row(struct query *q, struct err *err);
void query_end(struct query *q);
/* For statements without rows: runs, ends, answers OK or an ERR_ code. */
int query_run(struct query *q, struct err *err);
/* Runs, gives the first column of the first row, ends. No row: *out stays. */
int query_get_int(struct query *q, int64_t *out, struct err *err);

/* Copies the bytes: a script's strings may be gone when a statement steps. SQLite's code. */
int bind_value(sqlite3_stmt *stmt, int index, const struct value *v);

/* Lent until query_end or the next row. Null is absent; numbers become their text. */
struct slice column_slice(sqlite3_stmt *stmt, int column);
const char *column_text(sqlite3_stmt *stmt, int column); /* NULL: null */
void column_value(sqlite3_stmt *stmt, int column, struct value *out);
/* Reads two columns, which query_fingerprint has written. */
struct fingerprint column_fingerprint(sqlite3_stmt *stmt, int column);
/* Reads MESSAGE_COLUMNS from `first` on; returns the column behind them. */
int column_message(sqlite3_stmt *stmt, int first, struct message *m, struct slice *exchange,
                   struct slice *routing_key);

/* Bytes of a row of herald's own, which may hold a body of MESSAGE_KEPT_MAX. */
enum { DB_LENGTH_MAX = 768 * 1024 * 1024 };

/* schema.c: one step brings a store from version n to n + 1. */
struct schema_step {
    const char *sql;
};
/* Brings the store to `n` steps, in one transaction. `create`: also from nothing. */
int schema_upgrade(struct db *db, const struct schema_step *all, int n, bool create,
                   struct err *err);
/* The same with herald's own steps. */
int schema_open(struct db *db, bool create, struct err *err);

/* lock.c */
int lock_take(struct db *db, struct err *err);
void lock_release(struct db *db);
/* The name of a file system (statfs f_type) that cannot hold a store; NULL: it can. */
const char *lock_refused_fs(unsigned long type);
int lock_check_fs(const char *path, struct err *err);

/* presence.c: finds the descriptor for db_is_shared; once the WAL is open. */
void presence_open(struct db *db);

/* identity.c: remembers the files that are open now. */
void identity_note(struct db *db);

/* epoch.c */
void epoch_new_id(char id[STORE_ID_LEN + 1]);
int epoch_open(struct db *db, struct err *err);
void epoch_sync(struct db *db);
void epoch_close(struct db *db);

/* checkpoint.c: the check handle and the pin of an exclusive opener. */
/* Opens the read mark where it is not open; nothing for others. */
void pin_take(struct db *db);
int checkpoint_open(struct db *db, struct err *err);
void checkpoint_close(struct db *db);

/* lock_spy.c: remembers which WAL lock a handle failed to get last. */
int lock_spy_attach(struct lock_spy **out, sqlite3 *handle);
bool lock_spy_wants_write(const struct lock_spy *spy);
/* After the handle is closed. */
void lock_spy_free(struct lock_spy **spy);

/* sql.c: behind white space and comments, as SQLite sees them. */
const char *sql_skip_blank(const char *p, const char *end);

/* authorizer.c: set once per work handle, before anything is prepared. */
int authorizer_open(struct db *db, struct err *err);

#endif

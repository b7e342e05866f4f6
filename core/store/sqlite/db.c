/* db - opening and closing a store; words for SQLite's results */
#include "store/sqlite/db.h"

#include "store/path.h"
#include "store/sqlite/db_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { OPEN_WAIT_MS = 5000, WAL_LIMIT = 4 * 1024 * 1024 };

int db_code(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
        return OK;
    case SQLITE_FULL:
        return ERR_FULL;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_NOLFS:
        return ERR_IO;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return ERR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_PROTOCOL:
        return ERR_BUSY;
    case SQLITE_NOMEM:
        return ERR_NOMEM;
    case SQLITE_TOOBIG:
        return ERR_LIMIT;
    default:
        return ERR_FAILED;
    }
}

/* A file at its limit (ulimit -f) or a full quota: as on a full disk nothing of the write
 * counts. Of these SQLite makes ENOSPC alone its SQLITE_FULL. */
static bool out_of_room(int rc, int system_errno)
{
    return rc == SQLITE_IOERR_WRITE && (system_errno == EFBIG || system_errno == EDQUOT);
}

/* What a person can do about it. */
static const char *advice(int code, int rc)
{
    switch (code) {
    case ERR_CORRUPT:
        return ": the store is damaged: stop all that use it, keep a copy of it with its -wal, and "
               "restore a backup or try sqlite3's .recover";
    case ERR_FULL:
        return rc == SQLITE_FULL ? ": free some space on its disk"
                                 : ": raise the limit on the size of files (ulimit -f) or the "
                                   "quota that it met";
    case ERR_UNKNOWN:
        return ": it may have been written all the same";
    default:
        return "";
    }
}

static int fail(const char *path, sqlite3 *handle, int rc, int code, const char *doing,
                struct err *err)
{
    const char *words = rc == SQLITE_NOMEM ? "out of memory" : sqlite3_errmsg(handle);

    /* The bind that failed, or the open, is not always the handle's last result. */
    if (sqlite3_extended_errcode(handle) != rc && rc != SQLITE_NOMEM)
        words = sqlite3_errstr(rc);
    return err_set(err, code, "%s: cannot %s: %s%s", path, doing, words, advice(code, rc));
}

int db_fail(struct db *db, sqlite3 *handle, int rc, const char *doing, struct err *err)
{
    int code = db_code(rc);

    if (out_of_room(rc, sqlite3_system_errno(handle)))
        code = ERR_FULL;
    /* The next sync may succeed without the pages that this one lost. */
    if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC) {
        db->broken = true;
        code = ERR_UNKNOWN;
    }
    return fail(db->path, handle, rc, code, doing, err);
}

int db_fail_copy(const char *path, sqlite3 *handle, int rc, const char *doing, struct err *err)
{
    int code = out_of_room(rc, sqlite3_system_errno(handle)) ? ERR_FULL : db_code(rc);

    return fail(path, handle, rc, code, doing, err);
}

/* Nobody has seen anything of the transaction where a write of its frames was refused:
 * the index of the WAL, which makes them count, comes after all of them and their sync.
 * Any other I/O error may come later than that (docs/field-notes.md#a-failed-commit). */
int db_fail_commit(struct db *db, int rc, int system_errno, struct err *err)
{
    int code = db_code(rc);

    if (out_of_room(rc, system_errno)) {
        code = ERR_FULL;
    } else if ((rc & 0xff) == SQLITE_IOERR) {
        db->broken = true;
        code = ERR_UNKNOWN;
    } else if ((rc & 0xff) == SQLITE_CONSTRAINT) {
        code = ERR_SCRIPT; /* a deferred foreign key */
    }
    return fail(db->path, db->work, rc, code, "commit", err);
}

int db_exec(struct db *db, sqlite3 *handle, const char *sql, const char *doing, struct err *err)
{
    int rc = sqlite3_exec(handle, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? OK : db_fail(db, handle, rc, doing, err);
}

int db_change(struct db *db, const char *doing,
              int (*change)(struct db *db, void *arg, struct err *err), void *arg, struct err *err)
{
    int rc = db_exec(db, db->work, "begin immediate", doing, err);

    if (rc != OK)
        return rc;
    rc = change(db, arg, err);
    if (rc == OK)
        rc = db_exec(db, db->work, "commit", doing, err);
    if (rc != OK && sqlite3_get_autocommit(db->work) == 0)
        (void)db_exec(db, db->work, "rollback", "", NULL); /* the first error is the one to tell */
    return rc;
}

int db_number(struct db *db, sqlite3 *handle, const char *sql, int64_t absent, int64_t *out,
              struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(handle, sql, -1, &stmt, NULL);

    *out = absent;
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *out = sqlite3_column_int64(stmt, 0);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        db_fail(db, handle, rc, "read the store", err);
    (void)sqlite3_finalize(stmt); /* repeats rc */
    return db_code(rc);
}

/* Settings that every handle needs. mmap is off: reported to amplify the damage of
 * the bug in docs/field-notes.md#the-wal-reset-bug. */
int db_connect(struct db *db, int flags, sqlite3 **out, struct err *err)
{
    static const char pragmas[] = "pragma synchronous = full; pragma wal_autocheckpoint = 0;"
                                  "pragma mmap_size = 0; pragma foreign_keys = on;"
                                  "pragma temp_store = memory;";
    int rc = sqlite3_open_v2(db->path, out, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
                             db->vfs);

    if (rc != SQLITE_OK)
        return *out == NULL ? err_set(err, ERR_NOMEM, "out of memory")
                            : db_fail(db, *out, rc, "open", err);
    if (sqlite3_db_config(*out, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) != SQLITE_OK ||
        sqlite3_db_config(*out, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL) != SQLITE_OK ||
        sqlite3_db_config(*out, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, NULL) != SQLITE_OK ||
        sqlite3_busy_timeout(*out, 0) != SQLITE_OK)
        return err_set(err, ERR_FAILED, "%s: SQLite %s lacks what herald needs", db->path,
                       sqlite3_libversion());
    rc = db_exec(db, *out, pragmas, "open", err);
    return rc == OK && db->unsynced ? db_exec(db, *out, "pragma synchronous = off", "open", err)
                                    : rc;
}

/* Bounds for handlers' statements, far above what herald's own need, but for bodies that are only
 * kept (sql.c has the length that handlers' values may have). */
static void set_limits(sqlite3 *handle)
{
    static const struct {
        int limit;
        int value;
    } limits[] = {
        {SQLITE_LIMIT_LENGTH, DB_LENGTH_MAX},  {SQLITE_LIMIT_SQL_LENGTH, 1024 * 1024},
        {SQLITE_LIMIT_VDBE_OP, 1000000},       {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000},
        {SQLITE_LIMIT_EXPR_DEPTH, 500},        {SQLITE_LIMIT_TRIGGER_DEPTH, 100},
        {SQLITE_LIMIT_VARIABLE_NUMBER, 32766}, {SQLITE_LIMIT_WORKER_THREADS, 0},
    };

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        (void)sqlite3_limit(handle, limits[i].limit, limits[i].value); /* gives the old one */
}

/* Answers whether the first row's text is `want`. */
static int text_is(struct db *db, const char *sql, const char *want, bool *is_out, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->work, sql, -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) /* as UTF-8, whatever the database's encoding is */
        *is_out = slice_is(slice_of(column_text(stmt, 0)), want);
    else
        db_fail(db, db->work, rc, "open", err);
    (void)sqlite3_finalize(stmt); /* repeats rc */
    return rc == SQLITE_ROW ? OK : db_code(rc);
}

/* A file that is not in WAL mode is no store; it is made one only on request. */
static int enter_wal(struct db *db, bool create, struct err *err)
{
    bool wal = false, utf8 = false;
    int rc = text_is(db, "pragma journal_mode", "wal", &wal, err);

    if (rc == OK && !wal && !create)
        return err_set(err, ERR_NOT_FOUND, "%s is not a store of herald's", db->path);
    if (rc == OK && !wal)
        rc = text_is(db, "pragma journal_mode = wal", "wal", &wal, err);
    if (rc == OK && !wal)
        return err_set(err, ERR_IO, "%s: its file system does not allow WAL mode", db->path);
    if (rc == OK)
        rc = text_is(db, "pragma encoding", "UTF-8", &utf8, err);
    if (rc == OK && !utf8)
        return err_set(err, ERR_CONFIG, "%s is encoded in UTF-16; herald needs UTF-8", db->path);
    return rc;
}

/* A new store is its owner's alone, and so is what SQLite puts beside it, which takes its mode from
 * it. A file that is there is left as it is: closing it would drop the locks that other
 * connections of this process have on it. */
static int make_private(const struct db *db, struct err *err)
{
    int fd = open(db->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || errno == EEXIST
               ? OK
               : err_set(err, ERR_IO, "%s: cannot be made: %s", db->path, strerror(errno));
}

static int open_work(struct db *db, bool create, struct err *err)
{
    int rc = create && db->vfs == NULL ? make_private(db, err) : OK;

    if (rc == OK)
        rc = db_connect(db, SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0), &db->work,
                        err);
    if (rc != OK)
        return rc;
    set_limits(db->work);
    /* Opening may wait for others; turns never do. */
    (void)sqlite3_busy_timeout(db->work, OPEN_WAIT_MS); /* fails for a bad handle only */
    rc = authorizer_open(db, err);
    if (rc == OK)
        rc = enter_wal(db, create, err);
    if (rc == OK)
        rc = db_exec(db, db->work, "pragma cache_size = -16384", "open", err);
    return rc;
}

static int open_rooms(struct db *db, bool create, struct err *err)
{
    int rc = schema_open(db, create, err);

    if (rc == OK)
        rc = statements_open(db, err);
    return rc == OK ? epoch_open(db, err) : rc;
}

static int find_file(struct db *db, const struct db_settings *s, struct err *err)
{
    struct stat st;

    db->path = path_resolve(s->path);
    if (db->path == NULL)
        return err_set(err, errno == ENOMEM ? ERR_NOMEM : ERR_NOT_FOUND, "%s: %s", s->path,
                       strerror(errno));
    db->wal_path = path_with(db->path, "-wal");
    if (db->wal_path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (stat(db->path, &st) != 0 && !s->create)
        return err_set(err, ERR_NOT_FOUND, "%s: no such store", db->path);
    return lock_check_fs(db->path, err);
}

static int open_all(struct db *db, const struct db_settings *s, struct err *err)
{
    int rc;

    db->vfs = s->vfs;
    db->unsynced = s->unsynced;
    rc = find_file(db, s, err);

    if (rc == OK && s->exclusive)
        rc = lock_take(db, err);
    if (rc == OK)
        rc = open_work(db, s->create, err);
    if (rc == OK && !s->as_it_is)
        rc = open_rooms(db, s->create, err);
    if (rc == OK && s->exclusive)
        rc = checkpoint_open(db, err);
    if (rc == OK && s->exclusive) {
        (void)sqlite3_busy_timeout(db->work, 0); /* fails for a bad handle only */
        identity_note(db);
        presence_open(db);
    }
    return rc;
}

int db_open(struct db **out, const struct db_settings *s, struct err *err)
{
    struct db *db = calloc(1, sizeof *db);
    int rc;

    *out = NULL;
    if (db == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    db->log = s->log;
    db->clock = s->clock;
    db->exclusive = s->exclusive;
    db->lock_fd = db->shm_fd = -1;
    db->foreign_seen_ms = -1;
    db->wal_limit = s->wal_limit > 0 ? s->wal_limit : WAL_LIMIT;
    rc = open_all(db, s, err);
    if (rc != OK)
        db_close(&db);
    *out = db;
    return rc;
}

/* The lock last: until then nobody else may be this store's router. */
void db_close(struct db **out)
{
    struct db *db = *out;

    if (db == NULL)
        return;
    if (db->work != NULL)
        db_rollback(db);
    checkpoint_close(db);
    statements_close(db);
    REQUIRE(sqlite3_close(db->work) == SQLITE_OK); /* busy: somebody kept a statement */
    epoch_close(db);
    lock_release(db);
    free(db->wal_path);
    free(db->path);
    free(db);
    *out = NULL;
}

void db_library_start(void)
{
    (void)sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); /* refused: it counts, and all is well */
}

const char *db_library_version(void)
{
    return sqlite3_libversion();
}

/* checkpoint - the WAL stays bounded, and nobody else restarts it
 *
 * SQLite before 3.51.3 can lose commits when one connection restarts the WAL while
 * another runs a PASSIVE checkpoint, and a producer whose wal_autocheckpoint is on
 * does both (docs/field-notes.md#the-wal-reset-bug). Against that:
 *
 *   PINNED --busy handler, write lock ours--> OPEN --checkpoint over--> PINNED
 *
 * PINNED: the pin has a read transaction open. Either it holds a read mark,
 * and restarting needs every mark; or it began when the whole WAL was in the database
 * and holds lock 0, which forbids copying, so that PASSIVE checkpoints do nothing.
 * Both are safe, so the pin is taken back at once after a checkpoint.
 * OPEN: only inside herald's own TRUNCATE, after it got the write lock (and the
 * checkpoint lock): nobody can write or copy now.
 *
 * A checkpoint that cannot get the write lock goes on as a PASSIVE one, which herald
 * must never run; the busy handler interrupts it before it copies its first page. All
 * waiting together is bounded to WAIT_MS, since the engine's thread stands still. */
#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { WAIT_MS = 50, PAUSE_FIRST_MS = 250, PAUSE_MAX_MS = 8000, IDLE_EVERY_MS = 1000 };

int64_t db_wal_bytes(const struct db *db)
{
    struct stat s;

    return stat(db->wal_path, &s) == 0 ? (int64_t)s.st_size : 0;
}

static void guard_let_go(struct db *db)
{
    (void)sqlite3_reset(db->pin_read); /* repeats the last step's result */
    db->pinned = false;
}

void pin_take(struct db *db)
{
    if (db->pin == NULL || db->pinned)
        return;
    /* herald_meta has several rows, so the statement stays open on the first. Failing
     * (busy with recovery, out of memory) is made good at the next commit. */
    db->pinned = sqlite3_step(db->pin_read) == SQLITE_ROW;
    if (!db->pinned)
        guard_let_go(db);
}

static void nap(void)
{
    const struct timespec ms = {.tv_nsec = 1000000};

    nanosleep(&ms, NULL); /* woken early: the loop around it counts on */
}

/* Answers 1 to try again. Must not touch the check handle except to interrupt it. */
static int on_busy(void *arg, int times)
{
    struct db *db = arg;
    bool write_lock = lock_spy_wants_write(db->spy);

    (void)times;
    if (!write_lock && db->pinned) {
        /* The write lock is ours: what foreign processes committed so far can be told from the
         * change that this checkpoint is about to make. */
        db_look(db);
        db->looked_under_lock = true;
        guard_let_go(db);
        return 1;
    }
    if (db->naps_left <= 0) {
        if (write_lock)
            sqlite3_interrupt(db->check);
        return 0;
    }
    db->naps_left--;
    nap();
    return 1;
}

static void failed(struct db *db, int rc, int64_t now)
{
    bool busy = (rc & 0xff) == SQLITE_BUSY || rc == SQLITE_INTERRUPT || rc == SQLITE_LOCKED;

    db->checkpoint_pause_ms *= 2;
    if (db->checkpoint_pause_ms > PAUSE_MAX_MS)
        db->checkpoint_pause_ms = PAUSE_MAX_MS;
    db->checkpoint_after_ms = now + db->checkpoint_pause_ms;
    /* A sync that failed may succeed the next time without the lost pages. */
    if (rc == SQLITE_IOERR_FSYNC)
        db->broken = true;
    if (busy && db->checkpoint_pause_ms < PAUSE_MAX_MS)
        return;
    snprintf(db->checkpoint_why, sizeof db->checkpoint_why, "%s%s",
             busy ? "a reader or writer does not let go" : sqlite3_errmsg(db->check),
             rc == SQLITE_FULL ? ": free some space on its disk" : "");
    log_event(db->log, LOG_WARN, "store.checkpoint_failed",
              LOG_FIELDS(log_text("store", db->path), log_int("wal_bytes", db_wal_bytes(db)),
                         log_text("why", db->checkpoint_why)));
}

const char *db_trouble(const struct db *db)
{
    return db->checkpoint_why;
}

/* An emptied WAL is a new one to the work handle, which cannot tell it from another's
 * commit. Where nobody committed since (the file is still empty after the look), the
 * change is our own and is not reported. */
static void absorb(struct db *db)
{
    int64_t version;

    if (db->looked_under_lock && db_read_version(db, &version) == OK && db_wal_bytes(db) == 0)
        db->data_version = version;
}

static void run(struct db *db)
{
    int64_t now = clock_mono(&db->clock);
    int rc;

    db->naps_left = WAIT_MS;
    db->looked_under_lock = false;
    rc = sqlite3_wal_checkpoint_v2(db->check, "main", SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
    pin_take(db);
    if (rc != SQLITE_OK) {
        failed(db, rc, now);
        return;
    }
    db->checkpoint_why[0] = '\0';
    absorb(db);
    epoch_sync(db);
    db->checkpoint_pause_ms = PAUSE_FIRST_MS / 2;
    db->idle_after_ms = now + IDLE_EVERY_MS;
}

void db_checkpoint(struct db *db, bool idle)
{
    int64_t bytes, now = clock_mono(&db->clock);

    if (db->check == NULL || db->broken || now < db->checkpoint_after_ms ||
        sqlite3_get_autocommit(db->work) == 0)
        return;
    bytes = db_wal_bytes(db);
    if (bytes > db->wal_limit || (idle && bytes > 0 && now >= db->idle_after_ms))
        run(db);
}

/* 3.44.6 and 3.50.7 have the fix, too. */
static bool library_is_affected(int version)
{
    return version < 3051003 && !(version >= 3050007 && version < 3051000) &&
           !(version >= 3044006 && version < 3045000);
}

static void warn_of_library(struct db *db)
{
    if (library_is_affected(sqlite3_libversion_number()))
        log_event(db->log, LOG_INFO, "store.sqlite_version",
                  LOG_FIELDS(log_text("version", sqlite3_libversion()),
                             log_text("note", "programs that write to this store must set "
                                              "PRAGMA wal_autocheckpoint=0 (SQLite 3.51.3 does "
                                              "not need it)")));
}

static int attach_spy(struct db *db, struct err *err)
{
    int rc = lock_spy_attach(&db->spy, db->check);

    if (rc == ERR_NOMEM)
        return err_set(err, rc, "out of memory");
    return rc == OK ? OK : err_set(err, ERR_IO, "%s: no shared memory for a WAL here", db->path);
}

static int open_check(struct db *db, struct err *err)
{
    int64_t rows;
    int rc = db_connect(db, SQLITE_OPEN_READWRITE, &db->check, err);

    /* A handle that has read nothing yet has no WAL to checkpoint. */
    if (rc == OK)
        rc = db_number(db, db->check, "select count(*) from herald_meta", 0, &rows, err);
    if (rc == OK)
        rc = attach_spy(db, err);
    if (rc == OK)
        rc = db_code(sqlite3_busy_handler(db->check, on_busy, db));
    return rc;
}

static int open_guard(struct db *db, struct err *err)
{
    int rc = db_connect(db, SQLITE_OPEN_READWRITE, &db->pin, err);

    if (rc != OK)
        return rc;
    rc = sqlite3_prepare_v3(db->pin, "select key from herald_meta", -1, SQLITE_PREPARE_PERSISTENT,
                            &db->pin_read, NULL);
    if (rc != SQLITE_OK)
        return db_fail(db, db->pin, rc, "pin the WAL", err);
    pin_take(db);
    return OK;
}

int checkpoint_open(struct db *db, struct err *err)
{
    int rc = open_check(db, err);

    db->checkpoint_pause_ms = PAUSE_FIRST_MS / 2;
    if (rc == OK)
        rc = open_guard(db, err);
    if (rc == OK)
        warn_of_library(db);
    return rc;
}

/* The pin first: the last handle that closes empties the WAL, and must be able to. */
void checkpoint_close(struct db *db)
{
    (void)sqlite3_finalize(db->pin_read);
    db->pin_read = NULL;
    db->pinned = false;
    REQUIRE(sqlite3_close(db->pin) == SQLITE_OK);
    REQUIRE(sqlite3_close(db->check) == SQLITE_OK);
    db->pin = db->check = NULL;
    lock_spy_free(&db->spy);
}

/*
 * db - one store: three SQLite handles, the schema, transactions
 *
 * One file holds the business tables and herald's own, because a handler's SQL
 * and herald's bookkeeping must commit together. WAL, synchronous=FULL,
 * foreign_keys=ON, wal_autocheckpoint=0 (herald alone checkpoints:
 * docs/field-notes.md#the-wal-reset-bug).
 *
 *   work   everything of the turn, and the handlers' statements
 *   check  nothing but TRUNCATE checkpoints
 *   pin    an open read mark, so that no foreign writer can restart the WAL
 *
 * The router opens with `exclusive`: it takes the lock file, keeps the pin and
 * checkpoints. The command line opens without: work only, beside a running router.
 *
 * One thread. All functions return OK or an ERR_ code and describe it in err.
 */
#ifndef HERALD_STORE_SQLITE_DB_H
#define HERALD_STORE_SQLITE_DB_H

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"

#include <stdbool.h>
#include <stdint.h>

struct db;

struct db_settings {
    const char *path; /* of the database file; lent for the call */
    bool create;      /* make file and schema when absent */
    bool exclusive;   /* be the router of this store */
    bool as_it_is;    /* whatever its version, only to be copied (backup.h); neither of the above */
    struct log *log;  /* lent for life */
    struct clock clock;
    const char *vfs;   /* of SQLite's file systems, lent for life; NULL: the default one */
    bool unsynced;     /* nothing is forced to the disk: for specs, whose stores may be lost */
    int64_t wal_limit; /* checkpoint when the WAL is larger, bytes; 0: 4 MiB */
};

/* Opens, checks and migrates herald's own schema (forward only, in a transaction, by
 * the router alone; a newer one is ERR_CONFIG). ERR_BUSY: another router has the store,
 * with its pid. ERR_NOT_FOUND: no such file, or no store of herald's, and not `create`. */
int db_open(struct db **out, const struct db_settings *settings, struct err *err);
void db_close(struct db **out);

/* BEGIN IMMEDIATE. The router waits for milliseconds at most: ERR_BUSY means try again
 * soon; others wait up to 5 s. ERR_UNKNOWN: an earlier commit or checkpoint could not be
 * written to the disk: as for db_commit. */
int db_begin(struct db *db, struct err *err);

/* ERR_FULL, ERR_BUSY, ERR_NOMEM, ERR_SCRIPT (a deferred foreign key): rolled back,
 * nothing happened. ERR_TX_LOST: a statement ended it before. ERR_UNKNOWN: it may have been
 * committed (an fsync error, or an I/O error other than a limit on the size of files, which
 * is ERR_FULL): the process must end (docs/design.md#commits). */
int db_commit(struct db *db, struct err *err);
void db_rollback(struct db *db);

/* In a transaction: takes so many bytes of the file, to see whether they are there; 0: gives
 * them back. */
int db_take_room(struct db *db, int64_t bytes, struct err *err);

/* One savepoint, not nested. db_release answers ERR_SCRIPT when the savepoint holds
 * an unsatisfied deferred foreign key (SQLITE_DBSTATUS_DEFERRED_FKS): roll it back. */
/* All three answer ERR_TX_LOST outside the transaction. */
int db_savepoint(struct db *db, struct err *err);
int db_release(struct db *db, struct err *err);
/* The savepoint stays: db_release follows, as in SQL. */
int db_rollback_to(struct db *db, struct err *err);

/* False when something ended the transaction behind our back. */
bool db_in_transaction(const struct db *db);

/* True when another connection committed since the last call (PRAGMA data_version),
 * and at the first call. Herald's own checkpoints do not count. */
bool db_foreign_commits(struct db *db);

/* Milliseconds (monotonic) of the last foreign commit seen; -1: none. */
int64_t db_foreign_seen_ms(const struct db *db);

/* Whether another process has the store open. For the router; costs one system call. */
bool db_is_shared(const struct db *db);

/* Checkpoints when the WAL is over its limit, or when `idle` and it holds anything, at
 * most once a second. Cheap when there is nothing to do; waits at most 50 ms for
 * others. Busy is not an error: it is tried again after a pause that grows to 8 s.
 * Nothing inside a transaction, and for anybody but the router. */
void db_checkpoint(struct db *db, bool idle);

/* The store id to put into message ids for this outbox row: it changes when a store
 * was restored from a backup (docs/design.md#store-ids). Lent until the next call. */
const char *db_store_id(struct db *db, int64_t outbox_id);

/* The highest outbox id that the outside had seen before this opening; what power loss takes from
 * it are the last 30 seconds. */
int64_t db_sent_before(const struct db *db);

/* Notes that an outbox id has been seen by the outside, in the side file. */
void db_saw_id(struct db *db, int64_t outbox_id);

/* Once, before any store is opened: SQLite is not to count its memory, for which it would take a
 * lock at each allocation and which nobody asks it. */
void db_library_start(void);
const char *db_library_version(void); /* SQLite's */
int db_schema_newest(void);           /* the newest version of herald's tables that is known here */
int64_t db_wal_bytes(const struct db *db);

/* Why the WAL has not been emptied for long, which nothing stands still for yet. "": it can be.
 * Lent until the next call. */
const char *db_trouble(const struct db *db);

/* ERR_IO: the database or its WAL was deleted, moved or replaced since it was opened, or the
 * database made read-only, in words that say so. For the router; costs three system calls. */
int db_check_identity(const struct db *db, struct err *err);

/* The pid of the router that holds this store's lock, 0 when none. */
int64_t db_router_pid(const char *path);

/* Where a router's folder has its migrations; "migrations" for ".". What does not fit into `room`
 * bytes is cut. */
void db_migrations_of(const char *folder, char *path, size_t room);

/* Applies migrations/<name>.sql files of a folder in order of name, each once, each
 * in a transaction of its own. `namespace_` keeps several folders of one store apart
 * ("" or the include's name). Returns ERR_CONFIG with file, line and SQLite's words.
 * A file that was applied and has changed since is an error that says so. Foreign keys
 * are checked at the end of each file, not while it runs. Migrations may not control
 * transactions, use PRAGMA or touch herald_* tables, except by triggers of their own
 * tables that write to herald_outbox. Not inside a transaction. */
int db_migrate(struct db *db, const char *folder, const char *namespace_, int *applied_out,
               struct err *err);

/* Applies nothing, and tells what the next start would refuse, or apply in another order than a
 * new store: `error` the first, else the second. `text` begins with the file; lent. */
typedef void db_migration_fn(void *arg, bool error, const char *text);
int db_judge_migrations(struct db *db, const char *folder, const char *namespace_,
                        db_migration_fn *fn, void *arg, struct err *err);

#endif

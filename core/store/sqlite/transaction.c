/* transaction - begin, commit, savepoints, and foreign commits */
#include "store/sqlite/db_int.h"

#include "base/failpoint.h"

#include <errno.h>

/* Between begin and commit, `began` says what should be and SQLite's autocommit flag
 * what is: a statement may have ended the transaction. */
bool db_in_transaction(const struct db *db)
{
    return db->began && sqlite3_get_autocommit(db->work) == 0;
}

static int lost(struct err *err)
{
    return err_set(err, ERR_TX_LOST, "a statement ended the transaction");
}

static int simple(struct db *db, enum statement which, struct err *err)
{
    struct query q = query_start(db, which);

    return query_run(&q, err);
}

/* Producers that write back to back leave the lock free for microseconds, and SQLite's
 * lock knows no queue: after some refusals the router stands at the door for a moment. */
enum { PATIENT_AFTER = 4, PATIENT_TRIES = 300 /* some 10 us each */ };

static int begin(struct db *db, struct err *err)
{
    int tries = db->exclusive && db->refused >= PATIENT_AFTER ? PATIENT_TRIES : 1;
    int rc = ERR_BUSY;

    for (int n = 0; n < tries && rc == ERR_BUSY; n++)
        rc = simple(db, STATEMENT_BEGIN, err);
    db->refused = rc == ERR_BUSY ? db->refused + 1 : 0;
    return rc;
}

int db_begin(struct db *db, struct err *err)
{
    int rc;

    REQUIRE(!db->began);
    if (db->broken)
        return err_set(err, ERR_UNKNOWN,
                       "%s: what was written last may or may not be on the disk: end the process "
                       "and start it again",
                       db->path);
    rc = begin(db, err);
    db->began = rc == OK;
    return rc;
}

/* SQLite's result, and the errno of what failed. */
static int commit(struct db *db, int *errno_out)
{
    struct query q;
    int rc;

    switch (failpoint("commit")) {
    case FAILPOINT_EIO:
        return SQLITE_IOERR_FSYNC;
    case FAILPOINT_ENOSPC:
        return SQLITE_FULL;
    case FAILPOINT_PASS:
        break;
    }
    q = query_start(db, STATEMENT_COMMIT);
    errno = 0;
    rc = sqlite3_step(q.stmt);
    *errno_out = errno;
    query_end(&q);
    return rc;
}

int db_commit(struct db *db, struct err *err)
{
    int rc, system_errno = 0;

    if (!db_in_transaction(db)) {
        db->began = false;
        return lost(err);
    }
    rc = commit(db, &system_errno);
    if (rc != SQLITE_DONE) {
        rc = db_fail_commit(db, rc, system_errno, err);
        db_rollback(db); /* where it has not rolled back by itself */
        return rc;
    }
    db->began = false;
    pin_take(db);
    return OK;
}

int db_take_room(struct db *db, int64_t bytes, struct err *err)
{
    struct query q = query_start(db, STATEMENT_ROOM);

    query_int(&q, bytes);
    return query_run(&q, err);
}

void db_rollback(struct db *db)
{
    db->began = false;
    if (sqlite3_get_autocommit(db->work) != 0)
        return;
    /* A rollback ends the transaction even where it reports an error; should it not,
     * no further one may be mixed with it. */
    (void)simple(db, STATEMENT_ROLLBACK, NULL);
    if (sqlite3_get_autocommit(db->work) == 0)
        db->broken = true;
}

/* Outside a transaction a savepoint would begin one of its own. */
int db_savepoint(struct db *db, struct err *err)
{
    return db_in_transaction(db) ? simple(db, STATEMENT_SAVEPOINT, err) : lost(err);
}

int db_release(struct db *db, struct err *err)
{
    int unsatisfied = 0, high = 0;

    if (!db_in_transaction(db))
        return lost(err);
    if (sqlite3_db_status(db->work, SQLITE_DBSTATUS_DEFERRED_FKS, &unsatisfied, &high, 0) ==
            SQLITE_OK &&
        unsatisfied != 0)
        return err_set(err, ERR_SCRIPT, "a deferred foreign key is not satisfied");
    return simple(db, STATEMENT_RELEASE, err);
}

int db_rollback_to(struct db *db, struct err *err)
{
    return db_in_transaction(db) ? simple(db, STATEMENT_ROLLBACK_TO, err) : lost(err);
}

int db_read_version(struct db *db, int64_t *version_out)
{
    struct query q = query_start(db, STATEMENT_DATA_VERSION);

    return query_get_int(&q, version_out, NULL);
}

/* Where the version cannot be read, looking into the outbox in vain costs little. */
void db_look(struct db *db)
{
    int64_t version = db->data_version;
    bool known = db->version_known;

    db->version_known = db_read_version(db, &version) == OK;
    if (known && db->version_known && version == db->data_version)
        return;
    db->foreign_pending = true;
    if (known && db->version_known)
        db->foreign_seen_ms = clock_mono(&db->clock);
    db->data_version = version;
}

bool db_foreign_commits(struct db *db)
{
    bool pending;

    db_look(db);
    pending = db->foreign_pending;
    db->foreign_pending = false;
    pin_take(db);
    return pending;
}

int64_t db_foreign_seen_ms(const struct db *db)
{
    return db->foreign_seen_ms;
}

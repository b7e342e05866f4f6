/* rows - see rows.h. */
#include "store/rows.h"

#include "store/inbox.h"
#include "store/outbox.h"
#include "store/retry.h"
#include "store/sqlite/db_int.h"

/* Runs a query that has its parameters and counts the row it changed. */
static int run_counted(struct db *db, struct query *q, struct picked *done, struct err *err)
{
    int rc = query_run(q, err);

    if (rc == OK && sqlite3_changes64(db->work) > 0)
        done->changed++;
    return rc;
}

/* Where it is not due by now. */
static int make_due(struct db *db, enum statement which, int64_t id, int64_t now_ms,
                    struct picked *done, struct err *err)
{
    struct query q = query_start(db, which);

    query_int(&q, now_ms);
    query_int(&q, id);
    query_int(&q, now_ms);
    return run_counted(db, &q, done, err);
}

int retry_now(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    return make_due(db, STATEMENT_RETRY_NOW, id, now_ms, done, err);
}

/* Not 0: that would be a fresh row below the engine's cursor, which nobody looks at. */
int outbox_now(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    return make_due(db, STATEMENT_OUTBOX_NOW, id, now_ms > 0 ? now_ms : 1, done, err);
}

/* The message is finished: its inbox row goes the way of all that are done. */
static int finish(struct db *db, const struct query *q, int64_t now_ms, struct err *err)
{
    struct slice queue = column_slice(q->stmt, 0), identity = column_slice(q->stmt, 1);

    if (identity.data == NULL)
        return OK;
    return inbox_set(db, queue, identity, column_fingerprint(q->stmt, 2), INBOX_DONE, now_ms, err);
}

int retry_drop(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    struct query q = query_start(db, STATEMENT_RETRY_KEY);
    bool found;
    int rc;

    query_int(&q, id);
    rc = query_row(&q, err);
    found = rc == 1;
    if (found)
        rc = finish(db, &q, now_ms, err);
    query_end(&q);
    if (rc != OK || !found)
        return rc;
    done->changed++;
    return retry_remove(db, id, err);
}

/* A row in flight may go, too: its confirm finds nothing to delete. */
int outbox_drop(struct db *db, int64_t id, int64_t now_ms, struct picked *done, struct err *err)
{
    struct outbox_record record;
    int rc = outbox_record(db, id, &record, err);

    (void)now_ms;
    if (rc == ERR_NOT_FOUND) {
        *err = (struct err){.code = OK};
        return OK;
    }
    if (rc != OK)
        return rc;
    done->changed++;
    return outbox_confirm(db, &id, 1, err);
}

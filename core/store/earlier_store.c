/* earlier_store - see earlier_store.h. */
#include "store/earlier_store.h"

#include <sqlite3.h>
#include <unistd.h>

enum { WAIT_MS = 1000 };

#define HEX4 "[0-9a-f][0-9a-f][0-9a-f][0-9a-f]"

/* The identity was the body's id, and a fingerprint of sixteen digits. */
static const char named[] =
    "select distinct queue from"
    "  (select queue, message_id from herald_inbox order by seq desc limit 100000)"
    "  where message_id glob '*#" HEX4 HEX4 HEX4 HEX4 "' and not exists"
    "  (select 1 from pragma_table_info('herald_inbox') where name = 'fingerprint_version')"
    "  order by queue";

static int read_queues(sqlite3 *handle, earlier_store_queue_fn *fn, void *arg)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(handle, named, -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
            if (sqlite3_column_text(stmt, 0) != NULL)
                fn(arg, (const char *)sqlite3_column_text(stmt, 0));
    (void)sqlite3_finalize(stmt); /* says again what rc says */
    return rc;
}

int earlier_store_body_ids(const char *path, earlier_store_queue_fn *fn, void *arg, struct err *err)
{
    sqlite3 *handle = NULL;
    int rc;

    if (access(path, F_OK) != 0)
        return OK;
    rc = sqlite3_open_v2(path, &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_busy_timeout(handle, WAIT_MS);
    if (rc == SQLITE_OK)
        rc = read_queues(handle, fn, arg);
    if (rc != SQLITE_DONE)
        err_set(err, ERR_IO, "%s: %s", path, sqlite3_errmsg(handle));
    (void)sqlite3_close(handle); /* its one statement is finalized */
    return rc == SQLITE_DONE ? OK : ERR_IO;
}

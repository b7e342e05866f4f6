/*
 * backup - copies a store whole and as of one moment, while others write to it
 *
 *   backup_open --> backup_step, as often as it says that more is left --> the copy has its name
 *
 * A read transaction holds the moment, so that writers neither wait nor make the copy start over;
 * the WAL cannot be emptied meanwhile. The copy is written beside its name (".part"), checked by
 * SQLite's integrity_check, synced, and only then renamed: what has the name is whole.
 */
#ifndef HERALD_STORE_SQLITE_BACKUP_H
#define HERALD_STORE_SQLITE_BACKUP_H

#include "store/sqlite/db.h"

struct backup;

struct backup_progress {
    int64_t bytes; /* of the copy */
    int64_t done;  /* of these */
};

/* `db`, open as it is (db.h) or otherwise, is lent until backup_close, outside any transaction.
 * ERR_CONFIG: there is something at `to`. The backup is the caller's to close, also after an error.
 */
int backup_open(struct backup **out, struct db *db, const char *to, struct err *err);

/* Copies some megabytes. 1: more is left, 0: the copy is whole and has its name, or an ERR_ code.
 */
int backup_step(struct backup *b, struct backup_progress *progress, struct err *err);

/* What was not finished goes. NULL is fine. */
void backup_close(struct backup **out);

#endif

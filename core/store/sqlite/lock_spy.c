/* lock_spy - which WAL lock a handle could not get
 *
 * SQLite's busy handler is not told what it waits for, and a checkpoint waits for
 * two things: first for the write lock, then for readers, the pin among them. The
 * pin must be let go in the second wait only. So the spy takes the place of one
 * method of the handle's file, xShmLock, and notes the lock that was last refused.
 * Lock numbers are part of the file format (sqlite.org/walformat.html, 2.3): 0 is
 * the write lock, 3 to 7 are the read marks. */
#include "store/sqlite/db_int.h"

#include "base/failpoint.h"

#include <stdlib.h>

enum { WAL_WRITE_LOCK = 0, WAL_READ_LOCK_1 = 4 };

struct lock_note {
    int refused; /* first lock of the last request that was refused; -1: none yet */
};

struct lock_spy {
    sqlite3_io_methods methods;     /* what the file uses: first, so that it leads here */
    const sqlite3_io_methods *real; /* the file system's own; static in SQLite */
    struct lock_note *note;         /* owned */
};

static int shm_lock(sqlite3_file *file, int offset, int n, int flags)
{
    const struct lock_spy *spy = (const struct lock_spy *)file->pMethods;
    int rc = spy->real->xShmLock(file, offset, n, flags);

    /* The last locks of a checkpoint: pages are in the database, the WAL is not cut yet. */
    if (offset == WAL_READ_LOCK_1 && (flags & SQLITE_SHM_EXCLUSIVE) != 0)
        failpoint("checkpoint");
    if (rc == SQLITE_BUSY)
        spy->note->refused = offset;
    return rc;
}

int lock_spy_attach(struct lock_spy **out, sqlite3 *handle)
{
    sqlite3_file *file = NULL;
    struct lock_spy *spy;

    if (sqlite3_file_control(handle, "main", SQLITE_FCNTL_FILE_POINTER, &file) != SQLITE_OK ||
        file == NULL || file->pMethods == NULL || file->pMethods->iVersion < 2)
        return ERR_FAILED;
    spy = calloc(1, sizeof *spy);
    if (spy == NULL)
        return ERR_NOMEM;
    spy->note = calloc(1, sizeof *spy->note);
    if (spy->note == NULL) {
        free(spy);
        return ERR_NOMEM;
    }
    spy->note->refused = -1;
    spy->real = file->pMethods;
    spy->methods = *file->pMethods;
    spy->methods.xShmLock = shm_lock;
    file->pMethods = &spy->methods;
    *out = spy;
    return OK;
}

bool lock_spy_wants_write(const struct lock_spy *spy)
{
    return spy->note->refused == WAL_WRITE_LOCK;
}

void lock_spy_free(struct lock_spy **spy)
{
    if (*spy == NULL)
        return;
    free((*spy)->note);
    free(*spy);
    *spy = NULL;
}

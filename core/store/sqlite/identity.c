/* identity - what lies at the store's path is still what is open
 *
 * A file that was deleted, moved or replaced takes writes as before, and they are lost
 * with the last descriptor. The same holds for the WAL, which stays the same file as long
 * as a store is open: it is emptied, never removed. */
#include "store/sqlite/db_int.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct file_id id_of(const char *path)
{
    struct stat s;

    if (stat(path, &s) != 0)
        return (struct file_id){0};
    return (struct file_id){.device = s.st_dev, .inode = s.st_ino};
}

void identity_note(struct db *db)
{
    db->file_id = id_of(db->path);
    db->wal_id = id_of(db->wal_path);
}

/* The word for what became of a file; NULL: it is there. What cannot be looked at may
 * well be there. */
static const char *became(const char *path, struct file_id was)
{
    struct stat s;

    if (was.inode == 0)
        return NULL;
    if (stat(path, &s) != 0)
        return errno == ENOENT ? "deleted or moved away" : NULL;
    return s.st_dev == was.device && s.st_ino == was.inode ? NULL : "replaced by another file";
}

/* Root may write whatever the mode says, but somebody took the right away on purpose. */
static bool is_read_only(const char *path)
{
    struct stat s;

    if (stat(path, &s) != 0)
        return false;
    return (s.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH)) == 0 || access(path, W_OK) != 0;
}

int db_check_identity(const struct db *db, struct err *err)
{
    const char *file = became(db->path, db->file_id);
    const char *wal = became(db->wal_path, db->wal_id);

    if (file != NULL || wal != NULL)
        return err_set(err, ERR_IO,
                       "%s was %s while it was in use: put it back with its -wal, or restore a "
                       "backup, and start the router again",
                       file != NULL ? db->path : db->wal_path, file != NULL ? file : wal);
    if (is_read_only(db->path))
        return err_set(err, ERR_IO,
                       "%s was made read-only while it was in use: make it writable and start the "
                       "router again",
                       db->path);
    return OK;
}

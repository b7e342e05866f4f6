/* lock - one router per store
 *
 * The lock is an open file description lock on <store>-lock. Never on the database
 * itself: closing any descriptor of that file would drop SQLite's own POSIX locks
 * (sqlite.org/howtocorrupt.html, 2.2). The kernel drops the lock with the process,
 * so a crash leaves nothing to clean up; the file stays, since removing it would
 * race with the next router. It holds the pid as text, for people. */
#include "store/path.h"
#include "store/sqlite/db_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statfs.h>
#include <unistd.h>

/* Locks and shared memory of these do not hold across machines, or not at all;
 * WAL needs both. (linux/magic.h has not all of them.) */
static const struct {
    unsigned long type;
    const char *name;
} refused[] = {
    {0x6969, "NFS"},      {0x517b, "SMB"},     {0xff534d42, "CIFS"},
    {0xfe534d42, "SMB2"}, {0x5346414f, "AFS"}, {0x00c36400, "Ceph"},
    {0x01021997, "9P"},   {0x564c, "NCP"},     {0x73757245, "Coda"},
};

const char *lock_refused_fs(unsigned long type)
{
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (refused[i].type == (type & 0xffffffffUL))
            return refused[i].name;
    return NULL;
}

/* `path` need not exist yet; its folder does. */
int lock_check_fs(const char *path, struct err *err)
{
    char *copy = strdup(path);
    struct statfs fs;
    const char *name;
    int rc;

    if (copy == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    rc = statfs(dirname(copy), &fs);
    free(copy);
    if (rc != 0)
        return err_set(err, ERR_IO, "%s: cannot tell the file system: %s", path, strerror(errno));
    name = lock_refused_fs((unsigned long)fs.f_type);
    if (name == NULL)
        return OK;
    return err_set(err, ERR_CONFIG,
                   "%s is on a network file system (%s), whose locks cannot keep a store whole: "
                   "put it on a local disk",
                   path, name);
}

static struct flock whole_file(void)
{
    return (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET};
}

static int64_t read_pid(int fd)
{
    char text[32] = "";

    if (pread(fd, text, sizeof text - 1, 0) <= 0)
        return 0;
    return strtoll(text, NULL, 10);
}

/* Only people read it, so a disk that is full is no reason to stop. */
static void write_pid(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%lld\n", (long long)getpid());

    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)n, 0) != n)
        return;
}

int lock_take(struct db *db, struct err *err)
{
    struct flock lock = whole_file();
    char *path = path_with(db->path, "-lock");
    int fd, rc = OK;

    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        rc = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    else if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        write_pid(fd);
    else if (errno == EAGAIN || errno == EACCES)
        rc = err_set(err, ERR_BUSY, "another router (pid %lld) has the store %s",
                     (long long)read_pid(fd), db->path);
    else
        rc = err_set(err, ERR_IO, "%s: cannot lock: %s", path, strerror(errno));
    free(path);
    if (rc != OK && fd >= 0)
        close(fd);
    if (rc == OK)
        db->lock_fd = fd;
    return rc;
}

void lock_release(struct db *db)
{
    if (db->lock_fd >= 0)
        close(db->lock_fd); /* and the lock with it */
    db->lock_fd = -1;
}

int64_t db_router_pid(const char *path)
{
    struct flock lock = whole_file();
    char *whole = path_resolve(path);
    char *side = whole ? path_with(whole, "-lock") : NULL;
    int64_t pid = 0;
    int fd = side ? open(side, O_RDONLY | O_CLOEXEC) : -1;

    /* What the file says counts only while the lock is held. */
    if (fd >= 0 && fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK)
        pid = read_pid(fd);
    if (fd >= 0)
        close(fd);
    free(side);
    free(whole);
    return pid;
}

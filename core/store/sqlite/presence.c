/* presence - whether another process has the store open
 *
 * In WAL mode every process with the store open holds a shared lock on one byte of the -shm
 * file, the dead man's switch (sqlite.org/walformat.html, 2.3; os_unix.c, UNIX_SHM_DMS). The
 * kernel tells of a lock that would be in the way of a write lock there, and never of this
 * process's own. It is asked through SQLite's own descriptor, found in /proc: closing one of
 * ours would drop the locks that SQLite holds on that file. */
#include "store/path.h"
#include "store/sqlite/db_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { DEAD_MANS_SWITCH = 128 };

static bool is_same_file(int fd, const struct stat *wanted)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_dev == wanted->st_dev && st.st_ino == wanted->st_ino;
}

static int find_descriptor(const struct stat *wanted)
{
    DIR *all = opendir("/proc/self/fd");
    const struct dirent *entry;
    int found = -1;

    if (all == NULL)
        return -1;
    while (found < 0 && (entry = readdir(all)) != NULL) {
        int fd = (int)strtol(entry->d_name, NULL, 10);

        if (entry->d_name[0] != '.' && is_same_file(fd, wanted))
            found = fd;
    }
    (void)closedir(all); /* it was only read */
    return found;
}

void presence_open(struct db *db)
{
    char *path = path_with(db->path, "-shm");
    struct stat st;

    db->shm_fd = path != NULL && stat(path, &st) == 0 ? find_descriptor(&st) : -1;
    free(path);
}

/* Where it cannot be asked, who is there is known by what he commits. */
bool db_is_shared(const struct db *db)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = DEAD_MANS_SWITCH, .l_len = 1};

    return db->shm_fd >= 0 && fcntl(db->shm_fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

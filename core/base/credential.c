/* credential - see credential.h. */
#include "base/credential.h"

#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECRET_MAX = 4096 };

const char *credential_path(const char *name, char out[static CREDENTIAL_PATH_MAX])
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    int len;

    if (name[0] == '/' || folder == NULL || folder[0] == '\0' || access(name, F_OK) == 0)
        return name;
    len = snprintf(out, CREDENTIAL_PATH_MAX, "%s/%s", folder, name);
    return len < CREDENTIAL_PATH_MAX && access(out, F_OK) == 0 ? out : name;
}

static int refuse(const char *what, const char *path, const char *why, const char *what_now,
                  struct err *err)
{
    return err_set(err, ERR_CONFIG, "%s %s %s: %s", what, path, why, what_now);
}

static int refuse_errno(const char *what, const char *path, int number, struct err *err)
{
    char why[200];

    if (number == ENOENT)
        return refuse(what, path, "is not there", "put it there or mend the path in herald.lua",
                      err);
    (void)snprintf(why, sizeof why, "cannot be read (%s)", strerror(number));
    return refuse(what, path, why, "the user that herald runs as must have the right to", err);
}

/* A pipe would block whoever opens it: it is opened without waiting, and then refused. The
 * descriptor, or an error. */
static int open_file(const char *what, const char *path, bool folder_allowed, struct err *err)
{
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    struct stat st;

    if (fd < 0)
        return refuse_errno(what, path, errno, err);
    if (fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || (folder_allowed && S_ISDIR(st.st_mode))))
        return fd;
    (void)close(fd); /* only read */
    return refuse(what, path, "is no file", "give the path of one", err);
}

int credential_look(const char *what, const char *name, bool folder_allowed, struct err *err)
{
    char place[CREDENTIAL_PATH_MAX];
    int fd = open_file(what, credential_path(name, place), folder_allowed, err);

    if (fd < 0)
        return fd;
    (void)close(fd); /* only read */
    return OK;
}

static size_t without_line_end(const char *text, size_t len)
{
    if (len > 0 && text[len - 1] == '\n')
        len--;
    return len > 0 && text[len - 1] == '\r' ? len - 1 : len;
}

int credential_read(const char *what, const char *name, struct buf *out, struct err *err)
{
    char place[CREDENTIAL_PATH_MAX], secret[SECRET_MAX + 1];
    const char *path = credential_path(name, place);
    int fd = open_file(what, path, false, err), rc;
    ssize_t n;

    if (fd < 0)
        return fd;
    n = read(fd, secret, sizeof secret);
    rc = n < 0 ? refuse_errno(what, path, errno, err) : OK;
    (void)close(fd); /* only read */
    if (rc == OK && n > SECRET_MAX)
        rc = refuse(what, path, "is longer than 4096 bytes", "it holds the secret alone", err);
    n = rc == OK ? (ssize_t)without_line_end(secret, (size_t)n) : 0;
    if (rc == OK && n == 0)
        rc = refuse(what, path, "is empty", "write the secret into it", err);
    if (rc == OK && memchr(secret, '\0', (size_t)n) != NULL)
        rc = refuse(what, path, "holds a NUL byte", "it is one line of text", err);
    if (rc == OK && buf_append(out, secret, (size_t)n) != OK)
        rc = err_set(err, ERR_NOMEM, "out of memory for a secret");
    explicit_bzero(secret, sizeof secret);
    return rc;
}

void credential_wipe(struct buf *b)
{
    if (b->data != NULL)
        explicit_bzero(b->data, b->cap);
    buf_free(b);
}

static uint64_t mix(uint64_t hash, const struct stat *st)
{
    const int64_t facts[] = {(int64_t)st->st_dev, (int64_t)st->st_ino, (int64_t)st->st_size,
                             (int64_t)st->st_mtim.tv_sec, (int64_t)st->st_mtim.tv_nsec};

    return text_hash(hash, facts, sizeof facts);
}

/* A sum, since a folder has no order. */
static uint64_t stamp_folder(const char *path)
{
    DIR *dir = opendir(path);
    uint64_t sum = 0;
    struct dirent *entry;
    struct stat st;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (fstatat(dirfd(dir), entry->d_name, &st, 0) == 0)
            sum += mix(TEXT_HASH_START, &st);
    if (dir != NULL)
        (void)closedir(dir); /* only read */
    return sum;
}

uint64_t credential_stamp(uint64_t hash, const char *name)
{
    char place[CREDENTIAL_PATH_MAX];
    const char *path = credential_path(name, place);
    struct stat st;
    uint64_t files;

    if (stat(path, &st) != 0)
        return text_hash(hash, "", 1);
    hash = mix(hash, &st);
    if (!S_ISDIR(st.st_mode))
        return hash;
    files = stamp_folder(path);
    return text_hash(hash, &files, sizeof files);
}

bool credential_is_open(const char *name)
{
    char place[CREDENTIAL_PATH_MAX];
    struct stat st;

    return stat(credential_path(name, place), &st) == 0 && (st.st_mode & S_IROTH) != 0;
}

void credential_guard(void)
{
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* fails for other arguments only */
}

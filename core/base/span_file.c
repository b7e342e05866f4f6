/* span_file - spans as lines of a file (span_export.h). */
#include "base/span_export.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What could not be written whole is taken back: half a line would spoil the next one, too. */
static int send_line(void *arg, const char *line, size_t len, atomic_bool *hurry, struct err *err)
{
    const int *fd = arg;
    struct stat before;
    size_t at = 0;

    (void)hurry;
    if (fstat(*fd, &before) != 0)
        return err_set(err, ERR_IO, "cannot look at it: %s", strerror(errno));
    while (at < len) {
        ssize_t n = write(*fd, line + at, len - at);

        if (n > 0)
            at += (size_t)n;
        else if (n == 0 || errno != EINTR)
            break;
    }
    if (at == len)
        return OK;
    err_set(err, ERR_IO, "cannot write to it: %s", strerror(errno));
    if (S_ISREG(before.st_mode) && ftruncate(*fd, before.st_size) != 0)
        return err_set(err, ERR_INPUT, "half a line was written: %s", strerror(errno));
    return ERR_IO;
}

static void close_file(void *arg)
{
    int *fd = arg;

    (void)close(*fd); /* each line was written or told of */
    free(fd);
}

int span_file_open(struct span_sink *out, const char *path, struct err *err)
{
    int *fd = malloc(sizeof *fd);

    if (fd == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    *fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY, 0640);
    if (*fd < 0) {
        free(fd);
        return err_set(err, ERR_CONFIG, "cannot open %s: %s", path, strerror(errno));
    }
    *out = (struct span_sink){.send = send_line, .close = close_file, .arg = fd};
    return OK;
}

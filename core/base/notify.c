/* notify - see notify.h. */
#include "base/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct notify {
    int fd;
    struct sockaddr_un to;
    socklen_t to_len;
    int64_t watchdog_ms;
};

/* A name that begins with '@' is an abstract one, which has no file. */
static int read_address(struct notify *n, const char *name, struct err *err)
{
    size_t len = strlen(name);

    if (name[0] != '/' && name[0] != '@')
        return err_set(err, ERR_CONFIG, "NOTIFY_SOCKET is no path and no abstract socket: %s",
                       name);
    if (len < 2 || len >= sizeof n->to.sun_path)
        return err_set(err, ERR_CONFIG, "NOTIFY_SOCKET has %zu bytes, but 2 to %zu can be used",
                       len, sizeof n->to.sun_path - 1);
    n->to.sun_family = AF_UNIX;
    memcpy(n->to.sun_path, name, len);
    if (name[0] == '@')
        n->to.sun_path[0] = '\0';
    n->to_len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
    return OK;
}

/* Another process's number: the variables were inherited, and mean that one. */
static int64_t read_watchdog(void)
{
    const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
    char *end = NULL;
    long long n;

    if (usec == NULL || (pid != NULL && strtoll(pid, NULL, 10) != (long long)getpid()))
        return 0;
    errno = 0;
    n = strtoll(usec, &end, 10);
    if (errno != 0 || end == usec || *end != '\0' || n <= 0)
        return 0;
    return n >= 1000 ? n / 1000 : 1;
}

static int open_socket(struct notify *n, struct err *err)
{
    n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    return n->fd >= 0
               ? OK
               : err_set(err, ERR_FAILED, "no socket for the service manager: %s", strerror(errno));
}

static int make(struct notify **out, const char *name, struct err *err)
{
    struct notify *n = calloc(1, sizeof *n);
    int rc;

    if (n == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    n->fd = -1;
    n->watchdog_ms = read_watchdog();
    rc = read_address(n, name, err);
    if (rc == OK)
        rc = open_socket(n, err);
    if (rc == OK)
        *out = n;
    else
        notify_close(&n);
    return rc;
}

int notify_open(struct notify **out, struct err *err)
{
    const char *name = getenv("NOTIFY_SOCKET");
    int rc = name != NULL && name[0] != '\0' ? make(out, name, err) : OK;

    if (rc != OK || name == NULL || name[0] == '\0')
        *out = NULL;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return rc;
}

void notify_close(struct notify **n)
{
    if (*n == NULL)
        return;
    if ((*n)->fd >= 0)
        close((*n)->fd);
    free(*n);
    *n = NULL;
}

int64_t notify_watchdog_ms(const struct notify *n)
{
    return n != NULL ? n->watchdog_ms : 0;
}

/* Not connected: who listens may have been made anew. */
bool notify_send(const struct notify *n, const char *lines)
{
    size_t len = strlen(lines);

    if (n == NULL)
        return true;
    return sendto(n->fd, lines, len, MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&n->to,
                  n->to_len) == (ssize_t)len;
}

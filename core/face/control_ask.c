/* control_ask - the asking half of control.h: a plain blocking socket with a deadline. */
#include "face/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

/* One question, and what is said of it when it fails. */
struct ask {
    const char *path;
    int timeout_ms;
    int fd;
};

static int fail(const struct ask *a, struct err *err, const char *what)
{
    if (errno == ENOENT || errno == ECONNREFUSED)
        return err_set(err, ERR_NOT_FOUND, "no router listens on %s", a->path);
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return err_set(err, ERR_BUSY,
                       "the router does not answer on %s within %d ms: it is in the middle of a "
                       "long step (a handler, a slow disk), or it was stopped",
                       a->path, a->timeout_ms);
    return err_set(err, ERR_IO, "%s %s: %s", what, a->path, strerror(errno));
}

static int send_question(const struct ask *a, const char *question, struct err *err)
{
    char line[CONTROL_QUESTION_MAX];
    int n = snprintf(line, sizeof line, "%s\n", question);

    if (n < 0 || (size_t)n >= sizeof line)
        return err_set(err, ERR_INPUT, "the question is too long");
    return send(a->fd, line, (size_t)n, MSG_NOSIGNAL) == n ? OK : fail(a, err, "cannot write to");
}

static int read_answer(const struct ask *a, struct buf *answer, struct err *err)
{
    for (;;) {
        char *room = buf_reserve(answer, 4096);
        ssize_t n;

        if (room == NULL)
            return err_set(err, ERR_LIMIT, "the answer is too long");
        n = recv(a->fd, room, 4096, 0);
        if (n == 0)
            return answer->len > 0 ? OK
                                   : err_set(err, ERR_BUSY,
                                             "the router hung up on %s without an answer: it is "
                                             "stopping, or very many ask at once",
                                             a->path);
        if (n < 0)
            return fail(a, err, "cannot read from");
        answer->len += (size_t)n;
    }
}

static int connect_to(const struct ask *a, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {a->timeout_ms / 1000, a->timeout_ms % 1000 * 1000};
    int n = snprintf(address.sun_path, sizeof address.sun_path, "%s", a->path);

    if (n < 0 || (size_t)n >= sizeof address.sun_path)
        return err_set(err, ERR_NOT_FOUND,
                       "no router listens on %s, which is too long for a socket", a->path);
    if (setsockopt(a->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(a->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
        connect(a->fd, (struct sockaddr *)&address, sizeof address) != 0)
        return fail(a, err, "cannot connect to");
    return OK;
}

int control_ask(const char *path, const char *question, int timeout_ms, struct buf *answer,
                struct err *err)
{
    struct ask a = {.path = path, .timeout_ms = timeout_ms};
    int rc;

    a.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (a.fd < 0)
        return fail(&a, err, "cannot make a socket for");
    rc = connect_to(&a, err);
    if (rc == OK)
        rc = send_question(&a, question, err);
    if (rc == OK)
        rc = read_answer(&a, answer, err);
    close(a.fd);
    return rc;
}

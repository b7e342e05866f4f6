/* ask - the asking half of control.h: a plain blocking socket with a deadline. */
#include "face/control.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static int fail(struct err *err, const char *what)
{
    if (errno == ENOENT || errno == ECONNREFUSED)
        return err_set(err, ERR_NOT_FOUND, "no router listens on %s", CONTROL_SOCKET);
    if (errno == EAGAIN || errno == EWOULDBLOCK)
        return err_set(err, ERR_BUSY, "the router does not answer on %s", CONTROL_SOCKET);
    return err_set(err, ERR_IO, "%s %s: %s", what, CONTROL_SOCKET, strerror(errno));
}

static int send_question(int fd, const char *question, struct err *err)
{
    char line[CONTROL_QUESTION_MAX];
    int n = snprintf(line, sizeof line, "%s\n", question);

    if (n < 0 || (size_t)n >= sizeof line)
        return err_set(err, ERR_INPUT, "the question is too long");
    return send(fd, line, (size_t)n, MSG_NOSIGNAL) == n ? OK : fail(err, "cannot write to");
}

static int read_answer(int fd, struct buf *answer, struct err *err)
{
    for (;;) {
        char *room = buf_reserve(answer, 4096);
        ssize_t n;

        if (room == NULL)
            return err_set(err, ERR_LIMIT, "the answer is too long");
        n = recv(fd, room, 4096, 0);
        if (n == 0)
            return OK;
        if (n < 0)
            return fail(err, "cannot read from");
        answer->len += (size_t)n;
    }
}

int control_ask(const char *question, int timeout_ms, struct buf *answer, struct err *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = CONTROL_SOCKET};
    struct timeval limit = {timeout_ms / 1000, timeout_ms % 1000 * 1000};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc;

    if (fd < 0)
        return fail(err, "cannot make a socket for");
    if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0 ||
        connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        rc = fail(err, "cannot connect to");
    else
        rc = send_question(fd, question, err);
    if (rc == OK)
        rc = read_answer(fd, answer, err);
    close(fd);
    return rc;
}

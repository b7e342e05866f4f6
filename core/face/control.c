/* control - see control.h. The server's half; ask.c is the other one. */
#include "face/control.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    QUESTION_MAX = CONTROL_QUESTION_MAX,
    ANSWER_MAX = 1024 * 1024,
    CONNECTIONS_MAX = 16,
    BACKLOG = 8
};

struct connection {
    uv_pipe_t pipe;
    uv_write_t write;
    struct control *control;
    struct connection *next;
    struct buf answer; /* owned until the write is over */
    size_t len;        /* of the question so far */
    char question[QUESTION_MAX];
    bool answered;
};

struct control {
    uv_pipe_t server;
    control_answer_fn *fn;
    void *arg;
    struct connection *connections;
    size_t n;      /* connections open */
    bool stopping; /* freed when the last handle is closed */
    bool closed;   /* the server's handle is */
};

static void free_when_done(struct control *c)
{
    if (c->stopping && c->closed && c->n == 0)
        free(c);
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *x = handle->data;
    struct control *c = x->control;
    struct connection **link = &c->connections;

    while (*link != x)
        link = &(*link)->next;
    *link = x->next;
    c->n--;
    buf_free(&x->answer);
    free(x);
    free_when_done(c);
}

static void hang_up(struct connection *x)
{
    if (!uv_is_closing((uv_handle_t *)&x->pipe))
        uv_close((uv_handle_t *)&x->pipe, on_connection_closed);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    hang_up(write->data);
}

static void answer(struct connection *x)
{
    uv_buf_t out;

    x->answered = true;
    x->control->fn(x->control->arg, x->question, &x->answer);
    out = uv_buf_init(x->answer.data, (unsigned)x->answer.len);
    x->write.data = x;
    if (uv_write(&x->write, (uv_stream_t *)&x->pipe, &out, 1, on_written) != 0)
        hang_up(x);
}

static void give_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct connection *x = handle->data;

    (void)suggested;
    *out = uv_buf_init(x->question + x->len, (unsigned)(QUESTION_MAX - 1 - x->len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct connection *x = stream->data;
    char *end;

    (void)buf;
    if (n < 0) {
        hang_up(x);
        return;
    }
    if (x->answered)
        return;
    x->len += (size_t)n;
    x->question[x->len] = '\0';
    end = strchr(x->question, '\n');
    if (end != NULL) {
        *end = '\0';
        uv_read_stop(stream);
        answer(x);
    } else if (x->len == QUESTION_MAX - 1) {
        hang_up(x);
    }
}

static void on_connection(uv_stream_t *server, int status)
{
    struct control *c = server->data;
    struct connection *x;

    if (status != 0 || c->stopping)
        return;
    x = calloc(1, sizeof *x);
    if (x == NULL)
        return;
    x->control = c;
    buf_init(&x->answer, ANSWER_MAX);
    uv_pipe_init(server->loop, &x->pipe, 0);
    x->pipe.data = x;
    x->next = c->connections;
    c->connections = x;
    c->n++;
    if (uv_accept(server, (uv_stream_t *)&x->pipe) != 0 || c->n > CONNECTIONS_MAX ||
        uv_read_start((uv_stream_t *)&x->pipe, give_room, on_read) != 0)
        hang_up(x);
}

static void on_server_closed(uv_handle_t *handle)
{
    struct control *c = handle->data;

    c->closed = true;
    free_when_done(c);
}

int control_start(struct control **c_out, uv_loop_t *loop, control_answer_fn *fn, void *arg,
                  struct err *err)
{
    struct control *c = calloc(1, sizeof *c);
    mode_t mask;
    int rc;

    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    c->fn = fn;
    c->arg = arg;
    uv_pipe_init(loop, &c->server, 0);
    c->server.data = c;
    unlink(CONTROL_SOCKET); /* the store's lock says that no other router is here */
    mask = umask(0077);
    rc = uv_pipe_bind(&c->server, CONTROL_SOCKET);
    umask(mask);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&c->server, BACKLOG, on_connection);
    if (rc == 0) {
        *c_out = c;
        return OK;
    }
    err_set(err, ERR_IO, "cannot listen on %s: %s", CONTROL_SOCKET, uv_strerror(rc));
    control_stop(&c);
    return err->code;
}

void control_stop(struct control **c_in)
{
    struct control *c = *c_in;

    if (c == NULL)
        return;
    *c_in = NULL;
    c->stopping = true;
    for (struct connection *x = c->connections; x != NULL; x = x->next)
        hang_up(x);
    uv_close((uv_handle_t *)&c->server, on_server_closed);
    unlink(CONTROL_SOCKET);
}

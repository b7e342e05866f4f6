/* control - see control.h. The server's half; control_ask.c is the other one. */
#include "face/control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    QUESTION_MAX = CONTROL_QUESTION_MAX,
    ANSWER_MAX = 1024 * 1024,
    CONNECTIONS_MAX = 16,
    BACKLOG = 8,
    LOOK_EVERY_MS = 1000,
};

struct connection {
    uv_pipe_t pipe;
    uv_write_t write;
    struct control *control;
    struct connection *next; /* one that came earlier */
    uint64_t since_ms;       /* uv_now() when it came */
    struct buf answer;       /* owned until the write is over */
    size_t len;              /* of the question so far */
    char question[QUESTION_MAX];
    bool answered;
};

struct control {
    uv_pipe_t server;
    uv_timer_t look;             /* for who has been idle for too long */
    char path[CONTROL_PATH_MAX]; /* where people look for it */
    char made[CONTROL_PATH_MAX]; /* where it was made */
    bool open;                   /* it has its name */
    control_answer_fn *fn;
    void *arg;
    struct connection *connections;
    size_t n;      /* connections open */
    bool stopping; /* freed when the last handle is closed */
    int handles;   /* of its own: the server and the timer */
};

static void free_when_done(struct control *c)
{
    if (c->stopping && c->handles == 0 && c->n == 0)
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

static bool is_closing(const struct connection *x)
{
    return uv_is_closing((const uv_handle_t *)&x->pipe) != 0;
}

/* Who asks gets an answer at once, so the oldest ones are those who do not ask. */
static void make_room(struct control *c)
{
    struct connection *oldest = NULL;
    size_t open = 0;

    for (struct connection *x = c->connections; x != NULL; x = x->next)
        if (!is_closing(x)) {
            oldest = x;
            open++;
        }
    if (open >= CONNECTIONS_MAX)
        hang_up(oldest);
}

static void on_look(uv_timer_t *timer)
{
    struct control *c = timer->data;

    for (struct connection *x = c->connections; x != NULL; x = x->next)
        if (uv_now(timer->loop) - x->since_ms >= CONTROL_IDLE_MS)
            hang_up(x);
    if (c->n == 0)
        uv_timer_stop(timer);
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
    make_room(c);
    x->control = c;
    x->since_ms = uv_now(server->loop);
    buf_init(&x->answer, ANSWER_MAX);
    uv_pipe_init(server->loop, &x->pipe, 0);
    x->pipe.data = x;
    x->next = c->connections;
    c->connections = x;
    c->n++;
    if (!uv_is_active((uv_handle_t *)&c->look))
        uv_timer_start(&c->look, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    if (uv_accept(server, (uv_stream_t *)&x->pipe) != 0 ||
        uv_read_start((uv_stream_t *)&x->pipe, give_room, on_read) != 0)
        hang_up(x);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct control *c = handle->data;

    c->handles--;
    free_when_done(c);
}

static int listen_at(struct control *c, struct err *err)
{
    mode_t mask = umask(0077);
    int rc = uv_pipe_bind(&c->server, c->made);

    umask(mask);
    if (rc == 0)
        rc = uv_listen((uv_stream_t *)&c->server, BACKLOG, on_connection);
    if (rc == 0)
        return OK;
    return err_set(err, ERR_IO,
                   "cannot make the socket %s: %s. Commands reach the router through it: let its "
                   "folder be writable, or name another place with the setting `socket`",
                   c->path, uv_strerror(rc));
}

/* libuv would cut a path that is too long (before 1.46). */
static int name_paths(struct control *c, const char *path, struct err *err)
{
    int n = snprintf(c->made, sizeof c->made, "%s.%ld", path, (long)getpid());

    if (n < 0 || (size_t)n >= sizeof c->made)
        return err_set(err, ERR_CONFIG,
                       "the path of the socket is too long (%s): %d bytes at most. Name a shorter "
                       "one with the setting `socket`",
                       path, CONTROL_PATH_MAX - 12);
    snprintf(c->path, sizeof c->path, "%s", path);
    unlink(c->made); /* of a dead process that had our number */
    return OK;
}

int control_start(struct control **c_out, uv_loop_t *loop, const char *path, control_answer_fn *fn,
                  void *arg, struct err *err)
{
    struct control *c = calloc(1, sizeof *c);
    int rc;

    if (c == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    c->fn = fn;
    c->arg = arg;
    uv_pipe_init(loop, &c->server, 0);
    uv_timer_init(loop, &c->look);
    c->server.data = c->look.data = c;
    c->handles = 2;
    rc = name_paths(c, path, err);
    if (rc == OK)
        rc = listen_at(c, err);
    if (rc == OK)
        *c_out = c;
    else
        control_stop(&c);
    return rc;
}

int control_open(struct control *c, struct err *err)
{
    if (rename(c->made, c->path) != 0)
        return err_set(err, ERR_IO, "cannot name the socket %s: %s", c->path, strerror(errno));
    c->open = true;
    return OK;
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
    uv_close((uv_handle_t *)&c->server, on_handle_closed);
    uv_close((uv_handle_t *)&c->look, on_handle_closed);
    unlink(c->open ? c->path : c->made);
}

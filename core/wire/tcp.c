/* tcp - see tcp.h for the states. */
#include "wire/tcp.h"

#include "base/buf.h"
#include "base/failpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SPARES_MAX = 4,       /* finished writes that are kept for the next ones */
    SPARE_KEPT = 1 << 20, /* memory that a spare may keep */
    WRITE_MAX = 1 << 30,  /* the owner bounds its backlog; this is only a backstop */
};

enum tcp_state { STATE_RESOLVE, STATE_CONNECT, STATE_OPEN, STATE_FAILED, STATE_CLOSING };

struct tcp;

/* One uv_write and the bytes that it sends. */
struct tcp_write {
    uv_write_t request;     /* the loop's */
    struct tcp *tcp;        /* whose it is */
    struct buf bytes;       /* owned until the kernel has them */
    struct tcp_write *next; /* among the spares */
};

struct tcp {
    struct stream stream;               /* must be first */
    const struct stream_events *events; /* lent */
    void *arg;                          /* of events */
    uv_loop_t *loop;                    /* lent */
    uv_tcp_t socket;                    /* made anew for every address */
    uv_timer_t timer;                   /* patience with an address */
    uv_getaddrinfo_t resolve;           /* busy in STATE_RESOLVE */
    uv_connect_t connect;               /* busy in STATE_CONNECT */
    enum tcp_state state;               /* see tcp.h */
    bool resolving;                     /* the resolver's callback is still to come */
    bool has_socket;                    /* the socket is open or being closed */
    bool socket_closing;                /* uv_close was called on it */
    bool timer_closed;                  /* its close callback came */
    struct addrinfo *found;             /* all addresses; owned */
    struct addrinfo *next;              /* the address to try next */
    struct err why;                     /* why the address before failed */
    struct tcp_write *spares;           /* finished writes */
    size_t n_spares;                    /* how many */
    size_t backlog;                     /* bytes of unfinished writes */
    char name[300];                     /* "host:port", for people */
    char input[TCP_READ_SIZE];          /* the bytes of one read */
};

static void try_next(struct tcp *t);

static struct tcp *tcp_of(struct stream *s)
{
    return (struct tcp *)(void *)s;
}

static void free_writes(struct tcp *t)
{
    while (t->spares != NULL) {
        struct tcp_write *w = t->spares;

        t->spares = w->next;
        buf_free(&w->bytes);
        free(w);
    }
}

/* Everything that the loop knew of is gone when the last callback came. */
static void finish_if_closed(struct tcp *t)
{
    const struct stream_events *events = t->events;
    void *arg = t->arg;

    if (t->state != STATE_CLOSING || t->resolving || t->has_socket || !t->timer_closed)
        return;
    free_writes(t);
    if (t->found != NULL)
        uv_freeaddrinfo(t->found);
    free(t);
    events->closed(arg);
}

static void on_socket_closed(uv_handle_t *handle)
{
    struct tcp *t = handle->data;

    t->has_socket = t->socket_closing = false;
    if (t->state == STATE_CONNECT)
        try_next(t);
    else
        finish_if_closed(t);
}

static void close_socket(struct tcp *t)
{
    if (!t->has_socket || t->socket_closing)
        return;
    t->socket_closing = true;
    uv_close((uv_handle_t *)&t->socket, on_socket_closed);
}

/* `failed` comes once: nothing but close follows. */
static void fail(struct tcp *t, const struct err *why)
{
    if (t->state == STATE_CLOSING || t->state == STATE_FAILED)
        return;
    t->state = STATE_FAILED;
    uv_timer_stop(&t->timer);
    if (t->has_socket && !t->socket_closing)
        uv_read_stop((uv_stream_t *)&t->socket);
    t->events->failed(t->arg, why);
}

static void fail_uv(struct tcp *t, const char *what, int code)
{
    struct err why;

    err_set(&why, ERR_IO, "%s %s: %s", what, t->name, uv_strerror(code));
    fail(t, &why);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct tcp *t = handle->data;

    (void)suggested;
    *out = uv_buf_init(t->input, sizeof t->input);
}

static void on_read(uv_stream_t *socket, ssize_t n, const uv_buf_t *bytes)
{
    struct tcp *t = socket->data;
    struct err why;

    if (t->state != STATE_OPEN || n == 0)
        return;
    if (n > 0) {
        t->events->data(t->arg, bytes->base, (size_t)n);
    } else if (n == UV_EOF) {
        err_set(&why, ERR_CLOSED, "%s closed the connection", t->name);
        fail(t, &why);
    } else {
        fail_uv(t, "lost the connection to", (int)n);
    }
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct tcp *t = connect->data;

    if (t->state != STATE_CONNECT)
        return; /* closing: the socket's own callback comes next */
    uv_timer_stop(&t->timer);
    if (status == 0)
        status = uv_tcp_nodelay(&t->socket, 1);
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&t->socket, on_alloc, on_read);
    if (status == 0) {
        t->state = STATE_OPEN;
        t->events->opened(t->arg);
        return;
    }
    if (status != UV_ECANCELED) /* else the timer ended it and said why */
        err_set(&t->why, ERR_IO, "cannot connect to %s: %s%s", t->name, uv_strerror(status),
                status == UV_ECONNREFUSED ? " (is the broker running there?)" : "");
    close_socket(t);
}

static void on_patience_end(uv_timer_t *timer)
{
    struct tcp *t = timer->data;

    if (t->state != STATE_CONNECT)
        return;
    err_set(&t->why, ERR_IO, "cannot connect to %s: no answer in %d s", t->name,
            TCP_ADDRESS_MS / 1000);
    close_socket(t);
}

static int start_connect(struct tcp *t, const struct addrinfo *address)
{
    int rc = uv_tcp_init(t->loop, &t->socket);

    if (rc != 0)
        return rc;
    t->socket.data = t;
    t->has_socket = true;
    t->connect.data = t;
    rc = uv_tcp_connect(&t->connect, &t->socket, address->ai_addr, on_connected);
    if (rc == 0 && t->next != NULL)
        rc = uv_timer_start(&t->timer, on_patience_end, TCP_ADDRESS_MS, 0);
    return rc;
}

/* The next address, or the end: called with no socket. */
static void try_next(struct tcp *t)
{
    struct addrinfo *address = t->next;
    int rc;

    if (address == NULL) {
        fail(t, &t->why);
        return;
    }
    t->next = address->ai_next;
    rc = start_connect(t, address);
    if (rc == 0)
        return;
    err_set(&t->why, ERR_IO, "cannot connect to %s: %s", t->name, uv_strerror(rc));
    if (t->has_socket)
        close_socket(t); /* its callback goes on */
    else
        fail(t, &t->why);
}

static void on_resolved(uv_getaddrinfo_t *resolve, int status, struct addrinfo *found)
{
    struct tcp *t = resolve->data;

    t->resolving = false;
    t->found = t->next = found;
    if (t->state == STATE_CLOSING) {
        finish_if_closed(t);
        return;
    }
    if (status != 0) {
        fail_uv(t, "cannot find the address of", status);
        return;
    }
    t->state = STATE_CONNECT;
    err_set(&t->why, ERR_IO, "cannot connect to %s: the name has no address", t->name);
    try_next(t);
}

static void keep_spare(struct tcp *t, struct tcp_write *w)
{
    buf_clear(&w->bytes);
    if (t->n_spares == SPARES_MAX || w->bytes.cap > SPARE_KEPT) {
        buf_free(&w->bytes);
        free(w);
        return;
    }
    w->next = t->spares;
    t->spares = w;
    t->n_spares++;
}

static struct tcp_write *take_spare(struct tcp *t)
{
    struct tcp_write *w = t->spares;

    if (w != NULL) {
        t->spares = w->next;
        t->n_spares--;
        return w;
    }
    w = calloc(1, sizeof *w);
    if (w != NULL) {
        w->tcp = t;
        w->request.data = w;
        buf_init(&w->bytes, WRITE_MAX);
    }
    return w;
}

static void on_written(uv_write_t *request, int status)
{
    struct tcp_write *w = request->data;
    struct tcp *t = w->tcp;

    t->backlog -= w->bytes.len;
    keep_spare(t, w);
    if (t->state != STATE_OPEN)
        return;
    if (status != 0)
        fail_uv(t, "lost the connection to", status);
    else if (t->backlog == 0)
        t->events->drained(t->arg);
}

static int start_write(struct tcp *t, struct tcp_write *w, struct err *err)
{
    uv_buf_t bytes = {.base = w->bytes.data, .len = w->bytes.len};
    int rc;

    if (failpoint_is_next("send_half")) {
        uv_buf_t half = {.base = w->bytes.data, .len = w->bytes.len / 2};

        (void)uv_try_write((uv_stream_t *)&t->socket, &half, 1); /* it dies of it next */
    }
    failpoint("send_half");
    rc = uv_write(&w->request, (uv_stream_t *)&t->socket, &bytes, 1, on_written);

    if (rc == 0) {
        t->backlog += w->bytes.len;
        return OK;
    }
    keep_spare(t, w);
    return err_set(err, ERR_CLOSED, "cannot write to %s: %s", t->name, uv_strerror(rc));
}

static int begin_write(struct tcp *t, struct tcp_write **w, struct err *err)
{
    if (t->state != STATE_OPEN)
        return err_set(err, ERR_CLOSED, "not connected to %s", t->name);
    *w = take_spare(t);
    return *w != NULL ? OK : err_set(err, ERR_NOMEM, "out of memory for a write");
}

static int tcp_write(struct stream *s, const char *bytes, size_t len, struct err *err)
{
    struct tcp *t = tcp_of(s);
    struct tcp_write *w;
    int rc = begin_write(t, &w, err);

    if (rc != OK)
        return rc;
    if (buf_append(&w->bytes, bytes, len) != OK) {
        keep_spare(t, w);
        return err_set(err, ERR_NOMEM, "out of memory for a write of %zu bytes", len);
    }
    return start_write(t, w, err);
}

/* The two buffers change places, each keeping its own ceiling. */
static int tcp_give(struct stream *s, struct buf *b, struct err *err)
{
    struct tcp *t = tcp_of(s);
    const size_t max = b->max;
    struct tcp_write *w;
    struct buf given = *b;
    int rc = begin_write(t, &w, err);

    if (rc != OK)
        return rc;
    *b = w->bytes;
    b->max = max;
    w->bytes = given;
    w->bytes.max = WRITE_MAX;
    return start_write(t, w, err);
}

static size_t tcp_backlog(const struct stream *s)
{
    return ((const struct tcp *)(const void *)s)->backlog;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct tcp *t = handle->data;

    t->timer_closed = true;
    finish_if_closed(t);
}

/* The resolver's thread may be in the middle of its work: its callback comes in any
 * case, cancelled or not, and is waited for. */
static void tcp_close(struct stream *s)
{
    struct tcp *t = tcp_of(s);

    if (t->state == STATE_CLOSING)
        return;
    t->state = STATE_CLOSING;
    if (t->resolving)
        (void)uv_cancel((uv_req_t *)&t->resolve);
    close_socket(t);
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static const struct stream_ops tcp_ops = {
    .write = tcp_write,
    .give = tcp_give,
    .backlog = tcp_backlog,
    .close = tcp_close,
};

static int start_resolve(struct tcp *t, const char *host, uint16_t port)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_protocol = IPPROTO_TCP,
    };
    char service[8];

    snprintf(service, sizeof service, "%u", (unsigned)port);
    t->resolve.data = t;
    return uv_getaddrinfo(t->loop, &t->resolve, on_resolved, host, service, &hints);
}

static struct stream *tcp_open(void *arg, uv_loop_t *loop, const char *host, uint16_t port,
                               const struct stream_events *events, void *events_arg,
                               struct err *err)
{
    struct tcp *t = calloc(1, sizeof *t);
    int rc;

    (void)arg;
    if (t == NULL) {
        err_set(err, ERR_NOMEM, "out of memory for a connection");
        return NULL;
    }
    t->stream.ops = &tcp_ops;
    t->events = events;
    t->arg = events_arg;
    t->loop = loop;
    snprintf(t->name, sizeof t->name, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u", host,
             (unsigned)port);
    rc = start_resolve(t, host, port);
    if (rc != 0) {
        err_set(err, ERR_IO, "cannot find the address of %s: %s", t->name, uv_strerror(rc));
        free(t);
        return NULL;
    }
    t->resolving = true;
    t->timer.data = t;
    (void)uv_timer_init(loop, &t->timer); /* cannot fail */
    return &t->stream;
}

const struct stream_factory tcp_streams = {.open = tcp_open, .arg = NULL, .certificate = false};

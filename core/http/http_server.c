/* http_server - see http_server.h: the daemon in the loop, and the lines it has. */
#include "http/http_server_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 64,
    SILENCE_S = 10,         /* of a connection, then it is closed */
    MEMORY_MAX = 16 * 1024, /* of a connection: its request's headers */
    LOOK_MS = 1000,
    READING_MS = 30000, /* a request is complete by then */
    SENDING_MS = 60000, /* and its answer is read */
    REST_FOR_EACH = 9,  /* times of what was worked: a tenth of the loop's time at most */
    REST_MAX_MS = 200,
};

/* No path of ours has an escape, and one that is undone could end a path early (%00). */
static size_t keep_escapes(void *arg, struct MHD_Connection *c, char *text)
{
    (void)arg;
    (void)c;
    return strlen(text);
}

static bool is_overdue(const struct http_line *l, uint64_t now_ms)
{
    if (l->state == HTTP_READING)
        return now_ms - l->since_ms > READING_MS;
    return l->state == HTTP_SENDING && now_ms - l->since_ms > SENDING_MS;
}

/* Who has gone in the middle of a request. The daemon is not told where the end came together with
 * bytes that it read, and would keep the place until SILENCE_S (libmicrohttpd 0.9.75 with epoll).
 */
static bool has_left(const struct http_line *l)
{
    char byte;

    return l->state == HTTP_READING && recv(l->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* Who sends a byte now and then is never silent. The daemon finds the end of the connection. */
static void on_look(uv_timer_t *timer)
{
    struct http_server *s = timer->data;
    uint64_t now_ms = uv_now(timer->loop);

    for (struct http_line *l = s->lines; l != NULL; l = l->next)
        if (is_overdue(l, now_ms) || has_left(l))
            (void)shutdown(l->fd, SHUT_RDWR); /* it may be gone already */
    if (s->lines == NULL)
        uv_timer_stop(timer);
}

static void open_line(struct http_server *s, struct MHD_Connection *c, void **context)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_line *l = info != NULL ? calloc(1, sizeof *l) : NULL;

    *context = l;
    if (l == NULL)
        return; /* one that nobody looks at: its silence ends it */
    l->fd = info->connect_fd;
    l->since_ms = uv_now(s->settings.loop);
    l->next = s->lines;
    l->link = &s->lines;
    if (l->next != NULL)
        l->next->link = &l->next;
    s->lines = l;
    if (!uv_is_active((uv_handle_t *)&s->look))
        (void)uv_timer_start(&s->look, on_look, LOOK_MS, LOOK_MS); /* fails without callback only */
}

static void close_line(void **context)
{
    struct http_line *l = *context;

    if (l == NULL)
        return;
    *l->link = l->next;
    if (l->next != NULL)
        l->next->link = l->link;
    free(l);
    *context = NULL;
}

/* An MHD_NotifyConnectionCallback. */
static void on_line(void *arg, struct MHD_Connection *c, void **context,
                    enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        open_line(arg, c, context);
    else
        close_line(context);
}

void http_line_enter(struct http_server *s, struct MHD_Connection *c, enum http_line_state state)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_line *l = info != NULL ? info->socket_context : NULL;

    if (l == NULL)
        return;
    l->state = state;
    l->since_ms = uv_now(s->settings.loop);
}

static unsigned connections(const struct http_server *s)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

    return info != NULL ? info->num_connections : 0;
}

static void on_again(uv_timer_t *timer);
static void on_sockets(uv_poll_t *poll, int status, int events);

/* What came meanwhile waits in the kernel. */
static void rest(struct http_server *s, uint64_t ms)
{
    uv_poll_stop(&s->sockets);
    s->resting = true;
    uv_timer_start(&s->again, on_again, ms < REST_MAX_MS ? ms : REST_MAX_MS, 0);
}

static void wait_for_more(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;

    if (MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES)
        uv_timer_start(&s->again, on_again, wait_ms, 0);
    else
        uv_timer_stop(&s->again);
}

/* Does what there is to do, and has the loop come back. A daemon that had all the connections it
 * may have does not listen, and begins to at the run after one of them has gone. */
static void serve(struct http_server *s)
{
    uint64_t began = uv_hrtime(), rest_ms;
    unsigned before;

    do {
        before = connections(s);
        (void)MHD_run(s->daemon); /* fails for a daemon with threads alone */
    } while (before >= CONNECTIONS_MAX && connections(s) < CONNECTIONS_MAX);
    rest_ms = (uv_hrtime() - began) * REST_FOR_EACH / 1000000;
    if (rest_ms > 0)
        rest(s, rest_ms);
    else
        wait_for_more(s);
}

static void on_again(uv_timer_t *timer)
{
    struct http_server *s = timer->data;

    if (s->resting)
        (void)uv_poll_start(&s->sockets, UV_READABLE, on_sockets); /* as it could before */
    s->resting = false;
    serve(s);
}

static void on_sockets(uv_poll_t *poll, int status, int events)
{
    (void)status; /* libmicrohttpd finds out itself */
    (void)events;
    serve(poll->data);
}

/* Never at once: it may have been called from within. */
void http_server_wake(struct http_server *s)
{
    if (!s->resting)
        uv_timer_start(&s->again, on_again, 0, 0);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;

    if (--s->handles == 0)
        free(s);
}

static int start_daemon(struct http_server *s, struct err *err)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME;
    int fd, rc = http_address_read(s->settings.address, &s->address, err);

    if (rc == OK)
        rc = http_address_listen(&s->address, s->settings.address, &fd, err);
    if (rc != OK)
        return rc;
    s->port = http_address_port(fd);
    s->daemon = MHD_start_daemon(
        flags | (s->address.at.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0U), 0, NULL, NULL,
        http_exchange_run, s, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY_MAX, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, NULL, MHD_OPTION_URI_LOG_CALLBACK, http_exchange_new, s,
        MHD_OPTION_NOTIFY_COMPLETED, http_exchange_end, s, MHD_OPTION_NOTIFY_CONNECTION, on_line, s,
        MHD_OPTION_END);
    return s->daemon != NULL ? OK
                             : err_set(err, ERR_FAILED, "cannot serve HTTP at %s: %s",
                                       s->settings.address, strerror(errno));
}

static int watch(struct http_server *s, struct err *err)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    if (info == NULL || uv_poll_init(s->settings.loop, &s->sockets, info->epoll_fd) != 0)
        return err_set(err, ERR_FAILED, "cannot watch the sockets of HTTP");
    (void)uv_timer_init(s->settings.loop, &s->again); /* neither fails */
    (void)uv_timer_init(s->settings.loop, &s->look);
    s->sockets.data = s->again.data = s->look.data = s;
    s->handles = 3;
    if (uv_poll_start(&s->sockets, UV_READABLE, on_sockets) != 0)
        return err_set(err, ERR_FAILED, "cannot watch the sockets of HTTP");
    serve(s);
    return OK;
}

int http_server_start(struct http_server **out, const struct http_settings *settings,
                      struct err *err)
{
    struct http_server *s = calloc(1, sizeof *s);
    int rc;

    *out = s;
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->settings = *settings;
    rc = start_daemon(s, err);
    if (rc == OK)
        rc = watch(s, err);
    if (rc != OK)
        http_server_stop(out);
    return rc;
}

unsigned http_server_port(const struct http_server *s)
{
    return s->port;
}

/* A daemon must not be stopped while connections are suspended (its manual). */
static void stop_daemon(struct http_server *s)
{
    if (s->handles > 0)
        uv_poll_stop(&s->sockets); /* before its descriptor is closed */
    while (s->working != NULL)
        http_request_refuse(&s->working->request, MHD_HTTP_SERVICE_UNAVAILABLE, "the router stops");
    (void)MHD_run(s->daemon); /* what can be sent is */
    MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    if (http_address_is_unix(&s->address))
        (void)unlink(((const struct sockaddr_un *)&s->address.at)->sun_path); /* it may be gone */
}

void http_server_stop(struct http_server **out)
{
    struct http_server *s = *out;

    *out = NULL;
    if (s == NULL)
        return;
    if (s->daemon != NULL)
        stop_daemon(s);
    if (s->handles == 0) {
        free(s);
        return;
    }
    uv_close((uv_handle_t *)&s->sockets, on_closed);
    uv_close((uv_handle_t *)&s->again, on_closed);
    uv_close((uv_handle_t *)&s->look, on_closed);
}

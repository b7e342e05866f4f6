/* http_server - see http_server.h. */
#include "http/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECTIONS_MAX = 64,
    SILENCE_S = 10,         /* of a connection, then it is closed */
    MEMORY_MAX = 16 * 1024, /* of a connection: its request's headers */
    HOST_MAX = 64,
    WORDS_MAX = 64, /* of those below */
    BODY_MAX = 4 * 1024 * 1024,
};

struct http_server {
    struct MHD_Daemon *daemon; /* NULL: stopped */
    uv_poll_t sockets;         /* its epoll descriptor */
    uv_timer_t silence;        /* when it wants to look for who stands still */
    int handles;               /* that the loop has */
    http_answer_fn *fn;
    void *arg;
    unsigned port;
};

static int no_address(const char *address, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "\"%s\" is no address to listen at: HOST:PORT is wanted, with a number for the "
                   "host, such as 127.0.0.1:9121, 0.0.0.0:9121 or [::1]:9121",
                   address);
}

/* 0 to 65535, or -1. */
static int read_port(const char *text)
{
    char *end;
    long port;

    if (text[0] < '0' || text[0] > '9' || strlen(text) > 5)
        return -1;
    port = strtol(text, &end, 10);
    return *end == '\0' && port <= 65535 ? (int)port : -1;
}

static int read_address(const char *address, struct sockaddr_storage *out, struct err *err)
{
    const char *colon = strrchr(address, ':');
    size_t len = colon != NULL ? (size_t)(colon - address) : 0;
    int port = colon != NULL ? read_port(colon + 1) : -1;
    bool six = len > 2 && address[0] == '[' && address[len - 1] == ']';
    char host[HOST_MAX];

    if (port < 0 || len == 0 || len >= sizeof host)
        return no_address(address, err);
    memset(out, 0, sizeof *out);
    memcpy(host, six ? address + 1 : address, six ? len - 2 : len);
    host[six ? len - 2 : len] = '\0';
    if ((six ? uv_ip6_addr(host, port, (struct sockaddr_in6 *)out)
             : uv_ip4_addr(host, port, (struct sockaddr_in *)out)) != 0)
        return no_address(address, err);
    return OK;
}

int http_server_check(const char *address, struct err *err)
{
    struct sockaddr_storage unused;

    return read_address(address, &unused, err);
}

static enum MHD_Result send_text(struct MHD_Connection *c, unsigned status, const char *type,
                                 void *data, size_t len)
{
    struct MHD_Response *r = MHD_create_response_from_buffer(len, data, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result sent;

    if (r == NULL)
        return MHD_NO; /* the connection is closed */
    /* A header that there is no memory for is missing, which is no harm. */
    (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    (void)MHD_add_response_header(r, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    (void)MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (status == MHD_HTTP_METHOD_NOT_ALLOWED)
        (void)MHD_add_response_header(r, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    sent = MHD_queue_response(c, status, r);
    MHD_destroy_response(r);
    return sent;
}

#define PLAIN "text/plain; charset=utf-8"

static enum MHD_Result send_words(struct MHD_Connection *c, unsigned status, const char *words)
{
    char text[WORDS_MAX];
    int len = snprintf(text, sizeof text, "%s\n", words);

    return send_text(c, status, PLAIN, text, (size_t)len);
}

static enum MHD_Result send_answer(struct http_server *s, struct MHD_Connection *c,
                                   const char *path)
{
    struct http_answer a = {.status = MHD_HTTP_OK, .type = PLAIN};
    enum MHD_Result sent;

    buf_init(&a.body, BODY_MAX);
    if (!s->fn(s->arg, path, &a))
        sent = send_words(c, MHD_HTTP_NOT_FOUND, "not found");
    else if (a.body.failed)
        sent = send_words(c, MHD_HTTP_INTERNAL_SERVER_ERROR, "out of memory");
    else
        sent = send_text(c, a.status, a.type, a.body.data, a.body.len);
    buf_free(&a.body);
    return sent;
}

/* An MHD_AccessHandlerCallback. Who sends a body is answered before it is read, and hung up on. */
static enum MHD_Result on_request(void *arg, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **begun)
{
    (void)version;
    (void)upload;
    (void)upload_size;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return send_words(c, MHD_HTTP_METHOD_NOT_ALLOWED, "only GET and HEAD");
    if (*begun == NULL) { /* the headers; it is called again for the end of the request */
        *begun = arg;
        return MHD_YES;
    }
    return send_answer(arg, c, url);
}

/* No path of ours has an escape, and one that is undone could end a path early (%00). */
static size_t keep_escapes(void *arg, struct MHD_Connection *c, char *text)
{
    (void)arg;
    (void)c;
    return strlen(text);
}

static void serve(struct http_server *s);

static void on_silence(uv_timer_t *timer)
{
    serve(timer->data);
}

static unsigned connections(const struct http_server *s)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS);

    return info != NULL ? info->num_connections : 0;
}

/* Does what there is to do, and has the loop come back. A daemon that had all the connections it
 * may have does not listen, and begins to at the run after one of them has gone. */
static void serve(struct http_server *s)
{
    MHD_UNSIGNED_LONG_LONG wait_ms;
    unsigned before;

    do {
        before = connections(s);
        (void)MHD_run(s->daemon); /* fails for a daemon with threads alone */
    } while (before >= CONNECTIONS_MAX && connections(s) < CONNECTIONS_MAX);
    if (MHD_get_timeout(s->daemon, &wait_ms) == MHD_YES)
        uv_timer_start(&s->silence, on_silence, wait_ms, 0);
    else
        uv_timer_stop(&s->silence);
}

static void on_sockets(uv_poll_t *poll, int status, int events)
{
    (void)status; /* libmicrohttpd finds out itself */
    (void)events;
    serve(poll->data);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_server *s = handle->data;

    if (--s->handles == 0)
        free(s);
}

static int start_daemon(struct http_server *s, const char *address, struct err *err)
{
    struct sockaddr_storage at;
    const union MHD_DaemonInfo *info;
    int rc = read_address(address, &at, err);

    if (rc != OK)
        return rc;
    s->daemon = MHD_start_daemon(
        MHD_USE_EPOLL | (at.ss_family == AF_INET6 ? MHD_USE_IPv6 : 0), 0, NULL, NULL, on_request, s,
        MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)SILENCE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)MEMORY_MAX, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL, MHD_OPTION_END);
    if (s->daemon == NULL)
        return err_set(err, ERR_CONFIG, "cannot listen at %s: %s: choose another address or port",
                       address, strerror(errno));
    info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_BIND_PORT);
    s->port = info != NULL ? info->port : 0;
    return OK;
}

static int watch(struct http_server *s, uv_loop_t *loop, struct err *err)
{
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(s->daemon, MHD_DAEMON_INFO_EPOLL_FD);

    if (info == NULL || uv_poll_init(loop, &s->sockets, info->epoll_fd) != 0)
        return err_set(err, ERR_FAILED, "cannot watch the sockets of HTTP");
    (void)uv_timer_init(loop, &s->silence); /* never fails */
    s->sockets.data = s->silence.data = s;
    s->handles = 2;
    if (uv_poll_start(&s->sockets, UV_READABLE, on_sockets) != 0)
        return err_set(err, ERR_FAILED, "cannot watch the sockets of HTTP");
    serve(s);
    return OK;
}

int http_server_start(struct http_server **out, uv_loop_t *loop, const char *address,
                      http_answer_fn *fn, void *arg, struct err *err)
{
    struct http_server *s = calloc(1, sizeof *s);
    int rc;

    *out = s;
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->fn = fn;
    s->arg = arg;
    rc = start_daemon(s, address, err);
    if (rc == OK)
        rc = watch(s, loop, err);
    if (rc != OK)
        http_server_stop(out);
    return rc;
}

unsigned http_server_port(const struct http_server *s)
{
    return s->port;
}

void http_server_stop(struct http_server **out)
{
    struct http_server *s = *out;

    *out = NULL;
    if (s == NULL)
        return;
    if (s->handles > 0)
        uv_poll_stop(&s->sockets); /* before its descriptor is closed */
    if (s->daemon != NULL)
        MHD_stop_daemon(s->daemon);
    s->daemon = NULL;
    if (s->handles == 0) {
        free(s);
        return;
    }
    uv_close((uv_handle_t *)&s->sockets, on_closed);
    uv_close((uv_handle_t *)&s->silence, on_closed);
}

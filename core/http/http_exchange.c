/* http_exchange - a request and its answer (http_server.h). */
#include "http/http_server_int.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ANSWER_MAX = 64 * 1024 * 1024,
    BODIES_MAX = 48 * 1024 * 1024, /* of all that are on their way in */
    WORDS_MAX = 512,
};

#define PLAIN "text/plain; charset=utf-8"

void http_answer_init(struct http_answer *a)
{
    *a = (struct http_answer){.status = MHD_HTTP_OK, .type = PLAIN};
    buf_init(&a->body, ANSWER_MAX);
}

static struct http_exchange *exchange_of(struct http_request *r)
{
    return (struct http_exchange *)r;
}

const char *http_request_header(const struct http_request *r, const char *name)
{
    return MHD_lookup_connection_value(((const struct http_exchange *)r)->connection,
                                       MHD_HEADER_KIND, name);
}

/* A header that there is no memory for is missing, which is no harm. */
static void add_fields(struct MHD_Response *response, const struct http_field *fields)
{
    for (const struct http_field *f = fields; f != NULL && f->name != NULL; f++)
        (void)MHD_add_response_header(response, f->name, f->value);
}

/* NULL: there is no memory. */
static struct MHD_Response *make_response(const struct http_server *s, struct http_answer *a)
{
    const struct http_field usual[] = {{MHD_HTTP_HEADER_CONTENT_TYPE, a->type},
                                       {MHD_HTTP_HEADER_CACHE_CONTROL, "no-store"},
                                       {"X-Content-Type-Options", "nosniff"},
                                       {NULL, NULL}};
    static char none[] = "";
    bool empty = a->body.data == NULL;
    struct MHD_Response *response =
        MHD_create_response_from_buffer(a->body.len, empty ? none : a->body.data,
                                        empty ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_FREE);

    if (response == NULL)
        return NULL;
    buf_init(&a->body, 0); /* its bytes are the response's */
    add_fields(response, usual);
    add_fields(response, s->settings.fields);
    add_fields(response, a->fields);
    return response;
}

static void go_on(struct http_exchange *x)
{
    *x->link = x->next;
    if (x->next != NULL)
        x->next->link = x->link;
    x->suspended = false;
    MHD_resume_connection(x->connection);
    http_server_wake(x->server);
}

void http_request_answer(struct http_request *r, struct http_answer *a)
{
    struct http_exchange *x = exchange_of(r);
    struct MHD_Response *response;

    REQUIRE(!x->answered);
    if (a->body.failed) {
        buf_free(&a->body);
        a->status = MHD_HTTP_INTERNAL_SERVER_ERROR;
    }
    response = make_response(x->server, a);
    buf_free(&a->body);
    x->answered = true;
    x->failed = response == NULL;
    if (response != NULL) {
        http_line_enter(x->server, x->connection, HTTP_SENDING);
        x->sent = MHD_queue_response(x->connection, a->status, response);
        MHD_destroy_response(response);
    }
    if (x->suspended)
        go_on(x);
}

void http_request_refuse(struct http_request *r, unsigned status, const char *words)
{
    struct http_answer a;

    http_answer_init(&a);
    a.status = status;
    buf_printf(&a.body, "%.*s\n", WORDS_MAX, words);
    http_request_answer(r, &a);
}

void *http_exchange_new(void *arg, const char *uri, struct MHD_Connection *c)
{
    size_t len = strlen(uri);
    struct http_exchange *x = calloc(1, sizeof *x + len + 1);
    char *query;

    if (x == NULL)
        return NULL;
    x->server = arg;
    x->connection = c;
    x->sent = MHD_NO;
    memcpy(x->uri, uri, len + 1);
    query = strchr(x->uri, '?');
    if (query != NULL)
        *query++ = '\0';
    x->request.path = x->uri;
    x->request.query = query != NULL ? query : "";
    buf_init(&x->body, 0);
    return x;
}

void http_exchange_end(void *arg, struct MHD_Connection *c, void **exchange,
                       enum MHD_RequestTerminationCode why)
{
    struct http_exchange *x = *exchange;
    struct http_server *s = arg;

    (void)why;
    if (x == NULL)
        return;
    REQUIRE(!x->suspended);
    http_line_enter(s, c, HTTP_READING);
    s->promised -= x->promised;
    buf_free(&x->body);
    free(x);
    *exchange = NULL;
}

/* How long the body may get by its headers; false: longer than it may be. */
static bool read_length(const struct http_exchange *x, size_t *len_out)
{
    const char *length = http_request_header(&x->request, MHD_HTTP_HEADER_CONTENT_LENGTH);
    const char *encoding = http_request_header(&x->request, MHD_HTTP_HEADER_TRANSFER_ENCODING);
    unsigned long long n;

    *len_out = encoding != NULL ? x->request.body_max : 0;
    if (encoding != NULL || length == NULL)
        return encoding == NULL || x->request.body_max > 0;
    n = strtoull(length, NULL, 10); /* libmicrohttpd has judged it */
    *len_out = (size_t)n;
    return n <= x->request.body_max;
}

static void let_body_in(struct http_exchange *x)
{
    size_t len;

    if (!read_length(x, &len)) {
        http_request_refuse(&x->request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large");
    } else if (x->server->promised + len > BODIES_MAX) {
        http_request_refuse(&x->request, MHD_HTTP_SERVICE_UNAVAILABLE, "too much at once");
    } else {
        x->promised = len;
        x->server->promised += len;
        buf_init(&x->body, len);
    }
}

static enum MHD_Result begin(struct http_exchange *x, const char *method)
{
    x->begun = true;
    x->request.method = method;
    x->server->settings.begin(x->server->settings.arg, &x->request);
    if (!x->answered)
        let_body_in(x);
    return x->answered ? x->sent : MHD_YES;
}

static enum MHD_Result take(struct http_exchange *x, const char *bytes, size_t *n)
{
    if (buf_append(&x->body, bytes, *n) != OK)
        return MHD_NO; /* longer than it said, or no memory: it is hung up on */
    *n = 0;
    return MHD_YES;
}

static enum MHD_Result complete(struct http_exchange *x)
{
    struct http_server *s = x->server;

    http_line_enter(s, x->connection, HTTP_WORKING);
    x->request.body = (struct slice){x->body.data, x->body.len};
    s->settings.complete(s->settings.arg, &x->request);
    if (x->answered)
        return x->sent;
    MHD_suspend_connection(x->connection);
    x->suspended = true;
    x->next = s->working;
    x->link = &s->working;
    if (x->next != NULL)
        x->next->link = &x->next;
    s->working = x;
    return MHD_YES;
}

enum MHD_Result http_exchange_run(void *arg, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **exchange)
{
    struct http_exchange *x = *exchange;

    (void)arg, (void)c, (void)url, (void)version;
    if (x == NULL || x->failed)
        return MHD_NO;
    if (!x->begun)
        return begin(x, method);
    return *upload_size > 0 ? take(x, upload, upload_size) : complete(x);
}

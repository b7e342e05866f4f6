/* probe - see probe.h. */
#include "face/probe.h"

#include <stdlib.h>
#include <string.h>

struct probe {
    struct probe_settings settings;
    struct http_server *server;
};

/* An http_request_fn. Who sends a body is answered before it is read, and hung up on. */
static void begin(void *arg, struct http_request *r)
{
    static const struct http_field allow[] = {{"Allow", "GET, HEAD"}, {NULL, NULL}};
    struct http_answer a;

    (void)arg;
    if (strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0)
        return;
    http_answer_init(&a);
    a.status = 405;
    a.fields = allow;
    buf_text(&a.body, "only GET and HEAD\n");
    http_request_answer(r, &a);
}

/* An http_request_fn. */
static void complete(void *arg, struct http_request *r)
{
    struct probe *p = arg;

    if (health_answers(r->path))
        health_answer(p->settings.health, r);
    else
        http_request_refuse(r, 404, "not found");
}

int probe_start(struct probe **out, const struct probe_settings *s, struct err *err)
{
    struct probe *p = calloc(1, sizeof *p);
    struct http_settings http = {
        .loop = s->loop, .address = s->address, .begin = begin, .complete = complete, .arg = p};
    int rc;

    *out = p;
    if (p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    p->settings = *s;
    rc = http_server_start(&p->server, &http, err);
    if (rc == OK)
        log_event(s->log, LOG_INFO, "probe.listening",
                  LOG_FIELDS(log_text("address", s->address),
                             log_int("port", (int64_t)http_server_port(p->server))));
    else
        (void)err_prefix(err, "probe");
    return rc;
}

void probe_stop(struct probe **out)
{
    struct probe *p = *out;

    *out = NULL;
    if (p == NULL)
        return;
    http_server_stop(&p->server);
    free(p);
}

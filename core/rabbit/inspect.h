/*
 * inspect - compares what rules ask for with what a broker has, and changes nothing
 *
 * For `herald check --live`. One link, one channel that is opened again after each
 * refusal, one question at a time:
 *
 *              passive: ok                        active: ok, 406, 403
 *   ASKING ------------------> STATING ------------------------------> next question
 *      | passive: 404, 403, 405                                           ^
 *      '------------------------------------------------------------------'
 *
 * A passive declaration asks whether a thing exists; only where it does, an active one
 * asks whether it is what the rules state (AMQP answers 406 where it is not, and an
 * active declaration of what exists changes nothing). So it predicts what declare.h
 * would meet. What a queue is whose type no rule states, is asked by declarations that
 * cannot come true (queue_probe.h). Bindings cannot be seen over AMQP.
 */
#ifndef HERALD_RABBIT_INSPECT_H
#define HERALD_RABBIT_INSPECT_H

#include "base/clock.h"
#include "base/log.h"
#include "base/tls_settings.h"
#include "base/topology.h"
#include "wire/stream.h"

#include <uv.h>

enum inspect_severity {
    INSPECT_NOTE,    /* will happen, and is no mistake */
    INSPECT_WARNING, /* works, but perhaps not as meant */
    INSPECT_ERROR,   /* would be refused */
};

struct inspect_settings {
    uv_loop_t *loop; /* lent; run here until nothing of the inspection is left on it */
    struct log *log; /* lent; NULL is fine */
    struct clock clock;
    const char *url;                      /* lent: "amqp://..." */
    const char *password_file;            /* as in rabbit.h, and the next */
    const struct tls_settings *tls;       /* for amqps */
    int64_t timeout_ms;                   /* for all of it */
    const struct stream_factory *streams; /* NULL: TCP; below TLS, where that is spoken */
    char *server;                         /* lent; gets who answers: "RabbitMQ 3.10.8". NULL: no */
    size_t server_room;
};

/* Called once per finding, in the order of the topology: exchanges, queues,
 * destinations. `origin` ("rules/x.lua:3", or "" for what has none) and `text` are
 * lent. */
typedef void inspect_finding_fn(void *arg, enum inspect_severity severity, const char *origin,
                                const char *text);

/* OK when everything could be asked, whatever the findings; ERR_CONFIG for a bad URL;
 * ERR_BROKER, with the link's words, when the broker cannot be reached, is lost midway
 * or does not answer in time; ERR_NOMEM. */
int inspect_run(const struct inspect_settings *settings, const struct topology *t,
                inspect_finding_fn *finding, void *arg, struct err *err);

#endif

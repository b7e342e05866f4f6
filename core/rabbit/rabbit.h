/*
 * rabbit - the RabbitMQ driver of broker.h: two links, one to publish, one to consume
 *
 *         ops->start               ops->stop               nothing left on the loop
 *   NEW -------------> RUNNING ---------------> STOPPING ---------------------------> STOPPED
 *
 * In RUNNING each link connects, declares what its half needs, works, and starts over
 * by itself when anything goes wrong (link.h, declare.h, publish_channel.h, consume_channel.h have
 * those states). The consuming link is opened with the first subscription and stays open.
 * ops->drain may come at any time in RUNNING and is for good. It is ready when the publishing link
 * is up and not blocked, every subscription consumes, and no declaration of the rules
 * is refused.
 *
 * The first publish waits until the consuming link has declared, or for 10 s: else a
 * new router's first messages would be returned, since its own queues are not bound yet.
 * The same holds after a change that has new queues or bindings.
 *
 * Memory is bounded by `window` rows and the prefetches of the subscriptions.
 */
#ifndef HERALD_RABBIT_RABBIT_H
#define HERALD_RABBIT_RABBIT_H

#include "base/clock.h"
#include "base/log.h"
#include "base/tls_settings.h"
#include "broker/broker.h"
#include "wire/stream.h"
#include "wire/url.h"

struct rabbit_settings {
    uv_loop_t *loop; /* lent */
    struct log *log; /* lent */
    struct clock clock;
    const char *url;                /* parsed and copied */
    const char *name;               /* connection_name gets " publish" or " consume" added */
    int heartbeat_s;                /* where the URL gives none */
    const char *password_file;      /* read at each login, instead of the URL's; NULL: none; lent */
    const struct tls_settings *tls; /* for amqps; copied, its texts lent */
    size_t window;                  /* unconfirmed publishes at most */
    int64_t confirm_timeout_ms;
    int64_t backoff_min_ms;
    int64_t backoff_max_ms;
    size_t prefetch_bytes;                /* consumer.h */
    int64_t rescue_after;                 /* consumer.h */
    const struct stream_factory *streams; /* NULL: TCP; below TLS, where that is spoken */
    broker_wake_fn *wake;
    void *wake_arg;
};

const char *rabbit_codec_version(void); /* rabbitmq-c's */
const char *rabbit_tls_version(void);   /* OpenSSL's */

/* What rabbit_new would say of a URL: OK, ERR_CONFIG, or ERR_NOMEM. */
int rabbit_check_url(const char *url, struct err *err);

/* ERR_CONFIG for a bad URL. The result is freed by its ops->free, after stop. */
int rabbit_new(struct broker **b, const struct rabbit_settings *settings, struct err *err);

#endif

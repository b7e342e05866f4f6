/* consume_channel_why - why a queue is not consumed any more, in words that lead to a remedy
 * (consume_channel_int.h) */
#include "rabbit/consume_channel_int.h"

#include "rabbit/channel.h"
#include "rabbit/words.h"

#include <stdio.h>

const char *consume_channel_why_closed(const struct consume_channel *f,
                                       const amqp_channel_close_t *close, char *out, size_t size)
{
    char broker[240];

    switch (words_of(channel_why(close, broker, sizeof broker))) {
    case WORDS_STREAM:
        snprintf(out, size,
                 "queue \"%s\" is a stream: herald takes messages from classic and quorum queues; "
                 "name a queue in herald.subscribe (broker: %s)",
                 consume_channel_queue(f), broker);
        return out;
    case WORDS_IN_USE:
        snprintf(out, size,
                 "queue \"%s\" has another consumer, and one of the two is exclusive: it is tried "
                 "again until that one is gone (broker: %s)",
                 consume_channel_queue(f), broker);
        return out;
    default:
        return channel_why(close, out, size);
    }
}

bool consume_channel_must_stand_by(const struct consume_channel *f,
                                   const amqp_channel_close_t *close)
{
    char broker[240];

    return f->subscription->exclusive && f->dead[0] == '\0' &&
           words_of(channel_why(close, broker, sizeof broker)) == WORDS_IN_USE;
}

/* The broker does not say why. From RabbitMQ 4.3 a time-out for acks ends like this, too, on a
 * quorum queue. */
const char *consume_channel_why_cancelled(const struct consume_channel *f, char *out, size_t size)
{
    const int64_t held_ms =
        f->unacked.first != NULL ? clock_mono(&f->context->clock) - f->unacked.first->came_ms : 0;

    if (f->unacked.first == NULL)
        snprintf(out, size,
                 "the broker cancelled the consumer: the queue was deleted or is unavailable");
    else
        snprintf(
            out, size,
            "the broker cancelled the consumer: a message was unacked for %lld.%lld s, perhaps "
            "longer than the consumer timeout (RabbitMQ 4.3 and later), or the queue was "
            "deleted or is unavailable",
            (long long)held_ms / 1000, (long long)held_ms % 1000 / 100);
    return out;
}

bool consume_channel_is_absent(const struct consume_channel *f)
{
    return f->queue != NULL && declare_state(f->queue) == DECLARE_ABSENT;
}

void consume_channel_warn_unguarded(struct consume_channel *f)
{
    if (f->warned || arguments_find(&f->subscription->arguments, "x-dead-letter-exchange") != NULL)
        return; /* its rule says where they go */
    f->warned = true;
    log_event(f->context->log, LOG_WARN, "broker.no_dead_letter_queue",
              LOG_FIELDS(log_text("queue", consume_channel_queue(f)),
                         log_text("why", "it was there without: what comes back too often reaches "
                                         "the delivery limit (20 from RabbitMQ 4.0) and is lost "
                                         "unless a policy keeps it, or rescue_after is reached "
                                         "before; see herald check --live")));
}

void consume_channel_ask_limit(struct consume_channel *f)
{
    if (f->limit != NULL)
        return;
    f->limit = declare_limit(f->context->declare, consume_channel_queue(f));
    declare_step(f->context->declare);
}

bool consume_channel_is_undecided(const struct consume_channel *f)
{
    return f->limit != NULL && declare_state(f->limit) == DECLARE_WAITING;
}

int64_t consume_channel_rescue_after(const struct consume_channel *f, int64_t wanted)
{
    const int64_t limit = f->limit != NULL ? declare_limit_found(f->limit) : -1;

    if (limit < 0 || limit >= wanted)
        return wanted;
    return limit > 0 ? limit : 1;
}

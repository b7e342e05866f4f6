/* consume_channel_int - the inside of a consume_channel, for its own files */
#ifndef HERALD_RABBIT_CONSUME_CHANNEL_INT_H
#define HERALD_RABBIT_CONSUME_CHANNEL_INT_H

#include "base/backoff.h"
#include "rabbit/consume_channel.h"
#include "rabbit/dead_letter_queue.h"
#include "rabbit/reason.h"

enum consume_channel_state {
    CONSUME_CHANNEL_DOWN,
    CONSUME_CHANNEL_DECLARING,
    CONSUME_CHANNEL_OPENING,
    CONSUME_CHANNEL_CONSUMING,
    CONSUME_CHANNEL_CLOSING,
    CONSUME_CHANNEL_BACKOFF,
};

/* consume_channel_room.c. All is wide with zeros. */
struct consume_channel_room {
    size_t largest;  /* of its deliveries, since it became wide or narrow */
    uint16_t narrow; /* its prefetch while that is another than the subscription's; 0: it is wide */
    size_t reserved; /* bytes that it may need, while its channel is open and narrow */
    uint64_t ticket; /* its place among those that wait for room; 0: it does not */
    int64_t large_ms; /* when the last came for which it should be narrow */
    int64_t open_ms;  /* since when its channel is open */
};

struct consume_channel {
    struct consume_channel_context *context; /* lent */
    const struct subscription *subscription; /* lent; NULL: none yet, or no more */
    const struct subscription *next;         /* of the plan under way; lent; NULL */
    enum consume_channel_state state;
    uint16_t channel; /* its number; 0: none */
    bool standby; /* it is exclusive and another consumes: it waits for its turn, from try to try */
    bool is_short;                         /* DECLARING: the broker allows no further channel */
    enum broker_pace pace;                 /* its own */
    enum broker_pace opened_at;            /* pace for which the channel was opened */
    struct declare_item *queue;            /* its declaration; NULL without a subscription */
    char dead[DEAD_LETTER_QUEUE_NAME_MAX]; /* the dead-letter queue that it consumes; "": the queue
                                            */
    struct declare_item *limit;            /* of deliveries, once it was asked for; NULL */
    unsigned deserted;                     /* declare_deserted when the channel was opened */
    uint64_t incarnation;                  /* of this life of the channel */
    struct unacked_tags unacked;
    struct consume_channel_room room; /* how much it may have */
    bool draining;                    /* no further deliveries */
    bool warned;                      /* that its queue has no dead-letter queue */
    bool renewing;                    /* CLOSING: consumes again at once */
    int64_t due_ms;                   /* BACKOFF: end of it; OPENING, CLOSING: answer is due */
    int64_t since_ms;                 /* CONSUMING: since when */
    struct backoff backoff;           /* how long to wait */
    struct reason *why;               /* last trouble */
};

/* consume_channel_why.c: the broker closed the channel, or cancelled the consumer. Each writes one
 * line, cut to `size`, and returns `out`. */
const char *consume_channel_why_closed(const struct consume_channel *f,
                                       const amqp_channel_close_t *close, char *out, size_t size);
const char *consume_channel_why_cancelled(const struct consume_channel *f, char *out, size_t size);

/* Another one consumes this queue, which this one wants for itself. */
bool consume_channel_must_stand_by(const struct consume_channel *f,
                                   const amqp_channel_close_t *close);

/* Closes the channel: what is accepted is acked, the rest goes back, and it is opened again. */
void consume_channel_renew(struct consume_channel *f);

/* consume_channel_room.c: the prefetch for the channel that is opened next; whether it may be
 * opened now (else it waits for its turn); it was; it is gone. */
uint16_t consume_channel_room_prefetch(const struct consume_channel *f, uint16_t wanted);
bool consume_channel_room_enter(struct consume_channel *f);
void consume_channel_room_leave(struct consume_channel *f);

/* Between two turns: lets others have its room, or is as wide as it was. When to look again. */
void consume_channel_room_step(struct consume_channel *f);
int64_t consume_channel_room_due(const struct consume_channel *f);

/* A channel on which deliveries come, or are about to. */
bool consume_channel_has_channel(const struct consume_channel *f);

/* The channel is gone, and with it every tag: nothing of it will ever be acked. */
void consume_channel_end_incarnation(struct consume_channel *f);

/* What is accepted behind a gap is acked one by one, since nothing will close the gap. */
void consume_channel_ack_beyond_gaps(struct consume_channel *f);

/* Drops what no turn has. A turn takes from the front, so these are the last ones on the channel,
 * and no ack of another one covers them. */
void consume_channel_drop_queued(struct consume_channel *f);

#endif

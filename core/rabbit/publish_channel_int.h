/*
 * publish_channel_int - struct publish_channel, for publish_channel.c (its channel and its rows)
 * and publish_channel_turn.c (when it needs a channel, where there are few)
 */
#ifndef HERALD_RABBIT_PUBLISH_CHANNEL_INT_H
#define HERALD_RABBIT_PUBLISH_CHANNEL_INT_H

#include "base/backoff.h"
#include "rabbit/publish_channel.h"
#include "rabbit/reason.h"
#include "rabbit/window.h"

enum publish_channel_state {
    PUBLISH_CHANNEL_DOWN,
    PUBLISH_CHANNEL_DECLARING,
    PUBLISH_CHANNEL_OPENING,
    PUBLISH_CHANNEL_OPEN,
    PUBLISH_CHANNEL_CLOSING,
    PUBLISH_CHANNEL_BACKOFF,
};

struct publish_channel {
    struct publish_channel_context *context; /* lent */
    enum publish_channel_state state;
    char *exchange;                  /* "" for the default one */
    uint16_t channel;                /* its number; 0: none */
    bool eager;                      /* it opens though nobody has asked for it yet */
    bool asked;                      /* somebody has */
    bool gives_way;                  /* OPEN: it takes no more, and closes when it is idle */
    int64_t used_ms;                 /* when it was last asked for */
    struct declare_item *item;       /* its declaration; NULL for the default exchange */
    struct window *window;           /* rows in flight; empty but in OPEN */
    size_t reserved;                 /* places for publishes that are not sent yet */
    size_t careful;                  /* rows still to be sent one by one */
    bool refused;                    /* the broker closed the channel over the exchange itself */
    enum publish_outcome dropped_as; /* what rows without a word become that are dropped now */
    int64_t settled_ms;              /* when the outcomes at hand came, monotonic */
    int64_t due_ms;                  /* BACKOFF: end of it; OPENING, CLOSING: answer is due */
    struct backoff backoff;          /* how long to wait */
    struct reason *why;              /* last trouble: words for rows that are dropped */
    struct reason *returned;         /* words for rows that no queue took */
    int64_t asked_ms;                /* when bindings were last asked for after a return */
};

/* Its exchange is there. */
bool publish_channel_is_declared(const struct publish_channel *o);

#endif

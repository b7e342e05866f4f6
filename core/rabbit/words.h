/*
 * words - what a broker means by the text of a refusal
 *
 * RabbitMQ tells some things apart by words alone, and the words change: those of 3.10, 4.0 and
 * 4.3 are here, and nowhere else, each with a test. What none of them says means WORDS_UNKNOWN,
 * on which nothing may be decided to anybody's harm.
 */
#ifndef HERALD_RABBIT_WORDS_H
#define HERALD_RABBIT_WORDS_H

#include "base/text.h"

#include <stdbool.h>

enum words {
    WORDS_UNKNOWN,
    WORDS_ABSENT,          /* there is no queue or exchange of that name */
    WORDS_NODE_DOWN,       /* the queue exists, on a node that is down */
    WORDS_DIFFERENT,       /* it exists, but not as it was asked for: words_difference */
    WORDS_NO_EXCHANGE,     /* this user may not write to that exchange, or nobody may */
    WORDS_NO_TOPIC,        /* ... not with that routing key */
    WORDS_NO_RIGHT,        /* ... or may not make it, bind it or take from it */
    WORDS_STREAM,          /* what was to be consumed is a stream, which takes no x-priority */
    WORDS_IN_USE,          /* ... has another consumer, and one of the two is exclusive */
    WORDS_MESSAGE_REFUSED, /* no message like this one is taken: its size, a property, a header */
};

/* `why` is what channel_why gives: "404 NOT_FOUND - no queue 'q' in vhost '/'". */
enum words words_of(const char *why);

/* What WORDS_DIFFERENT is about, lent by `why`. */
struct words_difference {
    struct slice argument; /* "x-queue-type", "durable", ...; */
    struct slice there;    /* its value; "none" */
    struct slice type;     /* of that value, "longstr"; absent where it is as asked, or none */
    struct slice asked;    /* the one that was asked for; "none" */
};

/* False: it is about no difference. */
bool words_difference(const char *why, struct words_difference *out);

#endif

/*
 * topology - what rules ask of a broker: exchanges, queues, destinations
 *
 * Declared by Lua rules, carried out by a broker, looked up by the engine. All
 * strings are owned by whoever owns the struct (a generation) and live as long.
 */
#ifndef HERALD_BASE_TOPOLOGY_H
#define HERALD_BASE_TOPOLOGY_H

#include "base/arguments.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum exchange_kind {
    EXCHANGE_DEFAULT, /* the nameless one: the routing key is a queue's name */
    EXCHANGE_FANOUT,
    EXCHANGE_DIRECT,
    EXCHANGE_TOPIC,
    EXCHANGE_HEADERS, /* looks at headers and at the arguments of bindings */
};

/* AMQP's word for the kind: "fanout", "direct", "topic", "headers"; "direct" for the default. */
const char *exchange_kind_word(enum exchange_kind kind);
/* Back again; any other word, such as "queue", is of the default exchange. */
enum exchange_kind exchange_kind_of(const char *word);

/* Where a message goes, or where a queue is bound: an exchange and a key. */
struct destination {
    enum exchange_kind kind;
    const char *exchange;    /* "" for EXCHANGE_DEFAULT */
    const char *routing_key; /* "" where the exchange does not look at it */
};

/* What a queue must be. QUEUE_ANY takes what exists and creates quorum. */
enum queue_type { QUEUE_ANY, QUEUE_QUORUM, QUEUE_CLASSIC };

enum retry_kind { RETRY_FIXED, RETRY_LIST, RETRY_EXPONENTIAL };

/* When a failed attempt is tried again. `attempts` counts the first try too. */
struct retry_policy {
    int attempts;         /* tries in all; at least 1 */
    size_t n_delays;      /* RETRY_LIST by giving more than one */
    int64_t delay_ms[16]; /* delay after try 1, 2, ...; the last one repeats */
    double factor;        /* multiplies the last delay at each further try; 1: fixed */
    int64_t delay_max_ms; /* ceiling of a delay */
    double jitter;        /* 0 to 1: share of a delay that is drawn at random */
    int64_t max_age_ms;   /* since the first try; 0: no limit */
};

/* Where type, keys and id of a message are read. */
enum envelope_kind {
    ENVELOPE_AUTO,     /* the JSON body first, then the properties */
    ENVELOPE_RAW,      /* the properties alone; the body is any bytes */
    ENVELOPE_FUNCTION, /* what a function of the rules says (script_envelope) */
};

struct subscription {
    const char *queue;
    struct destination *from; /* the exchanges the queue is bound to */
    size_t n_from;
    struct arguments *from_arguments; /* of each of these bindings; NULL: none has any */
    /* Exchanges that are bound to others for its sake: each target takes from the source of the
     * same number, whose routing key and arguments are those of the binding. */
    const struct destination *targets;
    const struct destination *sources;
    const struct arguments *source_arguments; /* NULL: none has any */
    size_t n_sources;
    enum queue_type queue_type;
    struct arguments arguments; /* what it is made with, besides what herald gives it */
    int priority;               /* of the consumer, among others of the queue */
    bool exclusive;             /* no other consumer beside it */
    int prefetch;               /* unacked deliveries at most, 1 to 65535 */
    struct retry_policy retry;  /* for its handlers that have none of their own */
    size_t pause_after;         /* messages that fail alike in a row until it pauses; 0: never */
    bool unhandled_dead;        /* what no handler wants: true dead letter, false ack */
    int order_by;               /* business key 1 to 3 that names a message's lane; 0: none */
    bool hold;                  /* a dead letter keeps its lane waiting until a person comes */
    enum envelope_kind envelope;
    /* Handles of the rules' functions, for the script floor alone; 0: there is none */
    int before, after;         /* around each handler (script_call) */
    int envelope_function;     /* script_envelope */
    const char *envelope_name; /* of a named one: "celery"; NULL: the rules' own function */
    int identity;              /* names messages that came without an id: script_identity */
    const char *key_path[3];   /* where business keys are (message_keys.h); NULL: not said */
    bool identity_in_body;     /* the id of the body does, whether or not it is an envelope */
    const char *json;   /* all of that, functions by their text: what tells it from another */
    const char *origin; /* "rules/orders.lua:12", for messages to people */
};

/* What the consumers of a framework need of a message (format.h). */
enum message_format {
    FORMAT_NONE, /* herald's own: nothing is done to it */
    FORMAT_NESTJS,
    FORMAT_CELERY,
    FORMAT_CLOUDEVENTS,
    FORMAT_MASSTRANSIT,
    FORMAT_CAP,
    FORMAT_SYMFONY,
    FORMAT_SPRING,
    FORMATS
};

enum unroutable { UNROUTABLE_RETRY, UNROUTABLE_PARK, UNROUTABLE_DROP };

struct route {
    const char *type;
    const char *order_type; /* NULL: any */
    struct destination *to; /* one or more; none when a function chooses (script_route) */
    size_t n_to;
    int to_function; /* a handle for script_route; 0: there is none */
    enum unroutable unroutable;
    bool has_siblings;          /* of any order type, and others of its type name one */
    int order_by;               /* business key 1 to 3 that names a row's lane; 0: none */
    enum message_format format; /* what its messages are sent as */
    const char *json; /* all of that, functions by their text: what tells it from another */
    const char *origin;
};

/* All that one generation declares. Lent to a broker until the next one. */
struct topology {
    const struct subscription *subscriptions;
    size_t n_subscriptions;
    const struct route *routes;
    size_t n_routes;
};

#endif

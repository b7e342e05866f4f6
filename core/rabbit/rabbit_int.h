/*
 * rabbit_int - the inside of the rabbit driver, for its own files
 *
 * rabbit.c is the driver at work, rabbit_build.c makes it, rabbit_state.c tells of it.
 */
#ifndef HERALD_RABBIT_RABBIT_INT_H
#define HERALD_RABBIT_RABBIT_INT_H

#include "rabbit/channels.h"
#include "rabbit/consumer.h"
#include "rabbit/declare.h"
#include "rabbit/publisher.h"
#include "rabbit/rabbit.h"
#include "rabbit/side_connection.h"
#include "wire/link.h"
#include "wire/tls.h"

enum rabbit_state { RABBIT_NEW, RABBIT_RUNNING, RABBIT_STOPPING, RABBIT_STOPPED };

/* One of the two links with what declares on it. */
struct half {
    struct rabbit *rabbit;
    struct link *link;             /* owned */
    struct channels *channels;     /* owned; of the link */
    struct declare *declare;       /* owned */
    struct side_connections *side; /* owned; for what it leaves unanswered */
    bool opened;                   /* link_open was called, so it must be closed */
    uint64_t tls_files;            /* what its connection was made with (tls_used) */
    bool stirred;                  /* an answer came that may move declarations or channels */
};

struct rabbit {
    struct broker base; /* first: what the engine holds */
    enum rabbit_state state;
    uv_loop_t *loop; /* lent */
    struct log *log; /* lent */
    struct clock clock;
    struct url url;                  /* owned; the links lend it */
    struct tls *tls;                 /* owned; NULL where the URL asks for none */
    const struct topology *topology; /* in force; lent; NULL before start */
    broker_wake_fn *wake;            /* lent */
    void *wake_arg;
    struct half publish;
    struct half consume;
    struct publisher *publisher; /* owned; on publish.link */
    struct consumer *consumer;   /* owned; on consume.link */
    uv_timer_t timer;            /* for the next thing that is due */
    int64_t armed_ms;            /* when it fires; INT64_MAX: not armed */
    bool overdue;                /* it fired: what is due is judged after the next reads */
    bool acks_wait;              /* until all is read that has come */
    uv_check_t after_read;       /* while one of the two is so */
    uv_idle_t no_sleep;          /* beside it, so that poll does not block */
    bool heard;                  /* the consuming link has read something since the last look */
    bool bound;                  /* own queues are bound, or were waited for long enough */
    int64_t dates_due_ms;        /* when our certificate's are looked at; INT64_MAX: never */
    int64_t bound_by_ms;         /* end of that wait; INT64_MAX: not begun, or over */
    bool news;                   /* a turn may find something to take, to settle or to publish */
    char blocked[160];           /* why the broker blocks publishing; "" */
    char awaited[400];           /* what it was last said to wait for */
    size_t open;                 /* links and handles that are not closed yet */
    void (*done)(void *arg);     /* of ops->stop */
    void *done_arg;
};

/* rabbit.c: what the engine calls, and what the links say; the arg is their half. */
extern const struct broker_ops rabbit_ops;
extern const struct link_events rabbit_publish_events;
extern const struct link_events rabbit_consume_events;

/* What side connections say; the arg is the half that they are for. */
void rabbit_side_opened(void *half);
void rabbit_side_closed(void *half);
void rabbit_side_stirred(void *half);

/* For the publisher: an exchange was deleted. The arg is the rabbit. */
void rabbit_exchange_gone(void *arg, const char *exchange);

/* rabbit_state.c: ops->state, ops->trouble, ops->reach. The plan asks for what the last one needs
 * to know of a destination. OK or ERR_NOMEM. */
void rabbit_report(struct broker *b, struct broker_state *out);
bool rabbit_trouble(struct broker *b, size_t n, struct broker_trouble *out);
enum broker_reach rabbit_reach(struct broker *b, const struct destination *to);
int rabbit_plan_reach(struct rabbit *r, const struct topology *t, const struct destination *to,
                      struct err *err);

/* rabbit_build.c: ops->free. */
void rabbit_free(struct broker **b);

#endif

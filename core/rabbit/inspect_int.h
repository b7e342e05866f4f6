/*
 * inspect_int - the inside of inspect, for its own files
 *
 * inspect_list.c lists what is to be asked, inspect.c asks it and tells what it finds, with the
 * help of inspect_queue.c and inspect_arguments.c.
 */
#ifndef HERALD_RABBIT_INSPECT_INT_H
#define HERALD_RABBIT_INSPECT_INT_H

#include "rabbit/inspect.h"
#include "rabbit/inspect_probe.h"
#include "rabbit/queue_probe.h"
#include "wire/link.h"
#include "wire/tls.h"

enum question_kind { ASK_EXCHANGE, ASK_QUEUE, ASK_TARGET };

struct question {
    enum question_kind kind;
    const char *name;                 /* lent by the topology, as `origin` */
    const char *origin;               /* of the first rule that names it */
    enum exchange_kind exchange_kind; /* ASK_EXCHANGE */
    bool sent_to_alone;               /* ASK_EXCHANGE: no subscription here binds to it */
    enum queue_type queue_type;       /* ASK_QUEUE */
    const struct subscription *rule;  /* ASK_QUEUE; lent by the topology */
};

struct inspection {
    const struct inspect_settings *settings;
    inspect_finding_fn *finding;
    void *arg;
    struct question *questions; /* owned */
    size_t n_questions;
    size_t at;                /* the one under way */
    bool stating;             /* it was asked actively */
    struct queue_probe found; /* of a queue whose type no rule states, or with arguments */
    bool empty;               /* the queue under way seems to be */
    bool plain;               /* and without a dead-letter queue, since it has none or another */
    bool open;                /* channel.open was sent and nothing has closed it */
    struct tls *tls;          /* owned; NULL where the URL asks for none */
    struct stream_factory streams; /* those of the settings, counted */
    size_t tries;                  /* connections begun */
    size_t n_hosts;                /* of the URL */
    struct link *link;
    struct probes *probes; /* of queues that seem empty */
    uv_timer_t timer;
    int64_t deadline_ms; /* of all; and once every question is answered, of the probes */
    bool asked_all;
    bool ending; /* the link and the timer are being closed */
    size_t left; /* of them, how many still are */
    int rc;
    struct err *err;
};

/* Lists each thing once, however many rules name it. OK or ERR_NOMEM. */
int inspect_list(struct inspection *in, const struct topology *t);

#endif

/*
 * embedded - see embedded.h.
 *
 * Deliveries are copies of queue rows in an arena that lives for one turn. A publish is
 * settled at once, in the same transaction; its settlement is lent by the same turn, or
 * by a later one when there were more than it asked for.
 *
 * It has no delivery limit and never gives up on a message: no `dead_lettered` comes from here.
 */
#include "broker/embedded.h"

#include "base/properties.h"
#include "store/queue.h"

#include <stdlib.h>
#include <string.h>

enum {
    ROOM = 500,
    ARENA_MAX = 64 * 1024 * 1024,
    TAKE_MAX = 500, /* each take copies them */
    SETTLED_MAX = 4 * ROOM,
    UNROUTED_MAX = ROOM / 8, /* of a turn, so that a crowd of them holds nobody else */
    CONTENT_TYPE_MAX = 256,
};

static const char no_queue[] =
    "no queue took it: none is bound to its exchange for its routing key";

struct embedded {
    struct broker broker;
    struct db *db;           /* lent */
    struct buf content_type; /* of the message at hand, where a header or a property names it */
    struct buf properties;   /* of it, as they come with it */
    broker_wake_fn *wake;    /* there is something to take */
    void *wake_arg;
    const struct topology *topology; /* lent; NULL before start */
    enum broker_pace *paces;         /* of its subscriptions; owned */
    enum broker_pace pace;           /* of all of them */
    struct arena arena;              /* text of this turn's deliveries */
    struct delivery *deliveries;     /* TAKE_MAX of them */
    size_t n_deliveries;
    size_t first;               /* subscription that comes first in the next take */
    struct settlement *settled; /* a line: lent ones first */
    size_t n_settled;
    size_t n_kept;     /* of them from committed turns */
    size_t n_lent;     /* from the head, in this turn */
    size_t n_unrouted; /* that no queue took, in this turn */
    bool crowded;      /* the last turn had as many as it may */
    bool maybe_more;   /* a queue may hold rows */
    bool taken;        /* this turn looked into the queues */
    bool published;    /* this turn put rows into queues */
    bool draining;
};

static struct embedded *self(struct broker *b)
{
    return (struct embedded *)b;
}

static int declare_targets(struct embedded *e, const struct route *r, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < r->n_to && rc == OK; i++)
        if (r->to[i].kind != EXCHANGE_DEFAULT)
            rc = queue_declare_exchange(e->db, r->to[i].exchange, r->to[i].kind, err);
    return rc;
}

/* Exchanges that take from others. */
static int declare_sources(struct embedded *e, const struct subscription *s, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < s->n_sources && rc == OK; i++) {
        rc = queue_declare_exchange(e->db, s->sources[i].exchange, s->sources[i].kind, err);
        if (rc == OK)
            rc = queue_declare_exchange(e->db, s->targets[i].exchange, s->targets[i].kind, err);
        if (rc == OK)
            rc = queue_bind_exchange(e->db, s->targets[i].exchange, &s->sources[i], err);
    }
    return rc;
}

static int declare(struct embedded *e, const struct topology *t, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < t->n_routes && rc == OK; i++)
        rc = declare_targets(e, &t->routes[i], err);
    for (size_t i = 0; i < t->n_subscriptions && rc == OK; i++) {
        const struct subscription *s = &t->subscriptions[i];

        rc = queue_declare(e->db, s->queue, err);
        for (size_t k = 0; k < s->n_from && rc == OK; k++) {
            if (s->from[k].kind == EXCHANGE_DEFAULT)
                continue;
            rc = queue_declare_exchange(e->db, s->from[k].exchange, s->from[k].kind, err);
            if (rc == OK)
                rc = queue_bind(e->db, s->queue, &s->from[k], err);
        }
        if (rc == OK)
            rc = declare_sources(e, s, err);
    }
    return rc;
}

/* As it was where the queue stays. */
static enum broker_pace former_pace(const struct embedded *e, const char *queue)
{
    for (size_t i = 0; e->topology != NULL && i < e->topology->n_subscriptions; i++)
        if (strcmp(e->topology->subscriptions[i].queue, queue) == 0)
            return e->paces[i];
    return PACE_FLOW;
}

static enum broker_pace *take_paces(const struct embedded *e, const struct topology *t)
{
    enum broker_pace *paces = calloc(t->n_subscriptions + 1, sizeof *paces);

    for (size_t i = 0; paces != NULL && i < t->n_subscriptions; i++)
        paces[i] = former_pace(e, t->subscriptions[i].queue);
    return paces;
}

/* Of start and change: queues that are not subscribed any more keep what is in them. */
static int take_up(struct broker *b, const struct topology *t, struct err *err)
{
    struct embedded *e = self(b);
    enum broker_pace *paces = take_paces(e, t);
    int rc = paces != NULL ? db_begin(e->db, err) : err_set(err, ERR_NOMEM, "out of memory");

    if (rc == OK) {
        rc = declare(e, t, err);
        if (rc == OK)
            rc = db_commit(e->db, err);
        if (rc != OK)
            db_rollback(e->db);
    }
    if (rc != OK) {
        free(paces);
        return rc;
    }
    free(e->paces);
    e->paces = paces;
    e->topology = t;
    e->maybe_more = true;
    e->wake(e->wake_arg);
    return OK;
}

static size_t room(struct broker *b)
{
    return SETTLED_MAX - self(b)->n_settled < ROOM ? 0 : ROOM;
}

/* One queue's rows on their way into the deliveries. */
struct taking {
    struct embedded *e;
    const struct subscription *subscription;
    size_t max; /* deliveries in all */
};

static bool take_item(void *arg, const struct queue_item *item)
{
    struct taking *t = arg;
    struct embedded *e = t->e;
    struct delivery d = {
        .subscription = t->subscription,
        .message = item->message,
        .exchange = item->exchange,
        .routing_key = item->routing_key,
        .tag = (uint64_t)item->id,
    };

    if (e->n_deliveries == t->max)
        return false;
    if (!message_keep(&e->arena, &d.message) || !arena_keep(&e->arena, &d.exchange) ||
        !arena_keep(&e->arena, &d.routing_key))
        return false; /* the rest waits for the next turn */
    e->deliveries[e->n_deliveries++] = d;
    return true;
}

/* Every queue gets its share, and another one comes first each time that counts. */
static int take(struct broker *b, struct delivery **out, size_t max, size_t *n_out, struct err *err)
{
    struct embedded *e = self(b);
    size_t queues = e->topology->n_subscriptions, left = max < TAKE_MAX ? max : TAKE_MAX;
    int rc = OK;

    e->taken = true;
    *n_out = 0;
    if (e->draining || queues == 0)
        return OK;
    for (size_t i = 0; i < queues && rc == OK && e->n_deliveries < left; i++) {
        size_t at = (e->first + i) % queues;
        const struct subscription *s = &e->topology->subscriptions[at];
        enum broker_pace pace = e->paces[at] < e->pace ? e->paces[at] : e->pace;
        size_t even = (left - e->n_deliveries + queues - i - 1) / (queues - i);
        size_t share = pace == PACE_FLOW ? even : pace == PACE_ONE ? 1 : 0;
        struct taking t = {.e = e, .subscription = s, .max = e->n_deliveries + share};

        if (share == 0)
            continue;
        rc = queue_peek(e->db, s->queue, 0, share, take_item, &t, err);
    }
    for (size_t i = 0; i < e->n_deliveries; i++)
        out[i] = &e->deliveries[i];
    *n_out = e->n_deliveries;
    return rc;
}

/* Nobody gives up on a row of the store. */
static size_t take_endangered(struct broker *b, struct delivery **out, size_t max)
{
    (void)b, (void)out, (void)max;
    return 0;
}

static int accept(struct broker *b, struct delivery *d, struct err *err)
{
    return queue_remove(self(b)->db, (int64_t)d->tag, err);
}

/* What the row says of its message becomes what the message comes with, as on RabbitMQ. */
static int label(struct embedded *e, struct message *m, struct err *err)
{
    struct properties p;
    int rc;

    if (message_content_type(m->headers, &e->content_type))
        m->content_type = (struct slice){e->content_type.data, e->content_type.len};
    if (m->properties.data == NULL)
        return OK;
    properties_init(&p);
    rc = properties_read(&p, m->properties, err);
    if (rc == OK && p.text[PROPERTY_CONTENT_TYPE].data != NULL) {
        struct slice type = p.text[PROPERTY_CONTENT_TYPE];

        buf_clear(&e->content_type);
        if (buf_append(&e->content_type, type.data, type.len) != OK) /* there is room for any */
            rc = err_set(err, ERR_NOMEM, "out of memory");
        m->content_type = (struct slice){e->content_type.data, e->content_type.len};
    }
    buf_clear(&e->properties);
    properties_write(&e->properties, &p, true);
    m->properties =
        (struct slice){e->properties.len > 0 ? e->properties.data : NULL, e->properties.len};
    properties_free(&p);
    return rc == OK && e->properties.failed ? err_set(err, ERR_NOMEM, "out of memory") : rc;
}

static int publish(struct broker *b, int64_t row, const struct destination *to,
                   const struct message *m, struct err *err)
{
    struct embedded *e = self(b);
    struct message labelled = *m;
    size_t queues = 0;
    int rc;

    if (e->n_settled == SETTLED_MAX)
        return ERR_BUSY;
    if (m->body.len > MESSAGE_BODY_MAX)
        return err_set(err, ERR_INPUT, "body of %zu bytes is over the limit of %d", m->body.len,
                       MESSAGE_BODY_MAX);
    rc = label(e, &labelled, err);
    if (rc != OK)
        return rc;
    rc = queue_publish(e->db, to, &labelled, &queues, err);
    if (rc == ERR_BROKER) /* a function of the rules named it: it is made as on RabbitMQ */
        rc = queue_declare_exchange(e->db, to->exchange, to->kind, err);
    if (rc != OK)
        return rc;
    if (queues == 0 && e->n_unrouted == UNROUTED_MAX)
        return ERR_BUSY;
    e->n_unrouted += queues == 0;
    e->published = e->published || queues > 0;
    e->settled[e->n_settled++] = (struct settlement){
        .row = row,
        .outcome = queues > 0 ? PUBLISH_CONFIRMED : PUBLISH_RETURNED,
        .why = queues > 0 ? NULL : no_queue,
    };
    return OK;
}

static size_t settled(struct broker *b, struct settlement *out, size_t max)
{
    struct embedded *e = self(b);

    size_t left = e->n_settled - e->n_lent, n = left < max ? left : max;

    memcpy(out, e->settled + e->n_lent, n * sizeof *out);
    e->n_lent += n;
    return n;
}

static void end_turn(struct embedded *e)
{
    arena_reset(&e->arena);
    e->n_deliveries = e->n_lent = e->n_unrouted = 0;
    e->published = e->taken = false;
}

static void tell(struct broker *b)
{
    struct embedded *e = self(b);

    memmove(e->settled, e->settled + e->n_lent, (e->n_settled - e->n_lent) * sizeof e->settled[0]);
    e->n_settled -= e->n_lent;
    e->n_kept = e->n_settled;
    if (e->taken) {
        e->maybe_more = e->n_deliveries > 0;
        e->first++;
    }
    e->maybe_more = e->maybe_more || e->published;
    e->crowded = e->n_unrouted == UNROUTED_MAX;
    end_turn(e);
}

static void forget(struct broker *b)
{
    struct embedded *e = self(b);

    e->n_settled = e->n_kept;
    e->maybe_more = true;
    end_turn(e);
}

static void pace(struct broker *b, const char *queue, enum broker_pace how)
{
    struct embedded *e = self(b);

    if (queue == NULL)
        e->pace = how;
    for (size_t i = 0; queue != NULL && e->topology != NULL && i < e->topology->n_subscriptions;
         i++)
        if (strcmp(e->topology->subscriptions[i].queue, queue) == 0)
            e->paces[i] = how;
    e->maybe_more = true;
    e->wake(e->wake_arg);
}

static bool pending(struct broker *b)
{
    return (self(b)->maybe_more && !self(b)->draining) || self(b)->n_settled > 0 ||
           self(b)->crowded;
}

static void state(struct broker *b, struct broker_state *out)
{
    *out = (struct broker_state){
        .word = "embedded",
        .error = "",
        .ready = self(b)->topology != NULL,
        .in_flight = self(b)->n_settled,
    };
}

/* What cannot be read is no reason to warn of anything. */
static enum broker_reach reach(struct broker *b, const struct destination *to)
{
    bool reaches;
    int rc = queue_reaches(self(b)->db, to, &reaches, NULL);

    return rc == OK && !reaches ? REACH_NO_QUEUE : REACH_OPEN;
}

static void drain(struct broker *b)
{
    self(b)->draining = true;
}

static void stop(struct broker *b, void (*done)(void *arg), void *arg)
{
    (void)b;
    done(arg);
}

static void free_embedded(struct broker **b)
{
    struct embedded *e = self(*b);

    arena_free(&e->arena);
    buf_free(&e->content_type);
    buf_free(&e->properties);
    free(e->deliveries);
    free(e->paces);
    free(e->settled);
    free(e);
    *b = NULL;
}

static const struct broker_ops ops = {
    .start = take_up,
    .change = take_up,
    .room = room,
    .take = take,
    .take_endangered = take_endangered,
    .accept = accept,
    .publish = publish,
    .settled = settled,
    .tell = tell,
    .forget = forget,
    .pace = pace,
    .pending = pending,
    .state = state,
    .reach = reach,
    .drain = drain,
    .stop = stop,
    .free = free_embedded,
};

int embedded_new(struct broker **b, struct db *db, broker_wake_fn *wake, void *wake_arg,
                 struct err *err)
{
    struct embedded *e = calloc(1, sizeof *e);

    if (e == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    e->broker.ops = &ops;
    e->db = db;
    buf_init(&e->content_type, CONTENT_TYPE_MAX);
    buf_init(&e->properties, PROPERTIES_JSON_MAX);
    e->pace = PACE_FLOW;
    e->wake = wake;
    e->wake_arg = wake_arg;
    arena_init(&e->arena, ARENA_MAX);
    e->deliveries = calloc(TAKE_MAX, sizeof *e->deliveries);
    e->settled = calloc(SETTLED_MAX, sizeof *e->settled);
    *b = &e->broker;
    if (e->deliveries != NULL && e->settled != NULL)
        return OK;
    free_embedded(b);
    return err_set(err, ERR_NOMEM, "out of memory");
}

/* spec_broker - see spec_broker.h. */
#include "spec/spec_broker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FAULTS_MAX = 64, FAULT_TYPE_SIZE = 256, SETTLED_MAX = 1000, TEXTS_MAX = 64 * 1024 * 1024 };

struct fault {
    char type[FAULT_TYPE_SIZE];
    enum spec_fault kind;
};

struct spec_broker {
    struct broker broker; /* first: what the engine holds */
    struct broker *inner; /* owned */
    bool loopback;
    struct fault faults[FAULTS_MAX];
    size_t n_faults;
    struct spec_publish *published; /* owned */
    size_t n_published;
    struct settlement own[SETTLED_MAX]; /* of publishes that inner never saw */
    size_t n_own, n_lent, n_kept;       /* all, in the last answer, before this turn */
    bool lose_acks;                     /* of the next turn that has deliveries */
    bool lost;                          /* this turn had some */
    bool crash, crashed;
};

static struct spec_broker *self(struct broker *b)
{
    return (struct spec_broker *)b;
}

static int start(struct broker *b, const struct topology *t, struct err *err)
{
    struct broker *inner = self(b)->inner;

    return inner->ops->start(inner, t, err);
}

static int change(struct broker *b, const struct topology *t, struct err *err)
{
    struct broker *inner = self(b)->inner;

    return inner->ops->change(inner, t, err);
}

static size_t room(struct broker *b)
{
    const struct spec_broker *s = self(b);
    size_t own = SETTLED_MAX - s->n_own, inner = s->inner->ops->room(s->inner);

    return own < inner ? own : inner;
}

static int take(struct broker *b, struct delivery **out, size_t max, size_t *n_out, struct err *err)
{
    struct broker *inner = self(b)->inner;

    return inner->ops->take(inner, out, max, n_out, err);
}

static size_t take_endangered(struct broker *b, struct delivery **out, size_t max)
{
    struct broker *inner = self(b)->inner;

    return inner->ops->take_endangered(inner, out, max);
}

static int accept(struct broker *b, struct delivery *d, struct err *err)
{
    struct spec_broker *s = self(b);

    if (s->crash) {
        s->crash = false;
        s->crashed = true;
        return err_set(err, ERR_FAILED, "crashed before the commit, as the spec said");
    }
    s->lost = s->lose_acks;
    return s->lost ? OK : s->inner->ops->accept(s->inner, d, err);
}

static bool keep(struct spec_publish *p, const struct destination *to, const struct message *m)
{
    struct slice exchange = slice_of(to->exchange), key = slice_of(to->routing_key);

    arena_init(&p->texts, TEXTS_MAX);
    p->message = *m;
    if (!message_keep(&p->texts, &p->message) || !arena_keep(&p->texts, &exchange) ||
        !arena_keep(&p->texts, &key))
        return false;
    p->to =
        (struct destination){.kind = to->kind, .exchange = exchange.data, .routing_key = key.data};
    return true;
}

static int note(struct spec_broker *s, const struct destination *to, const struct message *m,
                struct err *err)
{
    struct spec_publish *moved = realloc(s->published, (s->n_published + 1) * sizeof *s->published);

    if (moved == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->published = moved;
    if (!keep(&moved[s->n_published], to, m)) {
        arena_free(&moved[s->n_published].texts);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    s->n_published++;
    return OK;
}

/* Takes the fault that waits for this type, if there is one. */
static bool take_fault(struct spec_broker *s, struct slice type, enum spec_fault *out)
{
    for (size_t i = 0; i < s->n_faults; i++) {
        if (!slice_is(type, s->faults[i].type))
            continue;
        *out = s->faults[i].kind;
        memmove(&s->faults[i], &s->faults[i + 1], (s->n_faults - i - 1) * sizeof s->faults[0]);
        s->n_faults--;
        return true;
    }
    return false;
}

static int publish(struct broker *b, int64_t row, const struct destination *to,
                   const struct message *m, struct err *err)
{
    static const enum publish_outcome outcomes[] = {PUBLISH_NACKED, PUBLISH_RETURNED,
                                                    PUBLISH_TIMED_OUT};
    struct spec_broker *s = self(b);
    enum spec_fault fault;
    int rc;

    if (s->n_own == SETTLED_MAX)
        return ERR_BUSY;
    rc = note(s, to, m, err);
    if (rc != OK)
        return rc;
    if (take_fault(s, m->type, &fault)) {
        s->own[s->n_own++] = (struct settlement){
            .row = row,
            .outcome = outcomes[fault],
            .why = fault == SPEC_FAULT_RETURN ? "no queue, says the spec" : NULL};
        return OK;
    }
    if (s->loopback)
        return s->inner->ops->publish(s->inner, row, to, m, err);
    s->own[s->n_own++] = (struct settlement){.row = row, .outcome = PUBLISH_CONFIRMED};
    return OK;
}

static size_t settled(struct broker *b, struct settlement *out, size_t max)
{
    struct spec_broker *s = self(b);

    size_t left = s->n_own - s->n_lent, n = left < max ? left : max;

    memcpy(out, s->own + s->n_lent, n * sizeof *out);
    s->n_lent += n;
    return n + s->inner->ops->settled(s->inner, out + n, max - n);
}

static void tell(struct broker *b)
{
    struct spec_broker *s = self(b);

    memmove(s->own, s->own + s->n_lent, (s->n_own - s->n_lent) * sizeof s->own[0]);
    s->n_own -= s->n_lent;
    s->n_lent = 0;
    s->n_kept = s->n_own;
    s->lose_acks = s->lose_acks && !s->lost;
    s->lost = false;
    s->inner->ops->tell(s->inner);
}

static void forget(struct broker *b)
{
    struct spec_broker *s = self(b);

    s->n_own = s->n_kept;
    s->n_lent = 0;
    s->lost = false;
    s->inner->ops->forget(s->inner);
}

static void pace(struct broker *b, const char *queue, enum broker_pace how)
{
    self(b)->inner->ops->pace(self(b)->inner, queue, how);
}

static bool pending(struct broker *b)
{
    const struct spec_broker *s = self(b);

    return s->n_own > 0 || s->inner->ops->pending(s->inner);
}

static void state(struct broker *b, struct broker_state *out)
{
    const struct spec_broker *s = self(b);

    s->inner->ops->state(s->inner, out);
    out->in_flight += s->n_own;
}

static enum broker_reach reach(struct broker *b, const struct destination *to)
{
    return self(b)->inner->ops->reach(self(b)->inner, to);
}

static void drain(struct broker *b)
{
    self(b)->inner->ops->drain(self(b)->inner);
}

static void stop(struct broker *b, void (*done)(void *arg), void *arg)
{
    self(b)->inner->ops->stop(self(b)->inner, done, arg);
}

static void free_broker(struct broker **b)
{
    struct spec_broker *s = self(*b);

    s->inner->ops->free(&s->inner);
    for (size_t i = 0; i < s->n_published; i++)
        arena_free(&s->published[i].texts);
    free(s->published);
    free(s);
    *b = NULL;
}

static const struct broker_ops ops = {
    .start = start,
    .change = change,
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
    .free = free_broker,
};

struct broker *spec_broker_new(struct broker *inner, bool loopback)
{
    struct spec_broker *s = calloc(1, sizeof *s);

    if (s == NULL) {
        inner->ops->free(&inner);
        return NULL;
    }
    s->broker.ops = &ops;
    s->inner = inner;
    s->loopback = loopback;
    return &s->broker;
}

int spec_broker_fail_next(struct broker *b, const char *type, enum spec_fault fault,
                          struct err *err)
{
    struct spec_broker *s = self(b);

    if (s->n_faults == FAULTS_MAX)
        return err_set(err, ERR_LIMIT, "over %d faults wait for a publish", FAULTS_MAX);
    s->faults[s->n_faults].kind = fault;
    snprintf(s->faults[s->n_faults].type, FAULT_TYPE_SIZE, "%s", type);
    s->n_faults++;
    return OK;
}

void spec_broker_lose_acks(struct broker *b)
{
    self(b)->lose_acks = true;
}

void spec_broker_crash(struct broker *b)
{
    self(b)->crash = true;
}

bool spec_broker_crashed(struct broker *b)
{
    bool crashed = self(b)->crashed;

    self(b)->crashed = false;
    return crashed;
}

void spec_broker_inherit(struct broker *b, struct broker *former)
{
    struct spec_broker *s = self(b), *old = self(former);

    s->published = old->published;
    s->n_published = old->n_published;
    memcpy(s->faults, old->faults, sizeof s->faults);
    s->n_faults = old->n_faults;
    old->published = NULL;
    old->n_published = 0;
}

const struct spec_publish *spec_broker_published(struct broker *b, size_t i)
{
    return i < self(b)->n_published ? &self(b)->published[i] : NULL;
}

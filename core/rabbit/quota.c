/* quota - see quota.h. */
#include "rabbit/quota.h"

#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    QUOTAS_MAX = 1000, /* apart from the one for all others */
    NAME_MAX_LEN = 255,
    FIRST_ROWS = 16,
    RESERVED =
        8, /* an eighth of the window is left to outlets that are proven, or have no row in it */
    PROVEN_PARTS = 7,
    PROVEN_MS = 1000,
    PAUSE_MIN_MS = 1000,
    PAUSE_MAX_MS = 5 * 60 * 1000,
};

struct quota {
    uint64_t hash;               /* of its kind and name */
    bool queue;                  /* a queue behind the default exchange */
    char name[NAME_MAX_LEN + 1]; /* cut */
    size_t taken;                /* its rows that have no outcome yet */
    bool heard;                  /* a confirm has come */
    int64_t heard_ms;            /* the last one, monotonic */
    int64_t silent_at;           /* since when none does, ms since 1970 UTC; 0: SILENT it is not */
    int64_t pause_ms;            /* before the next probe */
    int64_t probe_ms;            /* monotonic: when it is due */
    bool told;                   /* that it is due */
};

struct quotas {
    struct clock clock;
    struct log *log; /* lent */
    size_t window;
    size_t taken;                  /* of all */
    struct quota *own[QUOTAS_MAX]; /* owned */
    size_t n;
    size_t hand;        /* where to look for an idle one next */
    size_t silent;      /* how many are */
    struct quota *last; /* most rows go where the one before went */
    struct quota others;
    char words[600]; /* of quotas_trouble */
};

struct quotas *quotas_new(size_t window, struct clock clock, struct log *log)
{
    struct quotas *q = calloc(1, sizeof *q);

    if (q == NULL)
        return NULL;
    q->clock = clock;
    q->log = log;
    q->window = window;
    snprintf(q->others.name, sizeof q->others.name, "of many");
    return q;
}

void quotas_free(struct quotas **q)
{
    if (*q == NULL)
        return;
    for (size_t i = 0; i < (*q)->n; i++)
        free((*q)->own[i]);
    free(*q);
    *q = NULL;
}

size_t quotas_taken(const struct quotas *q)
{
    return q->taken;
}

static bool is_idle(const struct quota *o)
{
    return o->taken == 0 && o->silent_at == 0;
}

/* A place for one more quota: a new one, or the place of one that has nothing to remember. NULL:
 * there is none. */
static struct quota *make_room(struct quotas *q)
{
    if (q->n < QUOTAS_MAX) {
        struct quota *o = calloc(1, sizeof *o);

        if (o != NULL)
            q->own[q->n++] = o;
        return o;
    }
    for (size_t i = 0; i < q->n; i++) {
        struct quota *o = q->own[q->hand++ % q->n];

        if (is_idle(o))
            return o;
    }
    return NULL;
}

struct quota *quota_of(struct quotas *q, const struct destination *to)
{
    bool queue = to->kind == EXCHANGE_DEFAULT;
    const char *name = queue ? to->routing_key : to->exchange;
    size_t len = strlen(name);
    uint64_t hash = text_hash(text_hash(TEXT_HASH_START, queue ? "q" : "x", 1), name, len);
    struct quota *o;

    if (q->last != NULL && q->last->hash == hash)
        return q->last;
    for (size_t i = 0; i < q->n; i++)
        if (q->own[i]->hash == hash)
            return q->last = q->own[i];
    o = make_room(q);
    if (o == NULL)
        return &q->others;
    *o = (struct quota){.hash = hash, .queue = queue};
    snprintf(o->name, sizeof o->name, "%s", name);
    return q->last = o;
}

bool quota_has_room(const struct quotas *q, const struct quota *o, int64_t now)
{
    size_t free = q->taken < q->window ? q->window - q->taken : 0;

    if (o->taken >= PROVEN_PARTS * free)
        return false;
    if (o->silent_at != 0)
        return o->taken == 0 && now >= o->probe_ms;
    if (o->heard && now - o->heard_ms < PROVEN_MS)
        return true;
    return o->taken < FIRST_ROWS && (o->taken == 0 || free > q->window / RESERVED);
}

void quota_take(struct quotas *q, struct quota *o)
{
    o->taken++;
    q->taken++;
}

/* A probe, or what was sent before it: the pause grows once for all that is late by now. */
static void fall_silent(struct quotas *q, struct quota *o, int64_t now)
{
    if (o->silent_at != 0 && now < o->probe_ms)
        return;
    o->pause_ms = o->silent_at == 0 ? PAUSE_MIN_MS : 2 * o->pause_ms;
    o->pause_ms = o->pause_ms < PAUSE_MAX_MS ? o->pause_ms : PAUSE_MAX_MS;
    o->probe_ms = now + o->pause_ms;
    o->told = false;
    if (o->silent_at != 0)
        return;
    o->silent_at = clock_wall(&q->clock);
    q->silent++;
    log_event(q->log, LOG_WARN, "broker.outlet_silent",
              LOG_FIELDS(log_text(o->queue ? "queue" : "exchange", o->name),
                         log_text("what", "no confirm in time: its rows wait, and one of them is "
                                          "sent from time to time; others go on")));
}

static void answer(struct quotas *q, struct quota *o)
{
    if (o->silent_at == 0)
        return;
    o->silent_at = 0;
    q->silent--;
    log_event(q->log, LOG_INFO, "broker.outlet_answers",
              LOG_FIELDS(log_text(o->queue ? "queue" : "exchange", o->name)));
}

void quota_settle(struct quotas *q, struct quota *o, enum publish_outcome outcome, int64_t now)
{
    o->taken--;
    q->taken--;
    switch (outcome) {
    case PUBLISH_CONFIRMED:
        o->heard = true;
        o->heard_ms = now;
        answer(q, o);
        break;
    case PUBLISH_RETURNED:
    case PUBLISH_NACKED:
    case PUBLISH_REFUSED:
        answer(q, o);
        break;
    case PUBLISH_TIMED_OUT:
        fall_silent(q, o, now);
        break;
    case PUBLISH_UNKNOWN:
    case PUBLISH_UNSENT:
        break;
    }
}

static bool waits_for_probe(const struct quota *o)
{
    return o->silent_at != 0 && !o->told;
}

int64_t quotas_due(const struct quotas *q)
{
    int64_t due = q->others.silent_at != 0 && !q->others.told ? q->others.probe_ms : INT64_MAX;

    for (size_t i = 0; i < q->n && q->silent > 0; i++)
        if (waits_for_probe(q->own[i]) && q->own[i]->probe_ms < due)
            due = q->own[i]->probe_ms;
    return due;
}

void quotas_step(struct quotas *q)
{
    int64_t now = clock_mono(&q->clock);

    if (q->silent == 0)
        return;
    q->others.told = q->others.told || now >= q->others.probe_ms;
    for (size_t i = 0; i < q->n; i++)
        q->own[i]->told = q->own[i]->told || now >= q->own[i]->probe_ms;
}

static void hasten(struct quota *o, int64_t now)
{
    if (o->silent_at != 0 && o->probe_ms > now) {
        o->probe_ms = now;
        o->told = false;
    }
}

void quotas_hasten(struct quotas *q)
{
    int64_t now = clock_mono(&q->clock);

    hasten(&q->others, now);
    for (size_t i = 0; i < q->n && q->silent > 0; i++)
        hasten(q->own[i], now);
}

const char *quotas_trouble(struct quotas *q)
{
    const struct quota *o = &q->others;
    char since[40], more[64] = "";

    if (q->silent == 0)
        return NULL;
    for (size_t i = 0; i < q->n; i++)
        if (q->own[i]->silent_at != 0 && (o->silent_at == 0 || o->silent_at > q->own[i]->silent_at))
            o = q->own[i];
    clock_iso8601(o->silent_at, since, sizeof since);
    if (q->silent > 1)
        snprintf(more, sizeof more, " (and %zu more like it)", q->silent - 1);
    snprintf(q->words, sizeof q->words,
             "%s \"%s\" has confirmed nothing since %s: its rows wait, and one of them is sent "
             "from time to time%s",
             o->queue ? "queue" : "exchange", o->name, since, more);
    return q->words;
}

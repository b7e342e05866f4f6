/*
 * streak - queues on which every message fails alike, and when one of them is tried again
 *
 *            `after` messages in a row           probe_at: a row is tried, or none is due
 *   FLOWING ----------------------------> PAUSED <---------------------------------------> ASKING
 *      ^                                    |           the delivery failed alike           |
 *      '------------------------------------'----------------------------------------------'
 *          a message was handled, or failed otherwise
 *
 *   FLOWING  the streak counts messages whose first try failed with one error group. Whatever
 *            is handled, retried or rejected by its handler ends it; so does the first try of a
 *            message that fails otherwise. A later try that fails is no news: a crowd of old
 *            retries neither makes nor breaks a streak
 *   PAUSED   no delivery is taken, due rows are put off to probe_at; then one row is tried
 *   ASKING   that row failed alike: it may be one that always fails, so one delivery is wanted,
 *            too. Nothing is lost by waiting for it: where none comes, none is waiting
 *
 * What fails alike while paused counts as no attempt. The time between probes doubles.
 *
 * Arithmetic alone, without clock or store (turn_pause.c has those). A turn changes what it sees;
 * pauses_keep makes it last, pauses_undo forgets it.
 */
#ifndef HERALD_ENGINE_STREAK_H
#define HERALD_ENGINE_STREAK_H

#include "base/err.h"
#include "base/text.h"
#include "broker/broker.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PAUSE_PROBE_MIN_MS = 1000,
    /* About a minute; longer than the 60 s for which `herald run --until-idle` waits. */
    PAUSE_PROBE_MAX_MS = 64000,
    PAUSE_ERROR_SIZE = 512,
};

/* A message of a streak. */
struct pause_member {
    uint64_t key;   /* what tells it from others */
    int64_t letter; /* the dead letter that it became; 0: it waits for a retry */
    int64_t row;    /* the retry that it was before; 0: it was none */
};

struct streak {
    bool paused;
    bool asking;                  /* paused: one delivery may be taken */
    int64_t group;                /* error_group of all of them */
    size_t n;                     /* members; the one that completed the streak is none */
    int64_t since_ms;             /* wall clock: when the pause began */
    int64_t probe_at;             /* wall clock */
    int64_t probe_ms;             /* from the last probe to that one */
    int64_t failures;             /* that failed alike: messages of the streak, then probes */
    char error[PAUSE_ERROR_SIZE]; /* of the message that completed the streak */
};

/* One queue; those that never had a failure have none. */
struct pause {
    struct pause *next;
    char *queue;                  /* owned */
    size_t after;                 /* so many messages make a pause */
    struct streak now, kept;      /* as the turn sees it; as of the last committed one */
    struct pause_member *members; /* `after` of them; owned */
    struct pause_member *kept_members;
    bool changed;           /* `now` is not `kept` */
    enum broker_pace paced; /* what the broker was told last */
};

/* Empty with zeros. */
struct pauses {
    struct pause *first;
};

/* The queue's, or NULL. */
struct pause *pauses_find(const struct pauses *all, struct slice queue);

/* A try that failed by itself. */
struct pause_failure {
    struct slice queue;
    size_t after; /* of its subscription; 0: it never pauses */
    int64_t group;
    uint64_t key;
    bool first;    /* its first try */
    bool delivery; /* it came from the broker; else it was a row */
    int64_t now_ms;
    const char *error;
};

enum pause_answer {
    PAUSE_COUNTS, /* as any attempt */
    PAUSE_BEGINS, /* the queue is paused now; no attempt: the message is due at probe_at */
    PAUSE_ALIKE,  /* the probe failed alike; no attempt, due at probe_at, too */
    PAUSE_ENDS,   /* the probe failed otherwise: counts, and the queue flows */
};

/* OK or ERR_NOMEM. */
int pauses_failed(struct pauses *all, const struct pause_failure *f, enum pause_answer *out,
                  struct err *err);

/* A message of the streak, which was this retry or none (0), has become this dead letter. */
void pause_dead_lettered(struct pause *p, uint64_t key, int64_t row, int64_t letter);

/* A message was handled, or its handler decided itself: true when that ends a pause. */
bool pause_passed(struct pause *p);

/* True when a delivery of the queue may be handled; NULL is fine, here and below. */
bool pause_takes(const struct pause *p);

/* A delivery was handled: the one that was asked for has come. */
void pause_took(struct pause *p);

/* When a due row of the queue is to be due instead; 0: try it now. */
int64_t pause_defers(const struct pause *p, int64_t now_ms);

/* No row was there to probe with at probe_at: asks for a delivery. */
void pause_asks(struct pause *p, int64_t now_ms);

/* The next probe is due. */
void pause_hurries(struct pause *p, int64_t now_ms);

/* The earliest probe_at; INT64_MAX: none. */
int64_t pauses_next(const struct pauses *all);

/* What the broker is to do with the queue. */
enum broker_pace pause_pace(const struct pause *p);

void pauses_keep(struct pauses *all);
void pauses_undo(struct pauses *all);
void pauses_clear(struct pauses *all); /* all queues flow, nothing is owned */

#endif

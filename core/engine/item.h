/*
 * item - the message at hand in a turn, and what can become of it
 *
 * turn_messages.c says which one, item_read.c finds out what it is, turn_handle.c leads it through
 * its savepoint, item_outcome.c writes what came out. All write into the turn's transaction and
 * return codes that end the turn.
 */
#ifndef HERALD_ENGINE_ITEM_H
#define HERALD_ENGINE_ITEM_H

#include "engine/turn_int.h"
#include "store/lane.h"

enum {
    IDENTITY_MAX = 256,
    IN_BODY_MAX = 64, /* bytes of an id in a body that can be an identity */
    ORPHAN_WAIT_MS = 60000,
};

/* The message at hand, wherever it came from. */
struct item {
    struct message received; /* as it arrived: what a retry row keeps */
    struct message message;  /* resolved */
    struct slice queue;
    struct slice exchange;
    struct slice routing_key;
    struct slice in_body;             /* the id that the body gives; absent: none */
    bool enveloped;                   /* the body is an envelope of the existing services */
    struct slice identity;            /* what the inbox knows it by; absent: nothing */
    char identity_text[IDENTITY_MAX]; /* holds `identity` where it was made */
    struct fingerprint fingerprint;
    bool unidentified;             /* its identity is not known yet */
    struct slice lane;             /* absent: in no order */
    char lane_text[LANE_MAX];      /* holds `lane` of a delivery */
    struct trace_context trace;    /* it belongs to; as the message has it, or made */
    char span[TRACE_SPAN_LEN + 1]; /* of this try; "": there is no trace */
    bool trace_made;
    int attempt;      /* this try; the first is 1 */
    int64_t due_at;   /* its sender wants it no earlier; 0: at once */
    int64_t took_ms;  /* its handler, in this try */
    int64_t first_at; /* wall clock of the first try */
    int64_t retry_id; /* 0: a delivery */
    bool redelivered;
    bool read;      /* type and keys of `message` are those that its envelope gives */
    bool waited;    /* a retry that was never tried: it waited for a handler to return */
    bool condemned; /* it crashed the router too often: no function of the rules is shown it */
    const struct handler *handler;           /* who failed; NULL: nobody was called */
    const struct subscription *subscription; /* NULL: a retry of a queue nobody subscribes to */
};

/* turn_handle.c: leads one message through its savepoint to its outcome. */
int handle_delivery(struct turn *t, struct delivery *d, struct err *err);
int handle_retry(struct turn *t, const struct retry_row *row, struct err *err);

/* The message at hand failed alone, in the turn before this one: that verdict counts. */
bool handle_condemns(const struct turn *t);

/* True when this message has to wait for the next turn: it is the suspect of a death (strike.h),
 * which is handled alone, and this turn has handled others. */
bool handle_must_wait(const struct turn *t, struct slice queue, const struct message *m);

/* turn_trace.c: fills what trace it belongs to. */
void trace_item(struct turn *t, struct item *i);

/* Fills type, keys and id. ERR_INPUT: nobody can read it, a dead letter with these words.
 * ERR_SCRIPT: the rules' own function failed, as a handler does. */
int item_read(struct turn *t, struct item *i, struct err *err);

/* Fills the identity of what was read and has its fingerprint. Codes as item_read. */
int item_identify(struct turn *t, struct item *i, struct err *err);

/* Enters the message into the inbox; *go_on is false when that decided what becomes of it. */
int item_enter(struct turn *t, struct item *i, bool *go_on, struct err *err);
/* *floor_out: ids of its queue are remembered only since then, and it was sent before; 0: it is not
 * too old. */
int item_floor(const struct turn *t, const struct item *i, int64_t *floor_out, struct err *err);
int item_dead_letter_old(struct turn *t, const struct item *i, int64_t floor, struct err *err);

/* Who judged that it cannot be read: a generation of the rules, or the core (0). */
int64_t item_reader(const struct turn *t, const struct item *i);

/* How often in a row the process died in the rules' functions with this message. */
int item_strikes(const struct turn *t, struct slice queue, const struct message *received);
uint64_t item_strike_key(const struct item *i);
void item_strike_words(char *out, size_t size);

/* What the rules' functions see of it. The next two stand around each call of one: its log lines
 * name the message, a death of the process is blamed on it, and the watchdog looks at the time.
 * `last`: the function was the message's handler. */
struct script_message item_as_seen(const struct item *i);
void item_begin_call(struct turn *t, const struct item *i);
void item_end_call(struct turn *t, bool last);

/* For trials: reads it and calls its handler; nothing is written about it. The outcome is in
 * t->outcome; a message that cannot be read is SCRIPT_REJECT there. *wanted_out is false when no
 * handler wants it. Codes are those that would end a turn. */
int item_try(struct turn *t, struct item *i, bool *wanted_out, struct err *err);

/* The message whole, as it was received: an envelope's function may have put something else
 * in its place, and would read that when it is tried again. Type and keys, which people
 * look for, are those that were found. */
struct message item_as_kept(const struct item *i);

/* Removes its retry row, where it has one. A trigger then wakes the next message of its lane. */
int item_leave_retries(struct turn *t, const struct item *i, struct err *err);

/* The handler returned. */
int item_done(struct turn *t, const struct item *i, struct err *err);

/* It did not: its writes are undone; waits for a retry or becomes a dead letter. */
int item_failed(struct turn *t, const struct item *i, const struct script_outcome *o,
                struct err *err);

/* An earlier message of its lane waits, so this one waits behind it, untried. */
int item_behind(struct turn *t, const struct item *i, struct err *err);

/* Its sender wants it later: it waits here, untried, in its place of its lane. */
int item_postpone(struct turn *t, const struct item *i, struct err *err);

/* The broker may give up on it: it waits here instead, untried, in its place of its lane. */
#define RESCUED                                                                                    \
    "rescued: it came back to its queue again and again, and the broker gives up on what does "    \
    "(delivery limit), so it is tried from here"
int item_rescue(struct turn *t, const struct item *i, struct err *err);

/* turn_pause.c. A try failed by itself. Where that is no attempt, because its queue is paused,
 * *due_at_out is when it is tried again; 0: it counts. */
int pausing_failed(struct turn *t, const struct item *i, const char *error, int64_t *due_at_out,
                   struct err *err);

/* It counted, and has become this dead letter. */
void pausing_dead_lettered(struct turn *t, const struct item *i, const char *error, int64_t letter);

/* A message was handled, or its handler decided itself: its queue flows. */
void pausing_passed(struct turn *t, const struct item *i, const char *why);

/* No handler wants it. */
int item_unhandled(struct turn *t, const struct item *i, struct err *err);

/* Becomes a dead letter. `generation` 0: the core's own judgement; `traceback` may be NULL. */
int item_dead_letter(struct turn *t, const struct item *i, const char *error, const char *traceback,
                     int64_t generation, struct err *err);

/* Another message with this id was taken before: a dead letter, without touching that one. */
int item_id_used_twice(struct turn *t, struct item *i, struct err *err);

/* A log line about it, kept back until the turn commits. */
void item_log(struct turn *t, enum log_level level, const char *event, const struct item *i,
              const char *reason);

#endif

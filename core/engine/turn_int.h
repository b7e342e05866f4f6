/*
 * turn_int - what the files of a turn share: turn.c, turn_handle.c, turn_publish.c, turn_settle.c
 */
#ifndef HERALD_ENGINE_TURN_INT_H
#define HERALD_ENGINE_TURN_INT_H

#include "base/chance.h"
#include "base/trace_context.h"
#include "engine/bridge.h"
#include "engine/fair.h"
#include "engine/foreign.h"
#include "engine/nameset.h"
#include "engine/past_rules.h"
#include "engine/policy.h"
#include "engine/share.h"
#include "engine/streak.h"
#include "engine/turn.h"
#include "engine/turn_spans.h"
#include "store/halt.h"
#include "store/outbox.h"
#include "store/recent.h"
#include "store/retry.h"

/* What a turn that is run again must do differently. */
struct caution {
    size_t limit;   /* messages to handle in the next turn; 0: as many as usual */
    bool lone_next; /* after that turn, one with the culprit alone */
    bool lone;      /* this turn holds the culprit alone */
    bool condemned; /* the culprit failed alone too: `verdict` counts, unrun */
    uint64_t whom;  /* that was: the queue and the body */
    bool rescuing;  /* the culprit is one that is being rescued */
    bool asking;    /* it failed before its handler: in what reads or identifies it */
    struct script_outcome verdict;
};

/* See turn_prove. */
enum proof { PROOF_NONE, PROOF_WRITE, PROOF_CLEAR };

/* A queue that an operator has paused, or had. */
struct halted {
    struct halted *next;
    bool on;     /* it is */
    bool told;   /* that it is, to the broker */
    bool stale;  /* other rules are in force since: tell again */
    bool logged; /* that it is */
    char queue[HALT_NAME_MAX + 1];
};

/* turn_halt.c */
struct halts {
    bool known;      /* as the store has them */
    bool publishing; /* is paused */
    bool logged;     /* that it is */
    struct halted *first;
};

struct decision;   /* turn_publish.c */
struct queue_line; /* turn_messages.c */

struct turn_fair {
    struct fair retries;
    struct fair deliveries;
};

enum {
    BACKLOG_NAME_MAX = 300,
    BACKLOGS_KNOWN_MAX = 256, /* of which one turn can tell the difference */
};

/* Rows that wait for one outlet, as far as this turn knows. */
struct backlog {
    uint64_t hash; /* of its name */
    bool waits;    /* it has rows */
};

/* turn_backlog.c */
struct backlogs {
    bool counted;        /* lonely is known */
    bool lonely;         /* by the rules there is one outlet at most */
    bool found;          /* in this turn, what was in flight before the start waits again */
    bool ready;          /* a turn that found it is committed */
    bool any;            /* some rows wait in a backlog */
    bool stuck;          /* this turn stopped at a row whose outlet has no room */
    int64_t stuck_ms;    /* monotonic: since when each turn does; below 0: the last did not */
    struct slice served; /* whose rows are being claimed; absent: nobody's */
    struct backlog known[BACKLOGS_KNOWN_MAX];
    size_t n_known;
    uint64_t flood;       /* hash of the first of which the walk met a row that waits; 0: none */
    int64_t scouted;      /* rows up to here were looked at ahead of the cursor */
    int64_t scouted_next; /* the same, once the turn is committed */
    uint64_t passed[BACKLOGS_KNOWN_MAX]; /* hashes of those whose rows were left there */
    size_t n_passed;
    int laps;                    /* how often all were passed since a row went out */
    char last[BACKLOG_NAME_MAX]; /* where the last turn began to serve */
    size_t last_len;
};

/* What happened to the router itself, and waits to be written. */
struct raises {
    struct raised waiting[RAISED_MAX];
    size_t n;
    size_t written; /* by the running turn */
};

/* A row whose headers became these, to be written down. */
struct traced {
    int64_t row;
    struct slice headers; /* in the turn's arena */
};

struct turn {
    struct turn_parts parts;
    const struct settings *settings; /* lent */
    struct bridge bridge;            /* the scripts' way into the transaction */
    struct script **script;          /* lent; NULL until turn_use_script */
    int64_t generation;              /* of the rules in use */
    struct chance chance;            /* draws the jitter */
    struct counters total;           /* of committed turns */
    struct counters delta;           /* of the running turn */
    struct raises raises;            /* what happened to the router itself */
    struct subscription own;         /* of EVENTS_QUEUE */
    struct pauses pauses;            /* queues on which every message fails alike */
    struct halts halts;              /* what an operator has paused (store/halt.h) */
    int64_t last_letter;             /* id of the dead letter that was written last */
    struct caution caution;
    struct envelope envelope;      /* memory for the message at hand, used again */
    struct buf unpacked;           /* the same, of a body that came compressed (unpack.h) */
    struct buf key_tapes[2];       /* the same, of its keys (message_keys.h) */
    struct script_outcome outcome; /* of the handler at hand: large, so it lives here */

    struct delivery **deliveries;   /* room for TURN_LENT_MAX; lent by the broker */
    struct queue_line *queue_lines; /* room for TURN_QUEUES_MAX (turn_messages.c) */
    struct turn_fair fair;          /* whose turn it is, of the queues */
    struct turn_fair fair_before;   /* as the turn began: what is undone counts for nothing */
    struct arena arena;             /* text of this turn */
    struct settlement *settlements;
    int64_t *confirmed;         /* ids of confirmed rows of this turn */
    struct decision *decisions; /* rows that cannot go out as they are */
    size_t n_decisions;
    size_t n_splits; /* of these */
    int64_t *dated;  /* rows that went out with a time that must be written down */
    size_t n_dated;
    int64_t *plain; /* rows that may have been sent without a format, which must be written down */
    size_t n_plain;
    struct traced *traced; /* rows that go out with a trace context which was made for them */
    size_t n_traced;
    struct buf trace_headers; /* memory for one of these, used again */
    size_t budget;            /* rows that the walk at hand may still hand to the broker */
    struct backlogs backlogs;
    const struct route *route; /* of the last row that was asked about in this turn; NULL: none */

    int64_t cursor;                 /* outbox ids at or below are in flight, postponed or gone */
    int64_t next_cursor;            /* becomes the cursor when the turn commits */
    int64_t highest_row;            /* that goes to the broker when the turn commits; 0: none */
    int64_t began_ms;               /* monotonic */
    struct share share;             /* its time, divided among its phases */
    bool news_first;                /* deliveries come before due retries */
    bool news_next;                 /* the same, of the turn after this one when it commits */
    enum foreign_kind foreign_kind; /* of the processes on the store, as the turn began */
    struct foreign foreign;         /* what was left free for them */
    int64_t gap_ms;                 /* for how long the store is left free after the turn */
    int64_t now_ms;                 /* wall clock at the begin */
    size_t handled;                 /* messages of this turn so far */
    struct recent *recent;         /* ring of settings.recent_max, lent by deliveries and `arena` */
    size_t n_recent;               /* noted in this turn; the ring holds the last of them */
    bool lane_moved;               /* the first of a lane is gone: the next one is due */
    bool hurrying;                 /* paused queues are to be probed at once */
    bool adopting;                 /* retries of a queue that returned are to become due */
    bool adopting_next;            /* the same, of the turn after this one when it commits */
    const struct past_rules *past; /* lent; NULL: nothing waits for rules to return */
    struct slice taken;            /* to be written down; absent: it was */
    struct nameset unhandled;      /* types without a handler that were told of, with their turn */
    int64_t serial;                /* of this turn */
    int64_t committed;             /* the last one that was */
    bool script_spoiled;   /* a route's function ran out of memory: rebuild after the turn */
    bool alone;            /* the suspect of a death was handled: nobody else is (strike.h) */
    uint64_t at_hand;      /* as caution.whom, in a turn with one message */
    bool rescuing;         /* endangered deliveries are written, and no handler runs */
    bool suspect_waits;    /* the next turn is for the delivery that is the suspect */
    uint64_t condemned;    /* key of who was, by its strikes: forgotten when the turn commits */
    enum proof proof;      /* that the store can be written */
    bool more;             /* something is left that could be done at once */
    bool pruning;          /* inbox rows beyond the window are left */
    int64_t prune_at_ms;   /* monotonic: when to look for old inbox rows again */
    int64_t inbox_floor;   /* keys of before this time may be gone (of some queue) */
    bool floors_inherited; /* what an upgrade left to do for the floors is done */
    bool old_ids;          /* the inbox has identities that 0.1.0 gave */
    int64_t told_body_ids; /* generation to which it was told that a body's id is no identity */
    int64_t cared_ms;      /* monotonic: when a committed turn last looked for them */
    bool caring;           /* one has */
    bool cared;            /* this one did */

    size_t history_rows;     /* of this turn, in the history */
    size_t history_bytes;    /* their bodies */
    int64_t history_look_ms; /* monotonic: when to look for old ones again */
    bool history_left;       /* old ones are left */
};

enum { TURN_ROWS_MAX = 1000, TURN_LENT_MAX = 4000, TURN_QUEUES_MAX = 1024 };

struct item;

/* turn_recent.c: the last handled messages of a turn, kept for trials (store/recent.h). Noted
 * as they pass, written once before the commit. */
void turn_recent_note(struct turn *t, const struct item *i);
int turn_recent_write(struct turn *t, struct err *err);

/* turn_history.c: copies of what is finished, when the setting `history` is on. Rows are looked at
 * before they are deleted; `ids` are sorted. */
int turn_history_item(struct turn *t, const struct item *i, const char *outcome, struct err *err);
int turn_history_rows(struct turn *t, int64_t *ids, size_t n, const char *outcome, struct err *err);
int turn_history_prune(struct turn *t, struct err *err);

/* True when the turn has lasted long enough to end. */
bool turn_is_old(const struct turn *t);

/* The time of a phase of the turn (share.h). turn_share_is_used: before each unit of its work. */
void turn_enter(struct turn *t, enum share_phase phase);
bool turn_share_is_used(struct turn *t);
void turn_leave(struct turn *t);

/* turn_messages.c: due retries and deliveries. Codes that end the turn are returned. */
int handle_messages(struct turn *t, struct err *err);
int messages_init(struct turn *t, struct err *err);
void messages_free(struct turn *t);

/* item_read.c: what a turn must know of the inbox before it handles anything. */
int item_read_begin(struct turn *t, struct err *err);

/* turn_rescue.c: what the broker may give up on; t->rescuing is set where there was any. */
int rescue_messages(struct turn *t, struct err *err);

/* turn_pause.c: turn_probe was called; all due rows were looked at; after the commit; before other
 * rules are used. */
int pausing_hurry(struct turn *t, struct err *err);
void pausing_ask(struct turn *t);
void pausing_tell(struct turn *t);
void pausing_reset(struct turn *t);

/* turn_halt.c: at the begin of a turn; whether a queue is to be left alone; after the commit;
 * before other rules are used, which may bring a queue back that was gone. */
int halts_read(struct turn *t, struct err *err);
bool halts_have(const struct turn *t, struct slice queue);
void halts_tell(struct turn *t);
void halts_use_rules(struct turn *t);
void halts_free(struct turn *t);

/* turn_publish.c: outbox rows out. */
int publish_rows(struct turn *t, struct err *err);
void publish_free(struct turn *t);
int publish_init(struct turn *t, struct err *err);

enum decision_kind {
    DECIDE_PARK,
    DECIDE_REFUSE,
    DECIDE_PUT_OFF,
    DECIDE_SPLIT,
    DECIDE_ORDER,
    DECIDE_BACKLOG,
    DECIDE_UNWANTED,
    DECIDE_FORMAT,
};

/* Notes what is to be written about a row once the walk is over. */
void publish_decide(struct turn *t, const struct outbox_row *row, enum decision_kind kind,
                    const char *reason);

/* turn_format.c. A row whose route has a format, and which has none yet, is brought into it when
 * the walk is over; one that may have been sent stays as it is. What the process before this one
 * had in flight is noted for that before anything is written about it. */
void format_note_inherited(struct turn *t, const struct outbox_row *row);
bool format_is_due(struct turn *t, const struct outbox_row *row, const struct route *route);
bool format_is_plain(const struct turn *t, const struct outbox_row *row); /* noted just now */
int format_row(struct turn *t, int64_t row, const char *format, struct err *err);

/* turn_trace.c. `m` is the row's message, and gets a trace context where the setting wants one and
 * none was sent yet: true. Whoever sends it notes that, and what was noted is written when the walk
 * is over. */
bool trace_is_on(const struct turn *t);
bool trace_row(struct turn *t, const struct outbox_row *row, struct message *m);
void trace_note(struct turn *t, int64_t row, struct slice headers);
int trace_write(struct turn *t, struct err *err);
/* trace_id=... for the end of a log line, or the end itself; of a row, what it needs is in `room`.
 */
struct log_field trace_field(const struct trace_context *c);
struct log_field trace_field_of_row(struct turn *t, int64_t row, struct trace_context *room);

/* turn_raise.c: writes what waits; it is committed. And the subscription of a retry's queue, which
 * may be EVENTS_QUEUE; NULL: there is none. */
int raises_write(struct turn *t, struct err *err);
void raises_keep(struct turn *t);
const struct subscription *subscription_of(struct turn *t, struct slice queue);

/* turn_target.c. Destinations are lent until the next row. */
struct target {
    const struct destination *to;
    size_t n;
    struct destination leg; /* holds the one of a leg */
};

/* The rules' route for a row; NULL: there is none, or it is a leg, which goes where it went
 * before, whatever the rules say by now. */
const struct route *publish_route(struct turn *t, const struct outbox_row *row);

/* `route` is the row's. False: it goes nowhere now, which has been decided. */
bool target_find(struct turn *t, const struct outbox_row *row, const struct route *route,
                 struct target *out);

outbox_row_fn publish_row;

/* Where a row goes that the rules send to one outlet without asking a function, and that has no
 * lane; NULL: nobody can tell yet. `leg` holds the destination of a leg. */
const struct destination *publish_glance(struct turn *t, const struct outbox_row *row,
                                         struct destination *leg);
/* The row joins this backlog when the walk is over. */
void publish_to_backlog(struct turn *t, const struct outbox_row *row, struct slice name);

/* turn_backlog.c: rows that wait for their outlet. */
enum backlog_answer {
    BACKLOG_GO,   /* publish it */
    BACKLOG_WAIT, /* write it into the backlog */
    BACKLOG_STOP, /* leave it, and all behind it, for a later turn */
};
void backlogs_use_rules(struct turn *t); /* others than before */

/* Around the walks over rows of a turn. */
int backlogs_begin(struct turn *t, struct err *err);
void backlogs_end(struct turn *t);

/* When to look again at what stopped the walk, ms since 1970 UTC; INT64_MAX: it did not. */
int64_t backlogs_due(const struct turn *t);

/* "exchange x": the backlog in which a row waits for this destination. In `room`. */
struct slice backlogs_name(char room[BACKLOG_NAME_MAX], const struct outbox_row *row,
                           const struct destination *to);

/* What to do with a row of this backlog; `has_room` false: its outlet takes none now. */
enum backlog_answer backlogs_ask(struct turn *t, struct slice name, bool has_room);

/* Publishes what waits, one backlog after the other. */
int backlogs_serve(struct turn *t, struct err *err);

/* turn_settle.c: what became of them. And of a row that cannot be published: it was refused, which
 * is an attempt; it is tried again in a moment; it is a dead letter. */
int settle_rows(struct turn *t, struct err *err);
int settle_refusal(struct turn *t, int64_t row, enum outbox_trouble trouble, const char *reason,
                   struct err *err);
int settle_put_off(struct turn *t, int64_t row, const char *reason, struct err *err);
int settle_park(struct turn *t, int64_t row, const char *reason, struct err *err);
/* An answer that nobody waits for: it is gone. */
int settle_unwanted(struct turn *t, int64_t row, const char *reason, struct err *err);

#endif

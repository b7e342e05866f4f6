/* trial - see trial.h. The turn's own way of reading and calling is used (item_try), with
 * a transcript in the bridge; everything else of a turn is left out. */
#include "engine/trial.h"

#include "base/json.h"
#include "engine/item.h"
#include "store/letter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TRIAL_MS = 5000,                /* the router does nothing else meanwhile */
    MEMORY_MAX = 256 * 1024 * 1024, /* of the messages */
    SIDE_MAX = 320 * 1024,          /* of what one generation did with one message */
    HEADS_MAX = 64 * 1024,          /* what stands around that */
};

/* One generation, and what it made of the message at hand. */
struct side {
    struct transcript doings;
    struct script **script; /* lent; rebuilt where a message broke its state */
    const char *word;       /* the outcome */
    char words[1024];
};

struct trial {
    struct turn *turn;
    struct recent *messages; /* texts in `arena` */
    size_t n, room;
    struct arena arena;
    struct side now, next;
    size_t run, differing;
};

static bool keep(void *arg, const struct recent *r)
{
    struct trial *x = arg;
    struct recent copy = *r;

    if (x->n == x->room || !message_keep(&x->arena, &copy.message) ||
        !arena_keep(&x->arena, &copy.queue) || !arena_keep(&x->arena, &copy.exchange) ||
        !arena_keep(&x->arena, &copy.routing_key))
        return false;
    x->messages[x->n++] = copy;
    return true;
}

static bool keep_letter(void *arg, const struct letter *l)
{
    const struct recent r = {.at = l->at,
                             .queue = l->queue,
                             .message = l->message,
                             .exchange = l->exchange,
                             .routing_key = l->routing_key};

    return l->side != LETTER_INBOX || keep(arg, &r);
}

static int compare_age(const void *a, const void *b)
{
    const struct recent *x = a, *y = b;

    return (x->at < y->at) - (x->at > y->at);
}

/* The last `n` of both kinds, the newest first. */
static int collect(struct trial *x, size_t n, struct err *err)
{
    struct db *db = x->turn->parts.db;
    int rc;

    x->messages = calloc(2 * n, sizeof *x->messages);
    if (x->messages == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    x->room = n;
    rc = recent_list(db, n, keep, x, err);
    x->room = x->n + n;
    if (rc == OK)
        rc = letter_newest(db, n, keep_letter, x, err);
    if (x->n > 1)
        qsort(x->messages, x->n, sizeof *x->messages, compare_age);
    x->n = x->n < n ? x->n : n;
    return rc;
}

static const char *word_of(enum script_verdict verdict)
{
    switch (verdict) {
    case SCRIPT_DONE:
        return "done";
    case SCRIPT_RETRY:
        return "retry";
    case SCRIPT_REJECT:
        return "reject";
    case SCRIPT_FAILED:
    case SCRIPT_NOMEM:
    case SCRIPT_TX_LOST:
    case SCRIPT_ENVIRONMENT:
        break;
    }
    return "failed";
}

static void note_outcome(struct side *s, const char *word, const char *words)
{
    s->word = word;
    snprintf(s->words, sizeof s->words, "%s", words);
}

/* What would end a turn is only this message's outcome here, except for trouble of the store. */
static int try_item(struct turn *t, struct item *i, struct side *s, struct err *err)
{
    struct err why = {0};
    bool wanted;
    int rc = item_try(t, i, &wanted, &why);

    if (rc == OK && !wanted)
        note_outcome(s, "unhandled", "no handler wants it");
    else if (rc == OK)
        note_outcome(s, word_of(t->outcome.verdict), t->outcome.error);
    else
        note_outcome(s, "failed", why.text);
    if (rc == ERR_TX_LOST || t->outcome.verdict == SCRIPT_NOMEM)
        return script_rebuild(s->script, err);
    return rc == OK ? OK : err_set(err, rc, "%s", why.text);
}

/* One generation on one message. Leaves the transaction as it was, or, where a statement
 * ended it, begins another. */
static int run_one(struct trial *x, const struct recent *m, struct side *s, struct err *err)
{
    struct turn *t = x->turn;
    struct db *db = t->parts.db;
    struct item i = {.received = m->message,
                     .message = m->message,
                     .queue = m->queue,
                     .exchange = m->exchange,
                     .routing_key = m->routing_key,
                     .attempt = 1,
                     .first_at = t->now_ms,
                     .subscription = rules_subscription(script_rules(*s->script), m->queue)};
    int rc = db_savepoint(db, err);

    if (rc != OK)
        return rc;
    buf_clear(&s->doings.did);
    s->doings.cut = false;
    t->script = s->script;
    t->bridge.transcript = &s->doings;
    trace_item(t, &i);
    if (i.subscription != NULL)
        rc = try_item(t, &i, s, err);
    else
        note_outcome(s, "unhandled", "no subscription for this queue");
    t->bridge.transcript = NULL;
    if (rc == OK && !db_in_transaction(db)) {
        db_rollback(db);
        return db_begin(db, err);
    }
    if (rc == OK)
        rc = db_rollback_to(db, err);
    return rc == OK ? db_release(db, err) : rc;
}

static void add_side(const struct side *s, const char *name, struct buf *b)
{
    json_add_array(b, name);
    bridge_begin_deed(b, "outcome");
    json_add_string(b, NULL, s->word);
    json_add_string(b, NULL, s->words);
    bridge_end_deed(b);
    if (s->doings.did.len > 0) {
        buf_text(b, ",");
        buf_append(b, s->doings.did.data, s->doings.did.len);
    }
    if (s->doings.cut) {
        bridge_begin_deed(b, "cut");
        json_add_string(b, NULL, "it did more, which is not compared");
        bridge_end_deed(b);
    }
    json_end(b, "]");
}

static void put_difference(const struct trial *x, const struct recent *m, struct buf *b)
{
    const struct slice none = slice_of(""), *key = &m->message.key[1];
    size_t from = b->len;

    json_add_object(b, NULL);
    json_add_object(b, "differs");
    bridge_add_text(b, "message_id", m->message.id.data ? m->message.id : none);
    bridge_add_text(b, "queue", m->queue);
    bridge_add_text(b, "type", m->message.type.data ? m->message.type : none);
    bridge_add_text(b, "order_type", key->data ? *key : none);
    add_side(&x->now, "now", b);
    add_side(&x->next, "next", b);
    json_end_line(b, from, "}}");
}

/* Words differ by more than a line's number: rules move when something above them grows. */
static bool same_words(const char *a, const char *b)
{
    while (*a != '\0' && *a == *b) {
        if (*a == ':') {
            a += 1 + strspn(a + 1, "0123456789");
            b += 1 + strspn(b + 1, "0123456789");
        } else {
            a++;
            b++;
        }
    }
    return *a == *b;
}

static bool same_doings(const struct transcript *x, const struct transcript *y)
{
    return x->did.len == y->did.len &&
           (x->did.len == 0 || memcmp(x->did.data, y->did.data, x->did.len) == 0);
}

static bool differ(const struct trial *x)
{
    return strcmp(x->now.word, x->next.word) != 0 || !same_words(x->now.words, x->next.words) ||
           !same_doings(&x->now.doings, &x->next.doings);
}

static int run_all(struct trial *x, struct buf *lines, struct err *err)
{
    const struct clock *clock = &x->turn->parts.clock;
    int64_t until = clock_mono(clock) + TRIAL_MS;
    int rc = OK;

    for (; x->run < x->n && rc == OK && clock_mono(clock) < until; x->run++) {
        const struct recent *m = &x->messages[x->run];

        rc = run_one(x, m, &x->now, err);
        if (rc == OK)
            rc = run_one(x, m, &x->next, err);
        if (rc != OK || !differ(x))
            continue;
        if (lines->len + x->now.doings.did.len + x->next.doings.did.len + HEADS_MAX > lines->max)
            break; /* it counts as left out */
        x->differing++;
        put_difference(x, m, lines);
    }
    return rc;
}

static void put_sum(const struct trial *x, struct buf *b)
{
    size_t from = b->len;

    json_add_object(b, NULL);
    json_add_object(b, "trial");
    json_add_int(b, "run", (int64_t)x->run);
    json_add_int(b, "differing", (int64_t)x->differing);
    json_add_int(b, "left_out", (int64_t)(x->n - x->run));
    json_end_line(b, from, "}}");
}

/* Inside the transaction, with the log kept back. The answer's last line is whole, or absent. */
static int try_all(struct trial *x, size_t n, struct buf *answer, struct err *err)
{
    size_t used = answer->len + HEADS_MAX;
    struct buf lines;
    int rc;

    buf_init(&lines, answer->max > used ? answer->max - used : 0);
    rc = collect(x, n, err);
    if (rc == OK)
        rc = run_all(x, &lines, err);
    if (rc == OK)
        put_sum(x, answer);
    if (rc == OK && lines.len > 0)
        buf_append(answer, lines.data, lines.len);
    buf_free(&lines);
    return rc;
}

static void begin_side(struct side *s, struct script **script, int64_t now_ms)
{
    *s = (struct side){.doings = {.now_ms = now_ms}, .script = script};
    buf_init(&s->doings.did, SIDE_MAX);
}

/* Handlers may have kept something in Lua's memory of messages that were only tried. */
static int end_side(struct side *s, struct err *err)
{
    buf_free(&s->doings.did);
    return script_rebuild(s->script, err);
}

static int end_sides(struct trial *x, int rc, struct err *err)
{
    struct err why = {0};
    int now = end_side(&x->now, &why);
    int next = end_side(&x->next, now == OK ? &why : NULL);

    if (rc == OK && (now != OK || next != OK))
        rc = err_set(err, now != OK ? now : next, "after a trial: %s", why.text);
    return rc;
}

int trial_run(struct turn *t, struct script **now, struct script **next, size_t n,
              struct buf *answer, struct err *err)
{
    struct trial x = {.turn = t};
    struct script **in_use = t->script;
    struct caution caution = t->caution;
    int rc = db_begin(t->parts.db, err);

    if (rc != OK)
        return rc;
    t->now_ms = clock_wall(&t->parts.clock);
    t->caution = (struct caution){.limit = 0};
    arena_init(&x.arena, MEMORY_MAX);
    begin_side(&x.now, now, t->now_ms);
    begin_side(&x.next, next, t->now_ms);
    log_buffer(t->parts.log);
    rc = try_all(&x, n, answer, err);
    db_rollback(t->parts.db);
    rc = end_sides(&x, rc, err);
    log_drop(t->parts.log);
    t->script = in_use;
    t->caution = caution;
    t->delta = (struct counters){0};
    arena_free(&x.arena);
    free(x.messages);
    return rc;
}

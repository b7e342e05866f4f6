/* turn_spans - see turn_spans.h. */
#include "engine/turn_spans.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { TURN_BYTES_MAX = 512 * 1024, ONE_MAX = 8192 };

/* A row in flight. */
struct sent {
    int64_t row; /* 0: a free place */
    char *text;  /* its span up to the end; owned */
    bool fresh;  /* since this turn */
    bool ended;  /* in this turn */
};

struct turn_spans {
    struct span_export *out;
    const char *system;
    struct buf done; /* spans of this turn, with commas between */
    int64_t n_done;
    struct buf acks; /* those that end when it is told: each up to its end, with a NUL */
    int64_t dropped; /* for which there was no room */
    struct buf one;  /* memory for one */
    struct sent *sent;
    size_t places; /* a power of two, twice what may be in flight */
    size_t n_sent;
    bool changed; /* some are fresh or ended */
};

struct turn_spans *turn_spans_new(struct span_export *out, const char *system, size_t rows)
{
    struct turn_spans *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->out = out;
    s->system = system;
    for (s->places = 64; s->places < 2 * rows;)
        s->places *= 2;
    buf_init(&s->done, TURN_BYTES_MAX);
    buf_init(&s->acks, TURN_BYTES_MAX);
    buf_init(&s->one, ONE_MAX);
    s->sent = calloc(s->places, sizeof *s->sent);
    if (s->sent == NULL)
        turn_spans_free(&s);
    return s;
}

void turn_spans_free(struct turn_spans **s_in)
{
    struct turn_spans *s = *s_in;

    if (s == NULL)
        return;
    for (size_t i = 0; s->sent != NULL && i < s->places; i++)
        free(s->sent[i].text);
    free(s->sent);
    buf_free(&s->done);
    buf_free(&s->acks);
    buf_free(&s->one);
    free(s);
    *s_in = NULL;
}

int64_t turn_spans_now(const struct turn_spans *s)
{
    struct timespec t;

    if (s == NULL)
        return 0;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static bool is_wanted(const struct turn_spans *s, const struct trace_context *c)
{
    return s != NULL && trace_context_is(c) && (c->flags & TRACE_SAMPLED) != 0;
}

static void add_done(struct turn_spans *s, const char *text, int64_t end_us, const char *error)
{
    size_t before = s->done.len;

    if (before > 0)
        buf_text(&s->done, ",");
    buf_text(&s->done, text);
    span_end(&s->done, end_us, error);
    if (s->done.failed) {
        s->done.failed = false;
        s->done.len = before;
        s->dropped++;
        return;
    }
    s->n_done++;
}

/* Writes a beginning into s->one, with a NUL. */
static bool begin(struct turn_spans *s, const struct span *span)
{
    buf_clear(&s->one);
    span_begin(&s->one, span);
    buf_append(&s->one, "", 1);
    s->dropped += s->one.failed;
    return !s->one.failed;
}

void turn_spans_tried(struct turn_spans *s, const struct span *of, const char *error)
{
    struct span span = *of;

    if (s == NULL || !is_wanted(s, of->context))
        return;
    span.operation = SPAN_PROCESS;
    span.system = s->system;
    if (begin(s, &span))
        add_done(s, s->one.data, turn_spans_now(s), error[0] != '\0' ? error : NULL);
}

void turn_spans_accepted(struct turn_spans *s, const struct span *of)
{
    const struct slice words[] = {slice_of("settle"), slice_of(of->id)};
    struct span span = *of;
    char id[TRACE_SPAN_LEN + 1];
    size_t before;

    if (s == NULL || !is_wanted(s, of->context))
        return;
    trace_context_make_span(id, of->context, words, 2);
    span.operation = SPAN_SETTLE;
    span.system = s->system;
    span.id = id;
    span.start_us = turn_spans_now(s);
    before = s->acks.len;
    if (!begin(s, &span))
        return;
    buf_append(&s->acks, s->one.data, s->one.len);
    s->dropped += s->acks.failed;
    if (s->acks.failed)
        s->acks.len = before;
    s->acks.failed = false;
}

void turn_spans_made(struct turn_spans *s, const struct outbox_row *row, const struct message *m)
{
    struct trace_context c;
    int64_t now_us = turn_spans_now(s);

    if (s == NULL || !trace_context_read(&c, m->headers))
        return;
    if (begin(s, &(struct span){.operation = SPAN_CREATE,
                                .context = &c,
                                .root = true,
                                .id = c.span,
                                .system = s->system,
                                .exchange = slice_of(row->leg_exchange),
                                .routing_key = slice_of(row->leg_routing_key),
                                .message_id = m->id,
                                .type = m->type,
                                .start_us = now_us}))
        add_done(s, s->one.data, now_us, NULL);
}

/* The place of a row, or the free one where it would be. */
static struct sent *place_of(const struct turn_spans *s, int64_t row)
{
    size_t i = text_hash(TEXT_HASH_START, &row, sizeof row) & (s->places - 1);

    while (s->sent[i].row != 0 && s->sent[i].row != row)
        i = (i + 1) & (s->places - 1);
    return &s->sent[i];
}

/* Those behind it that had to give way are put where they belong. */
static void remove_place(struct turn_spans *s, struct sent *at)
{
    size_t i = (size_t)(at - s->sent);

    free(at->text);
    *at = (struct sent){.row = 0};
    s->n_sent--;
    for (i = (i + 1) & (s->places - 1); s->sent[i].row != 0; i = (i + 1) & (s->places - 1)) {
        const struct sent moved = s->sent[i];

        s->sent[i] = (struct sent){.row = 0};
        *place_of(s, moved.row) = moved;
    }
}

void turn_spans_sent(struct turn_spans *s, const struct outbox_row *row, const struct message *m,
                     const struct destination *to)
{
    char id[TRACE_SPAN_LEN + 1];
    struct trace_context c;
    int64_t start_us = turn_spans_now(s);
    struct slice words[] = {m->id,
                            {(const char *)&row->id, sizeof row->id},
                            {(const char *)&start_us, sizeof start_us}};
    struct sent *at;

    if (s == NULL || !trace_context_read(&c, m->headers) || !is_wanted(s, &c))
        return;
    trace_context_make_span(id, &c, words, 3);
    if (2 * (s->n_sent + 1) > s->places || place_of(s, row->id)->row != 0) {
        s->dropped++;
        return;
    }
    if (!begin(s, &(struct span){.operation = SPAN_SEND,
                                 .context = &c,
                                 .id = id,
                                 .system = s->system,
                                 .exchange = slice_of(to->exchange),
                                 .routing_key = slice_of(to->routing_key),
                                 .message_id = m->id,
                                 .type = m->type,
                                 .body = m->body.len,
                                 .attempt = row->attempts + 1,
                                 .start_us = start_us}))
        return;
    at = place_of(s, row->id);
    at->text = strdup(s->one.data);
    if (at->text == NULL) {
        s->dropped++;
        return;
    }
    at->row = row->id;
    at->fresh = s->changed = true;
    s->n_sent++;
}

static const char *error_of(const struct settlement *of)
{
    if (of->outcome == PUBLISH_CONFIRMED)
        return NULL;
    if (of->why != NULL)
        return of->why;
    return of->outcome == PUBLISH_NACKED ? "nacked" : "no confirm in time";
}

void turn_spans_settled(struct turn_spans *s, const struct settlement *of)
{
    struct sent *at;

    if (s == NULL || (at = place_of(s, of->row))->row == 0 || at->ended)
        return;
    add_done(s, at->text, turn_spans_now(s), error_of(of));
    at->ended = s->changed = true;
}

/* What this turn began or ended stays or is gone. Into a place that becomes free one of those
 * behind it may move. */
static void sweep(struct turn_spans *s, bool committed)
{
    for (size_t i = 0; s->changed && i < s->places; i++) {
        struct sent *at = &s->sent[i];

        while (at->row != 0 && (committed ? at->ended : at->fresh))
            remove_place(s, at);
        at->fresh = at->ended = false;
    }
    s->changed = false;
}

static void clear(struct turn_spans *s)
{
    buf_clear(&s->done);
    buf_clear(&s->acks);
    s->n_done = s->dropped = 0;
}

void turn_spans_keep(struct turn_spans *s)
{
    int64_t now_us = turn_spans_now(s);

    if (s == NULL)
        return;
    for (size_t at = 0; at < s->acks.len; at += strlen(s->acks.data + at) + 1)
        add_done(s, s->acks.data + at, now_us, NULL);
    if (s->n_done > 0)
        span_export_put(s->out, s->done.data, s->done.len, s->n_done);
    if (s->dropped > 0)
        span_export_drop(s->out, s->dropped);
    sweep(s, true);
    clear(s);
}

void turn_spans_undo(struct turn_spans *s)
{
    if (s == NULL)
        return;
    sweep(s, false);
    clear(s);
}

/* streak - see streak.h. */
#include "engine/streak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pause *pauses_find(const struct pauses *all, struct slice queue)
{
    struct pause *p = all->first;

    while (p != NULL && !slice_is(queue, p->queue))
        p = p->next;
    return p;
}

static void pause_free(struct pause *p)
{
    free(p->queue);
    free(p->members);
    free(p->kept_members);
    free(p);
}

static struct pause *pause_new(const struct pause_failure *f)
{
    struct pause *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->after = f->after;
    p->paced = PACE_FLOW;
    p->queue = strndup(f->queue.data, f->queue.len);
    p->members = calloc(p->after, sizeof *p->members);
    p->kept_members = calloc(p->after, sizeof *p->members);
    if (p->queue != NULL && p->members != NULL && p->kept_members != NULL)
        return p;
    pause_free(p);
    return NULL;
}

static struct pause *find_or_add(struct pauses *all, const struct pause_failure *f)
{
    struct pause *p = pauses_find(all, f->queue);

    if (p != NULL)
        return p;
    p = pause_new(f);
    if (p != NULL) {
        p->next = all->first;
        all->first = p;
    }
    return p;
}

static struct pause_member *member(const struct pause *p, uint64_t key)
{
    for (size_t i = 0; i < p->now.n; i++)
        if (p->members[i].key == key)
            return &p->members[i];
    return NULL;
}

static void start_over(struct pause *p)
{
    if (p->now.paused || p->now.n > 0)
        p->changed = true;
    p->now = (struct streak){.paused = false};
}

static void put_off(struct pause *p, int64_t now_ms)
{
    struct streak *s = &p->now;

    s->probe_ms = s->probe_ms * 2 < PAUSE_PROBE_MAX_MS ? s->probe_ms * 2 : PAUSE_PROBE_MAX_MS;
    s->probe_at = now_ms + s->probe_ms;
}

/* A row that failed is followed by a delivery, a delivery by the next row. */
static enum pause_answer probe_failed(struct pause *p, const struct pause_failure *f)
{
    p->changed = true;
    p->now.failures++;
    p->now.asking = !f->delivery;
    if (!f->delivery || p->now.probe_at <= f->now_ms)
        put_off(p, f->now_ms);
    return PAUSE_ALIKE;
}

static void begin(struct pause *p, const struct pause_failure *f)
{
    struct streak *s = &p->now;

    s->paused = true;
    s->since_ms = f->now_ms;
    s->probe_ms = PAUSE_PROBE_MIN_MS;
    s->probe_at = f->now_ms + s->probe_ms;
    s->failures = (int64_t)s->n + 1;
    snprintf(s->error, sizeof s->error, "%s", f->error);
}

static enum pause_answer add_member(struct pause *p, const struct pause_failure *f)
{
    if (p->now.group != f->group)
        start_over(p);
    if (member(p, f->key) != NULL)
        return PAUSE_COUNTS;
    p->changed = true;
    p->now.group = f->group;
    if (p->now.n + 1 >= p->after) {
        begin(p, f);
        return PAUSE_BEGINS;
    }
    p->members[p->now.n++] = (struct pause_member){.key = f->key};
    return PAUSE_COUNTS;
}

int pauses_failed(struct pauses *all, const struct pause_failure *f, enum pause_answer *out,
                  struct err *err)
{
    struct pause *p;
    bool was_paused;

    *out = PAUSE_COUNTS;
    if (f->after == 0)
        return OK;
    p = f->first ? find_or_add(all, f) : pauses_find(all, f->queue);
    if (p == NULL)
        return f->first ? err_set(err, ERR_NOMEM, "out of memory") : OK;
    was_paused = p->now.paused;
    if (was_paused && p->now.group == f->group) {
        *out = probe_failed(p, f);
        return OK;
    }
    if (was_paused)
        start_over(p);
    if (f->first)
        *out = add_member(p, f);
    if (was_paused && *out == PAUSE_COUNTS)
        *out = PAUSE_ENDS;
    return OK;
}

void pause_dead_lettered(struct pause *p, uint64_t key, int64_t row, int64_t letter)
{
    struct pause_member *m = p != NULL ? member(p, key) : NULL;

    if (m == NULL)
        return;
    m->letter = letter;
    m->row = row;
    p->changed = true;
}

bool pause_passed(struct pause *p)
{
    bool was_paused = p != NULL && p->now.paused;

    if (p != NULL)
        start_over(p);
    return was_paused;
}

bool pause_takes(const struct pause *p)
{
    return p == NULL || !p->now.paused || p->now.asking;
}

void pause_took(struct pause *p)
{
    if (p == NULL || !p->now.asking)
        return;
    p->now.asking = false;
    p->changed = true;
}

/* A probe is never that far ahead: a clock that went back does not make a pause longer. */
static bool is_early(const struct pause *p, int64_t now_ms)
{
    return now_ms < p->now.probe_at && p->now.probe_at - now_ms <= PAUSE_PROBE_MAX_MS;
}

int64_t pause_defers(const struct pause *p, int64_t now_ms)
{
    return p != NULL && p->now.paused && is_early(p, now_ms) ? p->now.probe_at : 0;
}

void pause_asks(struct pause *p, int64_t now_ms)
{
    if (!p->now.paused || is_early(p, now_ms))
        return;
    p->changed = true;
    p->now.asking = true;
    put_off(p, now_ms);
}

void pause_hurries(struct pause *p, int64_t now_ms)
{
    if (!p->now.paused)
        return;
    p->changed = true;
    p->now.probe_at = now_ms;
}

int64_t pauses_next(const struct pauses *all)
{
    int64_t next = INT64_MAX;

    for (const struct pause *p = all->first; p != NULL; p = p->next)
        if (p->now.paused && p->now.probe_at < next)
            next = p->now.probe_at;
    return next;
}

enum broker_pace pause_pace(const struct pause *p)
{
    if (!p->now.paused)
        return PACE_FLOW;
    return p->now.asking ? PACE_ONE : PACE_STOP;
}

static void copy(struct streak *to, struct pause_member *to_members, const struct streak *from,
                 const struct pause_member *from_members)
{
    *to = *from;
    memcpy(to_members, from_members, from->n * sizeof *from_members);
}

void pauses_keep(struct pauses *all)
{
    for (struct pause *p = all->first; p != NULL; p = p->next) {
        if (p->changed)
            copy(&p->kept, p->kept_members, &p->now, p->members);
        p->changed = false;
    }
}

void pauses_undo(struct pauses *all)
{
    for (struct pause *p = all->first; p != NULL; p = p->next) {
        if (p->changed)
            copy(&p->now, p->members, &p->kept, p->kept_members);
        p->changed = false;
    }
}

void pauses_clear(struct pauses *all)
{
    while (all->first != NULL) {
        struct pause *p = all->first;

        all->first = p->next;
        pause_free(p);
    }
}

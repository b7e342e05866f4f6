/* turn_halt - what an operator has paused is left alone (store/halt.h) */
#include "engine/turn_int.h"

#include <stdlib.h>
#include <string.h>

static struct halted *find(const struct turn *t, struct slice queue)
{
    struct halted *h = t->halts.first;

    while (h != NULL && !slice_is(queue, h->queue))
        h = h->next;
    return h;
}

bool halts_have(const struct turn *t, struct slice queue)
{
    const struct halted *h = find(t, queue);

    return h != NULL && h->on;
}

/* What is read, into which turn. */
struct reading {
    struct turn *turn;
    bool failed; /* for want of memory */
};

static struct halted *add(struct turn *t, struct slice queue)
{
    struct halted *h = calloc(1, sizeof *h);

    if (h == NULL)
        return NULL;
    memcpy(h->queue, queue.data, queue.len);
    h->next = t->halts.first;
    t->halts.first = h;
    return h;
}

static bool take(void *arg, struct slice queue, int64_t since_ms)
{
    struct reading *r = arg;
    struct halted *h;

    (void)since_ms;
    if (queue.data == NULL) {
        r->turn->halts.publishing = true;
        return true;
    }
    if (queue.len > HALT_NAME_MAX) /* somebody else's: no queue has such a name */
        return true;
    h = find(r->turn, queue);
    if (h == NULL)
        h = add(r->turn, queue);
    r->failed = h == NULL;
    if (h != NULL)
        h->on = true;
    return !r->failed;
}

/* Once, whatever becomes of turns and rules. */
static void log_change(struct turn *t, const char *what, bool on, bool *logged)
{
    if (*logged == on)
        return;
    *logged = on;
    log_event(t->parts.log, on ? LOG_WARN : LOG_INFO, on ? "operator.paused" : "operator.resumed",
              LOG_FIELDS(log_text("what", what)));
}

/* A turn that is undone reads them again. */
int halts_read(struct turn *t, struct err *err)
{
    struct reading r = {.turn = t};
    int rc;

    if (t->halts.known)
        return OK;
    t->halts.publishing = false;
    for (struct halted *h = t->halts.first; h != NULL; h = h->next)
        h->on = false;
    rc = halt_list(t->parts.db, take, &r, err);
    return rc == OK && r.failed ? err_set(err, ERR_NOMEM, "out of memory") : rc;
}

/* How a queue's deliveries are to come without its halt. */
static enum broker_pace pace_of(const struct turn *t, const char *queue)
{
    const struct pause *p = pauses_find(&t->pauses, slice_of(queue));

    return p != NULL ? pause_pace(p) : PACE_FLOW;
}

static void tell(struct turn *t, struct halted *h)
{
    struct broker *b = t->parts.broker;

    if (h->told == h->on && !h->stale)
        return;
    b->ops->pace(b, h->queue, h->on ? PACE_STOP : pace_of(t, h->queue));
    h->told = h->on;
    h->stale = false;
    log_change(t, h->queue, h->on, &h->logged);
}

/* Those that are over and told of go. */
void halts_tell(struct turn *t)
{
    struct halted **at = &t->halts.first;

    t->halts.known = true;
    log_change(t, "publish", t->halts.publishing, &t->halts.logged);
    while (*at != NULL) {
        struct halted *h = *at;

        tell(t, h);
        if (h->on) {
            at = &h->next;
        } else {
            *at = h->next;
            free(h);
        }
    }
}

void halts_use_rules(struct turn *t)
{
    for (struct halted *h = t->halts.first; h != NULL; h = h->next)
        h->stale = true;
}

void halts_free(struct turn *t)
{
    for (struct halted *h = t->halts.first, *next; h != NULL; h = next) {
        next = h->next;
        free(h);
    }
    t->halts.first = NULL;
}

void turn_look_at_halts(struct turn *t)
{
    t->halts.known = false;
}

bool turn_is_halted(const struct turn *t)
{
    return t->halts.publishing;
}

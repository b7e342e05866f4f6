/* window - see window.h for the states. A ring of slots, one per delivery tag:
 * tag t lives in slot t % capacity, and only tags in [first, next) are alive. */
#include "rabbit/window.h"

#include <stdlib.h>

enum slot_state { SLOT_SETTLED, SLOT_WAITING, SLOT_BACK };

struct slot {
    int64_t row;           /* outbox row that this publish carries */
    void *whose;           /* lent: the caller's */
    uint64_t mark;         /* what a return of it would carry */
    int64_t deadline_ms;   /* monotonic time by which a confirm is due */
    enum slot_state state; /* only WAITING and BACK count as unsettled */
};

struct window {
    window_settled_fn *settled; /* told of every row that leaves */
    void *arg;                  /* lent to it */
    uint64_t first;             /* oldest unsettled tag, or `next` */
    uint64_t next;              /* tag of the next publish */
    uint64_t answered;          /* highest tag that the broker spoke of */
    uint64_t late;              /* highest tag that timed out; 0: none */
    size_t timed_out;           /* how many did */
    size_t waiting;             /* unsettled tags in [first, next) */
    size_t capacity;            /* slots in the ring */
    struct slot ring[];         /* tag t lives in ring[t % capacity] */
};

static struct slot *slot_at(struct window *w, uint64_t tag)
{
    return &w->ring[tag % w->capacity];
}

static void settle(struct window *w, struct slot *s, enum window_outcome outcome)
{
    s->state = SLOT_SETTLED;
    w->waiting--;
    w->settled(w->arg, s->row, s->whose, outcome);
}

/* Settled slots at the old end make room. */
static void advance(struct window *w)
{
    while (w->first < w->next && slot_at(w, w->first)->state == SLOT_SETTLED)
        w->first++;
}

struct window *window_new(size_t capacity, window_settled_fn *settled, void *arg)
{
    struct window *w;

    if (capacity < 1 || capacity > 65536)
        return NULL;
    w = calloc(1, sizeof *w + capacity * sizeof w->ring[0]);
    if (w == NULL)
        return NULL;
    w->settled = settled;
    w->arg = arg;
    w->first = w->next = 1;
    w->capacity = capacity;
    return w;
}

void window_free(struct window **w)
{
    free(*w);
    *w = NULL;
}

size_t window_room(const struct window *w)
{
    return w->capacity - (size_t)(w->next - w->first);
}

size_t window_waiting(const struct window *w)
{
    return w->waiting;
}

uint64_t window_add(struct window *w, int64_t row, void *whose, uint64_t mark, int64_t deadline_ms)
{
    if (window_room(w) == 0)
        return 0;
    *slot_at(w, w->next) = (struct slot){row, whose, mark, deadline_ms, SLOT_WAITING};
    w->waiting++;
    return w->next++;
}

/* Returns are rare, so a walk over the window beats keeping an index. */
int window_returned(struct window *w, uint64_t mark)
{
    for (uint64_t tag = w->first; tag < w->next; tag++) {
        struct slot *s = slot_at(w, tag);

        if (s->mark == mark && s->state == SLOT_WAITING) {
            s->state = SLOT_BACK;
            return 0;
        }
    }
    return -1;
}

/* A tag below `first` was settled before: the broker may cover it again. */
static int answer(struct window *w, uint64_t tag, bool multiple, bool positive)
{
    uint64_t last = tag == 0 && multiple ? w->next - 1 : tag;

    if (last >= w->next || last == 0)
        return multiple && w->next == 1 && tag == 0 ? 0 : -1;
    w->answered = last > w->answered ? last : w->answered;
    for (uint64_t t = multiple || last < w->first ? w->first : last; t <= last; t++) {
        struct slot *s = slot_at(w, t);

        if (s->state == SLOT_BACK)
            settle(w, s, WINDOW_RETURNED);
        else if (s->state == SLOT_WAITING)
            settle(w, s, positive ? WINDOW_CONFIRMED : WINDOW_NACKED);
    }
    advance(w);
    return 0;
}

int window_ack(struct window *w, uint64_t tag, int multiple)
{
    return answer(w, tag, multiple != 0, true);
}

int window_nack(struct window *w, uint64_t tag, int multiple)
{
    return answer(w, tag, multiple != 0, false);
}

/* Deadlines never decrease and `first` is unsettled, so the oldest is due first. */
int64_t window_deadline(const struct window *w)
{
    return w->first < w->next ? w->ring[w->first % w->capacity].deadline_ms : INT64_MAX;
}

void window_postpone(struct window *w, int64_t deadline_ms)
{
    for (uint64_t t = w->first; t < w->next; t++)
        slot_at(w, t)->deadline_ms = deadline_ms;
}

size_t window_expire(struct window *w, int64_t now_ms)
{
    size_t expired = 0;

    for (uint64_t t = w->first; t < w->next; t++) {
        struct slot *s = slot_at(w, t);

        if (s->state == SLOT_SETTLED)
            continue;
        if (s->deadline_ms >= now_ms)
            break;
        settle(w, s, s->state == SLOT_BACK ? WINDOW_RETURNED : WINDOW_TIMED_OUT);
        w->late = t;
        expired++;
    }
    advance(w);
    w->timed_out += expired;
    return expired;
}

bool window_is_read(const struct window *w)
{
    return w->late > 0 && w->answered > w->late;
}

size_t window_timed_out(const struct window *w)
{
    return w->timed_out;
}

size_t window_drop(struct window *w)
{
    size_t dropped = 0;

    for (uint64_t t = w->first; t < w->next; t++) {
        struct slot *s = slot_at(w, t);

        if (s->state == SLOT_SETTLED)
            continue;
        settle(w, s, s->state == SLOT_BACK ? WINDOW_RETURNED : WINDOW_UNKNOWN);
        dropped++;
    }
    w->first = w->next = 1;
    w->answered = w->late = 0;
    w->timed_out = 0;
    return dropped;
}

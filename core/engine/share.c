/* share - see share.h. */
#include "engine/share.h"

#include <string.h>

void share_begin(struct share *s, int64_t now_ms, int64_t age_ms)
{
    s->began_ms = now_ms;
    s->age_ms = age_ms;
    memset(s->entered, 0, sizeof s->entered);
}

/* The part of a turn for each phase that needs one, `phase` included. */
static int64_t even_part(const struct share *s, enum share_phase phase)
{
    int64_t n = 1, part;

    for (enum share_phase p = 0; p < SHARE_PHASES; p++)
        n += p != phase && s->need[p] > 0;
    part = s->age_ms / n;
    return part > 1 ? part : 1;
}

/* What the phases that are still to come are expected to need. */
static int64_t reserved(const struct share *s, int64_t even)
{
    int64_t sum = 0;

    for (enum share_phase p = 0; p < SHARE_PHASES; p++)
        if (!s->entered[p])
            sum += s->need[p] < even ? s->need[p] : even;
    return sum;
}

void share_enter(struct share *s, enum share_phase phase, int64_t now_ms)
{
    int64_t even = even_part(s, phase), left;

    s->at = phase;
    s->entered[phase] = true;
    s->entered_ms = now_ms;
    s->units = 0;
    s->cut = false;
    left = s->began_ms + s->age_ms - now_ms - reserved(s, even);
    s->until_ms = now_ms + (left > even ? left : even);
}

bool share_is_used(struct share *s, int64_t now_ms)
{
    s->cut = s->units > 0 && (s->cut || now_ms >= s->until_ms);
    s->units++;
    return s->cut;
}

void share_leave(struct share *s, int64_t now_ms)
{
    s->need[s->at] = s->cut ? s->age_ms : now_ms - s->entered_ms;
}

int64_t share_length(const struct share *s)
{
    return s->until_ms - s->entered_ms;
}

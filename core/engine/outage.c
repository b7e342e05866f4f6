/* outage - see outage.h. */
#include "engine/outage.h"

static int64_t next_rest(const struct stall *s)
{
    if (!s->tried)
        return 0;
    if (s->rest_ms == 0)
        return STALL_REST_MIN_MS;
    return s->rest_ms * 2 < STALL_REST_MAX_MS ? s->rest_ms * 2 : STALL_REST_MAX_MS;
}

bool stall_trouble(struct stall *s, int64_t now_ms)
{
    if (!s->in_trouble) {
        s->in_trouble = true;
        s->since_ms = now_ms;
    }
    if (s->stopped || now_ms - s->since_ms < STALL_STOP_MS)
        return false;
    s->stopped = true;
    s->rest_ms = next_rest(s);
    s->tried = false;
    return true;
}

bool stall_over(struct stall *s, bool handled)
{
    bool was_stopped = s->stopped;

    s->in_trouble = s->stopped = false;
    if (was_stopped) {
        s->tried = true;
    } else if (handled) {
        s->tried = false;
        s->rest_ms = 0;
    }
    return was_stopped;
}

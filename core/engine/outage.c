/* outage - see outage.h. */
#include "engine/outage.h"

static int64_t next_wait(const struct outage *s)
{
    if (!s->tried)
        return 0;
    if (s->wait_ms == 0)
        return OUTAGE_WAIT_MIN_MS;
    return s->wait_ms * 2 < OUTAGE_WAIT_MAX_MS ? s->wait_ms * 2 : OUTAGE_WAIT_MAX_MS;
}

bool outage_trouble(struct outage *s, int64_t now_ms)
{
    if (!s->in_trouble) {
        s->in_trouble = true;
        s->since_ms = now_ms;
    }
    if (s->stopped || now_ms - s->since_ms < OUTAGE_STOP_MS)
        return false;
    s->stopped = true;
    s->wait_ms = next_wait(s);
    s->tried = false;
    return true;
}

bool outage_over(struct outage *s, bool handled)
{
    bool was_stopped = s->stopped;

    s->in_trouble = s->stopped = false;
    if (was_stopped) {
        s->tried = true;
    } else if (handled) {
        s->tried = false;
        s->wait_ms = 0;
    }
    return was_stopped;
}

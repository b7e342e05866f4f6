/* heartbeat - see heartbeat.h. */
#include "wire/heartbeat.h"

void heartbeat_start(struct heartbeat *h, int64_t interval_s, int64_t now_ms)
{
    *h = (struct heartbeat){
        .interval_ms = interval_s * 1000,
        .heard_ms = now_ms,
        .sent_ms = now_ms,
    };
}

void heartbeat_heard(struct heartbeat *h, int64_t now_ms)
{
    h->heard_ms = now_ms;
    h->suspect = false;
}

void heartbeat_sent(struct heartbeat *h, int64_t now_ms)
{
    h->sent_ms = now_ms;
}

int64_t heartbeat_period_ms(const struct heartbeat *h)
{
    return h->interval_ms / 4;
}

bool heartbeat_is_due(const struct heartbeat *h, int64_t now_ms)
{
    return h->interval_ms > 0 && now_ms - h->sent_ms >= h->interval_ms / 2;
}

enum heartbeat_verdict heartbeat_judge(struct heartbeat *h, int64_t now_ms)
{
    if (h->interval_ms == 0 || now_ms - h->heard_ms < 2 * h->interval_ms)
        return HEARTBEAT_ALIVE;
    if (h->suspect)
        return HEARTBEAT_DEAD;
    h->suspect = true;
    return HEARTBEAT_LOOK_AGAIN;
}

uint16_t heartbeat_agree(int ours_s, uint16_t theirs_s)
{
    uint16_t ours = ours_s < 0 ? 0 : ours_s > UINT16_MAX ? UINT16_MAX : (uint16_t)ours_s;

    return ours == 0 || theirs_s == 0 || ours < theirs_s ? ours : theirs_s;
}

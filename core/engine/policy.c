/* policy - see policy.h. */
#include "engine/policy.h"

/* The listed delays first; beyond them the last one, multiplied at each further try. */
static double base_delay(const struct retry_policy *p, int attempts)
{
    size_t n = (size_t)attempts;
    double delay;

    if (n <= p->n_delays)
        return (double)p->delay_ms[n - 1];
    delay = (double)p->delay_ms[p->n_delays - 1];
    for (size_t i = p->n_delays; i < n && delay < (double)p->delay_max_ms && p->factor > 1; i++)
        delay *= p->factor;
    return delay;
}

int64_t policy_delay(const struct retry_policy *p, int attempts, int64_t age_ms, double chance)
{
    double delay;

    if (attempts >= p->attempts)
        return POLICY_GIVE_UP;
    delay = base_delay(p, attempts);
    if (delay > (double)p->delay_max_ms)
        delay = (double)p->delay_max_ms;
    delay -= delay * p->jitter * chance;
    if (p->max_age_ms > 0 && age_ms + (int64_t)delay > p->max_age_ms)
        return POLICY_GIVE_UP;
    return (int64_t)delay;
}

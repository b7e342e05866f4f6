/* clock - see clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t = {0};

    clock_gettime(id, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t real_wall(void *arg)
{
    (void)arg;
    return read_clock(CLOCK_REALTIME);
}

static int64_t real_mono(void *arg)
{
    (void)arg;
    return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_cpu_ms(void)
{
    return read_clock(CLOCK_THREAD_CPUTIME_ID);
}

struct clock clock_real(void)
{
    return (struct clock){.wall_ms = real_wall, .mono_ms = real_mono};
}

char *clock_iso8601(int64_t wall_ms, char *out, size_t size)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm t = {0};
    char date[32];

    gmtime_r(&seconds, &t);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &t);
    snprintf(out, size, "%s.%03dZ", date, (int)(wall_ms % 1000));
    return out;
}

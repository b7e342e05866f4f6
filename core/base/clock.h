/*
 * clock - the time, as something that can be replaced
 *
 * Time-outs use the monotonic clock; the wall clock is for due_at and for what
 * people read. A test or a simulation brings a clock of its own.
 */
#ifndef HERALD_BASE_CLOCK_H
#define HERALD_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

struct clock {
    int64_t (*wall_ms)(void *arg); /* milliseconds since 1970 UTC */
    int64_t (*mono_ms)(void *arg); /* milliseconds since some start, never backwards */
    void *arg;
};

/* The machine's clocks. */
struct clock clock_real(void);

static inline int64_t clock_wall(const struct clock *c)
{
    return c->wall_ms(c->arg);
}

static inline int64_t clock_mono(const struct clock *c)
{
    return c->mono_ms(c->arg);
}

/* Milliseconds of CPU time that the calling thread has used. */
int64_t clock_cpu_ms(void);

/* "2026-01-31T12:00:00.123Z"; `size` of at least 32. Returns `out`. */
char *clock_iso8601(int64_t wall_ms, char *out, size_t size);

#endif

/*
 * bare - what the two bare rabbitmq-c programs share
 *
 * They are the yardstick of tests/bench/run.sh: what the library can do with no
 * store, no rules and no promises. Any error ends the program with words.
 */
#ifndef HERALD_BENCH_BARE_H
#define HERALD_BENCH_BARE_H

#include "wire/rabbitmq.h"

#include <stdbool.h>

enum { BARE_CHANNEL = 1 };

/* Ends the program with exit code 1. */
_Noreturn void bare_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A decimal number from 1 on, or the end of the program. */
long bare_number(const char *what, const char *text);

/* Connects, logs in and opens BARE_CHANNEL. */
amqp_connection_state_t bare_open(const char *url);
void bare_close(amqp_connection_state_t conn);

/* Dies unless the last synchronous call went well. */
void bare_check_reply(amqp_connection_state_t conn, const char *what);

/* The next frame of the channel; false when there is none and `wait` is not set.
 * What the broker closes, and silence of half a minute, ends the program. */
bool bare_next_frame(amqp_connection_state_t conn, amqp_frame_t *frame, bool wait);

struct bare_meter {
    double wall; /* seconds */
    double cpu;  /* seconds of this process, user and system */
};

struct bare_meter bare_meter_now(void);

/* One line of key=value words: messages, seconds, rate, cpu_us (a message). */
void bare_print(const char *what, long messages, struct bare_meter begin, struct bare_meter end);

#endif

/*
 * log - events as logfmt or JSON lines
 *
 *   2026-01-31T12:00:00.123Z info  link.up host=127.0.0.1 port=5672
 *
 * An event has a dotted name and fields; values are quoted where needed. Logs
 * hold no password and no body above debug level: that is the caller's duty
 * (text_redact_url helps).
 *
 * While held, lines are kept aside: a turn that is rolled back drops what its
 * handlers said, one that commits releases it.
 */
#ifndef HERALD_BASE_LOG_H
#define HERALD_BASE_LOG_H

#include "base/clock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

struct log_field {
    const char *key;  /* NULL ends a list */
    const char *text; /* value as text; NULL: `number` counts */
    size_t len;       /* bytes of `text` */
    int64_t number;   /* value where text is NULL */
};

struct log;

/* Lines go to the file descriptor (not owned). Returns NULL when out of
 * memory. `clock` is copied. */
struct log *log_new(int fd, enum log_level level, enum log_format format, struct clock clock);
void log_free(struct log **log);

void log_set_level(struct log *log, enum log_level level);
bool log_enabled(const struct log *log, enum log_level level);

/* A text field; NULL text shows as "". */
struct log_field log_text(const char *key, const char *text);
struct log_field log_bytes(const char *key, const char *text, size_t len);
struct log_field log_int(const char *key, int64_t number);

/* `fields` ends with a field without key; LOG_FIELDS writes one. `log` may be
 * NULL: nothing happens. */
void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields);

#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {.key = NULL}})
#define LOG_NO_FIELDS ((const struct log_field[]){{.key = NULL}})

/* From hold on lines wait; release writes them, drop forgets them. */
void log_hold(struct log *log);
void log_release(struct log *log);
void log_drop(struct log *log);

/* "debug", "info", "warn", "error" to a level. Returns 0 or -1. */
int log_level_parse(const char *word, enum log_level *level_out);

#endif

/*
 * log_line - one event as a line of logfmt or JSON
 *
 *   2026-01-31T12:00:00.123Z info  link.up host=127.0.0.1 port=5672
 */
#ifndef HERALD_BASE_LOG_LINE_H
#define HERALD_BASE_LOG_LINE_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum { LOG_LINE_MAX = 16 * 1024 }; /* bytes of a line, with its end */

struct log_field {
    const char *key;  /* NULL ends a list */
    const char *text; /* value as text; NULL: `number` counts */
    size_t len;       /* bytes of `text` */
    int64_t number;   /* value where text is NULL */
};

/* A text field; NULL text shows as "". */
struct log_field log_text(const char *key, const char *text);
struct log_field log_bytes(const char *key, const char *text, size_t len);
struct log_field log_int(const char *key, int64_t number);

#define LOG_FIELDS(...) ((const struct log_field[]){__VA_ARGS__, {.key = NULL}})
#define LOG_NO_FIELDS ((const struct log_field[]){{.key = NULL}})

/* Makes `line` (with room for LOG_LINE_MAX) the line of an event. `fields` ends with one without
 * key; values are quoted where needed. A field too many for the room is left out whole. */
void log_line_put(struct buf *line, enum log_format format, int64_t at_ms, enum log_level level,
                  const char *event, const struct log_field *fields);

#endif

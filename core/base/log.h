/*
 * log - what happened, as lines (log_line.h) to a file descriptor
 *
 * An event has a dotted name and fields. Logs hold no password and no body above debug level:
 * that is the caller's duty (text_redact_url helps).
 *
 * While buffered, lines are kept back: a turn that is rolled back drops what its
 * handlers said, one that commits releases it.
 *
 * A router serves: its lines are written by a thread of their own, so that nothing waits for who
 * reads them (log_writer.h), and what repeats is written a few times a second with a count of what
 * was left out (log_limit.h), unless the level is debug.
 */
#ifndef HERALD_BASE_LOG_H
#define HERALD_BASE_LOG_H

#include "base/clock.h"
#include "base/log_line.h"

#include <stdbool.h>

struct log;

/* Lines go to the file descriptor (not owned). Returns NULL when out of
 * memory. `clock` is copied. */
struct log *log_new(int fd, enum log_level level, enum log_format format, struct clock clock);

/* Waits for what is not written yet, a second at most. */
void log_free(struct log **log);

/* From here on the log serves. Returns 0, or -1: there is no memory or no thread. */
int log_serve(struct log *log);

void log_set_level(struct log *log, enum log_level level);

/* `fields` ends with a field without key; LOG_FIELDS writes one. `log` may be
 * NULL: nothing happens. */
void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields);

/* As log_event, but never left out as a repetition: what rules say is their authors' affair. */
void log_always(struct log *log, enum log_level level, const char *event,
                const struct log_field *fields);

/* From log_buffer on lines wait; release writes them, drop forgets them. What waits has a ceiling
 * of LOG_BUFFERED_MAX bytes; further lines are dropped and counted. */
enum { LOG_BUFFERED_MAX = 1024 * 1024 };
void log_buffer(struct log *log);
void log_release(struct log *log);
void log_drop(struct log *log);

/* Tells what was left out as repetitions; to be called every now and then. */
void log_tell(struct log *log);

/* Waits until all is written, a second at most: for who is about to end the process. */
void log_flush(struct log *log);

/* Lines dropped because nobody read them fast enough, or there was no room. */
int64_t log_dropped(struct log *log);

#endif

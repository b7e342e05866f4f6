/*
 * log_writer - a thread that writes log lines, so that nobody waits for who reads them
 *
 *   log_writer_put -> waiting (at most LOG_WRITER_MAX bytes) -> the thread -> write()
 *
 * A line that finds no room, and one that cannot be written (nobody has the pipe open, the disk is
 * full), is dropped and counted; once lines can be written again, one says how many are missing.
 * Its thread takes no signals.
 */
#ifndef HERALD_BASE_LOG_WRITER_H
#define HERALD_BASE_LOG_WRITER_H

#include "base/buf.h"

#include <stdint.h>

enum { LOG_WRITER_MAX = 1024 * 1024 };

struct log_writer;

/* Makes `line` the line that says how many are missing. Called by the thread. */
typedef void log_missing_fn(void *arg, int64_t lines, struct buf *line);

/* Writes to `fd` (lent). Returns NULL when there is no memory or no thread. */
struct log_writer *log_writer_start(int fd, log_missing_fn *fn, void *arg);

/* Takes whole lines, and never waits. */
void log_writer_put(struct log_writer *w, const char *lines, size_t len);

/* Waits until all is written, at most `ms`. For who is about to end the process. */
void log_writer_flush(struct log_writer *w, int64_t ms);

/* Lines dropped so far. */
int64_t log_writer_dropped(struct log_writer *w);

/* As flush, then ends the thread. */
void log_writer_stop(struct log_writer **w, int64_t ms);

#endif

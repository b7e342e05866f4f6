/* log - see log.h. One line is one write(), so lines of two processes never mix. */
#include "base/log.h"

#include "base/err.h"
#include "base/log_limit.h"
#include "base/log_writer.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLUSH_MS = 1000 };

struct log {
    int fd;                    /* where lines go; not owned */
    enum log_level level;      /* lines below are not made */
    enum log_format format;    /* how a line looks */
    struct clock clock;        /* stamps the lines */
    bool buffering;            /* lines go to `buffered` */
    struct buf buffered;       /* what waits for release: a struct buffered, its line, and so on */
    int64_t buffered_over;     /* lines that found no room there */
    int64_t lost;              /* such lines of turns that were committed */
    struct buf line;           /* the line being made */
    struct buf note;           /* the log's own lines */
    struct log_writer *writer; /* NULL: lines are written at once */
    struct log_limit *limit;   /* NULL: repetitions are written, too */
};

/* A line that waits for the end of the turn. */
struct buffered {
    struct log_kind kind;
    size_t len; /* of the line behind it */
};

struct log *log_new(int fd, enum log_level level, enum log_format format, struct clock clock)
{
    struct log *log = calloc(1, sizeof *log);

    if (log == NULL)
        return NULL;
    log->fd = fd;
    log->level = level;
    log->format = format;
    log->clock = clock;
    buf_init(&log->buffered, LOG_BUFFERED_MAX);
    buf_init(&log->line, LOG_LINE_MAX);
    buf_init(&log->note, LOG_LINE_MAX);
    return log;
}

void log_free(struct log **log)
{
    if (*log == NULL)
        return;
    log_release(*log);
    log_limit_free(&(*log)->limit);
    log_writer_stop(&(*log)->writer, FLUSH_MS);
    buf_free(&(*log)->buffered);
    buf_free(&(*log)->line);
    buf_free(&(*log)->note);
    free(*log);
    *log = NULL;
}

static void write_all(int fd, const char *data, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, data, len);

        if (n <= 0) /* nobody reads the log: not a reason to stop */
            return;
        data += n;
        len -= (size_t)n;
    }
}

static void put(struct log *log, const char *line, size_t len)
{
    if (log->writer != NULL)
        log_writer_put(log->writer, line, len);
    else
        write_all(log->fd, line, len);
}

/* A log_left_out_fn. */
static void say_left_out(void *arg, const struct log_kind *kind, int64_t lines)
{
    struct log *log = arg;

    log_line_put(&log->note, log->format, clock_wall(&log->clock), kind->level, "log.left_out",
                 LOG_FIELDS(log_text("of", kind->event), log_text("about", kind->about),
                            log_int("lines", lines)));
    put(log, log->note.data, log->note.len);
}

/* A log_missing_fn: runs in the writer's thread, so it touches what never changes alone. */
static void say_missing(void *arg, int64_t lines, struct buf *line)
{
    const struct log *log = arg;

    log_line_put(line, log->format, clock_wall(&log->clock), LOG_WARN, "log.dropped",
                 LOG_FIELDS(log_int("lines", lines),
                            log_text("reason", "they were not read or written fast enough")));
}

int log_serve(struct log *log)
{
    log->limit = log_limit_new(say_left_out, log);
    log->writer = log_writer_start(log->fd, say_missing, log);
    return log->limit != NULL && log->writer != NULL ? 0 : -1;
}

void log_set_level(struct log *log, enum log_level level)
{
    log->level = level;
}

static bool is_enabled(const struct log *log, enum log_level level)
{
    return log != NULL && level >= log->level;
}

static void put_limited(struct log *log, const struct log_kind *kind, const char *line, size_t len)
{
    if (kind->hash == 0 || log_limit_pass(log->limit, kind, clock_mono(&log->clock)))
        put(log, line, len);
}

/* The transaction is not kept waiting for a line that finds no room. */
static void buffer(struct log *log, const struct log_kind *kind)
{
    struct buffered h = {.kind = *kind, .len = log->line.len};

    if (log->buffered.len + sizeof h + h.len > log->buffered.max ||
        buf_append(&log->buffered, &h, sizeof h) != OK) {
        log->buffered_over++;
        return;
    }
    if (buf_append(&log->buffered, log->line.data, log->line.len) != OK) {
        log->buffered.len -= sizeof h;
        log->buffered_over++;
    }
    log->buffered.failed = false;
}

static void say(struct log *log, enum log_level level, const char *event,
                const struct log_field *fields, bool limited)
{
    struct log_kind kind = {.hash = 0};

    if (!is_enabled(log, level))
        return;
    log_line_put(&log->line, log->format, clock_wall(&log->clock), level, event, fields);
    if (limited && log->limit != NULL && log->level > LOG_DEBUG)
        log_kind_of(&kind, level, event, fields);
    if (log->buffering)
        buffer(log, &kind);
    else
        put_limited(log, &kind, log->line.data, log->line.len);
}

void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields)
{
    say(log, level, event, fields, true);
}

void log_always(struct log *log, enum log_level level, const char *event,
                const struct log_field *fields)
{
    say(log, level, event, fields, false);
}

void log_buffer(struct log *log)
{
    if (log != NULL)
        log->buffering = true;
}

static void forget_buffered(struct log *log)
{
    log->buffering = false;
    log->buffered_over = 0;
    buf_clear(&log->buffered);
}

void log_release(struct log *log)
{
    size_t at = 0;

    if (log == NULL)
        return;
    while (at < log->buffered.len) {
        struct buffered h;

        memcpy(&h, log->buffered.data + at, sizeof h);
        at += sizeof h;
        put_limited(log, &h.kind, log->buffered.data + at, h.len);
        at += h.len;
    }
    if (log->buffered_over > 0) {
        say_missing(log, log->buffered_over, &log->note);
        put(log, log->note.data, log->note.len);
        log->lost += log->buffered_over;
    }
    forget_buffered(log);
}

void log_drop(struct log *log)
{
    if (log != NULL)
        forget_buffered(log);
}

void log_tell(struct log *log)
{
    if (log != NULL && log->limit != NULL)
        log_limit_tell(log->limit, clock_mono(&log->clock));
}

void log_flush(struct log *log)
{
    if (log != NULL && log->writer != NULL)
        log_writer_flush(log->writer, FLUSH_MS);
}

int64_t log_dropped(struct log *log)
{
    return log->lost + (log->writer != NULL ? log_writer_dropped(log->writer) : 0);
}

/* log - see log.h. One line is one write(), so lines of two threads never mix. */
#include "base/log.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 16 * 1024, HELD_MAX_BYTES = 1024 * 1024 };

struct log {
    int fd;                 /* where lines go; not owned */
    enum log_level level;   /* lines below are not made */
    enum log_format format; /* how a line looks */
    struct clock clock;     /* stamps the lines */
    bool holding;           /* lines go to `held` */
    struct buf held;        /* what waits for release */
    struct buf line;        /* the line being made */
};

static const char *const level_words[] = {"debug", "info", "warn", "error"};

struct log *log_new(int fd, enum log_level level, enum log_format format, struct clock clock)
{
    struct log *log = calloc(1, sizeof *log);

    if (log == NULL)
        return NULL;
    log->fd = fd;
    log->level = level;
    log->format = format;
    log->clock = clock;
    buf_init(&log->held, HELD_MAX_BYTES);
    buf_init(&log->line, LINE_MAX_BYTES);
    return log;
}

void log_free(struct log **log)
{
    if (*log == NULL)
        return;
    log_release(*log);
    buf_free(&(*log)->held);
    buf_free(&(*log)->line);
    free(*log);
    *log = NULL;
}

void log_set_level(struct log *log, enum log_level level)
{
    log->level = level;
}

bool log_enabled(const struct log *log, enum log_level level)
{
    return log != NULL && level >= log->level;
}

struct log_field log_text(const char *key, const char *text)
{
    return log_bytes(key, text ? text : "", text ? strlen(text) : 0);
}

struct log_field log_bytes(const char *key, const char *text, size_t len)
{
    return (struct log_field){.key = key, .text = text ? text : "", .len = len};
}

struct log_field log_int(const char *key, int64_t number)
{
    return (struct log_field){.key = key, .number = number};
}

/* logfmt needs quotes around what would break the line or the pair. */
static bool needs_quotes(const char *text, size_t len)
{
    if (len == 0)
        return true;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7f)
            return true;
    }
    return false;
}

static void put_value(struct buf *b, const struct log_field *f, enum log_format format)
{
    if (f->text == NULL)
        buf_printf(b, "%lld", (long long)f->number);
    else if (format == LOG_JSON || needs_quotes(f->text, f->len))
        json_put_string(b, f->text, f->len);
    else
        buf_append(b, f->text, f->len);
}

static void put_line(struct log *log, enum log_level level, const char *event,
                     const struct log_field *fields)
{
    struct buf *b = &log->line;
    bool json = log->format == LOG_JSON;
    char at[40];

    clock_iso8601(clock_wall(&log->clock), at, sizeof at);
    buf_printf(b, json ? "{\"at\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "%s %-5s %s", at,
               level_words[level], event);
    for (const struct log_field *f = fields; f->key != NULL; f++) {
        size_t before = b->len;

        buf_printf(b, json ? ",\"%s\":" : " %s=", f->key);
        put_value(b, f, log->format);
        if (b->failed) { /* a field too many is left out whole, so the line stays parsable */
            b->len = before;
            b->failed = false;
            break;
        }
    }
    if (b->max - b->len < 2)
        b->len = b->max - 2;
    buf_text(b, json ? "}\n" : "\n");
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

void log_event(struct log *log, enum log_level level, const char *event,
               const struct log_field *fields)
{
    if (!log_enabled(log, level))
        return;
    buf_clear(&log->line);
    put_line(log, level, event, fields);
    if (log->holding && buf_append(&log->held, log->line.data, log->line.len) == OK)
        return;
    write_all(log->fd, log->line.data, log->line.len);
}

void log_hold(struct log *log)
{
    if (log != NULL)
        log->holding = true;
}

void log_release(struct log *log)
{
    if (log == NULL)
        return;
    log->holding = false;
    write_all(log->fd, log->held.data, log->held.len);
    buf_clear(&log->held);
}

void log_drop(struct log *log)
{
    if (log == NULL)
        return;
    log->holding = false;
    buf_clear(&log->held);
}

int log_level_parse(const char *word, enum log_level *level_out)
{
    for (size_t i = 0; i < sizeof level_words / sizeof level_words[0]; i++)
        if (strcmp(word, level_words[i]) == 0) {
            *level_out = (enum log_level)i;
            return 0;
        }
    return -1;
}

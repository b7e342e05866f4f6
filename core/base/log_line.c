/* log_line - see log_line.h. */
#include "base/log_line.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdbool.h>
#include <string.h>

static const char *const level_words[] = {"debug", "info", "warn", "error"};

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

void log_line_put(struct buf *line, enum log_format format, int64_t at_ms, enum log_level level,
                  const char *event, const struct log_field *fields)
{
    bool json = format == LOG_JSON;
    char at[40];

    buf_clear(line);
    clock_iso8601(at_ms, at, sizeof at);
    buf_printf(line, json ? "{\"at\":\"%s\",\"level\":\"%s\",\"event\":\"%s\"" : "%s %-5s %s", at,
               level_words[level], event);
    for (const struct log_field *f = fields; f->key != NULL; f++) {
        size_t before = line->len;

        buf_printf(line, json ? ",\"%s\":" : " %s=", f->key);
        put_value(line, f, format);
        if (line->failed) { /* so that the line stays parsable */
            line->len = before;
            line->failed = false;
            break;
        }
    }
    if (line->max - line->len < 2)
        line->len = line->max - 2;
    buf_text(line, json ? "}\n" : "\n");
}

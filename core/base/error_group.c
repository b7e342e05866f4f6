/* error_group - see error_group.h. */
#include "base/error_group.h"

#include <ctype.h>
#include <string.h>

enum { ID_LEN = 12, HEX_LEN = 8, UUID_LEN = 36 };

struct scan {
    const char *p;   /* what comes next */
    const char *end; /* of the first line */
    const char *start;
    char *out;   /* where the next byte goes */
    char *limit; /* where the NUL may be at the latest */
};

static bool is_word(char c)
{
    return isalnum((unsigned char)c) != 0;
}

static void put(struct scan *s, char c)
{
    if (s->out < s->limit)
        *s->out++ = c;
}

/* "don't" is no quotation: one begins where no word is before it. */
static bool begins_quote(const struct scan *s)
{
    return *s->p == '"' || *s->p == '`' ||
           (*s->p == '\'' && (s->p == s->start || !is_word(s->p[-1])));
}

/* Behind the quotation's end, or NULL when the line ends first. */
static const char *quote_end(const struct scan *s)
{
    char mark = *s->p == '`' ? '\'' : *s->p;

    for (const char *p = s->p + 1; p < s->end; p++) {
        if (*p == '\\')
            p++;
        else if (*p == mark || (*s->p == '`' && *p == '`'))
            return p + 1;
    }
    return NULL;
}

static bool is_uuid(const char *p, const char *end)
{
    if (end - p < UUID_LEN || (end - p > UUID_LEN && is_word(p[UUID_LEN])))
        return false;
    for (int i = 0; i < UUID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? p[i] != '-' : isxdigit((unsigned char)p[i]) == 0)
            return false;
    }
    return true;
}

/* Words that are made up anew each time: long ones with a digit, hex numbers. */
static bool is_id(const char *p, size_t len)
{
    size_t digits = 0, hex = 0;

    for (size_t i = 0; i < len; i++) {
        digits += isdigit((unsigned char)p[i]) != 0;
        hex += isxdigit((unsigned char)p[i]) != 0;
    }
    if (len > 2 && p[0] == '0' && (p[1] == 'x' || p[1] == 'X') && hex == len - 1)
        return true;
    return digits > 0 && (len >= ID_LEN || (len >= HEX_LEN && hex == len));
}

/* "12", "3.14", "12:30:01" and "10.0.0.1" are one number each. */
static void pass_number(struct scan *s)
{
    while (s->p < s->end) {
        bool joined = (*s->p == '.' || *s->p == ':' || *s->p == ',') && s->p + 1 < s->end &&
                      isdigit((unsigned char)s->p[1]) != 0;

        if (isdigit((unsigned char)*s->p) == 0 && !joined)
            break;
        s->p++;
    }
    put(s, '#');
}

static void pass_word(struct scan *s)
{
    size_t len = 0;

    while (s->p + len < s->end && is_word(s->p[len]))
        len++;
    if (is_uuid(s->p, s->end))
        len = UUID_LEN;
    else if (!is_id(s->p, len)) {
        for (const char *end = s->p + len; s->p < end;) {
            if (isdigit((unsigned char)*s->p) != 0)
                pass_number(s);
            else
                put(s, *s->p++);
        }
        return;
    }
    s->p += len;
    put(s, '#');
}

void error_group_text(struct slice error, char out[ERROR_GROUP_TEXT])
{
    const char *line = error.len > 0 ? memchr(error.data, '\n', error.len) : NULL;
    struct scan s = {
        .p = error.data ? error.data : "", .out = out, .limit = out + ERROR_GROUP_TEXT - 1};

    s.start = s.p;
    s.end = line ? line : s.p + error.len;
    while (s.p < s.end && s.out < s.limit) {
        const char *end = begins_quote(&s) ? quote_end(&s) : NULL;

        if (end != NULL) {
            s.p = end;
            put(&s, '?');
        } else if (is_word(*s.p)) {
            pass_word(&s);
        } else {
            put(&s, *s.p++);
        }
    }
    *s.out = '\0';
}

int64_t error_group(const char *side, struct slice queue, struct slice error)
{
    char text[ERROR_GROUP_TEXT];
    uint64_t hash = text_hash(TEXT_HASH_START, side, strlen(side) + 1);

    error_group_text(error, text);
    if (queue.len > 0)
        hash = text_hash(hash, queue.data, queue.len);
    hash = text_hash(hash, "", 1);
    hash = text_hash(hash, text, strlen(text));
    return (int64_t)((hash ^ hash >> 32) & UINT32_MAX);
}

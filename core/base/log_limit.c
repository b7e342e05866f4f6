/* log_limit - see log_limit.h. A fixed table: who is crowded out is told of first. */
#include "base/log_limit.h"

#include "base/error_group.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 256, PROBES = 8 };

struct slot {
    struct log_kind kind; /* hash 0: free */
    int64_t began_ms;     /* the second that is counted */
    int written;          /* lines of it */
    int64_t left_out;     /* lines that nobody was told of */
};

struct log_limit {
    log_left_out_fn *fn;
    void *arg;
    bool any; /* something is left to tell */
    struct slot slots[SLOTS];
};

/* What lines of a flood have in common; ids, counts and times are what they do not. */
static bool tells_kind(const char *key)
{
    static const char *const keys[] = {"queue", "exchange", "type",   "order_type", "what",
                                       "name",  "to",       "outlet", "folder",     "setting"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

static bool tells_why(const char *key)
{
    return strcmp(key, "reason") == 0 || strcmp(key, "error") == 0 || strcmp(key, "why") == 0;
}

static void add(struct log_kind *kind, const char *key, const char *value, size_t len)
{
    size_t used = strlen(kind->about);

    kind->hash = text_hash(text_hash(kind->hash, key, strlen(key) + 1), value, len);
    snprintf(kind->about + used, sizeof kind->about - used, "%s%s=%.*s", used > 0 ? ", " : "", key,
             (int)len, value);
}

void log_kind_of(struct log_kind *kind, enum log_level level, const char *event,
                 const struct log_field *fields)
{
    char error[ERROR_GROUP_TEXT];

    kind->level = level;
    kind->about[0] = '\0';
    snprintf(kind->event, sizeof kind->event, "%s", event);
    kind->hash = text_hash(TEXT_HASH_START, event, strlen(event) + 1);
    for (const struct log_field *f = fields; f->key != NULL; f++) {
        if (f->text == NULL)
            continue;
        if (tells_kind(f->key)) {
            add(kind, f->key, f->text, f->len);
        } else if (tells_why(f->key)) {
            error_group_text((struct slice){f->text, f->len}, error);
            add(kind, f->key, error, strlen(error));
        }
    }
    kind->hash |= 1; /* 0 has a meaning */
}

struct log_limit *log_limit_new(log_left_out_fn *fn, void *arg)
{
    struct log_limit *limit = calloc(1, sizeof *limit);

    if (limit != NULL) {
        limit->fn = fn;
        limit->arg = arg;
    }
    return limit;
}

static void tell(struct log_limit *limit, struct slot *s)
{
    int64_t lines = s->left_out;

    s->left_out = 0;
    if (lines > 0)
        limit->fn(limit->arg, &s->kind, lines);
}

void log_limit_free(struct log_limit **limit)
{
    if (*limit == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        tell(*limit, &(*limit)->slots[i]);
    free(*limit);
    *limit = NULL;
}

/* The slot of a kind, or the one of its neighbourhood that was quiet for the longest time. */
static struct slot *slot_of(struct log_limit *limit, const struct log_kind *kind, int64_t mono_ms)
{
    struct slot *oldest = NULL;

    for (size_t n = 0; n < PROBES; n++) {
        struct slot *s = &limit->slots[(kind->hash + n) % SLOTS];

        if (s->kind.hash == kind->hash)
            return s;
        if (oldest == NULL || s->kind.hash == 0 ||
            (oldest->kind.hash != 0 && s->began_ms < oldest->began_ms))
            oldest = s;
        if (s->kind.hash == 0)
            break;
    }
    tell(limit, oldest);
    *oldest = (struct slot){.kind = *kind, .began_ms = mono_ms};
    return oldest;
}

bool log_limit_pass(struct log_limit *limit, const struct log_kind *kind, int64_t mono_ms)
{
    struct slot *s = slot_of(limit, kind, mono_ms);

    if (mono_ms - s->began_ms >= LOG_LIMIT_MS) {
        tell(limit, s);
        s->began_ms = mono_ms;
        s->written = 0;
    }
    if (s->written < LOG_LIMIT_BURST) {
        s->written++;
        return true;
    }
    s->left_out++;
    limit->any = true;
    return false;
}

void log_limit_tell(struct log_limit *limit, int64_t mono_ms)
{
    bool any = false;

    if (!limit->any)
        return;
    for (size_t i = 0; i < SLOTS; i++) {
        struct slot *s = &limit->slots[i];

        if (s->left_out > 0 && mono_ms - s->began_ms >= LOG_LIMIT_MS)
            tell(limit, s);
        any = any || s->left_out > 0;
    }
    limit->any = any;
}

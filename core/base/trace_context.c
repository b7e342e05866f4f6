/* trace_context - see trace_context.h (W3C Trace Context, level 1 and 2). */
#include "base/trace_context.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum {
    KNOWN_FLAGS = 3, /* sampled, and that the trace's id is drawn at random */
    MEMBERS_MAX = 32,
    ROOM = 2048, /* that a context takes at most, and what JSON needs around it */
    KEY_MAX = 256,
    VALUE_MAX = 256,
    AT_TRACE = 3, /* in traceparent */
    AT_SPAN = AT_TRACE + TRACE_ID_LEN + 1,
    AT_FLAGS = AT_SPAN + TRACE_SPAN_LEN + 1,
};

static bool is_hex(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f')))
            return false;
    return true;
}

/* Nothing but zeros means none. */
static bool is_id(const char *text, size_t len)
{
    size_t zeros = 0;

    while (zeros < len && text[zeros] == '0')
        zeros++;
    return zeros < len && is_hex(text, len);
}

static unsigned nibble(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* A later version may have more behind a further dash; what is known stands in the same place. */
static bool is_parent(struct slice s)
{
    if (s.len < TRACE_PARENT_LEN || !is_hex(s.data, 2) || memcmp(s.data, "ff", 2) == 0)
        return false;
    if (s.len > TRACE_PARENT_LEN &&
        (memcmp(s.data, "00", 2) == 0 || s.data[TRACE_PARENT_LEN] != '-'))
        return false;
    return s.data[AT_TRACE - 1] == '-' && is_id(s.data + AT_TRACE, TRACE_ID_LEN) &&
           s.data[AT_SPAN - 1] == '-' && is_id(s.data + AT_SPAN, TRACE_SPAN_LEN) &&
           s.data[AT_FLAGS - 1] == '-' && is_hex(s.data + AT_FLAGS, 2);
}

static bool is_key(const char *text, size_t len)
{
    if (len == 0 || len > KEY_MAX ||
        !((*text >= 'a' && *text <= 'z') || (*text >= '0' && *text <= '9')))
        return false;
    for (size_t i = 0; i < len; i++)
        if (memchr("abcdefghijklmnopqrstuvwxyz0123456789_-*/@", text[i], 41) == NULL)
            return false;
    return true;
}

static bool is_value(const char *text, size_t len)
{
    if (len == 0 || len > VALUE_MAX || text[len - 1] == ' ')
        return false;
    for (size_t i = 0; i < len; i++)
        if (text[i] < ' ' || text[i] > '~' || text[i] == ',' || text[i] == '=')
            return false;
    return true;
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && (*s.data == ' ' || *s.data == '\t'))
        s = (struct slice){s.data + 1, s.len - 1};
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Of one member; an empty one is allowed. *key_out: absent where it is empty. */
static bool is_member(struct slice member, struct slice *key_out)
{
    const char *equals;

    *key_out = (struct slice){NULL, 0};
    if (member.len == 0)
        return true;
    equals = memchr(member.data, '=', member.len);
    if (equals == NULL)
        return false;
    *key_out = (struct slice){member.data, (size_t)(equals - member.data)};
    return is_key(key_out->data, key_out->len) &&
           is_value(equals + 1, member.len - key_out->len - 1);
}

static bool is_state(struct slice s)
{
    struct slice keys[MEMBERS_MAX];
    size_t n = 0;

    if (s.data == NULL || s.len == 0 || s.len > TRACE_STATE_MAX)
        return false;
    while (s.len > 0) {
        const char *comma = memchr(s.data, ',', s.len);
        size_t len = comma != NULL ? (size_t)(comma - s.data) : s.len;
        struct slice key;

        if (!is_member(trimmed((struct slice){s.data, len}), &key))
            return false;
        for (size_t i = 0; key.data != NULL && i < n; i++)
            if (slice_equal(keys[i], key))
                return false;
        if (key.data != NULL && n == MEMBERS_MAX)
            return false;
        if (key.data != NULL)
            keys[n++] = key;
        len += comma != NULL;
        s = (struct slice){s.data + len, s.len - len};
    }
    return n > 0;
}

static void take(struct trace_context *out, struct slice parent, struct slice state)
{
    memcpy(out->trace, parent.data + AT_TRACE, TRACE_ID_LEN);
    memcpy(out->span, parent.data + AT_SPAN, TRACE_SPAN_LEN);
    out->flags =
        (nibble(parent.data[AT_FLAGS]) << 4 | nibble(parent.data[AT_FLAGS + 1])) & KNOWN_FLAGS;
    if (is_state(state))
        memcpy(out->state, state.data, state.len);
}

/* Most messages have headers without one: they are not read. */
static bool may_have(struct slice headers)
{
    return headers.len > 0 &&
           memmem(headers.data, headers.len, TRACE_PARENT, sizeof TRACE_PARENT - 1) != NULL;
}

bool trace_context_read(struct trace_context *out, struct slice headers)
{
    struct slice parent = {NULL, 0};
    struct json j;
    struct buf tape;

    *out = (struct trace_context){.flags = 0};
    if (!may_have(headers))
        return false;
    buf_init(&tape, JSON_TAPE_MAX);
    if (json_parse(&j, &tape, headers.data, headers.len, NULL) == OK)
        parent = json_member_text(&j, TRACE_PARENT);
    if (parent.data != NULL && is_parent(parent))
        take(out, parent, json_member_text(&j, TRACE_STATE));
    buf_free(&tape);
    return trace_context_is(out);
}

/* Each with its end: "a", "bc". Never 0, which would be no id. */
static uint64_t hash_of(uint64_t hash, const struct slice *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        hash = text_hash(hash, words[i].data, words[i].len);
        hash = text_hash(hash, "", 1);
    }
    return hash != 0 ? hash : 1;
}

void trace_context_make(struct trace_context *out, const struct slice *words, size_t n)
{
    const uint64_t high = hash_of(TEXT_HASH_START, words, n);
    const uint64_t low = hash_of(~high, words, n);

    *out = (struct trace_context){.flags = TRACE_SAMPLED};
    snprintf(out->trace, sizeof out->trace, "%016llx%016llx", (unsigned long long)high,
             (unsigned long long)low);
    trace_context_make_span(out->span, out, words, n);
}

void trace_context_make_span(char span[TRACE_SPAN_LEN + 1], const struct trace_context *c,
                             const struct slice *words, size_t n)
{
    uint64_t hash = text_hash(TEXT_HASH_START, c->trace, TRACE_ID_LEN);

    snprintf(span, TRACE_SPAN_LEN + 1, "%016llx", (unsigned long long)hash_of(hash, words, n));
}

void trace_context_make_message(struct trace_context *out, struct slice store, struct slice queue,
                                struct slice id)
{
    trace_context_make(out, (struct slice[]){store, queue, id}, 3);
}

void trace_context_make_try(char span[TRACE_SPAN_LEN + 1], const struct trace_context *c,
                            struct slice store, struct slice queue, struct slice id, int attempt)
{
    char number[TEXT_INT_MAX];
    const struct slice words[] = {store, queue, id, {number, text_int(number, attempt)}};

    trace_context_make_span(span, c, words, 4);
}

void trace_context_parent(const struct trace_context *c, char out[TRACE_PARENT_LEN + 1])
{
    snprintf(out, TRACE_PARENT_LEN + 1, "00-%s-%s-%02x", c->trace, c->span, c->flags & 0xff);
}

/* The author's object up to its last brace, or the beginning of one. */
static bool begin_headers(struct buf *out, struct slice headers)
{
    struct json j;
    struct buf tape;
    bool unsaid;

    if (headers.len == 0)
        return buf_text(out, "{") == OK;
    buf_init(&tape, JSON_TAPE_MAX);
    unsaid = json_parse(&j, &tape, headers.data, headers.len, NULL) == OK &&
             j.tape->kind == JSON_OBJECT && json_member(&j, j.tape, TRACE_PARENT) == NULL &&
             json_member(&j, j.tape, TRACE_STATE) == NULL;
    buf_free(&tape);
    if (!unsaid)
        return false;
    headers = trimmed(headers);
    while (headers.data[headers.len - 1] != '}') /* what JSON calls white space */
        headers.len--;
    headers.len--;
    while (memchr(" \t\r\n", headers.data[headers.len - 1], 4) != NULL)
        headers.len--;
    return buf_append(out, headers.data, headers.len) == OK;
}

bool trace_context_give(struct buf *out, const struct message *m, const struct trace_context *c)
{
    char parent[TRACE_PARENT_LEN + 1];

    if (m->headers.len > TRACE_HEADERS_MAX || message_size(m) + ROOM > MESSAGE_BODY_MAX ||
        !begin_headers(out, m->headers))
        return false;
    trace_context_parent(c, parent);
    json_add_string(out, TRACE_PARENT, parent);
    if (c->state[0] != '\0')
        json_add_string(out, TRACE_STATE, c->state);
    json_end(out, "}");
    return !out->failed;
}

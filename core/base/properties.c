/* properties - see properties.h. */
#include "base/properties.h"

#include "base/json.h"

#include <stdio.h>
#include <string.h>

enum { PERSISTENT = 2, NAMES = PROPERTY_TEXTS + 2, NAME_SIZE = 32, SHOWN = 60 };

static const char *const names[NAMES] = {
    [PROPERTY_CONTENT_TYPE] = "content_type",
    [PROPERTY_CONTENT_ENCODING] = "content_encoding",
    [PROPERTY_CORRELATION_ID] = "correlation_id",
    [PROPERTY_REPLY_TO] = "reply_to",
    [PROPERTY_EXPIRATION] = "expiration",
    [PROPERTY_APP_ID] = "app_id",
    [PROPERTY_TEXTS] = "priority",
    [PROPERTY_TEXTS + 1] = "delivery_mode",
};

void properties_init(struct properties *p)
{
    *p = (struct properties){.priority = -1};
    buf_init(&p->tape, JSON_TAPE_MAX);
}

void properties_free(struct properties *p)
{
    buf_free(&p->tape);
}

/* -1: it is none. */
static int index_of(struct slice name)
{
    for (int i = 0; i < NAMES; i++)
        if (slice_is(name, names[i]))
            return i;
    return -1;
}

bool properties_know(struct slice name)
{
    return index_of(name) >= 0;
}

const char *properties_name(int i)
{
    return i < NAMES ? names[i] : NULL;
}

/* How many letters differ, as one row of Levenshtein's table after the other. */
static size_t distance(struct slice a, const char *b)
{
    size_t row[NAME_SIZE], len = strlen(b);

    for (size_t j = 0; j <= len; j++)
        row[j] = j;
    for (size_t i = 1; i <= a.len; i++) {
        size_t corner = row[0];

        row[0] = i;
        for (size_t j = 1; j <= len; j++) {
            size_t best = corner + (a.data[i - 1] != b[j - 1]);

            corner = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            row[j] = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
        }
    }
    return row[len];
}

/* What a hand may have meant: a third of it at most is wrong. NULL: nothing is near. */
static const char *nearest(struct slice name)
{
    const char *best = NULL;
    size_t least = name.len / 3 + 1;

    if (name.len >= NAME_SIZE)
        return NULL;
    for (int i = 0; i < NAMES; i++) {
        size_t d = distance(name, names[i]);

        if (d <= least && (best == NULL || d < least)) {
            best = names[i];
            least = d;
        }
    }
    return best;
}

static int refuse_name(struct slice name, struct err *err)
{
    const char *meant = nearest(name);
    int len = name.len < SHOWN ? (int)name.len : SHOWN;

    if (meant != NULL)
        return err_set(err, ERR_INPUT, "properties: unknown property '%.*s': did you mean '%s'?",
                       len, name.data, meant);
    return err_set(err, ERR_INPUT,
                   "properties: unknown property '%.*s' (known: app_id, content_encoding, "
                   "content_type, correlation_id, delivery_mode, expiration, priority, reply_to)",
                   len, name.data);
}

static int refuse_value(int name, const struct json *j, const struct json_token *value,
                        const char *wanted, struct err *err)
{
    static const char *const kinds[] = {[JSON_FALSE] = "false",
                                        [JSON_TRUE] = "true",
                                        [JSON_ARRAY] = "an array",
                                        [JSON_OBJECT] = "an object"};
    struct slice text;
    int len;

    if (value->kind == JSON_FALSE || value->kind == JSON_TRUE || value->kind >= JSON_ARRAY)
        return err_set(err, ERR_INPUT, "properties: %s is %s: it must be %s", names[name],
                       kinds[value->kind], wanted);
    text = json_text(j, value);
    len = text.len < SHOWN ? (int)text.len : SHOWN;
    return err_set(err, ERR_INPUT, "properties: %s is %s%.*s%s: it must be %s", names[name],
                   value->kind == JSON_STRING ? "\"" : "", len, text.data,
                   value->kind == JSON_STRING ? "\"" : "", wanted);
}

static bool is_whole(struct slice text, int64_t least, int64_t most, int64_t *out)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    return text.len > 0 && json_integer(text, out) && *out >= least && *out <= most;
}

static int read_number(struct properties *p, int name, const struct json *j,
                       const struct json_token *value, struct err *err)
{
    bool priority = name == PROPERTY_TEXTS;
    int64_t number;

    if (value->kind != JSON_INTEGER ||
        !is_whole(json_text(j, value), priority ? 0 : 1, priority ? 255 : 2, &number))
        return refuse_value(
            name, j, value,
            priority ? "a whole number from 0 to 255" : "1 (transient) or 2 (persistent)", err);
    *(priority ? &p->priority : &p->delivery_mode) = (int)number;
    return OK;
}

static int check_text(int name, struct slice text, struct err *err)
{
    if (text.len > PROPERTY_TEXT_MAX)
        return err_set(err, ERR_INPUT, "properties: %s has %zu bytes; AMQP takes %d at most",
                       names[name], text.len, PROPERTY_TEXT_MAX);
    /* The broker ends the channel over it: it is for who consumes on the same channel. */
    if (name == PROPERTY_REPLY_TO && slice_is(text, "amq.rabbitmq.reply-to"))
        return err_set(err, ERR_INPUT,
                       "properties: reply_to is \"amq.rabbitmq.reply-to\", which herald does not "
                       "listen to: name a queue");
    return OK;
}

/* Integers become text, as those of keys do. */
static int read_text(struct properties *p, int name, const struct json *j,
                     const struct json_token *value, struct err *err)
{
    struct slice text;
    int64_t ms;

    if (value->kind != JSON_STRING && value->kind != JSON_INTEGER)
        return refuse_value(name, j, value, "a string", err);
    text = json_text(j, value);
    if (name == PROPERTY_EXPIRATION && !is_whole(text, 0, PROPERTY_EXPIRATION_MAX, &ms))
        return refuse_value(name, j, value, "a whole number of milliseconds from 0 to 4294967295",
                            err);
    p->text[name] = text;
    return check_text(name, text, err);
}

static int read_member(struct properties *p, const struct json *j, const struct json_token *key,
                       const struct json_token *value, struct err *err)
{
    int name = index_of(json_text(j, key));

    if (name < 0)
        return refuse_name(json_text(j, key), err);
    if (value->kind == JSON_NULL)
        return OK;
    return name < PROPERTY_TEXTS ? read_text(p, name, j, value, err)
                                 : read_number(p, name, j, value, err);
}

int properties_read(struct properties *p, struct slice json, struct err *err)
{
    const struct json_token *key, *value;
    struct json j;
    int rc;

    if (json.data == NULL)
        return OK;
    rc = json_parse(&j, &p->tape, json.data, json.len, err);
    if (rc != OK)
        return err != NULL ? err_prefix(err, "properties") : rc;
    if (j.tape->kind != JSON_OBJECT)
        return err_set(err, ERR_INPUT, "properties: not a JSON object");
    key = j.tape + 1;
    for (size_t left = j.tape->len; left > 0 && rc == OK; left--) {
        value = json_next(&j, key);
        rc = read_member(p, &j, key, value, err);
        key = json_next(&j, value);
    }
    return rc;
}

void properties_write(struct buf *out, const struct properties *p, bool received)
{
    bool mode = p->delivery_mode > 0 && (!received || p->delivery_mode != PERSISTENT);
    size_t before = out->len;

    json_add_object(out, NULL);
    for (int i = received ? PROPERTY_CONTENT_TYPE + 1 : 0; i < PROPERTY_TEXTS; i++)
        if (p->text[i].data != NULL)
            json_add_text(out, names[i], p->text[i]);
    if (p->priority >= 0)
        json_add_int(out, names[PROPERTY_TEXTS], p->priority);
    if (mode)
        json_add_int(out, names[PROPERTY_TEXTS + 1], p->delivery_mode);
    if (out->len == before + 1) /* the brace alone */
        out->len = before;
    else
        json_end(out, "}");
}

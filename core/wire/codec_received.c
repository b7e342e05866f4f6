/* codec_received - codec_message: what the broker delivered, as herald's message. See
 * codec.h. */
#include "base/json_bytes.h"
#include "wire/codec.h"
#include "wire/link.h"
#include "wire/table.h"

#include <string.h>

enum { PERSISTENT = 2 }; /* the delivery mode that goes without saying */

static const char key_prefix[] = "business-key-";

/* Text in the scratch buffer, which moves while it grows. */
struct span {
    bool present; /* else it is no text at all */
    size_t at;    /* offset */
    size_t len;   /* bytes */
};

static struct slice slice_in(amqp_bytes_t bytes)
{
    return (struct slice){bytes.len > 0 ? bytes.bytes : "", bytes.len};
}

static struct slice span_in(const struct buf *b, struct span s)
{
    return s.present ? (struct slice){b->data + s.at, s.len} : (struct slice){NULL, 0};
}

/* Which business key a header is, or -1. */
static int key_index(amqp_bytes_t name)
{
    const char *text = name.bytes;

    if (name.len != sizeof key_prefix || memcmp(text, key_prefix, sizeof key_prefix - 1) != 0)
        return -1;
    return text[name.len - 1] >= '1' && text[name.len - 1] < '1' + MESSAGE_KEYS
               ? text[name.len - 1] - '1'
               : -1;
}

static bool is_text(const amqp_field_value_t *v)
{
    return v->kind == AMQP_FIELD_KIND_UTF8 || v->kind == AMQP_FIELD_KIND_BYTES;
}

/* True for a header that is a key, or a null in a key's place: neither is shown again. */
static bool is_key(void *arg, const amqp_table_entry_t *entry)
{
    char digits[24];

    (void)arg;
    return key_index(entry->key) >= 0 &&
           (is_text(&entry->value) || entry->value.kind == AMQP_FIELD_KIND_VOID ||
            table_integer(&entry->value, digits));
}

/* Integers become text in the scratch buffer, at `number`. */
static void read_key(const amqp_table_entry_t *entry, struct slice *key, struct span *number,
                     struct buf *scratch)
{
    char digits[24];

    if (is_text(&entry->value)) {
        *key = slice_in(entry->value.value.bytes);
        number->present = false; /* of two headers of one name the last counts */
    } else if (table_integer(&entry->value, digits)) {
        *number = (struct span){true, scratch->len, strlen(digits)};
        buf_text(scratch, digits);
    }
}

/* Texts that were written into the scratch buffer; slices only once nothing more is. */
struct texts {
    struct span number[MESSAGE_KEYS];
    struct span headers;
    struct span properties;
};

static void read_headers(const amqp_table_t *table, struct message *out, struct buf *scratch,
                         struct texts *texts)
{
    int keys = 0;

    for (int i = 0; i < table->num_entries; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];

        if (!is_key(NULL, entry))
            continue;
        keys++;
        read_key(entry, &out->key[key_index(entry->key)], &texts->number[key_index(entry->key)],
                 scratch);
    }
    if (table->num_entries > keys) {
        texts->headers = (struct span){true, scratch->len, 0};
        table_to_json(scratch, table, is_key, NULL);
        texts->headers.len = scratch->len - texts->headers.at;
    }
}

/* Properties that herald has no use for, and the bytes of a header table that cannot be read. */
static void keep_properties(const struct link_content *content, struct buf *scratch,
                            struct texts *texts)
{
    const amqp_basic_properties_t *p = content->properties;
    const struct {
        amqp_flags_t flag;
        const char *name;
        amqp_bytes_t value;
    } kept[] = {
        {AMQP_BASIC_CONTENT_ENCODING_FLAG, "content_encoding", p->content_encoding},
        {AMQP_BASIC_CORRELATION_ID_FLAG, "correlation_id", p->correlation_id},
        {AMQP_BASIC_REPLY_TO_FLAG, "reply_to", p->reply_to},
        {AMQP_BASIC_EXPIRATION_FLAG, "expiration", p->expiration},
        {AMQP_BASIC_USER_ID_FLAG, "user_id", p->user_id},
        {AMQP_BASIC_APP_ID_FLAG, "app_id", p->app_id},
        {AMQP_BASIC_CLUSTER_ID_FLAG, "cluster_id", p->cluster_id},
    };
    size_t at = scratch->len;

    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if ((p->_flags & kept[i].flag) != 0) {
            buf_printf(scratch, "%s\"%s\":", scratch->len == at ? "{" : ",", kept[i].name);
            json_put_text_or_bytes(scratch, slice_in(kept[i].value).data, kept[i].value.len);
        }
    if ((p->_flags & AMQP_BASIC_PRIORITY_FLAG) != 0)
        buf_printf(scratch, "%s\"priority\":%u", scratch->len == at ? "{" : ",",
                   (unsigned)p->priority);
    if ((p->_flags & AMQP_BASIC_DELIVERY_MODE_FLAG) != 0 && p->delivery_mode != PERSISTENT)
        buf_printf(scratch, "%s\"delivery_mode\":%u", scratch->len == at ? "{" : ",",
                   (unsigned)p->delivery_mode);
    if (content->damaged.data != NULL) {
        buf_printf(scratch, "%s\"headers\":", scratch->len == at ? "{" : ",");
        json_put_text_or_bytes(scratch, content->damaged.data, content->damaged.len);
    }
    if (scratch->len == at)
        return;
    buf_text(scratch, "}");
    texts->properties = (struct span){true, at, scratch->len - at};
}

static void read_properties(const amqp_basic_properties_t *p, struct message *out)
{
    /* An empty id names nothing: two messages that have it are two. */
    if ((p->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) != 0 && p->message_id.len > 0)
        out->id = slice_in(p->message_id);
    if ((p->_flags & AMQP_BASIC_TYPE_FLAG) != 0)
        out->type = slice_in(p->type);
    if ((p->_flags & AMQP_BASIC_CONTENT_TYPE_FLAG) != 0 && p->content_type.len > 0)
        out->content_type = slice_in(p->content_type);
    /* Beyond what the clock of a person can show it is nonsense, not a time. */
    if ((p->_flags & AMQP_BASIC_TIMESTAMP_FLAG) != 0 && p->timestamp <= INT64_MAX / 1000)
        out->timestamp_s = message_seconds(p->timestamp);
}

static int check_utf8(const struct message *m, struct err *err)
{
    const struct {
        struct slice text;
        const char *what;
    } checks[] = {
        {m->id, "message id"},
        {m->type, "type"},
        {m->content_type, "content type"},
        {m->key[0], "header business-key-1"},
        {m->key[1], "header business-key-2"},
        {m->key[2], "header business-key-3"},
    };

    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        if (!text_is_utf8(checks[i].text.data, checks[i].text.len))
            return err_set(err, ERR_INPUT, "the %s is not UTF-8", checks[i].what);
    return OK;
}

int codec_message(const struct link_content *content, struct message *out, struct buf *scratch,
                  struct err *err)
{
    const amqp_basic_properties_t *p = content->properties;
    struct texts texts = {.headers = {false, 0, 0}};

    *out = (struct message){.timestamp_s = 0};
    read_properties(p, out);
    out->body = content->body;
    if ((p->_flags & AMQP_BASIC_HEADERS_FLAG) != 0)
        read_headers(&p->headers, out, scratch, &texts);
    keep_properties(content, scratch, &texts);
    if (scratch->failed)
        return err_set(err, ERR_NOMEM, "out of memory for a message's headers");
    for (int i = 0; i < MESSAGE_KEYS; i++)
        if (texts.number[i].present)
            out->key[i] = span_in(scratch, texts.number[i]);
    out->headers = span_in(scratch, texts.headers);
    out->properties = span_in(scratch, texts.properties);
    if (content->headers_fault != NULL)
        return err_set(err, ERR_INPUT, "%s", content->headers_fault);
    return check_utf8(out, err);
}

/* Every slice of a message; the order is that of the block. */
enum { SLICES = 6 + MESSAGE_KEYS };

static void list_slices(struct message *m, struct slice *list[static SLICES])
{
    struct slice *all[SLICES] = {&m->id,         &m->type,         &m->key[0],
                                 &m->key[1],     &m->key[2],       &m->headers,
                                 &m->properties, &m->content_type, &m->body};

    memcpy(list, all, sizeof all);
}

size_t codec_message_size(const struct message *m)
{
    struct message copy = *m;
    struct slice *list[SLICES];
    size_t size = 0;

    list_slices(&copy, list);
    for (size_t i = 0; i < SLICES; i++)
        size += list[i]->len;
    return size;
}

char *codec_message_move(struct message *m, char *block)
{
    struct slice *list[SLICES];

    list_slices(m, list);
    for (size_t i = 0; i < SLICES; i++) {
        if (list[i]->len == 0) { /* absent stays absent, empty stays empty */
            list[i]->data = list[i]->data != NULL ? "" : NULL;
            continue;
        }
        memcpy(block, list[i]->data, list[i]->len);
        list[i]->data = block;
        block += list[i]->len;
    }
    return block;
}

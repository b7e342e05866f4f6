/* received - codec_message: what the broker delivered, as herald's message. See
 * codec.h. */
#include "wire/codec.h"
#include "wire/link.h"
#include "wire/table.h"

#include <string.h>

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

static int read_headers(const amqp_table_t *table, struct message *out, struct buf *scratch,
                        struct err *err)
{
    struct span number[MESSAGE_KEYS] = {{false, 0, 0}}, rest = {false, 0, 0};
    int keys = 0;

    for (int i = 0; i < table->num_entries; i++) {
        const amqp_table_entry_t *entry = &table->entries[i];

        if (!is_key(NULL, entry))
            continue;
        keys++;
        read_key(entry, &out->key[key_index(entry->key)], &number[key_index(entry->key)], scratch);
    }
    if (table->num_entries > keys) {
        rest = (struct span){true, scratch->len, 0};
        table_to_json(scratch, table, is_key, NULL);
        rest.len = scratch->len - rest.at;
    }
    if (scratch->failed)
        return err_set(err, ERR_NOMEM, "out of memory for a message's headers");
    for (int i = 0; i < MESSAGE_KEYS; i++)
        if (number[i].present)
            out->key[i] = span_in(scratch, number[i]);
    out->headers = span_in(scratch, rest);
    return OK;
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
        out->timestamp_s = (int64_t)p->timestamp;
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
    int rc = OK;

    *out = (struct message){.timestamp_s = 0};
    read_properties(p, out);
    if (!content->oversized)
        out->body = content->body;
    if ((p->_flags & AMQP_BASIC_HEADERS_FLAG) != 0)
        rc = read_headers(&p->headers, out, scratch, err);
    if (rc == OK && content->headers_fault != NULL)
        rc = err_set(err, ERR_INPUT, "%s", content->headers_fault);
    return rc == OK ? check_utf8(out, err) : rc;
}

/* Every slice of a message; the order is that of the block. */
enum { SLICES = 5 + MESSAGE_KEYS };

static void list_slices(struct message *m, struct slice *list[static SLICES])
{
    struct slice *all[SLICES] = {&m->id,     &m->type,    &m->key[0],       &m->key[1],
                                 &m->key[2], &m->headers, &m->content_type, &m->body};

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

/* turn_trace - which trace a message or a row belongs to (base/trace_context.h), and the rows that
 * get one: it is written in the transaction before their first send, as is all that they send */
#include "engine/item.h"

#include "store/outbox.h"

#include <stdio.h>

bool trace_is_on(const struct turn *t)
{
    return t->settings->trace_context != TRACE_OFF;
}

static bool is_making(const struct turn *t)
{
    return t->settings->trace_context == TRACE_MAKE;
}

static struct slice store_of(const struct turn *t, int64_t row)
{
    return slice_of(db_store_id(t->parts.db, row));
}

/* What names a message that came without an id is when it came and what it is. */
static void make_for_item(struct turn *t, struct item *i)
{
    char made[64];
    struct slice id = i->received.id;

    if (id.data == NULL) {
        snprintf(made, sizeof made, "%016llx %lld", (unsigned long long)i->fingerprint.bits,
                 (long long)i->first_at);
        id = slice_of(made);
    }
    trace_context_make_message(&i->trace, store_of(t, INT64_MAX), i->queue, id);
    i->trace_made = true;
}

void trace_item(struct turn *t, struct item *i)
{
    if (!trace_is_on(t))
        return;
    if (!trace_context_read(&i->trace, i->received.headers) && is_making(t))
        make_for_item(t, i);
    if (trace_context_is(&i->trace))
        trace_context_make_try(i->span, &i->trace, store_of(t, INT64_MAX), i->queue, i->received.id,
                               i->attempt);
}

struct log_field trace_field(const struct trace_context *c)
{
    return trace_context_is(c) ? log_bytes("trace_id", c->trace, TRACE_ID_LEN)
                               : (struct log_field){.key = NULL};
}

static bool read_context(void *arg, const struct outbox_row *row)
{
    (void)trace_context_read(arg, row->message.headers);
    return false;
}

struct log_field trace_field_of_row(struct turn *t, int64_t row, struct trace_context *room)
{
    *room = (struct trace_context){.flags = 0};
    if (trace_is_on(t)) /* a row that is gone has none */
        (void)outbox_look(t->parts.db, row, read_context, room, NULL);
    return trace_field(room);
}

/* One that may have been sent keeps what it was sent with. */
static bool is_due(const struct turn *t, const struct outbox_row *row)
{
    return is_making(t) && row->format == NULL && row->first_sent_at == 0 && row->dated_at == 0 &&
           !format_is_plain(t, row);
}

bool trace_row(struct turn *t, const struct outbox_row *row, struct message *m)
{
    const struct slice words[] = {store_of(t, row->id), row->message.id};
    struct trace_context made;
    struct slice headers;
    bool added;

    if (!is_due(t, row))
        return false;
    trace_context_make(&made, words, 2);
    buf_clear(&t->trace_headers);
    added = trace_context_give(&t->trace_headers, m, &made);
    headers = (struct slice){t->trace_headers.data, t->trace_headers.len};
    if (!added || !arena_keep(&t->arena, &headers))
        return false;
    m->headers = headers;
    return true;
}

void trace_note(struct turn *t, int64_t row, struct slice headers)
{
    t->traced[t->n_traced++] = (struct traced){.row = row, .headers = headers};
}

int trace_write(struct turn *t, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < t->n_traced && rc == OK; i++)
        rc = outbox_set_headers(t->parts.db, t->traced[i].row, t->traced[i].headers, err);
    t->n_traced = 0;
    return rc;
}

/* turn_format - rows whose route has a format are brought into it, once, before they are sent
 * (turn_int.h) */
#include "engine/turn_int.h"

#include "base/format.h"
#include "store/outbox.h"

/* That is written nowhere else: a row which is set aside or put off before it is sent once more
 * looks like one that never was. */
void format_note_inherited(struct turn *t, const struct outbox_row *row)
{
    if (row->id <= db_sent_before(t->parts.db) && row->due_at == 0 && row->format == NULL &&
        row->dated_at == 0 && row->first_sent_at == 0)
        t->plain[t->n_plain++] = row->id;
}

bool format_is_plain(const struct turn *t, const struct outbox_row *row)
{
    return t->n_plain > 0 && t->plain[t->n_plain - 1] == row->id;
}

bool format_is_due(struct turn *t, const struct outbox_row *row, const struct route *route)
{
    if (route == NULL || route->format == FORMAT_NONE || row->format != NULL ||
        format_is_plain(t, row))
        return false;
    if (row->first_sent_at > 0 || row->dated_at > 0) {
        t->plain[t->n_plain++] = row->id;
        return false;
    }
    publish_decide(t, row, DECIDE_FORMAT, format_name(route->format));
    return true;
}

struct forming {
    struct turn *turn;
    enum message_format format;
    struct formatted made;
    int rc;
    struct err *err;
};

static bool form(void *arg, const struct outbox_row *row)
{
    struct forming *f = arg;
    struct message m = row->message;

    if (trace_row(f->turn, row, &m))
        turn_spans_made(f->turn->parts.spans, row, &m);
    f->rc = format_message(&f->made, f->format, &m, row->created_at, f->err);
    return false;
}

static struct slice made_of(const struct buf *b)
{
    return (struct slice){b->len > 0 ? b->data : NULL, b->len};
}

static int give_format(struct turn *t, int64_t row, const char *format, struct err *err)
{
    struct forming f = {.turn = t, .format = format_of(format), .rc = OK, .err = err};
    int rc;

    formatted_init(&f.made);
    rc = outbox_look(t->parts.db, row, form, &f, err);
    if (rc == OK)
        rc = f.rc;
    if (rc == OK)
        rc = outbox_set_format(t->parts.db, row, format,
                               &(struct message){.body = made_of(&f.made.body),
                                                 .headers = made_of(&f.made.headers),
                                                 .properties = made_of(&f.made.properties)},
                               err);
    formatted_free(&f.made);
    return rc;
}

/* What cannot have its format never will. */
int format_row(struct turn *t, int64_t row, const char *format, struct err *err)
{
    int rc;

    t->more = true; /* it goes out in the next turn */
    rc = give_format(t, row, format, err);
    if (rc == ERR_INPUT)
        return settle_park(t, row, err->text, err);
    return rc == ERR_NOT_FOUND ? OK : rc; /* somebody deleted it meanwhile */
}

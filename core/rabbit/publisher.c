/* publisher - see publisher.h for the states of a row. */
#include "rabbit/publisher.h"

#include "rabbit/channel.h"
#include "rabbit/publish_channel.h"
#include "rabbit/publish_channels.h"
#include "rabbit/settlements.h"
#include "wire/codec.h"

#include <stdlib.h>
#include <string.h>

enum {
    PUBLISH_CHANNELS_MAX = 1000, /* kept at once: one that is idle goes for one that is not */
    SHORT_MAX = 255,             /* AMQP's short string */
    BYTES_WAITING = 4 << 20,     /* unsent bytes beyond which no more is taken */
    BYTES_KEPT = 8 << 20,        /* memory kept from turn to turn */
    BYTES_MAX = BYTES_WAITING + MESSAGE_BODY_MAX + (1 << 20),
};

struct pending {
    struct publish_channel *outlet; /* where it goes */
    struct quota *quota;            /* what it takes a part of */
    int64_t row;                    /* outbox row */
    uint64_t mark;                  /* what a return of it would carry */
    size_t at;                      /* its frames in the buffer */
    size_t len;
};

struct publisher {
    struct publish_channel_context context;
    size_t window;                    /* pending and in flight at most */
    struct publish_channel **outlets; /* owned */
    size_t n_outlets;
    struct publish_channel *last; /* most publishes go where the one before went */
    bool grown;                   /* there is an outlet that waits for a step */
    struct buf frames;            /* what this turn publishes, encoded */
    struct pending *pending;      /* owned; `window` places */
    size_t n_pending;
    struct reason *unsent; /* why a pending row could not be sent */
};

struct publisher *publisher_new(const struct publisher_settings *s, struct err *err)
{
    struct publisher *p = calloc(1, sizeof *p);

    if (p == NULL)
        goto fail;
    p->window = s->window;
    p->context = (struct publish_channel_context){
        .link = s->link,
        .channels = s->channels,
        .log = s->log,
        .clock = s->clock,
        .declare = s->declare,
        .settlements = settlements_new(2 * s->window),
        .quotas = quotas_new(s->window, s->clock, s->log),
        .window = s->window,
        .confirm_timeout_ms = s->confirm_timeout_ms,
        .backoff_min_ms = s->backoff_min_ms,
        .backoff_max_ms = s->backoff_max_ms,
        .gone = s->gone,
        .gone_arg = s->gone_arg,
    };
    buf_init(&p->frames, BYTES_MAX);
    p->pending = calloc(s->window, sizeof *p->pending);
    if (p->context.settlements == NULL || p->context.quotas == NULL || p->pending == NULL)
        goto fail;
    return p;
fail:
    publisher_free(&p);
    err_set(err, ERR_NOMEM, "out of memory for the publisher");
    return NULL;
}

void publisher_free(struct publisher **p)
{
    if (*p == NULL)
        return;
    for (size_t i = 0; i < (*p)->n_outlets; i++)
        publish_channel_free(&(*p)->outlets[i]);
    settlements_free(&(*p)->context.settlements);
    quotas_free(&(*p)->context.quotas);
    reason_drop(&(*p)->unsent);
    buf_free(&(*p)->frames);
    free((*p)->pending);
    free((*p)->outlets);
    free(*p);
    *p = NULL;
}

static struct publish_channel *find_outlet(struct publisher *p, const char *exchange)
{
    if (p->last != NULL && strcmp(publish_channel_exchange(p->last), exchange) == 0)
        return p->last;
    for (size_t i = 0; i < p->n_outlets; i++)
        if (strcmp(publish_channel_exchange(p->outlets[i]), exchange) == 0)
            return p->last = p->outlets[i];
    return NULL;
}

static struct publish_channel *add_outlet(struct publisher *p, const struct destination *to,
                                          bool planned)
{
    struct publish_channel **outlets = realloc(p->outlets, (p->n_outlets + 1) * sizeof *outlets);
    struct publish_channel *o;

    if (outlets == NULL)
        return NULL;
    p->outlets = outlets;
    o = publish_channel_new(&p->context, to, planned);
    if (o != NULL)
        p->outlets[p->n_outlets++] = o;
    p->grown = true;
    return o;
}

/* False: all are in use. An exchange that no rule names is forgotten with its outlet. */
static bool drop_spare(struct publisher *p)
{
    size_t i = publish_channels_spare(p->outlets, p->n_outlets);

    if (i == p->n_outlets)
        return false;
    if (publish_channel_is_open(p->outlets[i]))
        publish_channel_give_way(p->outlets[i]);
    declare_forget_exchange(p->context.declare, publish_channel_exchange(p->outlets[i]));
    publish_channel_free(&p->outlets[i]);
    p->outlets[i] = p->outlets[--p->n_outlets];
    p->last = NULL;
    return true;
}

/* The outlet for a destination, made when it is first asked for. */
static int take_outlet(struct publisher *p, const struct destination *to, bool planned,
                       struct publish_channel **out, struct err *err)
{
    const char *exchange = to->kind == EXCHANGE_DEFAULT ? "" : to->exchange;

    *out = find_outlet(p, exchange);
    if (*out != NULL)
        return OK;
    if (p->n_outlets == PUBLISH_CHANNELS_MAX && !drop_spare(p))
        return err_set(err, ERR_BUSY, "exchange \"%s\" must wait: %d others are in use", exchange,
                       PUBLISH_CHANNELS_MAX);
    *out = add_outlet(p, to, planned);
    return *out != NULL ? OK : err_set(err, ERR_NOMEM, "out of memory for a channel");
}

int publisher_plan(struct publisher *p, const struct destination *to, struct err *err)
{
    struct publish_channel *o;
    int rc = p->n_outlets < PUBLISH_CHANNELS_MAX ? take_outlet(p, to, true, &o, err) : OK;

    if (rc != OK || to->kind == EXCHANGE_DEFAULT)
        return rc;
    /* One that was there already is named anew. */
    if (declare_exchange(p->context.declare, to, true) == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for an exchange");
    return OK;
}

/* True when so many bytes wait to be sent that no more rows are taken. */
static bool is_stuffed(const struct publisher *p)
{
    return p->frames.len + link_backlog(p->context.link) > BYTES_WAITING;
}

size_t publisher_room(const struct publisher *p)
{
    size_t taken = quotas_taken(p->context.quotas);
    size_t untold = taken + settlements_count(p->context.settlements);
    size_t room = taken < p->window ? p->window - taken : 0;

    if (!link_is_up(p->context.link) || p->context.blocked || untold >= 2 * p->window ||
        is_stuffed(p))
        return 0;
    return room < 2 * p->window - untold ? room : 2 * p->window - untold;
}

/* A return carries message id and routing key, and so does the mark of its row. */
static uint64_t mark_of(const void *id, size_t id_len, const void *key, size_t key_len)
{
    uint64_t hash = text_hash(TEXT_HASH_START, id, id_len);

    return text_hash(text_hash(hash, "\n", 1), key, key_len);
}

/* What no broker would ever take. The codec looks at the rest. */
static int check_row(const struct destination *to, const struct message *m, struct err *err)
{
    if (m->body.len > MESSAGE_BODY_MAX)
        return err_set(err, ERR_INPUT, "body of %zu bytes is over the limit of %d", m->body.len,
                       MESSAGE_BODY_MAX);
    if (to->kind != EXCHANGE_DEFAULT && strlen(to->exchange) > SHORT_MAX)
        return err_set(err, ERR_INPUT, "the exchange's name is over %d bytes", SHORT_MAX);
    if (strlen(to->routing_key) > SHORT_MAX)
        return err_set(err, ERR_INPUT, "the routing key is over %d bytes", SHORT_MAX);
    return OK;
}

static int encode(struct publisher *p, const struct publish_channel *o,
                  const struct destination *to, const struct message *m, struct err *err)
{
    size_t at = p->frames.len;
    int rc = codec_publish(&p->frames, publish_channel_channel(o), publish_channel_exchange(o),
                           to->routing_key, m, link_frame_max(p->context.link), err);

    if (rc == OK)
        return OK;
    p->frames.len = at;
    p->frames.failed = false;
    return rc;
}

/* A row that was routed by former rules goes where they said, though no rule names that
 * exchange any more. */
static int revive(struct publisher *p, const struct publish_channel *o,
                  const struct destination *to, struct err *err)
{
    if (!publish_channel_is_dropped(o))
        return OK;
    if (declare_exchange(p->context.declare, to, false) == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for an exchange");
    p->grown = true;
    return OK;
}

int publisher_publish(struct publisher *p, int64_t row, const struct destination *to,
                      const struct message *m, struct err *err)
{
    size_t at = p->frames.len;
    struct quota *quota = quota_of(p->context.quotas, to);
    int64_t now = clock_mono(&p->context.clock);
    struct publish_channel *o;
    int rc = check_row(to, m, err);

    if (rc == OK)
        rc = take_outlet(p, to, false, &o, err);
    if (rc != OK)
        return rc;
    if (publisher_room(p) == 0)
        return err_set(err, ERR_BUSY, "no room to publish now");
    rc = revive(p, o, to, err);
    if (rc == OK && publish_channel_ask(o, now))
        p->grown = true;
    if (rc == OK)
        rc = publish_channel_usable(o, err);
    if (rc == OK && !quota_has_room(p->context.quotas, quota, now))
        rc = err_set(err, ERR_BUSY, "it has its part of the window");
    if (rc == OK)
        rc = encode(p, o, to, m, err);
    if (rc != OK)
        return rc;
    publish_channel_reserve(o);
    quota_take(p->context.quotas, quota);
    p->pending[p->n_pending++] = (struct pending){
        .outlet = o,
        .quota = quota,
        .row = row,
        .mark = mark_of(m->id.data, m->id.len, to->routing_key, strlen(to->routing_key)),
        .at = at,
        .len = p->frames.len - at,
    };
    return OK;
}

size_t publisher_settled(struct publisher *p, struct settlement *out, size_t max)
{
    return settlements_lend(p->context.settlements, out, max);
}

static void send_row(struct publisher *p, const struct pending *row, int64_t now)
{
    struct err err = {0};
    int rc = publish_channel_usable(row->outlet, &err);

    if (rc == OK)
        rc = link_write(p->context.link, p->frames.data + row->at, row->len, &err);
    if (rc == OK)
        publish_channel_sent(row->outlet, row->row, row->quota, row->mark, now);
    else
        quota_settle(p->context.quotas, row->quota, PUBLISH_UNSENT, now);
    if (rc != OK)
        settlements_add(p->context.settlements, row->row, PUBLISH_UNSENT,
                        reason_take(&p->unsent, err.text));
}

static void drop_pending(struct publisher *p)
{
    p->n_pending = 0;
    buf_clear(&p->frames);
    if (p->frames.cap > BYTES_KEPT)
        buf_free(&p->frames);
    if (p->grown)
        publisher_step(p);
    p->grown = false;
}

void publisher_tell(struct publisher *p)
{
    int64_t now = clock_mono(&p->context.clock);

    settlements_tell(p->context.settlements);
    for (size_t i = 0; i < p->n_pending; i++) {
        publish_channel_release(p->pending[i].outlet);
        send_row(p, &p->pending[i], now);
    }
    drop_pending(p);
}

void publisher_forget(struct publisher *p)
{
    int64_t now = clock_mono(&p->context.clock);

    settlements_forget(p->context.settlements);
    for (size_t i = 0; i < p->n_pending; i++) {
        publish_channel_release(p->pending[i].outlet);
        quota_settle(p->context.quotas, p->pending[i].quota, PUBLISH_UNSENT, now);
    }
    drop_pending(p);
}

bool publisher_pending(const struct publisher *p)
{
    return settlements_waiting(p->context.settlements) > 0;
}

size_t publisher_in_flight(const struct publisher *p)
{
    return p->context.in_flight;
}

void publisher_up(struct publisher *p)
{
    quotas_hasten(p->context.quotas);
    for (size_t i = 0; i < p->n_outlets; i++)
        publish_channel_up(p->outlets[i]);
    publisher_step(p);
}

void publisher_down(struct publisher *p, const struct err *why)
{
    p->context.blocked = false;
    for (size_t i = 0; i < p->n_outlets; i++)
        publish_channel_down(p->outlets[i], why->text);
}

static struct publish_channel *publish_channel_at(struct publisher *p, uint16_t channel)
{
    struct publish_channel *o = channels_owner(p->context.channels, CHANNELS_OF_WORK, channel);

    if (o == NULL && !channels_is_left(p->context.channels, channel))
        p->context.broken = "the broker spoke on a channel that never was opened";
    return o;
}

void publisher_method(struct publisher *p, uint16_t channel, const amqp_method_t *method)
{
    struct publish_channel *o = publish_channel_at(p, channel);

    if (o != NULL)
        publish_channel_method(o, method);
}

void publisher_content(struct publisher *p, const struct codec_content *content)
{
    struct publish_channel *o = publish_channel_at(p, content->channel);
    const amqp_basic_return_t *r = content->method->decoded;
    amqp_bytes_t id = content->properties->message_id;

    if (o == NULL || content->method->id != AMQP_BASIC_RETURN_METHOD)
        return;
    if ((content->properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) == 0)
        id = amqp_empty_bytes;
    publish_channel_returned(o, r,
                             mark_of(id.bytes, id.len, r->routing_key.bytes, r->routing_key.len));
}

void publisher_blocked(struct publisher *p, const char *reason)
{
    bool was = p->context.blocked;

    p->context.blocked = reason != NULL;
    for (size_t i = 0; was && reason == NULL && i < p->n_outlets; i++)
        publish_channel_unblocked(p->outlets[i]);
}

void publisher_step(struct publisher *p)
{
    quotas_step(p->context.quotas);
    if (!link_is_up(p->context.link))
        return;
    for (size_t i = 0; i < p->n_outlets; i++)
        publish_channel_step(p->outlets[i]);
    publish_channels_share(p->outlets, p->n_outlets, p->context.channels);
    declare_step(p->context.declare);
}

int64_t publisher_due(const struct publisher *p)
{
    int64_t due = quotas_due(p->context.quotas);

    for (size_t i = 0; i < p->n_outlets; i++) {
        int64_t one = publish_channel_due(p->outlets[i]);

        if (one < due)
            due = one;
    }
    return due;
}

const char *publisher_broken(struct publisher *p)
{
    const char *broken = p->context.broken;

    p->context.broken = NULL;
    return broken;
}

const char *publisher_trouble(const struct publisher *p)
{
    for (size_t i = 0; i < p->n_outlets; i++) {
        const char *trouble = publish_channel_trouble(p->outlets[i]);

        if (trouble != NULL)
            return trouble;
    }
    return quotas_trouble(p->context.quotas);
}

bool publisher_trouble_at(const struct publisher *p, size_t *n, struct broker_trouble *out)
{
    for (size_t i = 0; i < p->n_outlets; i++) {
        const char *why = publish_channel_own_trouble(p->outlets[i]);

        if (why == NULL)
            continue;
        if (*n > 0) {
            --*n;
            continue;
        }
        *out = (struct broker_trouble){
            .what = "exchange", .name = publish_channel_exchange(p->outlets[i]), .why = why};
        return true;
    }
    return false;
}

/* publish_channel - see publish_channel.h for the states. */
#include "rabbit/publish_channel_int.h"

#include "rabbit/channel.h"
#include "rabbit/words.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 400, ASK_EVERY_MS = 1000, LATE_MAX = 16 };

/* What a channel.close was about. */
enum fault {
    FAULT_NONE, /* no publish */
    FAULT_EXCHANGE,
    FAULT_ROW,
    FAULT_ANY, /* a publish, and nobody knows what of it */
};

static enum publish_outcome outcome_of(const struct publish_channel *o, enum window_outcome outcome)
{
    switch (outcome) {
    case WINDOW_CONFIRMED:
        return PUBLISH_CONFIRMED;
    case WINDOW_RETURNED:
        return PUBLISH_RETURNED;
    case WINDOW_NACKED:
        return PUBLISH_NACKED;
    case WINDOW_TIMED_OUT:
        return PUBLISH_TIMED_OUT;
    case WINDOW_UNKNOWN:
        break;
    }
    return o->dropped_as;
}

/* The window hands over a row that left it. */
static void on_settled(void *arg, int64_t row, void *quota, enum window_outcome outcome)
{
    struct publish_channel *o = arg;
    enum publish_outcome became = outcome_of(o, outcome);
    struct reason *why = NULL;

    o->context->in_flight--;
    quota_settle(o->context->quotas, quota, became, o->settled_ms);
    if (outcome != WINDOW_UNKNOWN) {
        o->careful -= o->careful > 0;
        o->refused = false;
    }
    if (outcome == WINDOW_CONFIRMED)
        backoff_reset(&o->backoff);
    if (outcome == WINDOW_RETURNED)
        why = reason_share(o->returned);
    if (outcome == WINDOW_UNKNOWN)
        why = reason_share(o->why);
    settlements_add(o->context->settlements, row, became, why);
}

struct publish_channel *publish_channel_new(struct publish_channel_context *context,
                                            const struct destination *to, bool planned)
{
    struct publish_channel *o = calloc(1, sizeof *o);

    if (o == NULL)
        return NULL;
    o->context = context;
    o->eager = true;
    backoff_init(&o->backoff, context->backoff_min_ms, context->backoff_max_ms,
                 (uint64_t)clock_wall(&context->clock) + context->outlets++);
    o->exchange = strdup(to->kind == EXCHANGE_DEFAULT ? "" : to->exchange);
    o->window = window_new(context->window, on_settled, o);
    if (o->exchange == NULL || o->window == NULL)
        goto fail;
    if (o->exchange[0] != '\0') {
        o->item = declare_exchange(context->declare, to, planned);
        if (o->item == NULL)
            goto fail;
    }
    if (link_is_up(context->link))
        o->state = PUBLISH_CHANNEL_DECLARING;
    return o;
fail:
    publish_channel_free(&o);
    return NULL;
}

void publish_channel_free(struct publish_channel **o)
{
    if (*o == NULL)
        return;
    window_free(&(*o)->window);
    reason_drop(&(*o)->why);
    reason_drop(&(*o)->returned);
    free((*o)->exchange);
    free(*o);
    *o = NULL;
}

const char *publish_channel_exchange(const struct publish_channel *o)
{
    return o->exchange;
}

uint16_t publish_channel_channel(const struct publish_channel *o)
{
    return o->channel;
}

static void set_why(struct reason **why, const char *text)
{
    struct reason *shared = reason_take(why, text);

    reason_drop(&shared); /* *why itself keeps it */
}

/* Every row in flight leaves with these words. */
static void drop_rows(struct publish_channel *o, enum publish_outcome as, const char *why)
{
    set_why(&o->why, why);
    o->dropped_as = as;
    o->settled_ms = clock_mono(&o->context->clock);
    window_drop(o->window);
}

/* It waits for its exchange, which is in this state. */
static bool waits_in(const struct publish_channel *o, enum declare_state state)
{
    return o->state == PUBLISH_CHANNEL_DECLARING && o->item != NULL &&
           declare_state(o->item) == state;
}

/* An open channel serves until it closes. */
bool publish_channel_is_dropped(const struct publish_channel *o)
{
    return o->state != PUBLISH_CHANNEL_OPEN && o->item != NULL &&
           declare_state(o->item) == DECLARE_DROPPED;
}

const char *publish_channel_own_trouble(const struct publish_channel *o)
{
    return o->state == PUBLISH_CHANNEL_BACKOFF ? reason_text(o->why) : NULL;
}

const char *publish_channel_trouble(const struct publish_channel *o)
{
    if (waits_in(o, DECLARE_REFUSED) || waits_in(o, DECLARE_UNANSWERED))
        return declare_why(o->item);
    return publish_channel_own_trouble(o);
}

int publish_channel_usable(const struct publish_channel *o, struct err *err)
{
    const char *trouble = publish_channel_trouble(o);
    size_t room;

    if (trouble != NULL)
        return err_set(err, waits_in(o, DECLARE_REFUSED) || o->refused ? ERR_BROKER : ERR_CLOSED,
                       "exchange \"%s\" cannot be used: %s", o->exchange, trouble);
    if (o->state != PUBLISH_CHANNEL_OPEN || o->gives_way)
        return err_set(err, ERR_BUSY, "exchange \"%s\" is not open yet", o->exchange);
    room = window_room(o->window);
    if (o->careful > 0)
        room = window_waiting(o->window) == 0 ? 1 : 0;
    if (o->reserved >= room)
        return err_set(err, ERR_BUSY, "exchange \"%s\" has no room now", o->exchange);
    return OK;
}

void publish_channel_reserve(struct publish_channel *o)
{
    o->reserved++;
}

void publish_channel_release(struct publish_channel *o)
{
    o->reserved--;
}

void publish_channel_sent(struct publish_channel *o, int64_t row, struct quota *quota,
                          uint64_t mark, int64_t now)
{
    int64_t deadline = now + o->context->confirm_timeout_ms;

    REQUIRE(window_add(o->window, row, quota, mark, deadline) != 0);
    o->context->in_flight++;
}

void publish_channel_up(struct publish_channel *o)
{
    o->state = PUBLISH_CHANNEL_DECLARING;
    o->eager = true;
}

/* The broker has closed it, and was answered. */
static void free_channel(struct publish_channel *o)
{
    channels_release(o->context->channels, o->channel);
    o->channel = 0;
    o->gives_way = false;
}

void publish_channel_down(struct publish_channel *o, const char *why)
{
    drop_rows(o, PUBLISH_UNKNOWN, why);
    o->state = PUBLISH_CHANNEL_DOWN;
    o->channel = 0;
    o->gives_way = false;
}

static void back_off(struct publish_channel *o)
{
    o->state = PUBLISH_CHANNEL_BACKOFF;
    o->eager = true;
    o->due_ms = clock_mono(&o->context->clock) + backoff_next(&o->backoff);
}

/* Words that are not known blame no row and no exchange: rows go out one by one, and the one that
 * closes the channel all alone is tried again later. */
static enum fault fault_of(const amqp_channel_close_t *close, const char *why)
{
    if ((((amqp_method_number_t)close->class_id << 16) | close->method_id) !=
        AMQP_BASIC_PUBLISH_METHOD)
        return FAULT_NONE;
    switch (words_of(why)) {
    case WORDS_NO_TOPIC:
    case WORDS_MESSAGE_REFUSED:
        return FAULT_ROW;
    case WORDS_NO_EXCHANGE:
    case WORDS_ABSENT:
        return FAULT_EXCHANGE;
    default:
        return FAULT_ANY;
    }
}

/* All rows leave, one of them with the blame; the others go out again one by one. A row that will
 * never be taken is out of the way, so the channel need not wait for long. */
static void settle_blame(struct publish_channel *o, enum fault fault, const char *why)
{
    size_t lost = window_waiting(o->window);
    bool found = lost == 1 && fault != FAULT_NONE;

    if (found) {
        drop_rows(o, fault == FAULT_ROW ? PUBLISH_REFUSED : PUBLISH_NACKED, why);
        o->careful -= o->careful > 0;
    } else {
        drop_rows(o, PUBLISH_UNKNOWN, why);
        o->careful = lost > 0 ? lost : o->careful;
    }
    o->refused = fault == FAULT_EXCHANGE;
    if (o->refused)
        o->careful = 1;
    if (found && fault == FAULT_ROW)
        backoff_reset(&o->backoff);
}

/* The channel's end is answered already when this is called. */
static void on_closed(struct publish_channel *o, const amqp_channel_close_t *close)
{
    char why[TEXT_MAX];

    channel_why(close, why, sizeof why);
    log_event(o->context->log, LOG_WARN, "broker.channel_closed",
              LOG_FIELDS(log_text("exchange", o->exchange),
                         log_int("rows", (int64_t)window_waiting(o->window)),
                         log_text("why", why)));
    settle_blame(o, fault_of(close, why), why);
    if (close->reply_code == AMQP_NOT_FOUND && o->item != NULL)
        o->context->gone(o->context->gone_arg, o->exchange);
    back_off(o);
}

static void on_close(struct publish_channel *o, const amqp_channel_close_t *close)
{
    struct err err = {0};

    /* A link that cannot take this is going down, which settles the rows as well. */
    if (channel_close_ok(o->context->link, o->channel, &err) != OK)
        return;
    if (o->state != PUBLISH_CHANNEL_OPENING && o->state != PUBLISH_CHANNEL_OPEN)
        return;
    free_channel(o);
    on_closed(o, close);
    /* In CLOSING both sides closed at once: our close-ok is still to come. */
}

static void on_answer(struct publish_channel *o, uint64_t tag, bool multiple, bool positive)
{
    int rc;

    if (o->state != PUBLISH_CHANNEL_OPEN)
        return;
    o->settled_ms = clock_mono(&o->context->clock);
    rc = positive ? window_ack(o->window, tag, multiple) : window_nack(o->window, tag, multiple);
    if (rc != 0)
        o->context->broken = "the broker confirmed a publish that never was";
}

void publish_channel_method(struct publish_channel *o, const amqp_method_t *method)
{
    const amqp_basic_ack_t *ack = method->decoded;
    const amqp_basic_nack_t *nack = method->decoded;

    switch (method->id) {
    case AMQP_BASIC_ACK_METHOD:
        on_answer(o, ack->delivery_tag, ack->multiple, true);
        break;
    case AMQP_BASIC_NACK_METHOD:
        on_answer(o, nack->delivery_tag, nack->multiple, false);
        break;
    case AMQP_CONFIRM_SELECT_OK_METHOD:
        if (o->state == PUBLISH_CHANNEL_OPENING)
            o->state = PUBLISH_CHANNEL_OPEN;
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        on_close(o, method->decoded);
        break;
    case AMQP_CHANNEL_CLOSE_OK_METHOD:
        if (o->state == PUBLISH_CHANNEL_CLOSING) {
            free_channel(o);
            o->state = PUBLISH_CHANNEL_DECLARING;
        }
        break;
    default: /* channel.open-ok says nothing that select-ok does not */
        break;
    }
}

/* An exchange may have been deleted and made anew, by us or by others, without a 404
 * that this channel saw: then our own queues are not bound to it any more. */
static void ask_for_bindings(struct publish_channel *o)
{
    int64_t now = clock_mono(&o->context->clock);

    if (o->item == NULL || (o->asked_ms != 0 && now - o->asked_ms < ASK_EVERY_MS))
        return;
    o->asked_ms = now;
    o->context->gone(o->context->gone_arg, o->exchange);
}

void publish_channel_returned(struct publish_channel *o, const amqp_basic_return_t *r,
                              uint64_t mark)
{
    char why[TEXT_MAX];

    if (o->state != PUBLISH_CHANNEL_OPEN)
        return;
    if (o->exchange[0] != '\0')
        snprintf(why, sizeof why,
                 "no queue took it: none is bound to exchange \"%s\" for its routing key (%u %.*s)",
                 o->exchange, (unsigned)r->reply_code, (int)r->reply_text.len,
                 (const char *)r->reply_text.bytes);
    else
        snprintf(why, sizeof why, "no queue took it: there is none of that name (%u %.*s)",
                 (unsigned)r->reply_code, (int)r->reply_text.len,
                 (const char *)r->reply_text.bytes);
    set_why(&o->returned, why);
    if (window_returned(o->window, mark) != 0)
        o->context->broken = "the broker returned a message that never was";
    ask_for_bindings(o);
}

void publish_channel_unblocked(struct publish_channel *o)
{
    window_postpone(o->window, clock_mono(&o->context->clock) + o->context->confirm_timeout_ms);
}

/* Sends channel.open and confirm.select; the answers need not be awaited one by one. */
static void open_channel(struct publish_channel *o)
{
    amqp_confirm_select_t select = {.nowait = false};
    struct err err = {0};
    int rc;

    o->channel = channels_take(o->context->channels, CHANNELS_OF_WORK, o);
    o->eager = false;
    if (o->channel == 0)
        return;
    o->asked = false;
    rc = channel_open(o->context->link, o->channel, &err);
    if (rc == OK)
        rc = link_send(o->context->link, o->channel, AMQP_CONFIRM_SELECT_METHOD, &select, &err);
    if (rc != OK) {
        o->context->broken = "a channel could not be opened";
        return;
    }
    o->state = PUBLISH_CHANNEL_OPENING;
    o->due_ms = clock_mono(&o->context->clock) + CHANNEL_RPC_MS;
}

/* A confirm is overdue. Where later rows were answered, one queue is silent. The other rows on this
 * channel need not suffer from that, unless too many have piled up behind it (quota.h). Where none
 * was, the channel is suspect: it is closed, and the other rows on it have an unknown outcome. */
static void expire(struct publish_channel *o, int64_t now)
{
    struct err err = {0};
    size_t late;

    o->settled_ms = now;
    late = window_expire(o->window, now);
    if (late == 0 || (window_is_read(o->window) && window_timed_out(o->window) < LATE_MAX))
        return;
    log_event(o->context->log, LOG_INFO, "broker.channel_silent",
              LOG_FIELDS(log_text("exchange", o->exchange), log_int("rows", (int64_t)late)));
    drop_rows(o, PUBLISH_UNKNOWN,
              "the channel was closed because a confirm before it did not come in time");
    o->gives_way = false;
    if (channel_close(o->context->link, o->channel, &err) != OK)
        o->context->broken = "a channel could not be closed";
    o->state = PUBLISH_CHANNEL_CLOSING;
    o->eager = true;
    o->due_ms = now + CHANNEL_RPC_MS;
}

void publish_channel_step(struct publish_channel *o)
{
    int64_t now = clock_mono(&o->context->clock);

    if (o->state == PUBLISH_CHANNEL_BACKOFF && o->due_ms <= now) {
        if (o->item != NULL)
            declare_again(o->context->declare, o->item);
        o->state = PUBLISH_CHANNEL_DECLARING;
    }
    if (o->state == PUBLISH_CHANNEL_DECLARING && (o->eager || o->asked) &&
        publish_channel_is_declared(o))
        open_channel(o);
    if (o->gives_way && publish_channel_is_idle(o))
        publish_channel_give_way(o);
    if (o->context->blocked)
        return;
    if (o->state == PUBLISH_CHANNEL_OPEN)
        expire(o, now);
    if (o->state == PUBLISH_CHANNEL_OPENING && o->due_ms <= now)
        o->context->broken = "the broker did not answer in time on a channel for publishing";
    if (o->state == PUBLISH_CHANNEL_CLOSING && o->due_ms <= now) {
        channels_orphan(o->context->channels, o->channel);
        o->channel = 0;
        o->state = PUBLISH_CHANNEL_DECLARING;
    }
}

int64_t publish_channel_due(const struct publish_channel *o)
{
    if (o->state == PUBLISH_CHANNEL_BACKOFF)
        return o->due_ms;
    if (o->context->blocked)
        return INT64_MAX;
    if (o->state == PUBLISH_CHANNEL_OPEN)
        return window_waiting(o->window) > 0 ? window_deadline(o->window) + 1 : INT64_MAX;
    return o->state == PUBLISH_CHANNEL_OPENING || o->state == PUBLISH_CHANNEL_CLOSING ? o->due_ms
                                                                                      : INT64_MAX;
}

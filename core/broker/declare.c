/* declare - see declare.h for the states. One item is under way at a time, in the
 * order in which they were asked for. */
#include "broker/declare.h"

#include "broker/backoff.h"
#include "broker/channel.h"
#include "broker/explain.h"
#include "broker/reason.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    RETRY_MS = 40 * 1000, /* 20 to 40 s with jitter: a person has to act, no hurry */
    TEXT_MAX = 900,       /* broker's words and ours in one line */
};

enum item_kind { ITEM_EXCHANGE, ITEM_QUEUE, ITEM_BINDING };
enum item_step { STEP_IDLE, STEP_ASKING, STEP_CREATING, STEP_BINDING };

struct declare_item {
    enum item_kind kind;
    enum declare_state state;
    enum item_step step;              /* what the broker was asked last */
    char *name;                       /* exchange or queue; of a binding, its routing key */
    char *origin;                     /* where the rules name it; NULL */
    enum exchange_kind exchange_kind; /* ITEM_EXCHANGE: created as this */
    enum queue_type queue_type;       /* ITEM_QUEUE: what the rule states */
    struct declare_item *exchange;    /* ITEM_BINDING: from */
    struct declare_item *queue;       /* ITEM_BINDING: to */
    bool planned;                     /* named by the rules */
    bool stale;                       /* taken up again while it was under way */
    int64_t due_ms;                   /* REFUSED: when it is tried again */
    struct reason *why;               /* of the last refusal, kept to log it only once */
};

struct declare {
    struct link *link;           /* lent */
    struct log *log;             /* lent */
    struct clock clock;          /* for `due_ms` */
    struct declare_item **items; /* owned, in the order asked for */
    size_t n_items;
    struct declare_item *current; /* under way; NULL: none */
    bool channel_open;            /* channel.open was sent in this life of the link */
    struct backoff retry;         /* spreads the retries of refused items */
};

struct declare *declare_new(struct link *link, struct log *log, struct clock clock)
{
    struct declare *d = calloc(1, sizeof *d);

    if (d == NULL)
        return NULL;
    d->link = link;
    d->log = log;
    d->clock = clock;
    backoff_init(&d->retry, RETRY_MS, RETRY_MS, (uint64_t)clock_wall(&clock));
    return d;
}

static void item_free(struct declare_item **item)
{
    if (*item == NULL)
        return;
    free((*item)->name);
    free((*item)->origin);
    reason_drop(&(*item)->why);
    free(*item);
    *item = NULL;
}

void declare_free(struct declare **d)
{
    if (*d == NULL)
        return;
    for (size_t i = 0; i < (*d)->n_items; i++)
        item_free(&(*d)->items[i]);
    free((*d)->items);
    free(*d);
    *d = NULL;
}

static struct declare_item *find(const struct declare *d, const struct declare_item *like)
{
    for (size_t i = 0; i < d->n_items; i++) {
        struct declare_item *item = d->items[i];

        if (item->kind == like->kind && item->exchange == like->exchange &&
            item->queue == like->queue && strcmp(item->name, like->name) == 0)
            return item;
    }
    return NULL;
}

static struct declare_item *item_new(const struct declare_item *like, const char *name,
                                     const char *origin)
{
    struct declare_item *item = malloc(sizeof *item);

    if (item == NULL)
        return NULL;
    *item = *like;
    item->name = strdup(name);
    item->origin = origin != NULL ? strdup(origin) : NULL;
    if (item->name == NULL || (origin != NULL && item->origin == NULL))
        item_free(&item);
    return item;
}

/* Finds the item that is like this one, or adds it. `like` lends name and origin. */
static struct declare_item *ask(struct declare *d, struct declare_item *like)
{
    struct declare_item *item = find(d, like);
    struct declare_item **items;

    if (item != NULL) {
        item->planned = item->planned || like->planned;
        return item;
    }
    items = realloc(d->items, (d->n_items + 1) * sizeof *items);
    if (items == NULL)
        return NULL;
    d->items = items;
    item = item_new(like, like->name, like->origin);
    if (item != NULL)
        d->items[d->n_items++] = item;
    return item;
}

struct declare_item *declare_exchange(struct declare *d, const struct destination *to, bool planned)
{
    struct declare_item like = {
        .kind = ITEM_EXCHANGE, .name = to->exchange, .exchange_kind = to->kind, .planned = planned};

    REQUIRE(to->kind != EXCHANGE_DEFAULT);
    return ask(d, &like);
}

struct declare_item *declare_queue(struct declare *d, const struct subscription *s)
{
    struct declare_item like = {.kind = ITEM_QUEUE,
                                .name = s->queue,
                                .origin = s->origin,
                                .queue_type = s->queue_type,
                                .planned = true};

    return ask(d, &like);
}

struct declare_item *declare_binding(struct declare *d, struct declare_item *exchange,
                                     struct declare_item *queue, const char *routing_key)
{
    struct declare_item like = {
        .kind = ITEM_BINDING, .exchange = exchange, .queue = queue, .planned = true};
    struct declare_item *item;

    like.name = strdup(routing_key);
    if (like.name == NULL)
        return NULL;
    item = ask(d, &like);
    free(like.name);
    return item;
}

enum declare_state declare_state(const struct declare_item *item)
{
    return item->state;
}

const char *declare_why(const struct declare_item *item)
{
    return item->state == DECLARE_REFUSED ? reason_text(item->why) : "";
}

static const char *kind_word(const struct declare_item *item)
{
    static const char *const words[] = {"exchange", "queue", "binding"};

    return words[item->kind];
}

/* A binding is known to people by its queue. */
static const char *shown_name(const struct declare_item *item)
{
    return item->kind == ITEM_BINDING ? item->queue->name : item->name;
}

static void set_waiting(struct declare *d, struct declare_item *item)
{
    if (item == d->current)
        item->stale = true;
    else
        item->state = DECLARE_WAITING;
}

void declare_again(struct declare *d, struct declare_item *item)
{
    set_waiting(d, item);
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i]->exchange == item || d->items[i]->queue == item)
            set_waiting(d, d->items[i]);
}

void declare_exchange_again(struct declare *d, const char *exchange)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i]->kind == ITEM_EXCHANGE && strcmp(d->items[i]->name, exchange) == 0)
            declare_again(d, d->items[i]);
}

void declare_down(struct declare *d)
{
    d->channel_open = false;
    d->current = NULL;
    for (size_t i = 0; i < d->n_items; i++) {
        d->items[i]->state = DECLARE_WAITING;
        d->items[i]->step = STEP_IDLE;
        d->items[i]->stale = false;
    }
}

void declare_up(struct declare *d)
{
    declare_down(d);
    declare_step(d);
}

static void refuse(struct declare *d, struct declare_item *item, const char *why)
{
    struct reason *before = item->why;
    struct reason *now = reason_share(before);

    item->why = reason_take(&now, why);
    item->state = DECLARE_REFUSED;
    item->due_ms = clock_mono(&d->clock) + backoff_next(&d->retry);
    if (item->why != before || before == NULL)
        log_event(d->log, LOG_ERROR, "broker.refused",
                  LOG_FIELDS(log_text("what", kind_word(item)), log_text("name", shown_name(item)),
                             log_text("why", why)));
    reason_drop(&now);
    reason_drop(&before);
}

static void finish(struct declare *d, struct declare_item *item)
{
    if (item->step == STEP_CREATING)
        log_event(d->log, LOG_INFO, "broker.declared",
                  LOG_FIELDS(log_text("what", kind_word(item)), log_text("name", item->name)));
    item->state = DECLARE_READY;
    reason_drop(&item->why);
    for (size_t i = 0; i < d->n_items; i++) /* bindings that were refused for its sake */
        if (d->items[i]->exchange == item || d->items[i]->queue == item)
            d->items[i]->due_ms = 0;
}

/* Nothing is under way any more. */
static void release(struct declare *d)
{
    struct declare_item *item = d->current;

    d->current = NULL;
    item->step = STEP_IDLE;
    if (item->stale)
        item->state = DECLARE_WAITING;
    item->stale = false;
}

static int send_exchange(struct declare *d, const struct declare_item *item, struct err *err)
{
    amqp_exchange_declare_t m = {
        .exchange = amqp_cstring_bytes(item->name),
        .type = amqp_cstring_bytes(exchange_kind_word(item->exchange_kind)),
        .passive = item->step == STEP_ASKING,
        .durable = true,
        .arguments = amqp_empty_table,
    };

    return link_send(d->link, CHANNEL_DECLARE, AMQP_EXCHANGE_DECLARE_METHOD, &m, err);
}

/* A classic queue is declared plain, so that the declarations of the services that
 * exist still match; no other argument is ever given (PITFALLS 2.5). */
static int send_queue(struct declare *d, const struct declare_item *item, struct err *err)
{
    amqp_table_entry_t type = {
        .key = amqp_cstring_bytes("x-queue-type"),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes("quorum")},
    };
    bool quorum = item->step == STEP_CREATING && item->queue_type != QUEUE_CLASSIC;
    amqp_queue_declare_t m = {
        .queue = amqp_cstring_bytes(item->name),
        .passive = item->step == STEP_ASKING,
        .durable = true,
        .arguments = {.num_entries = quorum ? 1 : 0, .entries = quorum ? &type : NULL},
    };

    return link_send(d->link, CHANNEL_DECLARE, AMQP_QUEUE_DECLARE_METHOD, &m, err);
}

static int send_binding(struct declare *d, const struct declare_item *item, struct err *err)
{
    amqp_queue_bind_t m = {
        .queue = amqp_cstring_bytes(item->queue->name),
        .exchange = amqp_cstring_bytes(item->exchange->name),
        .routing_key = amqp_cstring_bytes(item->name),
        .arguments = amqp_empty_table,
    };

    return link_send(d->link, CHANNEL_DECLARE, AMQP_QUEUE_BIND_METHOD, &m, err);
}

static int open_channel(struct declare *d, struct err *err)
{
    int rc = d->channel_open ? OK : channel_open(d->link, CHANNEL_DECLARE, err);

    if (rc == OK)
        d->channel_open = true;
    return rc;
}

static void send_item(struct declare *d, struct declare_item *item, enum item_step step)
{
    struct err err = {0};
    int rc = open_channel(d, &err);

    item->step = step;
    d->current = item;
    if (rc == OK && item->kind == ITEM_EXCHANGE)
        rc = send_exchange(d, item, &err);
    else if (rc == OK && item->kind == ITEM_QUEUE)
        rc = send_queue(d, item, &err);
    else if (rc == OK)
        rc = send_binding(d, item, &err);
    if (rc == OK)
        return;
    refuse(d, item, err.text);
    release(d);
}

/* A binding waits for both its ends. Returns true when it may go. */
static bool ends_ready(struct declare *d, struct declare_item *item)
{
    const struct declare_item *ends[] = {item->exchange, item->queue};
    char why[TEXT_MAX];

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends[i]->state == DECLARE_WAITING)
            return false;
        if (ends[i]->state == DECLARE_REFUSED) {
            snprintf(why, sizeof why,
                     "queue \"%s\" is not bound to exchange \"%s\": the %s was refused",
                     item->queue->name, item->exchange->name, kind_word(ends[i]));
            refuse(d, item, why);
            return false;
        }
    }
    return true;
}

static enum item_step first_step(const struct declare_item *item)
{
    if (item->kind == ITEM_BINDING)
        return STEP_BINDING;
    return item->kind == ITEM_QUEUE && item->queue_type != QUEUE_ANY ? STEP_CREATING : STEP_ASKING;
}

void declare_step(struct declare *d)
{
    int64_t now = clock_mono(&d->clock);

    for (size_t i = 0; i < d->n_items && link_is_up(d->link) && d->current == NULL; i++) {
        struct declare_item *item = d->items[i];

        if (item->state == DECLARE_REFUSED && item->due_ms <= now)
            item->state = DECLARE_WAITING;
        if (item->state != DECLARE_WAITING)
            continue;
        if (item->kind != ITEM_BINDING || ends_ready(d, item))
            send_item(d, item, first_step(item));
    }
}

static void on_refused(struct declare *d, struct declare_item *item,
                       const amqp_channel_close_t *close)
{
    char text[TEXT_MAX / 2];
    char why[TEXT_MAX];
    struct refusal refusal = {
        .code = close->reply_code,
        .text = channel_why(close, text, sizeof text),
        .what = kind_word(item),
        .name = shown_name(item),
        .origin = item->origin,
        .queue_type = item->queue_type,
    };

    refuse(d, item, explain_refusal(&refusal, why, sizeof why));
    if (item->kind == ITEM_BINDING && close->reply_code == AMQP_NOT_FOUND) {
        set_waiting(d, item->exchange);
        set_waiting(d, item->queue);
    }
}

static void on_close(struct declare *d, const amqp_channel_close_t *close)
{
    struct declare_item *item = d->current;
    struct err err = {0};

    d->channel_open = false;
    /* A link that cannot take this is going down and takes everything up again. */
    if (channel_close_ok(d->link, CHANNEL_DECLARE, &err) != OK || item == NULL)
        return;
    if (item->step == STEP_ASKING && close->reply_code == AMQP_NOT_FOUND) {
        send_item(d, item, STEP_CREATING);
        return;
    }
    on_refused(d, item, close);
    release(d);
}

static void on_ok(struct declare *d)
{
    if (d->current == NULL)
        return;
    finish(d, d->current);
    release(d);
}

void declare_method(struct declare *d, const amqp_method_t *method)
{
    switch (method->id) {
    case AMQP_EXCHANGE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_DECLARE_OK_METHOD:
    case AMQP_QUEUE_BIND_OK_METHOD:
        on_ok(d);
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        on_close(d, method->decoded);
        break;
    default: /* open-ok needs no answer; nothing else is asked for here */
        break;
    }
    declare_step(d);
}

int64_t declare_due(const struct declare *d)
{
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i]->state == DECLARE_REFUSED && d->items[i]->due_ms < due)
            due = d->items[i]->due_ms;
    return due;
}

bool declare_is_settled(const struct declare *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i]->state == DECLARE_WAITING)
            return false;
    return true;
}

const char *declare_refused(const struct declare *d)
{
    for (size_t i = 0; i < d->n_items; i++)
        if (d->items[i]->planned && d->items[i]->state == DECLARE_REFUSED)
            return declare_why(d->items[i]);
    return NULL;
}

/* consumer - see consumer.h. */
#include "rabbit/consumer.h"

#include "rabbit/channel.h"
#include "rabbit/consume_channel.h"
#include "rabbit/dead_letter_queue.h"
#include "wire/codec.h"
#include "wire/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEFECT_MAX = 320 };

struct consumer {
    struct consume_channel_context context;
    struct consume_channel **all; /* owned */
    size_t n_all;
    struct arrivals waiting;    /* what waits to be handled */
    struct arrivals endangered; /* what is to be rescued first */
    struct arrivals undecided;  /* which of the two, depends on an answer of the broker */
    int64_t rescue_after;       /* of the settings */
    struct buf scratch;         /* text of headers while a message is read */
    bool draining;              /* no further deliveries */
    bool rescued;               /* endangered ones may be accepted and not acked yet */
};

static void on_stale(void *arg)
{
    struct consumer *c = arg;

    unacked_sweep(&c->waiting);
    unacked_sweep(&c->endangered);
    unacked_sweep(&c->undecided);
}

struct consumer *consumer_new(const struct consumer_settings *s)
{
    struct consumer *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->context = (struct consume_channel_context){
        .link = s->link,
        .channels = s->channels,
        .log = s->log,
        .clock = s->clock,
        .declare = s->declare,
        .backoff_min_ms = s->backoff_min_ms,
        .backoff_max_ms = s->backoff_max_ms,
        .stale = on_stale,
        .stale_arg = c,
        .pace = PACE_FLOW,
        .bytes_max = s->bytes_max > 0 ? s->bytes_max : SIZE_MAX,
    };
    c->rescue_after = s->rescue_after;
    unacked_sweep(&c->waiting);
    unacked_sweep(&c->endangered);
    unacked_sweep(&c->undecided);
    buf_init(&c->scratch, MESSAGE_BODY_MAX);
    return c;
}

void consumer_free(struct consumer **c)
{
    if (*c == NULL)
        return;
    for (size_t i = 0; i < (*c)->n_all; i++)
        consume_channel_free(&(*c)->all[i]);
    unacked_free_all(&(*c)->waiting);
    unacked_free_all(&(*c)->endangered);
    unacked_free_all(&(*c)->undecided);
    buf_free(&(*c)->scratch);
    free((*c)->all);
    free(*c);
    *c = NULL;
}

/* The one that consumes this queue, as a dead-letter queue or as any other. */
static struct consume_channel *consume_channel_of(const struct consumer *c, const char *queue,
                                                  bool dead)
{
    for (size_t i = 0; i < c->n_all; i++) {
        const char *mine = consume_channel_unplanned_queue(c->all[i]);

        if (mine != NULL && strcmp(mine, queue) == 0 &&
            dead == (consume_channel_of_dead(c->all[i]) != NULL))
            return c->all[i];
    }
    return NULL;
}

static struct consume_channel *free_channel(struct consumer *c)
{
    struct consume_channel **all;
    struct consume_channel *f;

    for (size_t i = 0; i < c->n_all; i++)
        if (consume_channel_is_free(c->all[i]))
            return c->all[i];
    all = realloc(c->all, (c->n_all + 1) * sizeof(*all));
    if (all == NULL)
        return NULL;
    c->all = all;
    f = consume_channel_new(&c->context);
    if (f != NULL)
        c->all[c->n_all++] = f;
    return f;
}

static int plan_channel(struct consumer *c, const struct subscription *s, const char *dead)
{
    struct consume_channel *f = consume_channel_of(c, dead != NULL ? dead : s->queue, dead != NULL);

    if (f == NULL)
        f = free_channel(c);
    return f != NULL ? consume_channel_plan(f, s, dead) : ERR_NOMEM;
}

static bool is_subscribed(const struct subscription *s, size_t n, const char *queue)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(s[i].queue, queue) == 0)
            return true;
    return false;
}

/* Dead-letter queues come last: nothing waits for them. One that the rules subscribe to
 * themselves is theirs. */
int consumer_plan(struct consumer *c, const struct subscription *s, size_t n, struct err *err)
{
    char dead[DEAD_LETTER_QUEUE_NAME_MAX];
    int rc = OK;

    for (size_t i = 0; rc == OK && i < n; i++)
        rc = plan_channel(c, &s[i], NULL);
    for (size_t i = 0; rc == OK && i < n; i++)
        if (dead_letter_queue_name(s[i].queue, dead) && !is_subscribed(s, n, dead))
            rc = plan_channel(c, &s[i], dead);
    return rc == OK ? OK : err_set(err, ERR_NOMEM, "out of memory for a subscription");
}

void consumer_adopt(struct consumer *c)
{
    for (size_t i = 0; i < c->n_all; i++) {
        consume_channel_adopt(c->all[i]);
        if (c->draining)
            consume_channel_drain(c->all[i]);
    }
}

void consumer_abandon(struct consumer *c)
{
    for (size_t i = 0; i < c->n_all; i++)
        consume_channel_abandon(c->all[i]);
}

bool consumer_pending(const struct consumer *c)
{
    return !c->draining && (unacked_waits(&c->waiting) || unacked_waits(&c->endangered));
}

size_t consumer_take(struct consumer *c, struct delivery **out, size_t max)
{
    return c->draining ? 0 : unacked_lend(&c->waiting, out, max);
}

size_t consumer_take_endangered(struct consumer *c, struct delivery **out, size_t max)
{
    return c->draining ? 0 : unacked_lend(&c->endangered, out, max);
}

/* A stale one is accepted too: the store has its effect, and the broker's second
 * delivery will find it there. */
void consumer_accept(struct consumer *c, struct delivery *d)
{
    (void)c;
    REQUIRE(unacked_of(d)->state == UNACKED_LENT);
    unacked_of(d)->state = UNACKED_ACCEPTED;
}

static void ack_accepted(struct consumer *c)
{
    for (size_t i = 0; i < c->n_all; i++) {
        consume_channel_ack(c->all[i]);
        if (c->rescued)
            consume_channel_ack_rescued(c->all[i]);
    }
    c->rescued = false;
}

void consumer_tell(struct consumer *c)
{
    c->rescued = c->rescued || c->endangered.first != NULL;
    unacked_take_back(&c->waiting, true);
    unacked_take_back(&c->endangered, true);
    if (!c->context.acks_wait)
        ack_accepted(c);
}

void consumer_let_acks_wait(struct consumer *c, bool wait)
{
    const bool over = c->context.acks_wait && !wait;

    c->context.acks_wait = wait;
    if (!over)
        return;
    ack_accepted(c);
    for (size_t i = 0; i < c->n_all; i++)
        consume_channel_pace(c->all[i], NULL, c->context.pace);
}

void consumer_forget(struct consumer *c)
{
    unacked_take_back(&c->waiting, false);
    unacked_take_back(&c->endangered, false);
}

void consumer_pace(struct consumer *c, const char *queue, enum broker_pace pace)
{
    if (queue == NULL)
        c->context.pace = pace;
    for (size_t i = 0; i < c->n_all; i++)
        consume_channel_pace(c->all[i], queue, pace);
    consumer_step(c);
}

void consumer_drain(struct consumer *c)
{
    c->draining = true;
    for (size_t i = 0; i < c->n_all; i++)
        consume_channel_drain(c->all[i]);
}

size_t consumer_bytes(const struct consumer *c)
{
    return c->context.unacked_bytes;
}

size_t consumer_unacked(const struct consumer *c)
{
    size_t unacked = 0;

    for (size_t i = 0; i < c->n_all; i++)
        unacked += consume_channel_unacked(c->all[i]);
    return unacked;
}

void consumer_up(struct consumer *c)
{
    for (size_t i = 0; i < c->n_all; i++)
        consume_channel_up(c->all[i]);
    consumer_step(c);
}

void consumer_blame(struct consumer *c, const char *why)
{
    for (size_t i = 0; i < c->n_all; i++)
        consume_channel_blame(c->all[i], why);
}

void consumer_down(struct consumer *c)
{
    for (size_t i = 0; i < c->n_all; i++)
        consume_channel_down(c->all[i]);
}

static struct consume_channel *consume_channel_at(struct consumer *c, uint16_t channel)
{
    struct consume_channel *f = channels_owner(c->context.channels, CHANNELS_OF_WORK, channel);

    if (f == NULL && !channels_is_left(c->context.channels, channel))
        c->context.broken = "the broker spoke on a channel that never was opened";
    return f;
}

void consumer_method(struct consumer *c, uint16_t channel, const amqp_method_t *method)
{
    struct consume_channel *f = consume_channel_at(c, channel);

    if (f != NULL)
        consume_channel_method(f, method);
}

static struct slice slice_from(amqp_bytes_t bytes)
{
    return (struct slice){bytes.len > 0 ? bytes.bytes : "", bytes.len};
}

/* Fills `m`. What cannot be handed over whole is still handed over: the engine makes
 * a dead letter of it. Returns the defect's words or NULL. */
static const char *read_message(struct consumer *c, const struct codec_content *content,
                                struct message *m, char *words, size_t size)
{
    struct err err = {0};
    int rc;

    buf_clear(&c->scratch);
    rc = codec_message(content, m, &c->scratch, &err);
    if (rc == OK)
        return NULL;
    if (rc == ERR_NOMEM) /* not the message's fault: the broker shall keep it */
        c->context.broken = "out of memory for a delivery";
    snprintf(words, size, "%.*s", (int)size - 1, err.text);
    return words;
}

/* A message from a dead-letter queue is shown with the exchange and the key by which it came into
 * its first queue. */
static void read_dead_lettered(const struct consume_channel *f, const struct codec_content *content,
                               struct delivery *d, struct dead_lettered *dead_lettered)
{
    const struct subscription *of = consume_channel_of_dead(f);

    if (of == NULL)
        return;
    dead_letter_queue_read(&content->properties->headers, of->queue, dead_lettered);
    d->dead_lettered = dead_lettered->why;
    if (dead_lettered->exchange.data != NULL)
        d->exchange = dead_lettered->exchange;
    if (dead_lettered->routing_key.data != NULL)
        d->routing_key = dead_lettered->routing_key;
}

/* How often it was returned, as a quorum queue says in a header. On a message that was not
 * delivered before, the header is its publisher's and says nothing. */
static int64_t times_returned(const struct codec_content *content)
{
    const amqp_table_t *headers = &content->properties->headers;
    const amqp_basic_deliver_t *deliver = content->method->decoded;
    const bool has = (content->properties->_flags & AMQP_BASIC_HEADERS_FLAG) != 0;
    char digits[24];

    for (int i = 0; has && deliver->redelivered && i < headers->num_entries; i++)
        if (channel_bytes_are(headers->entries[i].key, "x-delivery-count") &&
            table_integer(&headers->entries[i].value, digits))
            return strtoll(digits, NULL, 10);
    return 0;
}

/* The queue counts returns, so it may have a limit. Without a dead-letter queue of herald's, a
 * message that reaches the limit may be lost. */
static void look_for_guard(const struct consumer *c, struct consume_channel *f, int64_t returned)
{
    const char *queue = consume_channel_unplanned_queue(f);
    char dead[DEAD_LETTER_QUEUE_NAME_MAX];
    const struct consume_channel *spare;

    if (queue == NULL || consume_channel_of_dead(f) != NULL || !dead_letter_queue_name(queue, dead))
        return;
    spare = consume_channel_of(c, dead, true);
    if (spare == NULL || !consume_channel_is_absent(spare))
        return;
    consume_channel_warn_unguarded(f);
    if (returned < c->rescue_after)
        consume_channel_ask_limit(f);
}

/* Puts it where it waits; while that is undecided, with all that come after it. */
static void place(struct consumer *c, struct unacked *h)
{
    const struct consume_channel *f = h->delivery.owner;

    h->next = NULL;
    if (consume_channel_is_undecided(f)) {
        unacked_arrive(&c->undecided, h);
        return;
    }
    h->delivery.endangered =
        h->returned > 0 && h->returned >= consume_channel_rescue_after(f, c->rescue_after);
    unacked_arrive(h->delivery.endangered ? &c->endangered : &c->waiting, h);
}

static void place_undecided(struct consumer *c)
{
    struct unacked *h = c->undecided.first;

    if (h == NULL)
        return;
    c->undecided = (struct arrivals){.first = NULL};
    unacked_sweep(&c->undecided);
    while (h != NULL) {
        struct unacked *behind = h->next;

        place(c, h);
        h = behind;
    }
}

void consumer_content(struct consumer *c, const struct codec_content *content)
{
    const amqp_basic_deliver_t *deliver = content->method->decoded;
    struct consume_channel *f = consume_channel_at(c, content->channel);
    char words[DEFECT_MAX];
    struct delivery d = {.subscription = NULL};
    struct dead_lettered dead_lettered;
    struct unacked *h;
    int64_t returned;

    if (f == NULL || content->method->id != AMQP_BASIC_DELIVER_METHOD)
        return;
    d.defect = read_message(c, content, &d.message, words, sizeof words);
    d.exchange = slice_from(deliver->exchange);
    d.routing_key = slice_from(deliver->routing_key);
    d.redelivered = deliver->redelivered;
    d.tag = deliver->delivery_tag;
    returned = times_returned(content);
    if (returned > 0)
        look_for_guard(c, f, returned);
    read_dead_lettered(f, content, &d, &dead_lettered);
    consume_channels_make_room(c->all, c->n_all, f, unacked_size(&d));
    h = c->context.broken == NULL ? consume_channel_deliver(f, &d) : NULL;
    if (h == NULL)
        return;
    h->returned = returned;
    place(c, h);
}

void consumer_step(struct consumer *c)
{
    if (!link_is_up(c->context.link))
        return;
    place_undecided(c);
    consume_channels_serve(&c->context, c->all, c->n_all);
    /* Dead-letter queues come last: where channels are few, they can wait. */
    for (size_t i = 0; i < c->n_all; i++)
        if (consume_channel_of_dead(c->all[i]) == NULL)
            consume_channel_step(c->all[i]);
    for (size_t i = 0; i < c->n_all; i++)
        if (consume_channel_of_dead(c->all[i]) != NULL)
            consume_channel_step(c->all[i]);
    declare_step(c->context.declare);
}

int64_t consumer_due(const struct consumer *c)
{
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < c->n_all; i++) {
        int64_t one = consume_channel_due(c->all[i]);

        if (one < due)
            due = one;
    }
    return due;
}

bool consumer_is_ready(const struct consumer *c)
{
    for (size_t i = 0; i < c->n_all; i++)
        if (!consume_channel_is_ready(c->all[i]))
            return false;
    return true;
}

const char *consumer_broken(struct consumer *c)
{
    const char *broken = c->context.broken;

    c->context.broken = NULL;
    return broken;
}

const char *consumer_trouble(const struct consumer *c)
{
    for (size_t i = 0; i < c->n_all; i++) {
        const char *trouble = consume_channel_trouble(c->all[i]);

        if (trouble != NULL)
            return trouble;
    }
    return NULL;
}

bool consumer_trouble_at(const struct consumer *c, size_t *n, struct broker_trouble *out)
{
    for (size_t i = 0; i < c->n_all; i++) {
        const char *why = consume_channel_own_trouble(c->all[i]);

        if (why == NULL)
            continue;
        if (*n > 0) {
            --*n;
            continue;
        }
        *out = (struct broker_trouble){.what = "queue",
                                       .name = consume_channel_queue(c->all[i]),
                                       .why = why,
                                       .standby = consume_channel_stands_by(c->all[i])};
        return true;
    }
    return false;
}

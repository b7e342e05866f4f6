/* Deliveries are lent in order, acked only when told, and never on another channel. */
#include "check.h"
#include "rabbit/consumer.h"
#include "rabbit/fake_link.h"

#include <stdlib.h>

static struct channels *channels;
static struct declare *declare;
static struct consumer *consumer;

/* Rules: what each subscription is, its strings inside. */
struct rule {
    char queue[16];
    char exchange[8]; /* "": not bound */
    int prefetch;
};

/* A topology on the heap, so that a pointer into a former one shows. */
static struct subscription *rules;
static size_t n_rules;

static void free_rules(struct subscription *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free((void *)(uintptr_t)s[i].queue);
        for (size_t k = 0; k < s[i].n_from; k++) {
            free((void *)(uintptr_t)s[i].from[k].exchange);
            free((void *)(uintptr_t)s[i].from[k].routing_key);
        }
        free(s[i].from);
    }
    free(s);
}

/* Of all subscriptions that are made. */
static int consumer_priority;
static bool consumer_is_exclusive;

static struct subscription *make_rules(const struct rule *from, size_t n)
{
    struct subscription *s = calloc(n + 1, sizeof *s);

    assert_non_null(s);
    for (size_t i = 0; i < n; i++) {
        s[i] = (struct subscription){.queue = strdup(from[i].queue),
                                     .prefetch = from[i].prefetch,
                                     .priority = consumer_priority,
                                     .exclusive = consumer_is_exclusive};
        if (from[i].exchange[0] == '\0')
            continue;
        s[i].from = malloc(sizeof *s[i].from);
        assert_non_null(s[i].from);
        s[i].from[0] = (struct destination){EXCHANGE_FANOUT, strdup(from[i].exchange), strdup("")};
        s[i].n_from = 1;
    }
    return s;
}

static void method(uint16_t channel, amqp_method_number_t id, void *decoded)
{
    amqp_queue_declare_ok_t deserted = {.queue = amqp_empty_bytes};
    amqp_method_t m = method_of(id, decoded);

    if (id == AMQP_QUEUE_DECLARE_OK_METHOD && decoded == NULL)
        m.decoded = &deserted;
    if (channels_hear(channels, channel, &m))
        ;
    else if (channels_owner(channels, CHANNELS_OF_DECLARE, channel) != NULL)
        declare_method(declare, channel, &m);
    else
        consumer_method(consumer, channel, &m);
    consumer_step(consumer);
}

static void closed(uint16_t channel, uint16_t code, const char *text)
{
    amqp_channel_close_t close;
    amqp_method_t m = close_of(&close, code, text);

    method(channel, m.id, m.decoded);
}

static void cancelled(uint16_t channel)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes("herald")};

    method(channel, AMQP_BASIC_CANCEL_METHOD, &cancel);
}

/* A delivery whose body is "<channel>/<tag>"; `change` may spoil it. */
static void deliver_with(uint16_t channel, uint64_t tag, void (*change)(struct codec_content *c))
{
    char body[32];
    amqp_basic_deliver_t d = {.consumer_tag = amqp_cstring_bytes("herald"),
                              .delivery_tag = tag,
                              .redelivered = tag % 2 == 0,
                              .exchange = amqp_cstring_bytes("x"),
                              .routing_key = amqp_cstring_bytes("k")};
    amqp_basic_properties_t properties = {._flags =
                                              AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG,
                                          .type = amqp_cstring_bytes("payresult_notify"),
                                          .message_id = amqp_cstring_bytes("s:1")};
    amqp_method_t m = method_of(AMQP_BASIC_DELIVER_METHOD, &d);
    struct codec_content content = {.channel = channel, .method = &m, .properties = &properties};

    snprintf(body, sizeof body, "%u/%llu", channel, (unsigned long long)tag);
    content.body = slice_of(body);
    if (change != NULL)
        change(&content);
    consumer_content(consumer, &content);
    memset(body, '#', sizeof body); /* it was only lent */
}

static void deliver(uint16_t channel, uint64_t first, uint64_t last)
{
    for (uint64_t tag = first; tag <= last; tag++)
        deliver_with(channel, tag, NULL);
}

static struct delivery *lent[64]; /* what the last take lent */

/* Takes up to `max` more of this turn; their bodies must be these. */
static void take(size_t max, const char *want)
{
    char text[512] = "";
    size_t n = consumer_take(consumer, lent, max);

    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof text - used, "%s%.*s", used ? " " : "",
                 (int)lent[i]->message.body.len, lent[i]->message.body.data);
    }
    assert_string_equal(text, want);
}

static void accepted(size_t i)
{
    consumer_accept(consumer, lent[i]);
}

/* The next rules take the place of the former, which are gone then. */
static void change_to(const struct rule *from, size_t n)
{
    struct subscription *before = rules;
    size_t n_before = n_rules;
    struct err err = {0};

    rules = make_rules(from, n);
    n_rules = n;
    declare_plan(declare);
    assert_int_equal(consumer_plan(consumer, rules, n, &err), OK);
    declare_adopt(declare);
    consumer_adopt(consumer);
    free_rules(before, n_before);
    consumer_step(consumer);
}

#define CHANGE_TO(...)                                                                             \
    change_to((const struct rule[]){__VA_ARGS__},                                                  \
              sizeof((const struct rule[]){__VA_ARGS__}) / sizeof(struct rule))

static void no_dead_queue(void)
{
    closed(1, 404, "NOT_FOUND - no queue '...herald-dead' in vhost '/'");
}

/* Opens a channel again: the queue exists, and is consumed. */
static void consume_again(uint16_t channel)
{
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    method(channel, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
}

/* A consumer of q on channel 2 and r on channel 3. */
static void begin(void)
{
    struct consumer_settings settings = {.link = &fake_link,
                                         .clock = fake_clock,
                                         .backoff_min_ms = 100,
                                         .backoff_max_ms = 1000,
                                         .rescue_after = 2,
                                         .bytes_max = 16000};

    fake_begin();
    channels = channels_new(&fake_link);
    declare = declare_new(channels, NULL, fake_clock);
    settings.channels = channels;
    settings.declare = declare;
    consumer = consumer_new(&settings);
    assert_non_null(consumer);
    fake_link.up = false;
    CHANGE_TO({"q", "x", 100}, {"r", "", 7});
    fake_link.up = true;
    declare_up(declare);
    consumer_up(consumer);
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    sent("1:open 1:queue.declare?(q) 1:exchange.declare?(x) 2:open 2:qos(100,each) 2:consume(q) "
         "1:bind(q,x,)");
    assert_false(consumer_is_ready(consumer));
    method(1, AMQP_QUEUE_BIND_OK_METHOD, NULL);
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    sent("1:queue.declare?(r) 1:queue.declare?(q.herald-dead) 3:open 3:qos(7,each) 3:consume(r)");
    no_dead_queue();
    no_dead_queue();
    sent("1:close-ok 1:open 1:queue.declare?(r.herald-dead) 1:close-ok");
    method(2, AMQP_BASIC_QOS_OK_METHOD, NULL);
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    method(3, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    sent("");
    assert_true(consumer_is_ready(consumer));
    assert_false(consumer_pending(consumer));
}

static void end(void)
{
    assert_null(consumer_broken(consumer));
    consumer_free(&consumer);
    declare_free(&declare);
    channels_free(&channels);
    free_rules(rules, n_rules);
    rules = NULL;
    n_rules = 0;
}

TEST_BETWEEN(begin, end, a_delivery_is_copied_with_all_it_says)
{
    deliver(2, 1, 2);
    take(64, "2/1 2/2");
    assert_ptr_equal(lent[0]->subscription, &rules[0]);
    assert_true(slice_is(lent[0]->message.type, "payresult_notify"));
    assert_true(slice_is(lent[0]->message.id, "s:1"));
    assert_true(slice_is(lent[0]->exchange, "x"));
    assert_true(slice_is(lent[0]->routing_key, "k"));
    assert_null(lent[0]->defect);
    assert_null(lent[0]->message.key[0].data);
    assert_int_equal(lent[0]->tag, 1);
    assert_false(lent[0]->redelivered);
    assert_true(lent[1]->redelivered);
}

TEST_BETWEEN(begin, end, deliveries_are_lent_in_order_of_arrival_and_acked_once_per_channel)
{
    deliver(2, 1, 2);
    deliver(3, 1, 1);
    deliver(2, 3, 3);
    take(3, "2/1 2/2 3/1");
    for (size_t i = 0; i < 3; i++)
        accepted(i);
    sent("");
    assert_int_equal(consumer_unacked(consumer), 4);
    consumer_tell(consumer);
    sent("2:ack(2+) 3:ack(1+)");
    take(64, "2/3");
    accepted(0);
    consumer_tell(consumer);
    sent("2:ack(3+)");
    assert_int_equal(consumer_unacked(consumer), 0);
}

TEST_BETWEEN(begin, end, a_turn_may_take_in_pieces)
{
    deliver(2, 1, 3);
    take(1, "2/1");
    accepted(0);
    take(1, "2/2");
    accepted(0);
    take(64, "2/3");
    take(64, "");
    consumer_tell(consumer);
    sent("2:ack(2+)");
    take(64, "2/3");
}

TEST_BETWEEN(begin, end, an_ack_stops_at_the_first_that_was_not_accepted)
{
    deliver(2, 1, 5);
    take(4, "2/1 2/2 2/3 2/4");
    accepted(0);
    accepted(2);
    accepted(3);
    consumer_tell(consumer);
    sent("2:ack(1+)");
    take(64, "2/2 2/5"); /* it is lent again, in front */
    accepted(0);
    consumer_tell(consumer);
    sent("2:ack(4+)");
    take(64, "2/5");
    accepted(0);
    consumer_tell(consumer);
    sent("2:ack(5+)");
}

TEST_BETWEEN(begin, end, what_was_forgotten_is_lent_again)
{
    deliver(2, 1, 2);
    take(64, "2/1 2/2");
    accepted(0);
    accepted(1);
    assert_false(consumer_pending(consumer));
    consumer_forget(consumer);
    sent("");
    assert_true(consumer_pending(consumer));
    take(64, "2/1 2/2");
    accepted(0);
    accepted(1);
    consumer_tell(consumer);
    sent("2:ack(2+)");
}

/* docs/faults.md#f59: bytes, not messages, fill the memory. Of `large` bytes in all, about. */
static size_t large;

static void make_large(struct codec_content *c)
{
    static char body[20000];

    assert_true(large <= sizeof body);
    c->body = (struct slice){body, large};
}

static void deliver_large(uint16_t channel, uint64_t tag, size_t size)
{
    large = size;
    deliver_with(channel, tag, make_large);
}

/* The channel is closed and opened again, the queue is there. */
static void renewed(uint16_t channel)
{
    amqp_channel_close_ok_t ok = {0};

    method(channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok);
}

TEST_BETWEEN(begin, end, what_fills_the_memory_goes_back_once_and_comes_one_by_one)
{
    for (uint64_t tag = 1; tag <= 20; tag++) /* the limit is 16,000, the broker says them all */
        deliver_large(2, tag, 3000);
    sent("2:close");
    assert_int_equal(consumer_unacked(consumer), 0);
    assert_int_equal(consumer_bytes(consumer), 0);
    renewed(2);
    sent("2:open 2:qos(1,each) 2:consume(q)");
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_true(consumer_is_ready(consumer));
    for (uint64_t tag = 1; tag <= 5; tag++) {
        deliver_large(2, tag, 3000);
        assert_true(consumer_bytes(consumer) < 4000);
        assert_int_equal(consumer_take(consumer, lent, 64), 1);
        accepted(0);
        consumer_tell(consumer);
    }
    sent("2:ack(1+) 2:ack(2+) 2:ack(3+) 2:ack(4+) 2:ack(5+)");
    assert_int_equal(consumer_bytes(consumer), 0);
    consumer_step(consumer);
    sent("");
    fake_now += 60 * 1000; /* no large one for a minute */
    assert_true(consumer_due(consumer) <= fake_now);
    consumer_step(consumer);
    sent("2:close");
    renewed(2);
    sent("2:open 2:qos(100,each) 2:consume(q)");
}

TEST_BETWEEN(begin, end, the_queue_that_fills_it_goes_back_not_the_one_that_comes_last)
{
    for (uint64_t tag = 1; tag <= 5; tag++)
        deliver_large(2, tag, 2500);
    deliver_large(3, 1, 4000); /* more than fits */
    sent("2:close");
    assert_int_equal(consumer_unacked(consumer), 1);
    take(64, ""); /* it is there, and its body is zeros */
}

TEST_BETWEEN(begin, end, a_message_above_the_limit_is_taken_alone)
{
    deliver_large(2, 1, 20000);
    deliver_large(2, 2, 20000);
    sent("2:close");
    renewed(2);
    sent("2:open 2:qos(1,each) 2:consume(q)");
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    deliver_large(2, 1, 20000);
    sent("");
    assert_int_equal(consumer_take(consumer, lent, 64), 1);
    accepted(0);
    consumer_tell(consumer);
    sent("2:ack(1+)");
}

/* Two queues, and room for one large message. */
TEST_BETWEEN(begin, end, narrow_queues_take_turns_where_all_of_them_do_not_fit)
{
    deliver_large(2, 1, 5500);
    deliver_large(2, 2, 5500);
    deliver_large(3, 1, 5500);
    sent("2:close");
    deliver_large(3, 2, 5500);
    deliver_large(3, 3, 5500);
    sent("3:close");
    renewed(2);
    renewed(3);
    sent("2:open 2:qos(1,each) 2:consume(q)");
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_true(consumer_is_ready(consumer)); /* r waits, which is no trouble */
    deliver_large(2, 1, 5500);
    fake_now += 100;
    consumer_step(consumer);
    sent("");
    take(64, "");
    accepted(0);
    consumer_tell(consumer);
    assert_true(consumer_due(consumer) <= fake_now + 100);
    consumer_step(consumer);
    sent("2:ack(1+) 2:close 3:open 3:qos(1,each) 3:consume(r)");
    renewed(2);
    sent("");
    method(3, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    fake_now += 100;
    consumer_step(consumer);
    sent("3:close");
    renewed(3);
    sent("2:open 2:qos(1,each) 2:consume(q)");
}

/* docs/faults.md#f61: what has come back often enough is not lent with the others. */
static amqp_table_entry_t count_header = {
    .key = {.len = 16, .bytes = (void *)(uintptr_t) "x-delivery-count"},
    .value = {.kind = AMQP_FIELD_KIND_I64}};
static bool again;

static void count_returns(struct codec_content *c)
{
    amqp_basic_properties_t *p = (amqp_basic_properties_t *)(uintptr_t)c->properties;
    amqp_basic_deliver_t *d = c->method->decoded;

    p->_flags |= AMQP_BASIC_HEADERS_FLAG;
    p->headers = (amqp_table_t){.num_entries = 1, .entries = &count_header};
    d->redelivered = again;
}

static void deliver_counted(uint16_t channel, uint64_t tag, int64_t count, bool redelivered)
{
    count_header.value.value.i64 = count;
    again = redelivered;
    deliver_with(channel, tag, count_returns);
}

static void take_endangered(size_t max, const char *want)
{
    size_t n = consumer_take_endangered(consumer, lent, max);
    char text[512] = "";

    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof text - used, "%s%.*s", used ? " " : "",
                 (int)lent[i]->message.body.len, lent[i]->message.body.data);
        assert_true(lent[i]->endangered);
    }
    assert_string_equal(text, want);
}

/* The queue has no dead-letter queue of herald's, so its limit is asked for: "3", or "none". */
static void ask_limit(const char *limit)
{
    char text[160];

    sent("1:open 1:queue.declare(q,none,durable)");
    closed(1, 406,
           "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': "
           "received 'none' but current is 'quorum'");
    sent("1:close-ok 1:open 1:queue.declare(q,quorum x-delivery-limit=none "
         "x-max-priority=1,durable)");
    snprintf(text, sizeof text,
             "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost "
             "'/': received 'none' but current is %s",
             limit);
    closed(1, 406, text);
    sent("1:close-ok");
}

/* Nothing of the queue overtakes what depends on the answer. */
TEST_BETWEEN(begin, end, a_lower_limit_counts_and_is_waited_for)
{
    deliver_counted(2, 1, 1, true);
    deliver(2, 2, 2);
    deliver(3, 1, 1);
    take_endangered(64, "");
    take(64, "3/1");
    consumer_forget(consumer);
    ask_limit("'1'");
    take_endangered(64, "2/1");
    accepted(0);
    consumer_tell(consumer);
    sent("2:ack(1+)");
    take(64, "3/1 2/2");
    consumer_forget(consumer);
    deliver_counted(2, 3, 1, true); /* known by now */
    sent("");
    take_endangered(64, "2/3");
    consumer_forget(consumer);
}

TEST_BETWEEN(begin, end, what_came_back_too_often_is_lent_apart_and_acked_first)
{
    deliver_counted(2, 1, 1, true); /* not yet */
    assert_false(consumer_pending(consumer));
    ask_limit("none");
    assert_true(consumer_pending(consumer));
    deliver_counted(2, 2, 2, true);
    deliver_counted(2, 3, 7, false); /* a publisher's own count */
    deliver_counted(2, 4, 3, true);
    deliver_counted(3, 1, 2, true);
    assert_true(consumer_pending(consumer));
    take_endangered(2, "2/2 2/4");
    accepted(0);
    accepted(1);
    consumer_tell(consumer);
    sent("2:ack(2) 2:ack(4)");
    take_endangered(64, "3/1");
    consumer_forget(consumer);
    take_endangered(64, "3/1");
    accepted(0);
    consumer_tell(consumer);
    sent("3:ack(1+)");
    take_endangered(64, "");
    take(64, "2/1 2/3");
    accepted(0);
    accepted(1);
    consumer_tell(consumer);
    sent("2:ack(3+)");
    assert_int_equal(consumer_unacked(consumer), 0);
}

TEST_BETWEEN(begin, end, an_endangered_one_of_a_closed_channel_is_dropped)
{
    deliver_counted(2, 1, 2, true);
    deliver_counted(2, 2, 2, true);
    take_endangered(1, "2/1");
    closed(2, 406, "PRECONDITION_FAILED - delivery acknowledgement timed out");
    sent("2:close-ok");
    accepted(0);
    consumer_tell(consumer);
    sent("");
    take_endangered(64, "");
    assert_false(consumer_pending(consumer));
}

/* docs/design.md#acknowledgements: delivery gathered before a reconnect. */
TEST_BETWEEN(begin, end, a_stale_delivery_is_never_acked)
{
    deliver(2, 1, 3);
    deliver(3, 1, 1);
    take(2, "2/1 2/2");
    closed(2, 406, "PRECONDITION_FAILED - delivery acknowledgement timed out");
    sent("2:close-ok");
    assert_int_equal(consumer_unacked(consumer), 1);
    accepted(0);
    accepted(1);
    consumer_tell(consumer);
    sent("");
    take(64, "3/1"); /* 2/3 was dropped unacked */
    accepted(0);
    consumer_tell(consumer);
    sent("3:ack(1+)");
}

TEST_BETWEEN(begin, end, a_closed_channel_is_consumed_again_and_counts_anew)
{
    deliver(2, 1, 2);
    closed(2, 406, "PRECONDITION_FAILED - timeout");
    assert_false(consumer_is_ready(consumer));
    assert_string_equal(consumer_trouble(consumer), "406 PRECONDITION_FAILED - timeout");
    assert_in_range(consumer_due(consumer) - fake_now, 50, 100);
    sent("2:close-ok");
    fake_now = consumer_due(consumer);
    consumer_step(consumer);
    sent("1:open 1:queue.declare?(q)");
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    sent("1:bind(q,x,) 2:open 2:qos(100,each) 2:consume(q)");
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_true(consumer_is_ready(consumer));
    assert_null(consumer_trouble(consumer));
    deliver(2, 1, 1);
    take(64, "2/1");
    accepted(0);
    consumer_tell(consumer);
    sent("2:ack(1+)");
}

TEST_BETWEEN(begin, end, a_deleted_queue_is_made_and_consumed_again)
{
    deliver(2, 1, 1);
    cancelled(2);
    sent("2:close");
    assert_false(consumer_is_ready(consumer));
    assert_non_null(strstr(consumer_trouble(consumer), "cancelled"));
    deliver(2, 2, 2); /* was under way */
    take(64, "");
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    fake_now = consumer_due(consumer);
    consumer_step(consumer);
    closed(1, 404, "NOT_FOUND - no queue 'q' in vhost '/'");
    sent("1:open 1:queue.declare?(q) 1:close-ok 1:open "
         "1:queue.declare(q,quorum -> q.herald-dead,durable)");
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    sent("1:bind(q,x,) 2:open 2:qos(100,each) 2:consume(q)");
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_true(consumer_is_ready(consumer));
}

static void assert_channel_2_flows(void)
{
    fake_link.said[0] = '\0';
    deliver(2, 1, 1);
    take(64, "2/1");
    accepted(0);
    consumer_tell(consumer);
    sent("2:ack(1+)");
}

TEST_BETWEEN(begin, end, a_reconnect_declares_and_consumes_everything_again)
{
    deliver(2, 1, 3);
    take(1, "2/1");
    fake_link.up = false;
    declare_down(declare);
    consumer_down(consumer);
    channels_down(channels);
    assert_false(consumer_pending(consumer));
    accepted(0);
    consumer_tell(consumer);
    sent("");
    fake_link.up = true;
    declare_up(declare);
    consumer_up(consumer);
    sent("1:open 1:queue.declare?(q)");
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    method(1, AMQP_QUEUE_BIND_OK_METHOD, NULL);
    sent("1:exchange.declare?(x) 2:open 2:qos(100,each) 2:consume(q) 1:bind(q,x,) "
         "1:queue.declare?(r)");
    consume_again(3);
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_channel_2_flows();
}

TEST_BETWEEN(begin, end, draining_cancels_and_drops_what_no_turn_has)
{
    deliver(2, 1, 3);
    deliver(3, 1, 1);
    take(1, "2/1");
    consumer_drain(consumer);
    sent("2:cancel 3:cancel");
    assert_false(consumer_pending(consumer));
    assert_int_equal(consumer_unacked(consumer), 1);
    accepted(0);
    consumer_tell(consumer);
    sent("2:ack(1+)");
    deliver(2, 4, 4); /* was under way */
    take(64, "");
    consumer_drain(consumer);
    sent("");
}

/* docs/design.md#acknowledgements: ack (multiple) stops at the highest contiguous settled tag. */
TEST_BETWEEN(begin, end, draining_after_a_gap_never_acks_over_it)
{
    deliver(2, 1, 3);
    take(2, "2/1 2/2");
    accepted(1);
    consumer_tell(consumer);
    sent("");
    consumer_drain(consumer);
    sent("2:cancel 3:cancel");
    assert_int_equal(consumer_unacked(consumer), 0);
    take(64, "");
}

TEST_BETWEEN(begin, end, a_channel_that_was_never_opened_is_a_broken_protocol)
{
    deliver(9, 1, 1);
    assert_non_null(consumer_broken(consumer));
    assert_null(consumer_broken(consumer));
}

TEST_BETWEEN(begin, end, a_refused_queue_is_told_and_the_other_consumes)
{
    cancelled(3);
    method(3, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    fake_now = consumer_due(consumer);
    consumer_step(consumer);
    closed(1, 403, "ACCESS_REFUSED - access to queue 'r' in vhost '/' refused");
    assert_non_null(strstr(consumer_trouble(consumer), "access to queue 'r'"));
    assert_non_null(declare_trouble(declare));
    assert_channel_2_flows();
}

TEST_BETWEEN(begin, end, thousands_that_are_dropped_cost_one_walk)
{
    deliver(2, 1, 50000);
    deliver(3, 1, 1);
    closed(2, 406, "PRECONDITION_FAILED - timeout");
    take(64, "3/1");
}

static void declared_with(uint32_t consumers)
{
    amqp_queue_declare_ok_t ok = {.queue = amqp_cstring_bytes("q"), .consumer_count = consumers};

    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, &ok);
}

/* Somebody else deleted and made it anew, and no basic.cancel came. */
TEST_BETWEEN(begin, end, a_queue_that_knows_no_consumer_is_consumed_again)
{
    const struct subscription q = {.queue = rules[0].queue};
    struct declare_item *item = declare_queue(declare, &q);

    deliver(2, 1, 1);
    declare_again(declare, item);
    consumer_step(consumer);
    declared_with(1);
    sent("1:open 1:queue.declare?(q) 1:bind(q,x,)");
    assert_true(consumer_is_ready(consumer));
    method(1, AMQP_QUEUE_BIND_OK_METHOD, NULL);
    no_dead_queue();
    fake_link.said[0] = '\0';

    declare_again(declare, item);
    consumer_step(consumer);
    declared_with(0);
    sent("1:open 1:queue.declare?(q) 1:bind(q,x,) 2:close");
    assert_false(consumer_is_ready(consumer));
    assert_non_null(strstr(consumer_trouble(consumer), "the broker knows no consumer"));
    take(64, "");
    method(1, AMQP_QUEUE_BIND_OK_METHOD, NULL);
    no_dead_queue();
    fake_link.said[0] = '\0';
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    fake_now = consumer_due(consumer);
    consumer_step(consumer);
    declared_with(0);
    sent("1:open 1:queue.declare?(q) 1:bind(q,x,) 2:open 2:qos(100,each) 2:consume(q)");
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_true(consumer_is_ready(consumer));
    consumer_step(consumer); /* that answer was from before */
    sent("");
}

TEST_BETWEEN(begin, end, a_queue_that_stays_goes_on_with_what_is_held)
{
    deliver(2, 1, 3);
    deliver(3, 1, 1);
    take(2, "2/1 2/2");
    accepted(1); /* settled behind a gap */
    consumer_tell(consumer);
    CHANGE_TO({"r", "", 7}, {"q", "x", 100});
    sent("");
    assert_true(consumer_is_ready(consumer));
    deliver(2, 4, 4);
    take(64, "2/1 2/3 3/1 2/4");
    assert_ptr_equal(lent[0]->subscription, &rules[1]);
    assert_ptr_equal(lent[2]->subscription, &rules[0]);
    assert_string_equal(lent[3]->subscription->queue, "q");
    for (size_t i = 0; i < 4; i++)
        accepted(i);
    consumer_tell(consumer);
    sent("2:ack(4+) 3:ack(1+)");
}

TEST_BETWEEN(begin, end, a_new_queue_is_consumed_on_the_next_channel)
{
    CHANGE_TO({"q", "x", 100}, {"n", "x", 5}, {"r", "", 7});
    sent("1:open 1:queue.declare?(n)");
    assert_false(consumer_is_ready(consumer));
    assert_null(consumer_trouble(consumer));
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    sent("1:bind(n,x,) 4:open 4:qos(5,each) 4:consume(n)");
    method(4, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    method(1, AMQP_QUEUE_BIND_OK_METHOD, NULL);
    assert_true(consumer_is_ready(consumer));
    deliver(4, 1, 1);
    take(64, "4/1");
    assert_ptr_equal(lent[0]->subscription, &rules[1]);
}

TEST_BETWEEN(begin, end, a_queue_that_goes_acks_what_is_done_and_drops_the_rest)
{
    deliver(2, 1, 5);
    deliver(3, 1, 1);
    take(4, "2/1 2/2 2/3 2/4");
    accepted(1);
    accepted(3);
    consumer_tell(consumer);
    sent("");
    CHANGE_TO({"r", "", 7});
    sent("2:ack(2) 2:ack(4) 2:close");
    assert_true(consumer_is_ready(consumer));
    assert_null(consumer_trouble(consumer));
    assert_int_equal(consumer_unacked(consumer), 1);
    deliver(2, 6, 6); /* was under way */
    cancelled(2);     /* likewise */
    take(64, "3/1");
    consumer_forget(consumer);
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    assert_true(consumer_due(consumer) == INT64_MAX);
    fake_now += 100000;
    consumer_step(consumer);
    sent("");
    declare_down(declare);
    consumer_down(consumer);
    channels_down(channels);
    declare_up(declare);
    consumer_up(consumer);
    sent("1:open 1:queue.declare?(r)"); /* q may have been deleted on purpose */
}

TEST_BETWEEN(begin, end, a_queue_that_comes_back_never_meets_the_frames_of_its_former_channel)
{
    deliver(2, 1, 1);
    CHANGE_TO({"r", "", 7});
    sent("2:close");
    CHANGE_TO({"q", "x", 50}, {"r", "", 7});
    sent("1:open 1:queue.declare?(q)");
    declared_with(0);
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    sent("1:exchange.declare?(x) 4:open 4:qos(50,each) 4:consume(q) 1:bind(q,x,)");
    deliver(2, 2, 2);
    take(64, "");
    method(4, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    deliver(4, 1, 1);
    take(64, "4/1");
    accepted(0);
    consumer_tell(consumer);
    sent("4:ack(1+)");
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    method(1, AMQP_QUEUE_BIND_OK_METHOD, NULL);
    no_dead_queue();
    fake_link.said[0] = '\0';
    CHANGE_TO({"q", "x", 50}, {"s", "", 3}, {"r", "", 7});
    declared_with(0);
    sent("1:open 1:queue.declare?(s) 1:queue.declare?(s.herald-dead) 2:open 2:qos(3,each) "
         "2:consume(s)"); /* now 2 is free */
}

TEST_BETWEEN(begin, end, another_prefetch_consumes_again_at_once)
{
    deliver(2, 1, 3);
    take(1, "2/1");
    accepted(0);
    consumer_tell(consumer);
    sent("2:ack(1+)");
    CHANGE_TO({"q", "x", 10}, {"r", "", 7});
    sent("2:close");
    assert_null(consumer_trouble(consumer));
    take(64, "");
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    sent("2:open 2:qos(10,each) 2:consume(q)");
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_true(consumer_is_ready(consumer));
}

TEST_BETWEEN(begin, end, another_priority_consumes_again_and_so_does_an_exclusive_consumer)
{
    consumer_priority = 5;
    CHANGE_TO({"q", "x", 100});
    fake_link.said[0] = '\0';
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    sent("2:open 2:qos(100,each) 2:consume(q priority 5)");
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    consumer_is_exclusive = true;
    CHANGE_TO({"q", "x", 100});
    sent("2:close");
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    sent("2:open 2:qos(100,each) 2:consume(q priority 5 exclusive)");
    CHANGE_TO({"q", "x", 100}); /* no change */
    sent("");
    consumer_priority = 0;
    consumer_is_exclusive = false;
}

TEST_BETWEEN(begin, end, a_queue_that_another_has_for_itself_is_told)
{
    closed(2, 403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use");
    assert_non_null(strstr(consumer_trouble(consumer), "one of the two is exclusive"));
}

/* The first one that is in trouble, or stands by; its `why` NULL: none does. */
static struct broker_trouble first_trouble(void)
{
    struct broker_trouble t = {.why = NULL};
    size_t first = 0;

    (void)consumer_trouble_at(consumer, &first, &t);
    return t;
}

TEST_BETWEEN(begin, end, an_exclusive_consumer_stands_by_and_is_ready)
{
    consumer_is_exclusive = true;
    CHANGE_TO({"q", "x", 100});
    consumer_is_exclusive = false;
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    for (int i = 0; i < 2; i++) { /* from try to try */
        closed(2, 403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use");
        assert_true(consumer_is_ready(consumer));
        assert_null(consumer_trouble(consumer));
        assert_true(first_trouble().standby);
        assert_non_null(strstr(first_trouble().why, "one of the two is exclusive"));
        fake_link.said[0] = '\0';
        fake_now += 60000;
        consumer_step(consumer);
        sent("2:open 2:qos(100,each) 2:consume(q exclusive)");
        assert_true(first_trouble().standby);
    }
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_null(first_trouble().why);
    assert_true(consumer_is_ready(consumer));
    closed(2, 404, "NOT_FOUND - no queue 'q' in vhost '/'");
    assert_false(consumer_is_ready(consumer));
    assert_false(first_trouble().standby);
}

TEST_BETWEEN(begin, end, a_change_while_the_channel_opens_closes_what_is_not_wanted)
{
    CHANGE_TO({"q", "x", 100}, {"r", "", 7}, {"n", "", 5});
    declared_with(0);
    no_dead_queue();
    sent("1:open 1:queue.declare?(n) 1:queue.declare?(n.herald-dead) 4:open 4:qos(5,each) "
         "4:consume(n) 1:close-ok");
    CHANGE_TO({"q", "x", 100}, {"r", "", 7});
    sent("4:close");
    method(4, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    deliver(4, 1, 1);
    take(64, "");
    method(4, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    assert_true(consumer_is_ready(consumer));
    sent("");
}

TEST_BETWEEN(begin, end, a_change_while_the_link_is_down_is_taken_up_with_it)
{
    deliver(2, 1, 1);
    fake_link.up = false;
    declare_down(declare);
    consumer_down(consumer);
    channels_down(channels);
    CHANGE_TO({"n", "", 5}, {"r", "", 9});
    sent("");
    assert_false(consumer_is_ready(consumer));
    fake_link.up = true;
    declare_up(declare);
    consumer_up(consumer);
    sent("1:open 1:queue.declare?(r)");
    declared_with(0);
    no_dead_queue();
    declared_with(0);
    sent("1:queue.declare?(r.herald-dead) 2:open 2:qos(9,each) 2:consume(r) 1:close-ok 1:open "
         "1:queue.declare?(n) 1:queue.declare?(n.herald-dead) 3:open 3:qos(5,each) 3:consume(n)");
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    method(3, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_true(consumer_is_ready(consumer));
}

TEST_BETWEEN(begin, end, a_queue_that_rests_may_go)
{
    closed(2, 406, "PRECONDITION_FAILED - timeout");
    sent("2:close-ok");
    CHANGE_TO({"r", "", 7});
    assert_true(consumer_due(consumer) == INT64_MAX);
    fake_now += 100000;
    consumer_step(consumer);
    sent("");
    assert_true(consumer_is_ready(consumer));
}

TEST_BETWEEN(begin, end, a_stopped_queue_acks_what_is_done_and_gives_back_the_rest_once)
{
    deliver(2, 1, 5);
    deliver(3, 1, 1);
    take(3, "2/1 2/2 2/3");
    accepted(0);
    accepted(2);
    consumer_tell(consumer);
    sent("2:ack(1+)");
    consumer_pace(consumer, "q", PACE_STOP);
    sent("2:ack(3) 2:close");
    deliver(2, 6, 6); /* was under way */
    assert_int_equal(consumer_unacked(consumer), 1);
    take(64, "3/1"); /* nobody else is stopped */
    accepted(0);
    consumer_tell(consumer);
    sent("3:ack(1+)");
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    consumer_pace(consumer, "q", PACE_STOP);
    fake_now += 100000;
    consumer_step(consumer);
    sent("");
    assert_true(consumer_is_ready(consumer)); /* it does what it should */
    assert_null(consumer_trouble(consumer));
    consumer_pace(consumer, "q", PACE_FLOW);
    sent("2:open 2:qos(100,each) 2:consume(q)");
    assert_false(consumer_is_ready(consumer));
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_true(consumer_is_ready(consumer));
}

TEST_BETWEEN(begin, end, one_at_a_time_is_another_channel)
{
    consumer_pace(consumer, "q", PACE_ONE);
    sent("2:close");
    consumer_pace(consumer, "q", PACE_STOP); /* while it closes */
    consumer_pace(consumer, "q", PACE_ONE);
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    sent("2:open 2:qos(1,each) 2:consume(q)");
    assert_true(consumer_is_ready(consumer));
    method(2, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    consumer_pace(consumer, "q", PACE_ONE);
    sent("");
    deliver(2, 1, 1);
    take(64, "2/1");
    accepted(0);
    consumer_tell(consumer);
    consumer_pace(consumer, "q", PACE_FLOW);
    sent("2:ack(1+) 2:close");
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    sent("2:open 2:qos(100,each) 2:consume(q)");
}

TEST_BETWEEN(begin, end, all_queues_stop_and_each_goes_on_at_its_own_pace)
{
    consumer_pace(consumer, "q", PACE_STOP);
    consumer_pace(consumer, NULL, PACE_STOP);
    sent("2:close 3:close");
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    method(3, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    consumer_pace(consumer, "r", PACE_FLOW); /* the slower one counts */
    consumer_pace(consumer, "nobody's", PACE_STOP);
    sent("");
    consumer_pace(consumer, NULL, PACE_FLOW);
    sent("2:open 2:qos(7,each) 2:consume(r)");
}

TEST_BETWEEN(begin, end, a_pace_outlives_a_reconnect)
{
    consumer_pace(consumer, "q", PACE_STOP);
    fake_link.up = false;
    declare_down(declare);
    consumer_down(consumer);
    channels_down(channels); /* before close-ok came */
    fake_link.said[0] = '\0';
    fake_link.up = true;
    declare_up(declare);
    consumer_up(consumer);
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    method(1, AMQP_QUEUE_BIND_OK_METHOD, NULL);
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    sent("1:open 1:queue.declare?(q) 1:exchange.declare?(x) 1:bind(q,x,) 1:queue.declare?(r) "
         "1:queue.declare?(q.herald-dead) 2:open 2:qos(7,each) 2:consume(r)");
    consumer_pace(consumer, "q", PACE_FLOW);
    sent("3:open 3:qos(100,each) 3:consume(q)");
}

TEST_BETWEEN(begin, end, a_pace_stays_with_a_queue_that_stays_and_goes_with_one_that_goes)
{
    consumer_pace(consumer, "q", PACE_STOP);
    sent("2:close");
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    CHANGE_TO({"q", "x", 50}, {"r", "", 7});
    sent("");
    CHANGE_TO({"r", "", 7});
    CHANGE_TO({"q", "x", 50}, {"r", "", 7});
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    assert_non_null(strstr(fake_link.said, "2:open 2:qos(50,each) 2:consume(q)"));
}

TEST_BETWEEN(begin, end, an_abandoned_plan_changes_nothing)
{
    const struct rule other[] = {{"n", "", 5}, {"r", "", 9}};
    struct subscription *s = make_rules(other, 2);
    struct err err = {0};

    deliver(2, 1, 1);
    declare_plan(declare);
    assert_int_equal(consumer_plan(consumer, s, 2, &err), OK);
    consumer_abandon(consumer);
    declare_abandon(declare);
    free_rules(s, 2);
    consumer_step(consumer);
    sent("");
    assert_true(consumer_is_ready(consumer));
    take(64, "2/1");
    assert_ptr_equal(lent[0]->subscription, &rules[0]);
    consumer_forget(consumer);
    CHANGE_TO({"q", "x", 100}, {"r", "", 7}, {"n", "", 5}); /* its place was kept free */
    declared_with(0);
    sent("1:open 1:queue.declare?(n) 1:queue.declare?(n.herald-dead) 4:open 4:qos(5,each) "
         "4:consume(n)");
}

TEST_BETWEEN(begin, end, a_channel_that_does_not_close_holds_up_nobody)
{
    CHANGE_TO({"r", "", 7});
    sent("2:close");
    fake_now = consumer_due(consumer);
    consumer_step(consumer);
    assert_null(consumer_broken(consumer));
    CHANGE_TO({"q", "x", 100}, {"r", "", 7});
    fake_link.said[0] = '\0';
    method(1, AMQP_QUEUE_DECLARE_OK_METHOD, NULL);
    assert_non_null(strstr(fake_link.said, "4:open 4:qos(100,each) 4:consume(q)"));
    deliver(2, 8, 9); /* a late frame meets nobody */
    assert_false(consumer_pending(consumer));
    assert_null(consumer_broken(consumer));
}

/* q's dead-letter queue was made meanwhile, and is looked for when q is declared again. */
static void find_dead_queue(void)
{
    const struct subscription q = {.queue = rules[0].queue};

    declare_again(declare, declare_queue(declare, &q));
    consumer_step(consumer);
    declared_with(1);
    method(1, AMQP_QUEUE_BIND_OK_METHOD, NULL);
    declared_with(0);
    sent("1:open 1:queue.declare?(q) 1:bind(q,x,) 1:queue.declare?(q.herald-dead) 4:open "
         "4:qos(100,each) 4:consume(q.herald-dead)");
    assert_true(consumer_is_ready(consumer)); /* what the broker gave up on can wait */
    method(4, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
}

static amqp_table_entry_t entry(const char *key, const char *value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)}};
}

static void give_up(struct codec_content *c)
{
    static amqp_table_entry_t death[3], header;
    static amqp_field_value_t deaths;
    static amqp_basic_properties_t properties;

    death[0] = entry("queue", "q");
    death[1] = entry("reason", "rejected");
    death[2] = entry("exchange", "paid");
    deaths = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_TABLE,
                                  .value.table = {.num_entries = 3, .entries = death}};
    header = entry("x-death", "");
    header.value = (amqp_field_value_t){.kind = AMQP_FIELD_KIND_ARRAY,
                                        .value.array = {.num_entries = 1, .entries = &deaths}};
    properties = *c->properties;
    properties._flags |= AMQP_BASIC_HEADERS_FLAG;
    properties.headers = (amqp_table_t){.num_entries = 1, .entries = &header};
    c->properties = &properties;
}

TEST_BETWEEN(begin, end, what_the_broker_gave_up_on_comes_under_its_queue_with_the_reason)
{
    find_dead_queue();
    deliver_with(4, 1, give_up);
    deliver(2, 1, 1);
    take(64, "4/1 2/1");
    assert_ptr_equal(lent[0]->subscription, &rules[0]);
    assert_string_equal(lent[0]->dead_lettered, "the broker gave up on it: a consumer rejected it");
    assert_true(slice_is(lent[0]->exchange, "paid"));
    assert_true(slice_is(lent[0]->message.type, "payresult_notify"));
    assert_null(lent[1]->dead_lettered);
    accepted(0);
    accepted(1);
    consumer_tell(consumer);
    sent("2:ack(1+) 4:ack(1+)");
}

TEST_BETWEEN(begin, end, a_dead_letter_queue_that_goes_is_made_again_and_harms_nobody)
{
    find_dead_queue();
    cancelled(4);
    sent("4:close");
    assert_true(consumer_is_ready(consumer));
    assert_non_null(strstr(consumer_trouble(consumer), "cancelled"));
    method(4, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    fake_now = consumer_due(consumer);
    consumer_step(consumer);
    no_dead_queue();
    declared_with(0);
    sent("1:queue.declare?(q.herald-dead) 1:close-ok 1:open "
         "1:queue.declare(q.herald-dead,quorum 1000000000,durable) 4:open 4:qos(100,each) "
         "4:consume(q.herald-dead)");
    method(4, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    assert_null(consumer_trouble(consumer));
}

TEST_BETWEEN(begin, end, a_dead_letter_queue_goes_with_its_subscription_or_to_a_rule_of_its_own)
{
    find_dead_queue();
    CHANGE_TO({"q", "x", 9}, {"r", "", 7}, {"q.herald-dead", "", 5});
    /* q opens with another prefetch; the dead-letter queue is a queue like any other now. */
    assert_non_null(strstr(fake_link.said, "2:close 4:close"));
    fake_link.said[0] = '\0';
    declared_with(0);
    assert_non_null(strstr(fake_link.said, "5:qos(5,each) 5:consume(q.herald-dead)"));
    assert_null(strstr(fake_link.said, "herald-dead.herald-dead"));
    method(5, AMQP_BASIC_CONSUME_OK_METHOD, NULL);
    deliver_with(5, 1, give_up);
    take(64, "5/1");
    assert_null(lent[0]->dead_lettered);
}

/* The whole driver against a broker in the process: two links, and what holds when
 * one of them, or the broker, misbehaves. */
#include "check.h"
#include "rabbit/rabbit.h"

#include "wire/fake_broker.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE = 60000, WINDOW = 8 };

static uv_loop_t loop;
static struct fake_broker *fake;
static struct broker *broker;
static size_t wakes;       /* calls of the wake callback */
static bool stopped;       /* done of ops->stop came */
static uint16_t x_channel; /* the one of the last publish to exchange x */
static bool lost_exchange; /* the broker has no exchange x: publishes close the channel */

static char x_name[] = "x", y_name[] = "y", q_name[] = "q", empty[] = "", type[] = "t";
static char origin[] = "rules/a.lua:3";
static struct destination from_x = {EXCHANGE_FANOUT, x_name, empty};
static const struct destination to_x = {EXCHANGE_FANOUT, x_name, empty};
static const struct destination to_y = {EXCHANGE_FANOUT, y_name, empty};
static struct destination route_to[] = {{EXCHANGE_FANOUT, x_name, empty},
                                        {EXCHANGE_FANOUT, y_name, empty}};
static struct route routes[] = {{.type = type, .to = &route_to[0], .n_to = 1},
                                {.type = type, .to = &route_to[1], .n_to = 1}};
static struct subscription subscription;
static struct topology topology;

static struct broker_state state_now(void)
{
    struct broker_state s;

    broker->ops->state(broker, &s);
    return s;
}

static void on_wake(void *arg)
{
    (void)arg;
    wakes++;
}

static void on_stopped(void *arg)
{
    (void)arg;
    stopped = true;
}

static bool is_ready(void *arg)
{
    (void)arg;
    return state_now().ready;
}

static bool is_not_ready(void *arg)
{
    return !is_ready(arg);
}

static bool is_pending(void *arg)
{
    (void)arg;
    return broker->ops->pending(broker);
}

static bool is_stopped(void *arg)
{
    (void)arg;
    return stopped;
}

static bool has_error(void *arg)
{
    return strstr(state_now().error, arg) != NULL;
}

static bool has_word(void *arg)
{
    return strcmp(state_now().word, arg) == 0;
}

static bool has_heard(void *arg)
{
    return strstr(fake_heard(fake), arg) != NULL;
}

static bool has_room(void *arg)
{
    (void)arg;
    return broker->ops->room(broker) > 0;
}

static void until(fake_condition *condition, const char *text)
{
    char copy[128];

    snprintf(copy, sizeof copy, "%s", text);
    if (!fake_until(fake, condition, copy, PATIENCE))
        fail_msg("waited for \"%s\"; state %s, error \"%s\"; heard: %s", text, state_now().word,
                 state_now().error, fake_heard(fake));
}

static int publish(int64_t row, const struct destination *to)
{
    char id[16];
    struct err err = {.code = OK};
    struct message m = {.type = slice_of("t"), .body = slice_of("{}")};

    snprintf(id, sizeof id, "s:%lld", (long long)row);
    m.id = slice_of(id);
    return broker->ops->publish(broker, row, to, &m, &err);
}

struct row {
    int64_t id;
    const struct destination *to;
};

static bool is_taken(void *arg)
{
    const struct row *row = arg;

    return publish(row->id, row->to) == OK;
}

/* A router that is ready may still be opening the way to an exchange: then a row waits. */
static void publish_soon(int64_t id, const struct destination *to)
{
    struct row row = {id, to};

    if (is_taken(&row))
        return;
    if (!fake_until(fake, is_taken, &row, PATIENCE))
        fail_msg("row %lld is not taken; error \"%s\"", (long long)id, state_now().error);
}

/* Waits for settlements; they must be these: "7+" confirmed, "7r", "7-", "7t", "7?". */
static void settled(const char *want)
{
    struct settlement out[32];
    char text[256] = "";

    until(is_pending, want);
    for (size_t i = 0, n = broker->ops->settled(broker, out, 32); i < n; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof text - used, "%s%lld%c", used ? " " : "",
                 (long long)out[i].row, "+r-xt?u"[out[i].outcome]);
    }
    assert_string_equal(text, want);
    broker->ops->tell(broker);
}

static void deliver(uint64_t tag, const char *body)
{
    amqp_basic_deliver_t d = {.consumer_tag = amqp_cstring_bytes("herald"),
                              .delivery_tag = tag,
                              .exchange = amqp_cstring_bytes("x"),
                              .routing_key = amqp_empty_bytes};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_TYPE_FLAG,
                                          .type = amqp_cstring_bytes("t")};

    fake_content(fake_conn(fake, "consume"), 2, AMQP_BASIC_DELIVER_METHOD, &d, &properties,
                 slice_of(body), 0);
}

/* Takes one delivery, accepts it, and tells. */
static void take_one(const char *want)
{
    struct delivery *d = NULL;
    struct err err = {.code = OK};
    size_t n = 0;

    until(is_pending, want);
    assert_int_equal(broker->ops->take(broker, &d, 1, &n, &err), OK);
    assert_int_equal(n, 1);
    assert_true(slice_is(d->message.body, want));
    assert_int_equal(broker->ops->accept(broker, d, &err), OK);
    broker->ops->tell(broker);
}

/* Answers for a broker that lacks exchange x until it is declared actively. */
static bool on_method(void *arg, struct fake_conn *c, uint16_t channel, const amqp_method_t *m)
{
    const amqp_exchange_declare_t *declare = m->decoded;
    amqp_channel_close_t no = {.reply_code = 404,
                               .reply_text =
                                   amqp_cstring_bytes("NOT_FOUND - no exchange 'x' in vhost '/'")};

    (void)arg;
    if (m->id != AMQP_EXCHANGE_DECLARE_METHOD || !lost_exchange || declare->exchange.len != 1 ||
        memcmp(declare->exchange.bytes, "x", 1) != 0)
        return false;
    if (!declare->passive) {
        lost_exchange = false;
        return false;
    }
    fake_send(c, channel, AMQP_CHANNEL_CLOSE_METHOD, &no);
    return true;
}

static void on_publish(void *arg, struct fake_conn *c, uint16_t channel,
                       const struct fake_publish *p)
{
    amqp_channel_close_t no = {.reply_code = 404,
                               .reply_text =
                                   amqp_cstring_bytes("NOT_FOUND - no exchange 'x' in vhost '/'"),
                               .class_id = AMQP_BASIC_CLASS,
                               .method_id = AMQP_BASIC_PUBLISH_METHOD & 0xffff};

    (void)arg;
    if (slice_is(p->exchange, "x"))
        x_channel = channel;
    if (lost_exchange && slice_is(p->exchange, "x"))
        fake_send(c, channel, AMQP_CHANNEL_CLOSE_METHOD, &no);
}

static void make(const char *url, int64_t confirm_timeout_ms)
{
    struct rabbit_settings settings = {
        .loop = &loop,
        .clock = clock_real(),
        .url = url,
        .name = "test",
        .window = WINDOW,
        .confirm_timeout_ms = confirm_timeout_ms,
        .backoff_min_ms = 10,
        .backoff_max_ms = 50,
        .streams = fake_broker_streams(fake),
        .wake = on_wake,
    };
    struct err err = {.code = OK};

    assert_int_equal(rabbit_new(&broker, &settings, &err), OK);
    assert_string_equal(state_now().word, "stopped");
}

static void start(void)
{
    struct err err = {.code = OK};

    assert_int_equal(broker->ops->start(broker, &topology, &err), OK);
}

static void prepare(void)
{
    assert_int_equal(uv_loop_init(&loop), 0);
    fake = fake_broker_new(&loop);
    fake_plan(fake)->confirm = true;
    fake_plan(fake)->hooks.method = on_method;
    fake_plan(fake)->hooks.publish = on_publish;
    wakes = 0;
    stopped = lost_exchange = false;
    subscription = (struct subscription){
        .queue = q_name, .from = &from_x, .n_from = 1, .prefetch = 10, .origin = origin};
    topology = (struct topology){.subscriptions = &subscription,
                                 .n_subscriptions = 1,
                                 .routes = routes,
                                 .n_routes = sizeof routes / sizeof routes[0]};
}

/* Nothing may be left on the loop. */
static void finish(void)
{
    broker->ops->stop(broker, on_stopped, NULL);
    assert_false(stopped); /* never from inside the call */
    until(is_stopped, "stopped");
    assert_string_equal(state_now().word, "stopped");
    broker->ops->free(&broker);
    assert_null(broker);
    fake_broker_free(&fake);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void begin(void)
{
    make("amqp://guest:guest@fake", 60000);
    start();
    until(is_ready, "ready");
}

static void ready(void)
{
    prepare();
    begin();
}

TEST_BETWEEN(prepare, finish, it_declares_opens_and_consumes_before_it_is_ready)
{
    make("amqp://guest:guest@fake", 60000);
    start();
    assert_int_equal(broker->ops->room(broker), 0);
    assert_int_equal(publish(1, &to_x), ERR_BUSY);
    broker->ops->forget(broker);
    until(is_ready, "ready");
    assert_string_equal(state_now().word, "up");
    assert_string_equal(state_now().error, "");
    assert_int_equal(broker->ops->room(broker), WINDOW);
    assert_non_null(strstr(fake_heard(fake), "1:queue.declare"));
    assert_non_null(strstr(fake_heard(fake), "2:basic.consume"));
    assert_true(wakes > 0);
}

TEST_BETWEEN(ready, finish, rows_go_out_and_are_confirmed)
{
    publish_soon(1, &to_x);
    publish_soon(2, &to_x);
    fake_forget(fake);
    fake_run(fake, 20);
    assert_string_equal(fake_heard(fake), "");
    broker->ops->tell(broker);
    assert_int_equal(state_now().in_flight, 2);
    wakes = 0;
    settled("1+ 2+");
    assert_true(wakes > 0);
    assert_int_equal(state_now().in_flight, 0);
}

/* Whether libuv runs timers before it reads (to 1.44) or after it. */
TEST_BETWEEN(prepare, finish, a_confirm_that_came_while_the_loop_was_busy_is_in_time)
{
    amqp_basic_ack_t ack = {.delivery_tag = 1};

    fake_plan(fake)->confirm = false;
    make("amqp://guest:guest@fake", 200);
    start();
    until(is_ready, "ready");
    publish_soon(1, &to_x);
    broker->ops->tell(broker);
    until(has_heard, "basic.publish(x/");
    fake_send(fake_conn(fake, "publish"), x_channel, AMQP_BASIC_ACK_METHOD, &ack);
    usleep(300 * 1000);
    settled("1+");
}

TEST_BETWEEN(ready, finish, deliveries_are_taken_and_acked)
{
    deliver(1, "{\"a\":1}");
    deliver(2, "{\"a\":2}");
    take_one("{\"a\":1}");
    until(has_heard, "2:basic.ack");
    take_one("{\"a\":2}");
    assert_int_equal(state_now().unacked, 0);
}

static void cancel_by_broker(void)
{
    amqp_basic_cancel_t cancel = {.consumer_tag = amqp_cstring_bytes("herald"), .nowait = true};

    fake_send(fake_conn(fake, "consume"), 2, AMQP_BASIC_CANCEL_METHOD, &cancel);
}

/* docs/faults.md#f62: RabbitMQ 4.3 ends a consumer that holds a message for too long, and a late
 * ack would revive it. */
TEST_BETWEEN(ready, finish, a_turn_that_outlives_its_consumer_acks_nothing)
{
    struct delivery *d = NULL;
    struct err err = {.code = OK};
    size_t n = 0;

    deliver(1, "{\"a\":1}");
    until(is_pending, "a delivery");
    fake_forget(fake);
    uv_update_time(&loop);
    assert_int_equal(broker->ops->take(broker, &d, 1, &n, &err), OK);
    cancel_by_broker(); /* it is on its way while the handler runs */
    usleep(150 * 1000);
    assert_int_equal(broker->ops->accept(broker, d, &err), OK);
    broker->ops->tell(broker);
    until(has_heard, "2:channel.close");
    assert_null(strstr(fake_heard(fake), "2:basic.ack"));
    until(has_error, "consumer timeout");
    until(is_ready, "it consumes again");
    assert_null(strstr(fake_heard(fake), "2:basic.ack"));
    deliver(1, "{\"a\":1}");
    take_one("{\"a\":1}");
    until(has_heard, "2:basic.ack");
}

TEST_BETWEEN(ready, finish, a_long_turn_is_acked_once_all_is_read)
{
    struct delivery *d = NULL;
    struct err err = {.code = OK};
    size_t n = 0;

    deliver(1, "{\"a\":1}");
    until(is_pending, "a delivery");
    uv_update_time(&loop);
    assert_int_equal(broker->ops->take(broker, &d, 1, &n, &err), OK);
    deliver(2, "{\"a\":2}");
    usleep(150 * 1000);
    assert_int_equal(broker->ops->accept(broker, d, &err), OK);
    broker->ops->tell(broker);
    broker->ops->pace(broker, "q", PACE_ONE); /* once that is acked */
    assert_int_equal(state_now().unacked, 1);
    until(has_heard, "2:basic.ack 2:channel.close");
    assert_int_equal(state_now().unacked, 0);
}

TEST_BETWEEN(ready, finish, blocked_pauses_publishing_but_not_consuming)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("low on memory")};
    amqp_connection_unblocked_t unblocked = {0};

    fake_send(fake_conn(fake, "publish"), 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    until(has_word, "blocked");
    assert_false(is_ready(NULL));
    assert_non_null(strstr(state_now().error, "low on memory"));
    assert_int_equal(broker->ops->room(broker), 0);
    assert_int_equal(publish(1, &to_x), ERR_BUSY);
    deliver(1, "{}");
    take_one("{}");
    fake_send(fake_conn(fake, "publish"), 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
    until(is_ready, "ready again");
    publish_soon(1, &to_x);
    broker->ops->tell(broker);
    settled("1+");
}

TEST_BETWEEN(ready, finish, a_lost_publishing_link_is_made_anew_and_consuming_goes_on)
{
    fake_plan(fake)->confirm = false;
    publish_soon(1, &to_x);
    broker->ops->tell(broker);
    until(has_heard, "basic.publish(x/");
    fake_forget(fake);
    fake_cut(fake_conn(fake, "publish"));
    until(is_not_ready, "down");
    settled("1?");
    deliver(1, "{}");
    take_one("{}");
    fake_plan(fake)->confirm = true;
    until(is_ready, "up again");
    until(has_heard, "1:exchange.declare");
    until(has_room, "room");
    while (publish(1, &to_x) == ERR_BUSY)
        fake_run(fake, 1);
    broker->ops->tell(broker);
    settled("1+");
}

TEST_BETWEEN(ready, finish, a_lost_consuming_link_is_made_anew_and_stale_deliveries_are_not_acked)
{
    struct delivery *d = NULL;
    struct err err = {.code = OK};
    size_t n;

    deliver(1, "{}");
    until(is_pending, "a delivery");
    assert_int_equal(broker->ops->take(broker, &d, 1, &n, &err), OK);
    fake_forget(fake);
    fake_cut(fake_conn(fake, "consume"));
    until(is_not_ready, "down");
    assert_int_equal(broker->ops->accept(broker, d, &err), OK);
    until(is_ready, "up again");
    broker->ops->tell(broker);
    fake_run(fake, 20);
    assert_null(strstr(fake_heard(fake), "basic.ack"));
    assert_non_null(strstr(fake_heard(fake), "1:queue.declare"));
    assert_non_null(strstr(fake_heard(fake), "2:basic.consume"));
    deliver(1, "{\"again\":1}");
    take_one("{\"again\":1}");
    until(has_heard, "2:basic.ack");
}

TEST_BETWEEN(ready, finish, a_confirm_for_nothing_makes_it_reconnect)
{
    amqp_basic_ack_t ack = {.delivery_tag = 99};

    fake_send(fake_conn(fake, "publish"), 2, AMQP_BASIC_ACK_METHOD, &ack);
    until(is_not_ready, "down");
    until(is_ready, "up again");
    assert_int_equal(fake_connects(fake), 3);
}

TEST_BETWEEN(ready, finish, a_deleted_exchange_is_made_again_with_its_binding)
{
    publish_soon(1, &to_x);
    publish_soon(2, &to_y);
    fake_forget(fake);
    lost_exchange = true;
    fake_plan(fake)->confirm = false;
    broker->ops->tell(broker);
    settled("1-");
    until(has_heard, ":queue.bind"); /* on the other link */
    fake_plan(fake)->confirm = true;
    while (publish(1, &to_x) != OK)
        fake_run(fake, 1);
    broker->ops->tell(broker);
    settled("1+");
    assert_int_equal(state_now().in_flight, 1); /* y was left alone */
}

TEST_BETWEEN(prepare, finish, a_missing_confirm_reopens_the_channel)
{
    make("amqp://guest:guest@fake", 50);
    start();
    until(is_ready, "ready");
    until(has_room, "room");
    while (publish(1, &to_x) == ERR_BUSY)
        fake_run(fake, 1);
    fake_plan(fake)->confirm = false;
    broker->ops->tell(broker);
    settled("1t");
    until(has_heard, "2:channel.close");
    fake_plan(fake)->confirm = true;
    while (publish(2, &to_x) == ERR_BUSY)
        fake_run(fake, 1);
    broker->ops->tell(broker);
    settled("2+");
    assert_int_equal(fake_connects(fake), 2);
}

static bool refuse_queue(void *arg, struct fake_conn *c, uint16_t channel, const amqp_method_t *m)
{
    amqp_channel_close_t no = {.reply_code = 406,
                               .reply_text = amqp_cstring_bytes(
                                   "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for "
                                   "queue 'q' in vhost '/': received 'quorum' but current is "
                                   "'classic'")};

    (void)arg;
    if (m->id != AMQP_QUEUE_DECLARE_METHOD)
        return false;
    fake_send(c, channel, AMQP_CHANNEL_CLOSE_METHOD, &no);
    return true;
}

TEST_BETWEEN(prepare, finish, a_refused_declaration_is_shown_and_publishing_works)
{
    fake_plan(fake)->hooks.method = refuse_queue;
    subscription.queue_type = QUEUE_QUORUM;
    make("amqp://guest:guest@fake", 60000);
    start();
    until(has_error, "queue \"q\" exists with type = classic");
    assert_string_equal(state_now().word, "up");
    assert_false(is_ready(NULL));
    until(has_room, "room");
    while (publish(1, &to_x) == ERR_BUSY)
        fake_run(fake, 1);
    broker->ops->tell(broker);
    settled("1+");
}

TEST_BETWEEN(ready, finish, draining_stops_deliveries_and_confirms_still_come)
{
    deliver(1, "{}");
    until(is_pending, "a delivery");
    broker->ops->drain(broker);
    assert_false(is_pending(NULL));
    until(has_heard, "2:basic.cancel");
    publish_soon(1, &to_x);
    broker->ops->tell(broker);
    settled("1+");
    assert_false(is_ready(NULL));
}

/* The consuming link does not get through its declarations. */
static bool never_bound(void *arg, struct fake_conn *c, uint16_t channel, const amqp_method_t *m)
{
    (void)arg, (void)c, (void)channel;
    return m->id == AMQP_QUEUE_BIND_METHOD && lost_exchange;
}

TEST_BETWEEN(prepare, finish, the_first_publish_waits_until_the_own_queues_are_bound)
{
    amqp_queue_bind_ok_t ok = {0};

    fake_plan(fake)->hooks.method = never_bound;
    fake_plan(fake)->hooks.publish = NULL;
    lost_exchange = true;
    make("amqp://guest:guest@fake", 60000);
    start();
    until(has_heard, ":queue.bind");
    until(has_heard, "3:confirm.select");
    fake_run(fake, 20);
    assert_int_equal(broker->ops->room(broker), 0);
    assert_int_equal(publish(1, &to_x), ERR_BUSY);
    fake_send(fake_conn(fake, "consume"), 1, AMQP_QUEUE_BIND_OK_METHOD, &ok);
    until(has_room, "room");
    publish_soon(1, &to_x);
    broker->ops->tell(broker);
    settled("1+");
}

/* A topology on the heap, so that a pointer into a former one shows. */
struct rules {
    struct topology topology;
    struct subscription subscriptions[2];
    struct destination from[2];
    struct route route;
    struct destination to;
    char text[7][16];
};

/* Subscriptions to `queues` ("q", "qr" or ""), bound to x, and a route to `exchange`. */
static struct rules *make_rules(const char *queues, const char *exchange)
{
    struct rules *r = calloc(1, sizeof *r);

    assert_non_null(r);
    snprintf(r->text[4], sizeof r->text[4], "x");
    snprintf(r->text[5], sizeof r->text[5], "%s", exchange);
    snprintf(r->text[6], sizeof r->text[6], "t");
    for (size_t i = 0; queues[i] != '\0'; i++) {
        snprintf(r->text[i], sizeof r->text[i], "%c", queues[i]);
        snprintf(r->text[2 + i], sizeof r->text[i], "rules/%c.lua:1", queues[i]);
        r->from[i] = (struct destination){EXCHANGE_FANOUT, r->text[4], empty};
        r->subscriptions[i] = (struct subscription){.queue = r->text[i],
                                                    .from = &r->from[i],
                                                    .n_from = 1,
                                                    .prefetch = 10,
                                                    .origin = r->text[2 + i]};
        r->topology.n_subscriptions++;
    }
    r->to = (struct destination){EXCHANGE_FANOUT, r->text[5], empty};
    r->route = (struct route){.type = r->text[6], .to = &r->to, .n_to = 1};
    r->topology.subscriptions = r->subscriptions;
    r->topology.routes = &r->route;
    r->topology.n_routes = 1;
    return r;
}

static struct rules *in_force; /* the broker lends them */

static void change_to(const char *queues, const char *exchange)
{
    struct rules *before = in_force;
    struct err err = {.code = OK};

    in_force = make_rules(queues, exchange);
    assert_int_equal(broker->ops->change(broker, &in_force->topology, &err), OK);
    free(before);
}

static void finish_changed(void)
{
    finish();
    free(in_force);
    in_force = NULL;
}

TEST_BETWEEN(prepare, finish_changed, a_change_keeps_what_stays_and_takes_up_what_is_new)
{
    struct delivery *d = NULL;
    struct err err = {.code = OK};
    size_t n;

    begin();
    deliver(1, "{\"a\":1}");
    until(is_pending, "a delivery");
    fake_forget(fake);
    change_to("qr", "z");
    assert_false(is_ready(NULL));
    until(is_ready, "ready again");
    assert_null(strstr(fake_heard(fake), "2:channel"));
    assert_non_null(strstr(fake_heard(fake), "3:basic.consume"));
    assert_non_null(strstr(fake_heard(fake), "1:exchange.declare"));
    assert_int_equal(broker->ops->take(broker, &d, 1, &n, &err), OK);
    assert_int_equal(n, 1);
    assert_string_equal(d->subscription->origin, "rules/q.lua:1");
    assert_int_equal(broker->ops->accept(broker, d, &err), OK);
    broker->ops->tell(broker);
    until(has_heard, "2:basic.ack");
}

TEST_BETWEEN(prepare, finish_changed, a_change_drops_a_queue_and_it_may_come_back)
{
    begin();
    deliver(1, "{}");
    until(is_pending, "a delivery");
    change_to("", "x");
    assert_int_equal(state_now().unacked, 0);
    until(has_heard, "2:channel.close");
    until(is_ready, "ready without it");
    assert_int_equal(fake_connects(fake), 2);
    fake_run(fake, 20);
    fake_forget(fake);
    change_to("q", "x");
    until(is_ready, "ready with it");
    assert_non_null(strstr(fake_heard(fake), "2:basic.consume"));
    assert_int_equal(fake_connects(fake), 2);
    deliver(1, "{}");
    take_one("{}");
}

TEST_BETWEEN(prepare, finish_changed, the_first_subscription_opens_the_consuming_link)
{
    topology.n_subscriptions = 0;
    begin();
    assert_int_equal(fake_connects(fake), 1);
    change_to("q", "x");
    assert_int_equal(broker->ops->room(broker), 0); /* its queue is not bound yet */
    until(is_ready, "ready");
    assert_int_equal(fake_connects(fake), 2);
    publish_soon(1, &to_x);
    broker->ops->tell(broker);
    settled("1+");
}

TEST_BETWEEN(prepare, finish_changed,
             publishing_waits_for_a_new_queue_but_not_for_one_that_goes_again)
{
    begin();
    fake_plan(fake)->hooks.method = never_bound;
    fake_plan(fake)->hooks.publish = NULL;
    lost_exchange = true;
    change_to("qr", "x");
    until(has_heard, "3:basic.consume");
    fake_run(fake, 20);
    assert_int_equal(broker->ops->room(broker), 0);
    assert_int_equal(publish(1, &to_x), ERR_BUSY);
    broker->ops->forget(broker);
    change_to("q", "x");
    assert_int_equal(broker->ops->room(broker), WINDOW);
    publish_soon(1, &to_x);
    broker->ops->tell(broker);
    settled("1+");
}

TEST_BETWEEN(prepare, finish_changed, a_change_while_nobody_answers_is_taken_up_later)
{
    fake_plan(fake)->refuse = true;
    make("amqp://guest:guest@fake", 60000);
    start();
    until(has_error, "connection refused");
    change_to("r", "y");
    fake_plan(fake)->refuse = false;
    until(is_ready, "ready");
    assert_non_null(strstr(fake_heard(fake), "2:basic.consume"));
    assert_null(strstr(fake_heard(fake), "3:basic.consume"));
    publish_soon(1, &to_y);
    broker->ops->tell(broker);
    settled("1+");
}

/* Whatever the broker has just been asked, the rules may change, and once more. */
TEST_BETWEEN(prepare, finish_changed, changes_at_any_moment_end_in_the_last_one)
{
    static const char *const queues[] = {"q", "", "rq", "r", "qr"};

    begin();
    for (int i = 0; i < 100; i++) {
        change_to(queues[i % 5], i % 2 == 0 ? "x" : "y");
        if (i % 7 == 3 && fake_conn(fake, "consume") != NULL)
            fake_cut(fake_conn(fake, "consume"));
        fake_run(fake, i % 4);
    }
    change_to("qr", "y");
    until(is_ready, "ready");
    until(has_room, "room");
    publish_soon(1, &to_y);
    broker->ops->tell(broker);
    settled("1+");
}

TEST_BETWEEN(prepare, finish, a_router_without_subscriptions_has_one_link)
{
    topology.n_subscriptions = 0;
    begin();
    assert_int_equal(fake_connects(fake), 1);
    publish_soon(1, &to_x);
    broker->ops->tell(broker);
    settled("1+");
}

TEST_BETWEEN(prepare, finish, it_stops_while_nobody_answers)
{
    fake_plan(fake)->refuse = true;
    make("amqp://guest:guest@fake", 60000);
    start();
    until(has_error, "connection refused");
    assert_string_equal(state_now().word, "waiting");
}

TEST_BETWEEN(prepare, finish, a_bad_url_is_a_configuration_error)
{
    struct rabbit_settings settings = {
        .loop = &loop, .clock = clock_real(), .url = "http://nowhere", .name = "t", .window = 1};
    struct err err = {.code = OK};

    assert_int_equal(rabbit_new(&broker, &settings, &err), ERR_CONFIG);
    assert_null(broker);
    begin(); /* for the teardown */
}

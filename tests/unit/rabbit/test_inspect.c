/* What `herald check --live` predicts, against a broker in the process. */
#include "check.h"
#include "rabbit/inspect.h"

#include "wire/fake_broker.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static uv_loop_t loop;
static struct fake_broker *fake;
static char found[8192]; /* one finding a line: "NOTE rules/a.lua:1 text" */

/* What the broker says to a question: "?x" asks for exchange x, "!x" declares it;
 * "?q:" and "!q:" are a queue's, "!q:dead" that of one with a dead-letter queue. What is not listed
 * is well. */
struct answer {
    const char *question;
    uint16_t code; /* 0: ok */
    const char *text;
    uint32_t consumers;
};

static const struct answer *answers;
static size_t n_answers;
static unsigned given; /* of them: a bit each */

static char x_name[] = "x", y_name[] = "y", q_name[] = "q", r_name[] = "r", empty[] = "";
static char type[] = "t", origin_a[] = "rules/a.lua:1", origin_b[] = "rules/b.lua:2";
static struct destination from_x = {EXCHANGE_FANOUT, x_name, empty};
static struct destination targets[] = {{EXCHANGE_FANOUT, x_name, empty},
                                       {EXCHANGE_TOPIC, y_name, empty},
                                       {EXCHANGE_DEFAULT, empty, q_name},
                                       {EXCHANGE_DEFAULT, empty, r_name}};
static struct subscription subscription;
static struct route route;
static struct topology topology;

static void on_finding(void *arg, enum inspect_severity severity, const char *origin,
                       const char *text)
{
    static const char *const words[] = {"NOTE", "WARNING", "ERROR"};
    size_t used = strlen(found);

    (void)arg;
    snprintf(found + used, sizeof found - used, "%s %s %s\n", words[severity], origin, text);
}

/* One after the other where there are several; the last one stays. */
static const struct answer *answer_to(const char *question)
{
    const struct answer *last = NULL;

    for (size_t i = 0; i < n_answers; i++) {
        if (strcmp(answers[i].question, question) != 0)
            continue;
        last = &answers[i];
        if (!(given & 1U << i))
            break;
    }
    if (last != NULL)
        given |= 1U << (last - answers);
    return last;
}

static void put_question(char *out, size_t size, bool passive, amqp_bytes_t name, const char *sort)
{
    snprintf(out, size, "%c%.*s%s", passive ? '?' : '!', (int)name.len, (const char *)name.bytes,
             sort);
}

static bool on_method(void *arg, struct fake_conn *c, uint16_t channel, const amqp_method_t *m)
{
    const amqp_exchange_declare_t *exchange = m->decoded;
    const amqp_queue_declare_t *queue = m->decoded;
    const struct answer *answer;
    amqp_channel_close_t no = {.reply_code = 0};
    amqp_queue_declare_ok_t ok = {.queue = amqp_empty_bytes};
    char question[32];

    (void)arg;
    if (m->id == AMQP_EXCHANGE_DECLARE_METHOD)
        put_question(question, sizeof question, exchange->passive, exchange->exchange, "");
    else if (m->id == AMQP_QUEUE_DECLARE_METHOD)
        put_question(question, sizeof question, queue->passive, queue->queue,
                     queue->arguments.num_entries == 5 ? ":dead" : ":");
    else
        return false;
    answer = answer_to(question);
    if (answer == NULL)
        return false;
    if (answer->code == 0) {
        ok.consumer_count = answer->consumers;
        fake_send(c, channel, AMQP_QUEUE_DECLARE_OK_METHOD, &ok);
        return true;
    }
    no.reply_code = answer->code;
    no.reply_text = amqp_cstring_bytes(answer->text);
    fake_send(c, channel, AMQP_CHANNEL_CLOSE_METHOD, &no);
    return true;
}

static void prepare(void)
{
    assert_int_equal(uv_loop_init(&loop), 0);
    fake = fake_broker_new(&loop);
    fake_plan(fake)->hooks.method = on_method;
    found[0] = '\0';
    answers = NULL;
    n_answers = 0;
    given = 0;
    subscription = (struct subscription){
        .queue = q_name, .from = &from_x, .n_from = 1, .prefetch = 10, .origin = origin_a};
    route = (struct route){.type = type, .to = targets, .n_to = 3, .origin = origin_b};
    topology = (struct topology){
        .subscriptions = &subscription, .n_subscriptions = 1, .routes = &route, .n_routes = 1};
}

/* Nothing may be left on the loop. */
static void finish(void)
{
    fake_broker_free(&fake);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static int inspect(const char *url, int64_t timeout_ms, struct err *err)
{
    const struct tls_settings tls = {.ca = "/nowhere/ca.pem", .verify = true};
    struct inspect_settings settings = {
        .loop = &loop,
        .clock = clock_real(),
        .url = url,
        .tls = &tls,
        .timeout_ms = timeout_ms,
        .streams = fake_broker_streams(fake),
    };

    *err = (struct err){.code = OK};
    return inspect_run(&settings, &topology, on_finding, NULL, err);
}

static void finds(const struct answer *with, size_t n, const char *want)
{
    struct err err;

    answers = with;
    n_answers = n;
    if (inspect("amqp://guest:guest@fake", 5000, &err) != OK)
        fail_msg("%s", err.text);
    assert_string_equal(found, want);
}

#define FINDS(want, ...)                                                                           \
    finds((const struct answer[]){__VA_ARGS__},                                                    \
          sizeof((const struct answer[]){__VA_ARGS__}) / sizeof(struct answer), want)

#define BINDINGS                                                                                   \
    "NOTE  bindings cannot be seen over AMQP: they were not compared; those that the rules name "  \
    "are made at the start, others stay\n"

TEST_BETWEEN(prepare, finish, what_is_as_stated_is_no_finding)
{
    subscription.queue_type = QUEUE_QUORUM;
    finds(NULL, 0, BINDINGS);
    /* Each is asked for once, and only what is there is declared. */
    assert_string_equal(strstr(fake_heard(fake), "1:"),
                        "1:channel.open 1:exchange.declare 1:exchange.declare 1:exchange.declare "
                        "1:exchange.declare 1:queue.declare 1:queue.declare 2:channel.open "
                        "2:basic.qos 2:basic.consume 2:basic.cancel close");
}

#define NOWHERE                                                                                    \
    ", and a route leads there where no queue is bound: subscribe to it, or start the service "    \
    "that listens there\n"

TEST_BETWEEN(prepare, finish, what_is_absent_will_be_created_and_is_not_created_here)
{
    subscription.n_from = 0;
    FINDS("WARNING rules/b.lua:2 exchange \"x\" will be created as durable fanout" NOWHERE
          "WARNING rules/b.lua:2 exchange \"y\" will be created as durable topic" NOWHERE
          "NOTE rules/a.lua:1 queue \"q\" will be created as quorum, with dead-letter queue "
          "\"q.herald-dead\"\n",
          {"?x", 404, "NOT_FOUND - no exchange 'x' in vhost '/'", 0},
          {"?y", 404, "NOT_FOUND - no exchange 'y' in vhost '/'", 0},
          {"?q:", 404, "NOT_FOUND - no queue 'q' in vhost '/'", 0});
    assert_string_equal(
        strstr(fake_heard(fake), "1:"),
        "1:channel.open 1:exchange.declare 1:channel.close-ok 1:channel.open 1:exchange.declare "
        "1:channel.close-ok 1:channel.open 1:queue.declare 1:channel.close-ok close");
}

TEST_BETWEEN(prepare, finish, an_absent_classic_queue_says_so)
{
    subscription.n_from = 0;
    subscription.queue_type = QUEUE_CLASSIC;
    topology.n_routes = 0;
    FINDS("NOTE rules/a.lua:1 queue \"q\" will be created as classic\n",
          {"?q:", 404, "NOT_FOUND - no queue 'q' in vhost '/'", 0});
}

TEST_BETWEEN(prepare, finish, another_kind_is_a_warning_and_another_type_an_error)
{
    subscription.queue_type = QUEUE_CLASSIC;
    topology.n_routes = 0;
    FINDS("WARNING rules/a.lua:1 exchange \"x\" exists with type = direct, not fanout; it is taken "
          "as it is, and a queue bound to it may get other messages than expected (broker: 406 "
          "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received "
          "'fanout' but current is "
          "'direct')\n"
          "ERROR rules/a.lua:1 queue \"q\" exists with type = quorum, but queue_type = \"classic\" "
          "asks for another; leave queue_type out of the subscription or set queue_type = "
          "\"quorum\", or delete the queue so that it is made anew (broker: 406 "
          "PRECONDITION_FAILED - inequivalent arg "
          "'x-queue-type' for queue 'q' in vhost '/': received none but current is the value "
          "'quorum' of type 'longstr')\n" BINDINGS,
          {"!x", 406,
           "PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'x' in vhost '/': received "
           "'fanout' but current "
           "is 'direct'",
           0},
          {"!q:", 406,
           "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': "
           "received none but current "
           "is the value 'quorum' of type 'longstr'",
           0});
}

TEST_BETWEEN(prepare, finish, what_is_refused_is_an_error_unless_it_need_not_be_made)
{
    subscription.n_from = 0;
    subscription.queue_type = QUEUE_QUORUM;
    FINDS("ERROR rules/b.lua:2 exchange \"x\" was refused; give the broker's user permission to it "
          "(broker: 403 ACCESS_REFUSED - configure access to exchange 'x' in vhost '/' refused)\n"
          "ERROR rules/a.lua:1 queue \"q\" was refused; give the broker's user permission to it "
          "(broker: 403 ACCESS_REFUSED - access to queue 'q' in vhost '/' refused)\n",
          {"?x", 403, "ACCESS_REFUSED - configure access to exchange 'x' in vhost '/' refused", 0},
          {"!y", 403, "ACCESS_REFUSED - only for reading", 0},
          {"!q:dead", 403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused", 0});
}

TEST_BETWEEN(prepare, finish, a_queue_without_its_dead_letter_queue_is_told)
{
    subscription.n_from = 0;
    subscription.queue_type = QUEUE_QUORUM;
    topology.n_routes = 0;
    FINDS("NOTE rules/a.lua:1 queue \"q\" is there without herald's dead-letter queue: what "
          "the broker gives up on (delivery limit, 20 from RabbitMQ 4.0) is lost unless a "
          "policy keeps it, see docs/wire.md\n",
          {"!q:dead", 406,
           "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue 'q' in "
           "vhost '/': received the value '' of type 'longstr' but current is none",
           0});
}

static const struct argument long_and_lazy[] = {{"x-max-length", ARGUMENT_INTEGER, "", 10},
                                                {"x-queue-mode", ARGUMENT_TEXT, "lazy", 0}};
static const struct argument located[] = {
    {"x-consumer-timeout", ARGUMENT_INTEGER, "", 60000},
    {"x-queue-master-locator", ARGUMENT_TEXT, "min-masters", 0}};
static const struct argument old_and_new[] = {{"x-queue-version", ARGUMENT_INTEGER, "", 1},
                                              {"x-queue-version", ARGUMENT_INTEGER, "", 2}};

TEST_BETWEEN(prepare, finish, arguments_that_would_be_refused_are_told_before)
{
    subscription.n_from = 0;
    topology.n_routes = 0;
    fake_plan(fake)->version = "3.10.8";
    subscription.arguments = (struct arguments){long_and_lazy, 2};
    FINDS("NOTE rules/a.lua:1 queue \"q\" will be created as quorum, with dead-letter queue "
          "\"q.herald-dead\", with x-max-length = 10, x-queue-mode = \"lazy\"\n"
          "ERROR rules/a.lua:1 queue \"q\" cannot be made: RabbitMQ 3.10.8 refuses x-queue-mode "
          "for a quorum queue; leave it out, or say queue_type = \"classic\"\n",
          {"?q:", 404, "NOT_FOUND - no queue 'q' in vhost '/'", 0});
    found[0] = '\0';
    subscription.queue_type = QUEUE_CLASSIC;
    subscription.arguments = (struct arguments){located, 2};
    FINDS("NOTE rules/a.lua:1 queue \"q\" will be created as classic, with x-consumer-timeout = "
          "60000, x-queue-master-locator = \"min-masters\"\n",
          {"?q:", 404, "NOT_FOUND - no queue 'q' in vhost '/'", 0});
    found[0] = '\0';
    given = 0;
    fake_plan(fake)->version = "4.3.6";
    FINDS("NOTE rules/a.lua:1 queue \"q\" will be created as classic, with x-consumer-timeout = "
          "60000, x-queue-master-locator = \"min-masters\"\n"
          "ERROR rules/a.lua:1 queue \"q\" cannot be made: RabbitMQ 4.3.6 refuses "
          "x-consumer-timeout for a classic queue; leave it out\n"
          "ERROR rules/a.lua:1 queue \"q\" cannot be made: RabbitMQ 4.3.6 refuses "
          "x-queue-master-locator for a classic queue, and ends the connection over it; leave it "
          "out\n",
          {"?q:", 404, "NOT_FOUND - no queue 'q' in vhost '/'", 0});
}

/* Of some arguments it is the value. */
TEST_BETWEEN(prepare, finish, a_value_that_would_be_refused_is_told_before)
{
    subscription.n_from = 0;
    topology.n_routes = 0;
    fake_plan(fake)->version = "4.3.6";
    subscription.queue_type = QUEUE_CLASSIC;
    subscription.arguments = (struct arguments){&old_and_new[0], 1};
    FINDS(
        "NOTE rules/a.lua:1 queue \"q\" will be created as classic, with x-queue-version = 1\n"
        "ERROR rules/a.lua:1 queue \"q\" cannot be made: RabbitMQ 4.3.6 refuses x-queue-version = "
        "1 for a classic queue; leave it out\n",
        {"?q:", 404, "NOT_FOUND - no queue 'q' in vhost '/'", 0});
    found[0] = '\0';
    subscription.arguments = (struct arguments){&old_and_new[1], 1};
    FINDS("NOTE rules/a.lua:1 queue \"q\" will be created as classic, with x-queue-version = 2\n",
          {"?q:", 404, "NOT_FOUND - no queue 'q' in vhost '/'", 0});
}

#define IS_CLASSIC                                                                                 \
    {                                                                                              \
        "!q:", 406,                                                                                \
            "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': "   \
            "received 'none' but current is 'classic'",                                            \
            0                                                                                      \
    }

TEST_BETWEEN(prepare, finish, a_queue_with_other_arguments_is_told)
{
    subscription.n_from = 0;
    topology.n_routes = 0;
    subscription.queue_type = QUEUE_CLASSIC;
    subscription.arguments = (struct arguments){long_and_lazy, 2};
    FINDS("WARNING rules/a.lua:1 queue \"q\" is there with x-max-length = 20, and its rule has "
          "x-max-length = 10: it is taken as it is; delete it so that it is made anew, or set a "
          "policy\n"
          "WARNING rules/a.lua:1 queue \"q\" is there without x-queue-mode, and its rule has "
          "x-queue-mode = \"lazy\": it is taken as it is; delete it so that it is made anew, or "
          "set a policy\n",
          {"!q:", 406,
           "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': "
           "received '10' but current is '20'",
           0},
          {"!q:", 406,
           "PRECONDITION_FAILED - inequivalent arg 'x-queue-mode' for queue 'q' in vhost '/': "
           "received the value 'lazy' of type 'longstr' but current is none",
           0},
          IS_CLASSIC);
}

TEST_BETWEEN(prepare, finish, a_queue_with_arguments_is_of_the_stated_type)
{
    subscription.n_from = 0;
    topology.n_routes = 0;
    subscription.queue_type = QUEUE_QUORUM;
    subscription.arguments = (struct arguments){long_and_lazy, 1};
    FINDS("ERROR rules/a.lua:1 queue \"q\" exists with type = classic, but queue_type = \"quorum\" "
          "asks for another; leave queue_type out of the subscription, or delete the queue so that "
          "it is made anew\n",
          IS_CLASSIC);
}

TEST_BETWEEN(prepare, finish, an_exclusive_consumer_of_a_quorum_queue_is_told)
{
    subscription.n_from = 0;
    topology.n_routes = 0;
    subscription.exclusive = true;
    FINDS(
        "NOTE rules/a.lua:1 queue \"q\" will be created as quorum, with dead-letter queue "
        "\"q.herald-dead\"\n"
        "WARNING rules/a.lua:1 queue \"q\" is a quorum queue, which keeps nobody out: exclusive = "
        "true has no effect; use x-single-active-consumer, or a classic queue\n",
        {"?q:", 404, "NOT_FOUND - no queue 'q' in vhost '/'", 0});
}

TEST_BETWEEN(prepare, finish, a_queue_with_consumers_is_told)
{
    subscription.n_from = 0;
    topology.n_routes = 0;
    FINDS("NOTE rules/a.lua:1 queue \"q\": 2 consumers already take from it (a running router "
          "counts): messages are shared with them\n",
          {"?q:", 0, NULL, 2});
}

TEST_BETWEEN(prepare, finish, a_route_to_a_queue_that_is_nowhere_is_an_error)
{
    topology.n_subscriptions = 0;
    route.to = &targets[2];
    route.n_to = 2;
    FINDS(
        "ERROR rules/b.lua:2 route to queue \"r\", which does not exist: subscribe to it, or have "
        "it made by the service that takes from it\n",
        {"?r:", 404, "NOT_FOUND - no queue 'r' in vhost '/'", 0}, {"?q:", 0, NULL, 1});
}

/* Such a queue is a 404 as well, and will not be created. */
TEST_BETWEEN(prepare, finish, a_queue_whose_node_is_down_is_an_error)
{
    subscription.n_from = 0;
    topology.n_routes = 0;
    answers = &(const struct answer){
        "?q:", 404, "NOT_FOUND - home node 'a@b' of durable queue 'q' is down or inaccessible", 0};
    finds(answers, 1,
          "ERROR rules/a.lua:1 queue \"q\" was refused; it exists on a node that is down: start "
          "that node (broker: 404 NOT_FOUND - home node 'a@b' of durable queue 'q' is down or "
          "inaccessible)\n");
    answers = &(const struct answer){
        "?q:", 404,
        "NOT_FOUND - failed to perform operation on queue 'q' in vhost '/' due to timeout",
        0}; /* RabbitMQ 4 */
    found[0] = '\0';
    finds(answers, 1,
          "ERROR rules/a.lua:1 queue \"q\" was refused; it exists on a node that is down: start "
          "that node (broker: 404 NOT_FOUND - failed to perform operation on queue 'q' in vhost "
          "'/' due to timeout)\n");
}

TEST_BETWEEN(prepare, finish, nothing_to_ask_ends_at_once)
{
    topology = (struct topology){.n_subscriptions = 0};
    finds(NULL, 0, "");
}

TEST_BETWEEN(prepare, finish, a_broker_that_is_not_there_is_told_before_its_time)
{
    struct err err;

    fake_plan(fake)->refuse = true;
    assert_int_equal(inspect("amqp://guest:guest@fake,other", 60000, &err), ERR_BROKER);
    assert_non_null(strstr(err.text, "refused"));
    assert_int_equal(fake_connects(fake), 2); /* every host once */
    assert_string_equal(found, "");
}

TEST_BETWEEN(prepare, finish, a_wrong_password_is_told)
{
    struct err err;

    assert_int_equal(inspect("amqp://guest:secret@fake", 5000, &err), ERR_BROKER);
    assert_non_null(strstr(err.text, "ACCESS_REFUSED"));
    assert_null(strstr(err.text, "secret"));
}

TEST_BETWEEN(prepare, finish, files_for_tls_that_are_of_no_use_are_told_at_once)
{
    struct err err;

    assert_int_equal(inspect("amqps://guest:guest@fake,other", 60000, &err), ERR_BROKER);
    assert_non_null(strstr(err.text, "(tls.ca) /nowhere/ca.pem is not there"));
    assert_int_equal(fake_connects(fake), 0);
}

TEST_BETWEEN(prepare, finish, a_bad_url_is_a_configuration_error)
{
    struct err err;

    assert_int_equal(inspect("http://fake", 5000, &err), ERR_CONFIG);
}

TEST_BETWEEN(prepare, finish, silence_ends_with_the_time)
{
    struct err err;

    fake_plan(fake)->silent = true;
    assert_int_equal(inspect("amqp://guest:guest@fake", 100, &err), ERR_BROKER);
    assert_true(err.text[0] != '\0');
}

static bool cut(void *arg, struct fake_conn *c, uint16_t channel, const amqp_method_t *m)
{
    (void)arg, (void)channel;
    if (m->id != AMQP_QUEUE_DECLARE_METHOD)
        return false;
    fake_cut(c);
    return true;
}

TEST_BETWEEN(prepare, finish, a_broker_that_is_lost_midway_is_told)
{
    struct err err;

    fake_plan(fake)->hooks.method = cut;
    assert_int_equal(inspect("amqp://guest:guest@fake", 5000, &err), ERR_BROKER);
    assert_true(err.text[0] != '\0');
    assert_int_equal(fake_connects(fake), 1);
}

static bool hush(void *arg, struct fake_conn *c, uint16_t channel, const amqp_method_t *m)
{
    (void)arg, (void)c, (void)channel;
    return m->id == AMQP_QUEUE_DECLARE_METHOD;
}

TEST_BETWEEN(prepare, finish, a_question_that_is_not_answered_is_told)
{
    struct err err;

    fake_plan(fake)->hooks.method = hush;
    assert_int_equal(inspect("amqp://guest:guest@fake", 200, &err), ERR_BROKER);
    assert_string_equal(err.text, "the broker did not answer within 200 ms a question about \"q\"");
}

static bool lose_quorum(void *arg, struct fake_conn *c, uint16_t channel, const amqp_method_t *m)
{
    return m->id == AMQP_BASIC_CONSUME_METHOD || on_method(arg, c, channel, m);
}

/* A passive declaration is answered as if it were empty. */
TEST_BETWEEN(prepare, finish, a_queue_that_cannot_be_consumed_is_an_error)
{
    /* Declared by a person, with an argument that herald never gives. */
    static const struct answer there[] = {
        {"!q:", 406,
         "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': "
         "received the value 'none' of type 'longstr' but current is the value 'quorum' of type "
         "'longstr'",
         0}};
    const enum queue_type types[] = {QUEUE_QUORUM, QUEUE_ANY};
    struct err err;

    fake_plan(fake)->hooks.method = lose_quorum;
    answers = there;
    for (n_answers = 0; n_answers < 2; n_answers++) {
        subscription.queue_type = types[n_answers];
        found[0] = '\0';
        assert_int_equal(inspect("amqp://guest:guest@fake", 300, &err), OK);
        assert_non_null(strstr(found, "ERROR rules/a.lua:1 queue \"q\" is there, but the broker "
                                      "does not answer a consume: it has lost its quorum"));
    }
}

/* Its last consumer may be what keeps it, so it is not consumed for a moment. */
TEST_BETWEEN(prepare, finish, a_queue_of_another_type_is_not_consumed)
{
    FINDS(BINDINGS, {"!q:dead", 406,
                     "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost "
                     "'/': received 'quorum' but current is 'classic'",
                     0});
    assert_null(strstr(fake_heard(fake), "basic.consume"));
}

TEST_BETWEEN(prepare, finish, a_small_channel_max_is_told)
{
    fake_plan(fake)->channel_max = 2; /* q and its dead-letter queue, and one to declare */
    finds(NULL, 0,
          "WARNING  the broker allows 2 channels on a connection (channel_max), and 1 "
          "subscriptions want 3 with their dead-letter queues: up to 1 of those would not be "
          "consumed; raise it there, or take queues to another router\n" BINDINGS);
}

/* What is declared, in which order, and what comes of the broker's answers. */
#include "check.h"
#include "rabbit/declare.h"
#include "rabbit/fake_link.h"

static char x_name[] = "x", y_name[] = "y", key[] = "k", q_name[] = "q", none[] = "";
static char origin[] = "rules/a.lua:3";
static const struct arguments no_arguments;

static struct channels *channels;
static struct declare *d;

static void begin(void)
{
    fake_begin();
    channels = channels_new(&fake_link);
    d = declare_new(channels, NULL, fake_clock);
    assert_non_null(d);
}

static void end(void)
{
    declare_free(&d);
    channels_free(&channels);
}

static void down(void)
{
    declare_down(d);
    channels_down(channels);
}

static struct declare_item *exchange(char *name)
{
    struct destination to = {EXCHANGE_FANOUT, name, none};

    return declare_exchange(d, &to, true);
}

static struct declare_item *queue(enum queue_type type)
{
    struct subscription s = {.queue = q_name, .queue_type = type, .origin = origin};

    return declare_queue(d, &s);
}

static const struct argument long_and_single[] = {
    {"x-max-length", ARGUMENT_INTEGER, "", 10}, {"x-single-active-consumer", ARGUMENT_FLAG, "", 1}};

static struct declare_item *queue_with(enum queue_type type, const struct argument *list, size_t n)
{
    struct subscription s = {
        .queue = q_name, .queue_type = type, .origin = origin, .arguments = {list, n}};

    return declare_queue(d, &s);
}

static void queue_ok(uint32_t consumers)
{
    amqp_queue_declare_ok_t answer = {.queue = amqp_cstring_bytes("q"),
                                      .consumer_count = consumers};
    amqp_method_t m = method_of(AMQP_QUEUE_DECLARE_OK_METHOD, &answer);

    declare_method(d, 1, &m);
}

static void ok(amqp_method_number_t id)
{
    uint64_t nothing[8] = {0}; /* as large as any of their structs */
    amqp_method_t m = method_of(id, nothing);

    if (id == AMQP_QUEUE_DECLARE_OK_METHOD)
        queue_ok(0);
    else
        declare_method(d, 1, &m);
}

static void no(uint16_t code, const char *text)
{
    amqp_channel_close_t close;
    amqp_method_t m = close_of(&close, code, text);

    declare_method(d, 1, &m);
}

TEST_BETWEEN(begin, end, what_exists_is_taken_as_it_is)
{
    struct declare_item *x = exchange(x_name), *q = queue(QUEUE_ANY);

    declare_up(d);
    sent("1:open 1:exchange.declare?(x)");
    assert_int_equal(declare_state(x), DECLARE_WAITING);
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("1:queue.declare?(q)");
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    sent("");
    assert_int_equal(declare_state(x), DECLARE_READY);
    assert_int_equal(declare_state(q), DECLARE_READY);
    assert_null(declare_trouble(d));
    declare_free(&d);
    assert_null(d);
}

TEST_BETWEEN(begin, end, what_is_absent_is_made_durable_and_quorum)
{
    struct declare_item *x = exchange(x_name), *q = queue(QUEUE_ANY);

    declare_up(d);
    sent("1:open 1:exchange.declare?(x)");
    no(404, "NOT_FOUND - no exchange 'x' in vhost '/'");
    sent("1:close-ok 1:open 1:exchange.declare(x,fanout,durable)");
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("1:queue.declare?(q)");
    no(404, "NOT_FOUND - no queue 'q' in vhost '/'");
    sent("1:close-ok 1:open 1:queue.declare(q,quorum -> q.herald-dead,durable)");
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    assert_int_equal(declare_state(x), DECLARE_READY);
    assert_int_equal(declare_state(q), DECLARE_READY);
}

TEST_BETWEEN(begin, end, a_stated_type_is_declared_at_once)
{
    struct declare_item *q = queue(QUEUE_CLASSIC);

    declare_up(d);
    sent("1:open 1:queue.declare(q,classic,durable)");
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    assert_int_equal(declare_state(q), DECLARE_READY);
    end();
    begin();
    q = queue(QUEUE_QUORUM);
    declare_up(d);
    sent("1:open 1:queue.declare(q,quorum -> q.herald-dead,durable)");
    no(406,
       "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received "
       "the value 'quorum' of type 'longstr' but current is none");
    sent("1:close-ok");
    assert_int_equal(declare_state(q), DECLARE_REFUSED);
    assert_non_null(strstr(declare_why(q), "exists with type = classic"));
    assert_non_null(strstr(declare_why(q), "rules/a.lua:3"));
    assert_ptr_equal(declare_trouble(d), declare_why(q));
}

TEST_BETWEEN(begin, end, a_queue_is_made_with_the_arguments_of_its_rule)
{
    const struct argument dropping[] = {{"x-overflow", ARGUMENT_TEXT, "drop-head", 0}};
    const struct argument elsewhere[] = {{"x-dead-letter-exchange", ARGUMENT_TEXT, "dlx", 0}};

    queue_with(QUEUE_ANY, long_and_single, 2);
    declare_up(d);
    sent("1:open 1:queue.declare?(q)");
    no(404, "NOT_FOUND - no queue 'q' in vhost '/'");
    sent("1:close-ok 1:open 1:queue.declare(q,quorum -> q.herald-dead x-max-length=10 "
         "x-single-active-consumer=true,durable)");
    end();
    begin();
    queue_with(QUEUE_CLASSIC, long_and_single, 1);
    declare_up(d);
    sent("1:open 1:queue.declare(q,classic x-max-length=10,durable)");
    end();
    begin();
    queue_with(QUEUE_QUORUM, dropping, 1); /* which cannot be had with safe dead-lettering */
    declare_up(d);
    sent("1:open 1:queue.declare(q,quorum -> q.herald-dead x-overflow=drop-head,durable)");
    end();
    begin();
    queue_with(QUEUE_QUORUM, elsewhere, 1);
    declare_up(d);
    sent("1:open 1:queue.declare(q,quorum x-dead-letter-exchange=dlx,durable)");
}

#define OTHER_LENGTH                                                                               \
    "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'q' in vhost '/': received "  \
    "the value '10' of type 'signedint' but current is none"

TEST_BETWEEN(begin, end, a_queue_with_other_arguments_is_taken_as_it_is)
{
    struct declare_item *q = queue_with(QUEUE_CLASSIC, long_and_single, 1);

    declare_up(d);
    sent("1:open 1:queue.declare(q,classic x-max-length=10,durable)");
    no(406, OTHER_LENGTH);
    sent("1:close-ok 1:open 1:queue.declare(q,none,durable)");
    assert_int_equal(declare_state(q), DECLARE_WAITING);
    no(406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': "
            "received 'none' but current is 'classic'");
    sent("1:close-ok");
    assert_int_equal(declare_state(q), DECLARE_READY);
    assert_null(declare_trouble(d));
}

TEST_BETWEEN(begin, end, a_queue_with_other_arguments_is_of_the_stated_type_all_the_same)
{
    struct declare_item *q = queue_with(QUEUE_CLASSIC, long_and_single, 1);

    declare_up(d);
    no(406, OTHER_LENGTH);
    no(406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': "
            "received 'none' but current is 'quorum'");
    no(406, "PRECONDITION_FAILED - inequivalent arg 'x-delivery-limit' for queue 'q' in vhost "
            "'/': received the value 'none' of type 'longstr' but current is none");
    assert_int_equal(declare_state(q), DECLARE_REFUSED);
    assert_non_null(strstr(declare_why(q), "exists with type = quorum"));
    assert_non_null(strstr(declare_why(q), "rules/a.lua:3"));
}

TEST_BETWEEN(begin, end, a_queue_that_goes_while_it_is_probed_is_asked_for_again)
{
    queue_with(QUEUE_CLASSIC, long_and_single, 1);
    declare_up(d);
    no(406, OTHER_LENGTH);
    fake_link.said[0] = '\0';
    no(404, "NOT_FOUND - no queue 'q' in vhost '/'");
    sent("1:close-ok 1:open 1:queue.declare?(q)");
    no(404, "NOT_FOUND - no queue 'q' in vhost '/'");
    sent("1:close-ok 1:open 1:queue.declare(q,classic x-max-length=10,durable)");
}

TEST_BETWEEN(begin, end, bindings_differ_by_their_arguments)
{
    const struct argument all[] = {{"k", ARGUMENT_TEXT, "v", 0},
                                   {"x-match", ARGUMENT_TEXT, "all", 0}};
    const struct arguments some = {all, 2}, fewer = {all, 1};
    struct declare_item *x = exchange(x_name), *q = queue(QUEUE_ANY);
    struct declare_item *one = declare_binding(d, x, q, none, &some);

    assert_ptr_equal(declare_binding(d, x, q, none, &some), one);
    assert_ptr_not_equal(declare_binding(d, x, q, none, &fewer), one);
    declare_up(d);
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    fake_link.said[0] = '\0';
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    sent("1:bind(q,x, k=v x-match=all)");
    ok(AMQP_QUEUE_BIND_OK_METHOD);
    sent("1:bind(q,x, k=v)");
}

TEST_BETWEEN(begin, end, an_exchange_takes_from_another_once_both_are_there)
{
    struct destination from = {EXCHANGE_FANOUT, x_name, none},
                       source = {EXCHANGE_TOPIC, y_name, key};
    struct subscription s = {.queue = q_name,
                             .from = &from,
                             .n_from = 1,
                             .targets = &from,
                             .sources = &source,
                             .n_sources = 1,
                             .origin = origin};

    assert_int_equal(declare_bindings(d, declare_queue(d, &s), &s), OK);
    assert_int_equal(declare_bindings(d, declare_queue(d, &s), &s), OK);
    declare_up(d);
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD); /* x */
    fake_link.said[0] = '\0';
    ok(AMQP_QUEUE_BIND_OK_METHOD);
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD); /* y */
    ok(AMQP_EXCHANGE_BIND_OK_METHOD);
    sent("1:exchange.declare?(y) 1:exchange.bind(x,y,k)");
    assert_true(declare_is_answered(d));
    assert_null(declare_trouble(d));
}

#define NO_DEAD_LETTERS                                                                            \
    "PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': " \
    "received the value '' of type 'longstr' but current is none"

TEST_BETWEEN(begin, end, a_queue_without_a_dead_letter_queue_is_declared_without_it)
{
    struct declare_item *q = queue(QUEUE_QUORUM);
    struct declare_item *dead = declare_dead_queue(d, q, "q.herald-dead");

    declare_up(d);
    no(406, NO_DEAD_LETTERS);
    sent("1:open 1:queue.declare(q,quorum -> q.herald-dead,durable) 1:close-ok 1:open "
         "1:queue.declare(q,quorum,durable)");
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    assert_int_equal(declare_state(q), DECLARE_READY);
    sent("1:queue.declare?(q.herald-dead)");
    no(404, "NOT_FOUND - no queue 'q.herald-dead' in vhost '/'");
    sent("1:close-ok");
    assert_int_equal(declare_state(dead), DECLARE_ABSENT);
    assert_null(declare_trouble(d));
    assert_true(declare_is_answered(d));
}

/* The broker compares x-queue-type last. */
TEST_BETWEEN(begin, end, a_queue_of_another_type_is_refused_for_its_type)
{
    struct declare_item *q = queue(QUEUE_QUORUM);

    declare_up(d);
    no(406, NO_DEAD_LETTERS);
    no(406,
       "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received "
       "the value 'quorum' of type 'longstr' but current is none");
    sent("1:open 1:queue.declare(q,quorum -> q.herald-dead,durable) 1:close-ok 1:open "
         "1:queue.declare(q,quorum,durable) 1:close-ok");
    assert_int_equal(declare_state(q), DECLARE_REFUSED);
    assert_non_null(strstr(declare_why(q), "exists with type = classic"));
}

TEST_BETWEEN(begin, end, a_user_who_may_not_dead_letter_gets_a_plain_queue)
{
    struct declare_item *q = queue(QUEUE_ANY);

    declare_up(d);
    no(404, "NOT_FOUND - no queue 'q' in vhost '/'");
    no(403, "ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused for user");
    sent("1:open 1:queue.declare?(q) 1:close-ok 1:open "
         "1:queue.declare(q,quorum -> q.herald-dead,durable) 1:close-ok 1:open "
         "1:queue.declare(q,quorum,durable)");
    no(403, "ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user");
    sent("1:close-ok");
    assert_int_equal(declare_state(q), DECLARE_REFUSED);
}

TEST_BETWEEN(begin, end, a_name_too_long_for_a_dead_letter_queue_is_declared_without)
{
    char name[245], want[300];
    struct subscription s = {.queue = name, .origin = origin};

    memset(name, 'q', sizeof name - 1);
    name[sizeof name - 1] = '\0'; /* 244 bytes: one too many */
    assert_non_null(declare_queue(d, &s));
    declare_up(d);
    fake_link.said[0] = '\0';
    no(404, "NOT_FOUND - no queue");
    snprintf(want, sizeof want, "1:close-ok 1:open 1:queue.declare(%s,quorum,durable)", name);
    sent(want);
}

TEST_BETWEEN(begin, end, a_queue_that_has_its_dead_letter_queue_gets_it_made)
{
    struct declare_item *q = queue(QUEUE_QUORUM);
    struct declare_item *dead = declare_dead_queue(d, q, "q.herald-dead");

    declare_up(d);
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    no(404, "NOT_FOUND - no queue 'q.herald-dead' in vhost '/'");
    sent("1:open 1:queue.declare(q,quorum -> q.herald-dead,durable) "
         "1:queue.declare?(q.herald-dead) 1:close-ok 1:open "
         "1:queue.declare(q.herald-dead,quorum 1000000000,durable)");
    no(406, "PRECONDITION_FAILED - inequivalent arg 'x-queue-type': made meanwhile");
    sent("1:close-ok 1:open 1:queue.declare?(q.herald-dead)");
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    assert_int_equal(declare_state(dead), DECLARE_READY);
    sent("");
}

TEST_BETWEEN(begin, end, a_refused_dead_letter_queue_is_tried_again_and_is_nobodys_trouble)
{
    struct declare_item *q = queue(QUEUE_ANY);
    struct declare_item *dead = declare_dead_queue(d, q, "q.herald-dead");

    declare_up(d);
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    no(405, "RESOURCE_LOCKED - cannot obtain exclusive access");
    assert_int_equal(declare_state(dead), DECLARE_REFUSED);
    assert_non_null(strstr(declare_why(dead), "dead-letter queue \"q.herald-dead\""));
    assert_null(declare_trouble(d));
    assert_true(declare_due(d) < INT64_MAX);
    end();
    begin(); /* one whose queue is refused is not looked for, until that is there */
    q = queue(QUEUE_ANY);
    dead = declare_dead_queue(d, q, "q.herald-dead");
    declare_up(d);
    no(405, "RESOURCE_LOCKED - cannot obtain exclusive access");
    assert_int_equal(declare_state(dead), DECLARE_ABSENT);
    fake_now = declare_due(d);
    fake_link.said[0] = '\0';
    declare_step(d);
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    sent("1:open 1:queue.declare?(q) 1:queue.declare?(q.herald-dead)");
}

TEST_BETWEEN(begin, end, a_binding_waits_for_both_its_ends)
{
    struct declare_item *q = queue(QUEUE_ANY), *x = exchange(x_name);
    struct declare_item *b = declare_binding(d, x, q, key, &no_arguments);

    declare_up(d);
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("1:open 1:queue.declare?(q) 1:exchange.declare?(x) 1:bind(q,x,k)");
    assert_int_equal(declare_state(b), DECLARE_WAITING);
    ok(AMQP_QUEUE_BIND_OK_METHOD);
    assert_int_equal(declare_state(b), DECLARE_READY);
}

TEST_BETWEEN(begin, end, a_refusal_holds_up_nobody_else_and_is_tried_again)
{
    struct declare_item *x = exchange(x_name), *y = exchange(y_name);
    struct declare_item *q = queue(QUEUE_ANY), *b = declare_binding(d, x, q, key, &no_arguments);
    int64_t due;

    declare_up(d);
    no(403, "ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused");
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    sent("1:open 1:exchange.declare?(x) 1:close-ok 1:open 1:exchange.declare?(y) "
         "1:queue.declare?(q)");
    assert_int_equal(declare_state(x), DECLARE_REFUSED);
    assert_int_equal(declare_state(y), DECLARE_READY);
    assert_int_equal(declare_state(b), DECLARE_REFUSED);
    assert_string_equal(declare_why(b),
                        "queue \"q\" is not bound to exchange \"x\": the exchange was refused");
    due = declare_due(d);
    assert_in_range(due - fake_now, 20 * 1000, 40 * 1000);
    declare_step(d);
    sent("");
    fake_now += 40 * 1000;
    declare_step(d);
    sent("1:exchange.declare?(x)");
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD); /* and the binding need not wait any more */
    sent("1:bind(q,x,k)");
}

static void say_no(uint16_t channel, uint16_t code, const char *text)
{
    amqp_channel_close_t close;
    amqp_method_t m = close_of(&close, code, text);

    declare_method(d, channel, &m);
}

TEST_BETWEEN(begin, end, items_go_side_by_side_and_a_refusal_costs_its_own_channel_alone)
{
    struct declare_item *x = exchange(x_name), *y = exchange(y_name);
    struct declare_item *q = queue(QUEUE_ANY);

    fake_link.channel_max = 2047;
    declare_up(d);
    sent("1:open 1:exchange.declare?(x) 2047:open 2047:exchange.declare?(y) 2046:open "
         "2046:queue.declare?(q)");
    say_no(2047, 403, "ACCESS_REFUSED - access to exchange 'y' in vhost '/' refused");
    sent("2047:close-ok");
    assert_int_equal(declare_state(y), DECLARE_REFUSED);
    assert_int_equal(declare_state(x), DECLARE_WAITING);
    say_no(2046, 404, "NOT_FOUND - no queue 'q' in vhost '/'");
    sent("2046:close-ok 2046:open 2046:queue.declare(q,quorum -> q.herald-dead,durable)");
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    assert_int_equal(declare_state(x), DECLARE_READY);
    assert_int_equal(declare_state(q), DECLARE_WAITING);
    fake_now += 2000; /* it is late: nobody waits for it */
    assert_true(declare_is_answered(d));
    fake_now += 13000;
    declare_step(d);
    assert_int_equal(declare_state(q), DECLARE_UNANSWERED);
    assert_non_null(strstr(declare_why(q), "queue \"q\": the broker has not answered"));
    assert_non_null(strstr(fake_link.said, "2046:close"));
    fake_now += 2000;
    assert_ptr_equal(declare_alone(d), q);
    assert_null(declare_alone(d));
}

/* Which a queue that may not be dead-lettered is told with the same words. */
TEST_BETWEEN(begin, end, an_exchange_that_may_not_be_made_is_asked_for_once)
{
    struct declare_item *x = exchange(x_name);

    declare_up(d);
    no(404, "NOT_FOUND - no exchange 'x' in vhost '/'");
    no(403, "ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused for user");
    sent("1:open 1:exchange.declare?(x) 1:close-ok 1:open 1:exchange.declare(x,fanout,durable) "
         "1:close-ok");
    assert_int_equal(declare_state(x), DECLARE_REFUSED);
}

TEST_BETWEEN(begin, end, everything_is_declared_again_after_a_reconnect)
{
    struct declare_item *x = exchange(x_name);

    declare_up(d);
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    down();
    assert_int_equal(declare_state(x), DECLARE_WAITING);
    sent("1:open 1:exchange.declare?(x)");
    declare_up(d);
    sent("1:open 1:exchange.declare?(x)");
}

TEST_BETWEEN(begin, end, what_is_gone_is_declared_again_with_its_bindings)
{
    struct declare_item *q = queue(QUEUE_ANY), *x = exchange(x_name);

    assert_non_null(declare_binding(d, x, q, key, &no_arguments));
    declare_up(d);
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    ok(AMQP_QUEUE_BIND_OK_METHOD);
    fake_link.said[0] = '\0';
    declare_exchange_again(d, "x");
    declare_step(d);
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("1:exchange.declare?(x) 1:bind(q,x,k)");
}

TEST_BETWEEN(begin, end, news_about_an_item_under_way_makes_it_start_over)
{
    struct declare_item *x = exchange(x_name);

    declare_up(d);
    declare_again(d, x);
    sent("1:open 1:exchange.declare?(x)");
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("1:exchange.declare?(x)");
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    assert_int_equal(declare_state(x), DECLARE_READY);
}

TEST_BETWEEN(begin, end, what_is_asked_for_twice_is_one_item)
{
    struct declare_item *x = exchange(x_name), *q = queue(QUEUE_ANY);

    assert_ptr_equal(exchange(x_name), x);
    assert_ptr_equal(queue(QUEUE_ANY), q);
    assert_ptr_equal(declare_binding(d, x, q, key, &no_arguments),
                     declare_binding(d, x, q, key, &no_arguments));
    assert_ptr_not_equal(declare_binding(d, x, q, none, &no_arguments),
                         declare_binding(d, x, q, key, &no_arguments));
}

TEST_BETWEEN(begin, end, answers_that_tell_of_no_consumer_are_counted)
{
    struct declare_item *q = queue(QUEUE_ANY);

    declare_up(d);
    assert_int_equal(declare_deserted(q), 0);
    queue_ok(0);
    assert_int_equal(declare_deserted(q), 1);
    declare_again(d, q);
    declare_step(d);
    queue_ok(2);
    assert_int_equal(declare_deserted(q), 1);
    declare_again(d, q);
    declare_step(d);
    queue_ok(0);
    assert_int_equal(declare_deserted(q), 2);
    queue_ok(0); /* nobody asked */
    assert_int_equal(declare_deserted(q), 2);
}

/* A plan of exchange x, bound to q. */
static struct declare_item *bound(char *exchange_name, enum queue_type type)
{
    struct declare_item *q = queue(type), *x = exchange(exchange_name);

    return declare_binding(d, x, q, key, &no_arguments);
}

TEST_BETWEEN(begin, end, a_plan_asks_for_nothing_before_it_is_adopted)
{
    struct declare_item *b;

    declare_plan(d);
    b = bound(x_name, QUEUE_ANY);
    assert_true(declare_adopt(d));
    sent("");
    declare_up(d);
    ok(AMQP_QUEUE_DECLARE_OK_METHOD);
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    ok(AMQP_QUEUE_BIND_OK_METHOD);
    assert_int_equal(declare_state(b), DECLARE_READY);
    fake_link.said[0] = '\0';
    declare_plan(d);
    assert_ptr_equal(bound(x_name, QUEUE_ANY), b);
    assert_false(declare_adopt(d)); /* nothing new in it */
    declare_step(d);
    sent("");
}

TEST_BETWEEN(begin, end, what_the_next_plan_does_not_name_is_declared_no_more)
{
    struct declare_item *x, *by_row, *b;
    struct destination to = {EXCHANGE_FANOUT, y_name, none};

    declare_plan(d);
    x = exchange(x_name);
    b = bound(x_name, QUEUE_ANY);
    assert_true(declare_adopt(d));
    by_row = declare_exchange(d, &to, false);
    declare_up(d);
    no(403, "ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused");
    assert_non_null(declare_trouble(d));

    declare_plan(d);
    assert_false(declare_adopt(d));
    assert_int_equal(declare_state(x), DECLARE_DROPPED);
    assert_int_equal(declare_state(b), DECLARE_DROPPED);
    assert_null(declare_trouble(d));
    assert_string_equal(declare_why(x), "");
    down();
    fake_link.said[0] = '\0';
    declare_up(d);
    sent("1:open 1:exchange.declare?(y)"); /* no rule ever named this one */
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("");
    assert_int_equal(declare_state(by_row), DECLARE_READY);
    assert_true(declare_is_answered(d));
    assert_true(declare_due(d) == INT64_MAX);

    declare_plan(d);
    assert_ptr_equal(exchange(x_name), x);
    assert_true(declare_adopt(d));
    declare_step(d);
    sent("1:exchange.declare?(x)");
}

TEST_BETWEEN(begin, end, what_is_dropped_while_it_is_under_way_is_not_made)
{
    struct declare_item *x;

    declare_plan(d);
    x = exchange(x_name);
    declare_adopt(d);
    declare_up(d);
    sent("1:open 1:exchange.declare?(x)");
    declare_plan(d);
    declare_adopt(d);
    no(404, "NOT_FOUND - no exchange 'x' in vhost '/'");
    sent("1:close-ok");
    declare_plan(d);
    exchange(x_name);
    declare_adopt(d);
    declare_step(d);
    sent("1:open 1:exchange.declare?(x)");
    assert_int_equal(declare_state(x), DECLARE_WAITING);
}

TEST_BETWEEN(begin, end, another_type_is_asked_for_and_explained_with_the_new_origin)
{
    struct subscription s = {.queue = q_name, .origin = origin};
    char later[] = "rules/b.lua:9";
    struct declare_item *q;

    declare_plan(d);
    q = declare_queue(d, &s);
    declare_adopt(d);
    declare_up(d);
    queue_ok(1);
    fake_link.said[0] = '\0';
    s.origin = later;
    s.queue_type = QUEUE_CLASSIC;
    declare_plan(d);
    assert_ptr_equal(declare_queue(d, &s), q);
    assert_false(declare_adopt(d));
    memset(later, '#', sizeof later - 1); /* it was only lent */
    declare_step(d);
    sent("1:queue.declare(q,classic,durable)");
    no(406,
       "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received "
       "none but current is the value 'quorum' of type 'longstr'");
    assert_non_null(strstr(declare_why(q), "queue_type = \"classic\" at rules/b.lua:9"));
    fake_link.said[0] = '\0';
    declare_plan(d); /* the person mends it: no waiting for the next try */
    s.queue_type = QUEUE_ANY;
    s.origin = origin;
    declare_queue(d, &s);
    declare_adopt(d);
    declare_step(d);
    sent("1:open 1:queue.declare?(q)");
}

TEST_BETWEEN(begin, end, an_abandoned_plan_leaves_no_trace)
{
    struct declare_item *q, *y;

    declare_plan(d);
    q = queue(QUEUE_ANY);
    declare_adopt(d);
    declare_up(d);
    sent("1:open 1:queue.declare?(q)");
    queue_ok(1);
    declare_plan(d);
    queue(QUEUE_CLASSIC);
    y = exchange(y_name);
    declare_abandon(d);
    declare_step(d);
    sent("");
    assert_int_equal(declare_state(y), DECLARE_DROPPED);
    assert_int_equal(declare_state(q), DECLARE_READY);
    down();
    declare_up(d);
    sent("1:open 1:queue.declare?(q)");
}

TEST_BETWEEN(begin, end, a_target_is_looked_for_and_never_made)
{
    struct declare_item *t;

    declare_plan(d);
    t = declare_target(d, "t");
    declare_adopt(d);
    declare_up(d);
    sent("1:open 1:queue.declare?(t)");
    assert_int_equal(declare_state(t), DECLARE_WAITING);
    no(404, "NOT_FOUND - no queue 't' in vhost '/'");
    sent("1:close-ok");
    assert_int_equal(declare_state(t), DECLARE_READY);
    assert_true(declare_was_absent(t));
    declare_plan(d); /* the next one looks again */
    assert_ptr_equal(declare_target(d, "t"), t);
    declare_adopt(d);
    declare_step(d);
    sent("1:open 1:queue.declare?(t)");
    queue_ok(0);
    assert_false(declare_was_absent(t));
    down();
    declare_up(d);
    sent("1:open 1:queue.declare?(t)");
    no(404, "NOT_FOUND - home node 'n' of durable queue 't' is down or inaccessible");
    assert_false(declare_was_absent(t));
    declare_again(d, t);
    declare_step(d);
    no(404, "NOT_FOUND - failed to perform operation on queue 't' in vhost '/' due to timeout");
    assert_false(declare_was_absent(t)); /* RabbitMQ 4 says it so */
    declare_again(d, t);
    declare_step(d);
    no(405, "RESOURCE_LOCKED - it is somebody's own"); /* and so it is there */
    assert_int_equal(declare_state(t), DECLARE_READY);
    assert_false(declare_was_absent(t));
    assert_null(declare_trouble(d));
}

TEST_BETWEEN(begin, end, an_exchange_was_absent_for_the_plan_that_made_it)
{
    struct declare_item *x;

    declare_plan(d);
    x = exchange(x_name);
    declare_adopt(d);
    declare_up(d);
    assert_false(declare_was_absent(x));
    no(404, "NOT_FOUND - no exchange 'x' in vhost '/'");
    ok(AMQP_EXCHANGE_DECLARE_OK_METHOD);
    assert_true(declare_was_absent(x));
    declare_plan(d);
    exchange(x_name);
    declare_adopt(d);
    assert_false(declare_was_absent(x)); /* by now somebody may have bound a queue to it */
}

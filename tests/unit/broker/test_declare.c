/* What is declared, in which order, and what comes of the broker's answers. */
#include "broker/declare.h"
#include "broker/fake_link.h"

static char x_name[] = "x", y_name[] = "y", key[] = "k", q_name[] = "q", none[] = "";
static char origin[] = "rules/a.lua:3";

static struct declare *begin(void)
{
    struct declare *d;

    fake_begin();
    d = declare_new(&fake_link, NULL, fake_clock);
    assert_non_null(d);
    return d;
}

static struct declare_item *exchange(struct declare *d, char *name)
{
    struct destination to = {EXCHANGE_FANOUT, name, none};

    return declare_exchange(d, &to, true);
}

static struct declare_item *queue(struct declare *d, enum queue_type type)
{
    struct subscription s = {.queue = q_name, .queue_type = type, .origin = origin};

    return declare_queue(d, &s);
}

static void ok(struct declare *d, amqp_method_number_t id)
{
    amqp_method_t m = method_of(id, NULL);

    declare_method(d, &m);
}

static void no(struct declare *d, uint16_t code, const char *text)
{
    amqp_channel_close_t close;
    amqp_method_t m = close_of(&close, code, text);

    declare_method(d, &m);
}

static void what_exists_is_taken_as_it_is(void **state)
{
    struct declare *d = begin();
    struct declare_item *x = exchange(d, x_name), *q = queue(d, QUEUE_ANY);

    (void)state;
    declare_up(d);
    sent("1:open 1:exchange.declare?(x)");
    assert_int_equal(declare_state(x), DECLARE_WAITING);
    ok(d, AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("1:queue.declare?(q)");
    ok(d, AMQP_QUEUE_DECLARE_OK_METHOD);
    sent("");
    assert_int_equal(declare_state(x), DECLARE_READY);
    assert_int_equal(declare_state(q), DECLARE_READY);
    assert_null(declare_refused(d));
    declare_free(&d);
    assert_null(d);
}

static void what_is_absent_is_made_durable_and_quorum(void **state)
{
    struct declare *d = begin();
    struct declare_item *x = exchange(d, x_name), *q = queue(d, QUEUE_ANY);

    (void)state;
    declare_up(d);
    sent("1:open 1:exchange.declare?(x)");
    no(d, 404, "NOT_FOUND - no exchange 'x' in vhost '/'");
    sent("1:close-ok 1:open 1:exchange.declare(x,fanout,durable)");
    ok(d, AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("1:queue.declare?(q)");
    no(d, 404, "NOT_FOUND - no queue 'q' in vhost '/'");
    sent("1:close-ok 1:open 1:queue.declare(q,quorum,durable)");
    ok(d, AMQP_QUEUE_DECLARE_OK_METHOD);
    assert_int_equal(declare_state(x), DECLARE_READY);
    assert_int_equal(declare_state(q), DECLARE_READY);
    declare_free(&d);
}

static void a_stated_type_is_declared_at_once(void **state)
{
    struct declare *d = begin();
    struct declare_item *q = queue(d, QUEUE_CLASSIC);

    (void)state;
    declare_up(d);
    sent("1:open 1:queue.declare(q,plain,durable)");
    ok(d, AMQP_QUEUE_DECLARE_OK_METHOD);
    assert_int_equal(declare_state(q), DECLARE_READY);
    declare_free(&d);

    d = begin();
    q = queue(d, QUEUE_QUORUM);
    declare_up(d);
    sent("1:open 1:queue.declare(q,quorum,durable)");
    no(d, 406,
       "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'q' in vhost '/': received "
       "the value 'quorum' of type 'longstr' but current is none");
    sent("1:close-ok");
    assert_int_equal(declare_state(q), DECLARE_REFUSED);
    assert_non_null(strstr(declare_why(q), "exists with type = classic"));
    assert_non_null(strstr(declare_why(q), "rules/a.lua:3"));
    assert_ptr_equal(declare_refused(d), declare_why(q));
    declare_free(&d);
}

static void a_binding_waits_for_both_its_ends(void **state)
{
    struct declare *d = begin();
    struct declare_item *q = queue(d, QUEUE_ANY), *x = exchange(d, x_name);
    struct declare_item *b = declare_binding(d, x, q, key);

    (void)state;
    declare_up(d);
    ok(d, AMQP_QUEUE_DECLARE_OK_METHOD);
    ok(d, AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("1:open 1:queue.declare?(q) 1:exchange.declare?(x) 1:bind(q,x,k)");
    assert_int_equal(declare_state(b), DECLARE_WAITING);
    ok(d, AMQP_QUEUE_BIND_OK_METHOD);
    assert_int_equal(declare_state(b), DECLARE_READY);
    declare_free(&d);
}

static void a_refusal_holds_up_nobody_else_and_is_tried_again(void **state)
{
    struct declare *d = begin();
    struct declare_item *x = exchange(d, x_name), *y = exchange(d, y_name);
    struct declare_item *q = queue(d, QUEUE_ANY), *b = declare_binding(d, x, q, key);
    int64_t due;

    (void)state;
    declare_up(d);
    no(d, 403, "ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused");
    ok(d, AMQP_EXCHANGE_DECLARE_OK_METHOD);
    ok(d, AMQP_QUEUE_DECLARE_OK_METHOD);
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
    ok(d, AMQP_EXCHANGE_DECLARE_OK_METHOD); /* and the binding need not wait any more */
    sent("1:bind(q,x,k)");
    declare_free(&d);
}

static void everything_is_declared_again_after_a_reconnect(void **state)
{
    struct declare *d = begin();
    struct declare_item *x = exchange(d, x_name);

    (void)state;
    declare_up(d);
    ok(d, AMQP_EXCHANGE_DECLARE_OK_METHOD);
    declare_down(d);
    assert_int_equal(declare_state(x), DECLARE_WAITING);
    sent("1:open 1:exchange.declare?(x)");
    declare_up(d);
    sent("1:open 1:exchange.declare?(x)");
    declare_free(&d);
}

static void what_is_gone_is_declared_again_with_its_bindings(void **state)
{
    struct declare *d = begin();
    struct declare_item *q = queue(d, QUEUE_ANY), *x = exchange(d, x_name);

    (void)state;
    assert_non_null(declare_binding(d, x, q, key));
    declare_up(d);
    ok(d, AMQP_QUEUE_DECLARE_OK_METHOD);
    ok(d, AMQP_EXCHANGE_DECLARE_OK_METHOD);
    ok(d, AMQP_QUEUE_BIND_OK_METHOD);
    fake_link.said[0] = '\0';
    declare_exchange_again(d, "x");
    declare_step(d);
    ok(d, AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("1:exchange.declare?(x) 1:bind(q,x,k)");
    declare_free(&d);
}

static void news_about_an_item_under_way_makes_it_start_over(void **state)
{
    struct declare *d = begin();
    struct declare_item *x = exchange(d, x_name);

    (void)state;
    declare_up(d);
    declare_again(d, x);
    sent("1:open 1:exchange.declare?(x)");
    ok(d, AMQP_EXCHANGE_DECLARE_OK_METHOD);
    sent("1:exchange.declare?(x)");
    ok(d, AMQP_EXCHANGE_DECLARE_OK_METHOD);
    assert_int_equal(declare_state(x), DECLARE_READY);
    declare_free(&d);
}

static void what_is_asked_for_twice_is_one_item(void **state)
{
    struct declare *d = begin();
    struct declare_item *x = exchange(d, x_name), *q = queue(d, QUEUE_ANY);

    (void)state;
    assert_ptr_equal(exchange(d, x_name), x);
    assert_ptr_equal(queue(d, QUEUE_ANY), q);
    assert_ptr_equal(declare_binding(d, x, q, key), declare_binding(d, x, q, key));
    assert_ptr_not_equal(declare_binding(d, x, q, none), declare_binding(d, x, q, key));
    declare_free(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_exists_is_taken_as_it_is),
        cmocka_unit_test(what_is_absent_is_made_durable_and_quorum),
        cmocka_unit_test(a_stated_type_is_declared_at_once),
        cmocka_unit_test(a_binding_waits_for_both_its_ends),
        cmocka_unit_test(a_refusal_holds_up_nobody_else_and_is_tried_again),
        cmocka_unit_test(everything_is_declared_again_after_a_reconnect),
        cmocka_unit_test(what_is_gone_is_declared_again_with_its_bindings),
        cmocka_unit_test(news_about_an_item_under_way_makes_it_start_over),
        cmocka_unit_test(what_is_asked_for_twice_is_one_item),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

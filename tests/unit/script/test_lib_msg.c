/* The message as a handler sees it. */
#include "fake_host.h"

static void all_fields_are_there(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.message.key[2] = slice_of("");
    s.message.body = slice_of("{\"a\":[1,2]}");
    s.message.headers = slice_of("{\"source\":\"shop\",\"n\":3,\"b\":true}");
    s.message.timestamp_s = 1700000000;
    s.lent.attempt = 2;
    s.lent.redelivered = true;
    s.lent.routing_key = slice_of("orders.paid");
    RUNS(&s, "assert(msg.id == 'm-1' and msg.type == 'payresult_notify')\n"
             "assert(msg.order_type == '60201' and msg.business_key2 == '60201')\n"
             "assert(msg.business_key1 == '16' and msg.business_key3 == '')\n"
             "assert(msg.raw == '{\"a\":[1,2]}' and msg.body.a[2] == 2)\n"
             "assert(msg.headers.source == 'shop' and msg.headers.n == 3 and msg.headers.b)\n"
             "assert(msg.attempt == 2 and msg.redelivered == true)\n"
             "assert(msg.queue == 'paynotify_queue' and msg.exchange == 'paynotify')\n"
             "assert(msg.routing_key == 'orders.paid' and msg.timestamp == 1700000000)\n"
             "assert(msg.body == msg.body and msg.headers == msg.headers)\n"
             "assert(tostring(msg) == 'herald.msg m-1')");
    end(&s);
}

static void what_is_absent_is_nil(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.message.id = (struct slice){NULL, 0};
    s.message.key[1] = s.message.key[0] = (struct slice){NULL, 0};
    s.message.body = (struct slice){NULL, 0};
    RUNS(&s, "assert(msg.id == nil and msg.order_type == nil and msg.business_key1 == nil)\n"
             "assert(msg.body == nil and msg.raw == nil and msg.timestamp == nil)\n"
             "assert(next(msg.headers) == nil and msg.redelivered == false)\n"
             "assert(tostring(msg) == 'herald.msg (without id)')");
    end(&s);
}

static void a_body_that_is_not_json_is_raw_only(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    s.message.body = (struct slice){"\0\xff", 2};
    s.message.content_type = slice_of("application/octet-stream");
    RUNS(&s, "assert(msg.body == nil and msg.raw == '\\0\\xff')");
    s.message.content_type = slice_of("application/json; charset=utf-8");
    s.message.body = slice_of("null");
    RUNS(&s, "assert(msg.body == herald.null)");
    s.message.body = slice_of("false");
    RUNS(&s, "assert(msg.body == false)");
    s.message.body = slice_of("{");
    FAILS(&s, "return msg.body", "rules/a.lua:3: message body: bad JSON at byte 1: premature EOF");
    end(&s);
}

static void a_message_is_read_only_and_knows_its_fields(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    FAILS(&s, "msg.id = 5", "rules/a.lua:3: a message is read-only");
    FAILS(&s, "return msg.boddy",
          "rules/a.lua:3: a message has no field 'boddy': did you mean 'body'?");
    FAILS(&s, "return msg.businessKey1",
          "rules/a.lua:3: a message has no field 'businessKey1': did you mean 'business_key1'?");
    assert_int_equal(run(&s, "return msg.zzzzzzzz"), SCRIPT_FAILED);
    assert_non_null(strstr(s.out.error, "has no field 'zzzzzzzz' (known: id, type, order_type,"));
    assert_int_equal(run(&s, "return msg[1]"), SCRIPT_FAILED);
    assert_int_equal(run(&s, "return msg[{}]"), SCRIPT_FAILED);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_fields_are_there),
        cmocka_unit_test(what_is_absent_is_nil),
        cmocka_unit_test(a_body_that_is_not_json_is_raw_only),
        cmocka_unit_test(a_message_is_read_only_and_knows_its_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

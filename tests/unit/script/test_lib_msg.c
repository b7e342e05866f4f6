/* The message as a handler sees it. */
#include "fake_host.h"

TEST_WITH(scene, all_fields_are_there)
{
    f->message.key[2] = slice_of("");
    f->message.body = slice_of("{\"a\":[1,2]}");
    f->message.headers = slice_of("{\"source\":\"shop\",\"n\":3,\"b\":true}");
    f->message.timestamp_s = 1700000000;
    f->lent.attempt = 2;
    f->lent.redelivered = true;
    f->lent.routing_key = slice_of("orders.paid");
    RUNS(f, "assert(msg.id == 'm-1' and msg.type == 'payresult_notify')\n"
            "assert(msg.order_type == '60201' and msg.business_key2 == '60201')\n"
            "assert(msg.business_key1 == '16' and msg.business_key3 == '')\n"
            "assert(msg.raw == '{\"a\":[1,2]}' and msg.body.a[2] == 2)\n"
            "assert(msg.headers.source == 'shop' and msg.headers.n == 3 and msg.headers.b)\n"
            "assert(msg.attempt == 2 and msg.redelivered == true)\n"
            "assert(msg.queue == 'paynotify_queue' and msg.exchange == 'paynotify')\n"
            "assert(msg.routing_key == 'orders.paid' and msg.timestamp == 1700000000)\n"
            "assert(msg.body == msg.body and msg.headers == msg.headers)\n"
            "assert(tostring(msg) == 'herald.msg m-1')");
}

TEST_WITH(scene, the_trace_is_there)
{
    struct trace_context c;

    assert_true(trace_context_read(
        &c, slice_of("{\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\","
                     "\"tracestate\":\"k=v\"}")));
    f->lent.trace = &c;
    RUNS(f, "assert(msg.trace.trace_id == '4bf92f3577b34da6a3ce929d0e0e4736')\n"
            "assert(msg.trace.span_id == '00f067aa0ba902b7' and msg.trace.sampled == true)\n"
            "assert(msg.trace.traceparent == '00-' .. msg.trace.trace_id .. '-' .. "
            "msg.trace.span_id .. '-01')\n"
            "assert(msg.trace.tracestate == 'k=v')");
    c.flags = 0;
    c.state[0] = '\0';
    RUNS(f, "assert(msg.trace.sampled == false and msg.trace.tracestate == nil)");
    f->lent.trace = NULL;
    RUNS(f, "assert(msg.trace == nil)");
}

TEST_WITH(scene, what_is_absent_is_nil)
{
    f->message.id = (struct slice){NULL, 0};
    f->message.key[1] = f->message.key[0] = (struct slice){NULL, 0};
    f->message.body = (struct slice){NULL, 0};
    RUNS(f, "assert(msg.id == nil and msg.order_type == nil and msg.business_key1 == nil)\n"
            "assert(msg.body == nil and msg.raw == nil and msg.timestamp == nil)\n"
            "assert(next(msg.headers) == nil and msg.redelivered == false)\n"
            "assert(tostring(msg) == 'herald.msg (without id)')");
}

TEST_WITH(scene, the_properties_of_amqp_are_there)
{
    f->lent.content_type = slice_of("text/csv");
    f->message.properties =
        slice_of("{\"content_encoding\":\"gzip\",\"correlation_id\":\"c\",\"reply_to\":\"r\","
                 "\"priority\":5,\"expiration\":\"60000\",\"app_id\":\"shop\",\"user_id\":\"u\"}");
    RUNS(f, "assert(msg.content_type == 'text/csv' and msg.content_encoding == 'gzip')\n"
            "assert(msg.correlation_id == 'c' and msg.reply_to == 'r' and msg.priority == 5)\n"
            "assert(msg.expiration == '60000' and msg.app_id == 'shop' and msg.user_id == 'u')");
    f->message.properties = slice_of("{\"priority\":0}");
    RUNS(f, "assert(msg.priority == 0 and msg.reply_to == nil and msg.user_id == nil)");
    f->message.properties = (struct slice){NULL, 0};
    f->lent.content_type = (struct slice){NULL, 0};
    RUNS(f, "assert(msg.priority == nil and msg.content_type == nil)");
}

TEST_WITH(scene, a_header_that_is_null_is_nil)
{
    f->message.headers = slice_of("{\"a\":null,\"b\":1,\"c\":null,\"d\":{\"e\":null}}");
    RUNS(f, "local n = 0 for _ in pairs(msg.headers) do n = n + 1 end\n"
            "assert(n == 2 and msg.headers.a == nil and msg.headers.b == 1)\n"
            "assert(msg.headers.d.e == herald.null)");
}

TEST_WITH(scene, a_byte_array_among_the_headers_is_a_blob)
{
    f->message.headers = slice_of("{\"a\":{\"base64\":\"/2E=\"},\"b\":[{\"base64\":\"\"}],"
                                  "\"base64\":\"YQ==\",\"c\":{\"base64\":\"YQ==\",\"d\":1}}");
    RUNS(f, "local h = msg.headers\n"
            "assert(tostring(h.a) == '\\xffa' and h.a == herald.blob '\\xffa')\n"
            "assert(h.a ~= herald.blob 'a' and h.a ~= '\\xffa' and h.b[1] == herald.blob '')\n"
            "assert(h.base64 == 'YQ==' and h.c.base64 == 'YQ==')");
    f->message.headers = slice_of("{\"base64\":\"YQ==\"}");
    f->message.properties = slice_of("{\"correlation_id\":{\"base64\":\"/w==\"}}");
    RUNS(f, "assert(msg.headers.base64 == 'YQ==')\n"
            "assert(msg.correlation_id == herald.blob '\\xff')");
    FAILS(
        f, "herald.json.encode({ msg.correlation_id })",
        "rules/a.lua:3: cannot write value[1] as JSON: it is a herald.blob, and JSON has no bytes");
}

TEST_WITH(scene, a_body_that_is_not_json_is_raw_only)
{
    f->message.body = (struct slice){"\0\xff", 2};
    f->message.content_type = slice_of("application/octet-stream");
    RUNS(f, "assert(msg.body == nil and msg.raw == '\\0\\xff')");
    f->message.content_type = slice_of("application/json; charset=utf-8");
    f->message.body = slice_of("null");
    RUNS(f, "assert(msg.body == herald.null)");
    f->message.body = slice_of("false");
    RUNS(f, "assert(msg.body == false)");
    f->message.body = slice_of("{");
    FAILS(f, "return msg.body", "rules/a.lua:3: message body: bad JSON at byte 1: premature EOF");
}

TEST_WITH(scene, a_message_is_read_only_and_knows_its_fields)
{
    FAILS(f, "msg.id = 5", "rules/a.lua:3: a message is read-only");
    FAILS(f, "return msg.boddy",
          "rules/a.lua:3: a message has no field 'boddy': did you mean 'body'?");
    FAILS(f, "return msg.businessKey1",
          "rules/a.lua:3: a message has no field 'businessKey1': did you mean 'business_key1'?");
    assert_int_equal(run(f, "return msg.zzzzzzzz"), SCRIPT_FAILED);
    assert_non_null(strstr(f->out.error, "has no field 'zzzzzzzz' (known: id, type, order_type,"));
    assert_int_equal(run(f, "return msg[1]"), SCRIPT_FAILED);
    assert_int_equal(run(f, "return msg[{}]"), SCRIPT_FAILED);
}

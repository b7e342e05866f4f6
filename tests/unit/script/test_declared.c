/* What is kept of a declaration: its JSON, which tells it from any other. */
#include "fake_host.h"
#include "script/declared.h"

#define PREFIX "local herald = require 'herald'\n"
#define RETRY(more)                                                                                \
    "\"retry\":{\"attempts\":10,\"delays\":[1000],\"factor\":2.0,\"max_delay\":3600000,"           \
    "\"jitter\":0.1,\"max_age\":0}" more

static const char *json_of(const struct scene *s, enum rule_kind kind, size_t i)
{
    struct rule rule;

    assert_true(rules_at(script_rules(s->script), kind, i, &rule));
    return rule.json;
}

TEST_WITH(scene, a_route_is_its_fields)
{
    assert_string_equal(
        load(f,
             PREFIX "herald.route { type = 'a', to = herald.fanout 'x' }\n"
                    "herald.route { type = 'b\"', order_type = 7, order_by = 'business_key2',\n"
                    "  unroutable = 'drop', to = { herald.topic('y', 'k'), herald.queue 'q' } }"),
        "");
    assert_string_equal(json_of(f, RULE_ROUTE, 0),
                        "{\"type\":\"a\",\"to\":[{\"kind\":\"fanout\",\"exchange\":\"x\","
                        "\"routing_key\":\"\"}],\"unroutable\":\"retry\"}");
    assert_string_equal(json_of(f, RULE_ROUTE, 1),
                        "{\"type\":\"b\\\"\",\"order_type\":\"7\",\"to\":["
                        "{\"kind\":\"topic\",\"exchange\":\"y\",\"routing_key\":\"k\"},"
                        "{\"kind\":\"queue\",\"exchange\":\"\",\"routing_key\":\"q\"}],"
                        "\"unroutable\":\"drop\",\"order_by\":2}");
}

TEST_WITH(scene, a_subscription_is_its_fields)
{
    assert_string_equal(
        load(f, PREFIX "herald.subscribe { queue = 'p' }\n"
                       "herald.subscribe { queue = 'q', from = herald.direct('x', 'k'),\n"
                       "  queue_type = 'quorum', prefetch = 1, unhandled = 'dead',\n"
                       "  envelope = 'raw', identity = 'body.id', order_by = 'business_key1',\n"
                       "  on_dead = 'hold', pause_after = false }"),
        "");
    assert_string_equal(
        json_of(f, RULE_SUBSCRIPTION, 0),
        "{\"queue\":\"p\",\"from\":[],\"queue_type\":\"any\",\"prefetch\":500," RETRY(
            ",") "\"unhandled\":\"ack\",\"envelope\":\"auto\",\"pause_after\":20}");
    assert_string_equal(
        json_of(f, RULE_SUBSCRIPTION, 1),
        "{\"queue\":\"q\",\"from\":[{\"kind\":\"direct\",\"exchange\":\"x\","
        "\"routing_key\":\"k\"}],\"queue_type\":\"quorum\",\"prefetch\":1," RETRY(
            ",") "\"unhandled\":\"dead\",\"envelope\":\"raw\",\"identity_in_body\":true,"
                 "\"order_by\":1,\"hold\":true,\"pause_after\":0}");
}

/* By its author's text: what our own Lua makes of it is called in its place. */
TEST_WITH(scene, a_function_is_a_hash_of_its_lines)
{
    char first[512], second[512];

    assert_string_equal(load(f, PREFIX "herald.on('t', '1', function() return 1 end)\n"
                                       "herald.route { type = 't', to = function() return 1 end }"),
                        "");
    snprintf(first, sizeof first, "%s%s", json_of(f, RULE_HANDLER, 0), json_of(f, RULE_ROUTE, 0));
    assert_non_null(strstr(first, "\"handler\":\""));
    assert_non_null(strstr(first, "\"to\":[],\"to_function\":\""));
    assert_string_equal(load(f, PREFIX "\n\nherald.on('t', '1', function() return 1 end)\n"
                                       "herald.route { type = 't', to = function() return 1 end }"),
                        "");
    snprintf(second, sizeof second, "%s%s", json_of(f, RULE_HANDLER, 0), json_of(f, RULE_ROUTE, 0));
    assert_string_equal(first, second);
    assert_string_equal(load(f, PREFIX "herald.on('t', '1', function() return 2 end)\n"
                                       "herald.route { type = 't', to = function() return 2 end }"),
                        "");
    assert_string_not_equal(json_of(f, RULE_HANDLER, 0), second);
    assert_null(strstr(second, json_of(f, RULE_HANDLER, 0)));
    assert_null(strstr(second, json_of(f, RULE_ROUTE, 0)));
}

TEST_WITH(scene, every_field_of_a_policy_counts)
{
    static const char *const fields[] = {"attempts = 10", "attempts = 11", "delay = { '1s', '2s' }",
                                         "delay = '2s'",  "factor = 3",    "max_delay = '2h'",
                                         "jitter = 0",    "max_age = '1d'"};
    char text[8][512], rules[256];

    for (size_t i = 0; i < 8; i++) {
        snprintf(rules, sizeof rules, PREFIX "herald.on('t', '*', print, { retry = { %s } })",
                 fields[i]);
        assert_string_equal(load(f, rules), "");
        snprintf(text[i], sizeof text[i], "%s", json_of(f, RULE_HANDLER, 0));
        for (size_t k = 0; k < i; k++)
            assert_string_not_equal(text[k], text[i]);
    }
    assert_non_null(strstr(text[0], RETRY("")));
}

TEST_WITH(scene, a_handler_has_what_it_was_given)
{
    assert_string_equal(load(f, PREFIX "herald.on('t', 7, print, { timeout = '2s', queue = 'q' })\n"
                                       "herald.on('t', 7, print)"),
                        "");
    assert_non_null(strstr(json_of(f, RULE_HANDLER, 0), ",\"timeout\":2000}"));
    assert_ptr_equal(strstr(json_of(f, RULE_HANDLER, 0),
                            "{\"type\":\"t\",\"order_type\":\"7\",\"queue\":\"q\",\"handler\":\""),
                     json_of(f, RULE_HANDLER, 0));
    assert_null(strstr(json_of(f, RULE_HANDLER, 1), "queue"));
    assert_null(strstr(json_of(f, RULE_HANDLER, 1), "timeout"));
}

/* Which rule a message gets. */
#include "check.h"
#include "script/rules_int.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct rules *r;
static struct err err;

static void begin(void)
{
    r = rules_new();
    assert_non_null(r);
}

static void end(void)
{
    rules_free(&r);
}

static int add_handler(const char *type, const char *order, const char *origin)
{
    const struct handler h = {.type = type, .order_type = order, .ref = 1, .origin = origin};

    return rules_add_handler(r, &h, &err);
}

static int add_route(const char *type, const char *order, const char *origin)
{
    static struct destination to[] = {{EXCHANGE_FANOUT, "x", ""}};
    const struct route route = {
        .type = type, .order_type = order, .to = to, .n_to = 1, .origin = origin};

    return rules_add_route(r, &route, &err);
}

static const char *handler_of(const char *type, const char *order)
{
    const struct handler *h = rules_handler(r, slice_of("q"), slice_of(type), slice_of(order));

    return h ? h->origin : "none";
}

static const char *route_of(const char *type, const char *order)
{
    const struct route *route = rules_route(r, slice_of(type), slice_of(order));

    return route ? route->origin : "none";
}

TEST_BETWEEN(begin, end, the_most_specific_handler_wins)
{
    assert_int_equal(add_handler("*", "*", "any"), OK);
    assert_int_equal(add_handler("paid", "*", "paid"), OK);
    assert_int_equal(add_handler("paid", "60201", "paid 60201"), OK);
    assert_int_equal(add_handler("paid", "6020", "paid 6020"), OK);
    assert_int_equal(add_handler("pai", "60201", "pai"), OK);
    rules_seal(r);
    assert_string_equal(handler_of("paid", "60201"), "paid 60201");
    assert_string_equal(handler_of("paid", "6020"), "paid 6020");
    assert_string_equal(handler_of("paid", "602"), "paid");
    assert_string_equal(handler_of("paid", NULL), "paid");
    assert_string_equal(handler_of("paid", ""), "paid");
    assert_string_equal(handler_of("pai", "1"), "any");
    assert_string_equal(handler_of("other", "60201"), "any");
    assert_int_equal(rules_count(r, RULE_HANDLER), 5);
    rules_free(&r);
    assert_null(r);
}

TEST_BETWEEN(begin, end, this_queue_comes_before_any_within_a_pair)
{
    static const char *const handlers[][4] = {
        {"paid", "1", NULL, "paid 1"},  {"paid", "*", "q", "paid * q"},
        {"paid", "*", NULL, "paid *"},  {"*", "*", "q", "* * q"},
        {"paid", "1", "p", "paid 1 p"},
    };

    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        const struct handler h = {.type = handlers[i][0],
                                  .order_type = handlers[i][1],
                                  .queue = handlers[i][2],
                                  .ref = 1,
                                  .origin = handlers[i][3]};

        assert_int_equal(rules_add_handler(r, &h, &err), OK);
    }
    rules_seal(r);
    assert_string_equal(handler_of("paid", "1"), "paid 1"); /* in q: the pair counts more */
    assert_string_equal(handler_of("paid", "2"), "paid * q");
    assert_string_equal(handler_of("other", "1"), "* * q");
    assert_string_equal(rules_handler(r, slice_of("p"), slice_of("paid"), slice_of("1"))->origin,
                        "paid 1 p");
    assert_string_equal(rules_handler(r, slice_of("z"), slice_of("paid"), slice_of("2"))->origin,
                        "paid *");
    assert_null(rules_handler(r, slice_of("z"), slice_of("other"), slice_of("2")));
}

TEST_BETWEEN(begin, end, nothing_matches_nothing)
{
    rules_seal(r);
    assert_string_equal(handler_of("paid", "60201"), "none");
    assert_string_equal(route_of("paid", NULL), "none");
    assert_int_equal(rules_topology(r)->n_routes, 0);
    rules_free(&r);
    rules_free(&r);
}

TEST_BETWEEN(begin, end, a_route_with_its_order_type_comes_first)
{
    assert_int_equal(add_route("paid", NULL, "paid"), OK);
    assert_int_equal(add_route("paid", "60201", "paid 60201"), OK);
    assert_int_equal(add_route("sent", "1", "sent 1"), OK);
    rules_seal(r);
    assert_string_equal(route_of("paid", "60201"), "paid 60201");
    assert_string_equal(route_of("paid", "7"), "paid");
    assert_string_equal(route_of("paid", NULL), "paid");
    assert_string_equal(route_of("sent", "1"), "sent 1");
    assert_string_equal(route_of("sent", NULL), "none");
}

static bool is_still_for(const char *of, const char *of_order, const char *type, const char *order)
{
    return route_is_for(rules_route(r, slice_of(of), slice_of(of_order)), slice_of(type),
                        slice_of(order));
}

TEST_BETWEEN(begin, end, a_route_knows_whether_it_would_be_found_again)
{
    assert_int_equal(add_route("paid", "60201", "paid 60201"), OK);
    assert_int_equal(add_route("paid", NULL, "paid"), OK);
    assert_int_equal(add_route("sent", NULL, "sent"), OK);
    rules_seal(r);
    assert_true(is_still_for("sent", NULL, "sent", "7"));
    assert_true(is_still_for("sent", "7", "sent", NULL));
    assert_false(is_still_for("sent", NULL, "paid", NULL));
    assert_true(is_still_for("paid", "60201", "paid", "60201"));
    assert_false(is_still_for("paid", "60201", "paid", "7"));
    assert_false(is_still_for("paid", "60201", "paid", NULL));
    assert_true(is_still_for("paid", NULL, "paid", NULL));
    assert_false(is_still_for("paid", NULL, "paid", "60201")); /* another one is */
}

TEST_BETWEEN(begin, end, duplicates_name_both_places)
{
    struct subscription s = {.queue = "q", .origin = "a.lua:1"};

    assert_int_equal(add_handler("t", "o", "a.lua:1"), OK);
    assert_int_equal(add_handler("t", "o", "b.lua:2"), ERR_CONFIG);
    assert_string_equal(err.text, "b.lua:2: a second handler for type \"t\", order type \"o\": "
                                  "the first one is at a.lua:1");
    assert_int_equal(add_route("t", "o", "a.lua:1"), OK);
    assert_int_equal(add_route("t", NULL, "a.lua:2"), OK);
    assert_int_equal(add_route("t", "o", "b.lua:2"), ERR_CONFIG);
    assert_string_equal(err.text, "b.lua:2: a second route for type \"t\", order type \"o\": "
                                  "the first one is at a.lua:1");
    assert_int_equal(rules_add_subscription(r, &s, &err), OK);
    s.origin = "b.lua:2";
    assert_int_equal(rules_add_subscription(r, &s, &err), ERR_CONFIG);
    assert_string_equal(err.text, "b.lua:2: a second subscription for queue \"q\": "
                                  "the first one is at a.lua:1");
}

TEST_BETWEEN(begin, end, what_was_declared_is_found_by_place_and_by_name)
{
    static const char *const names[][LOOKUP_PARTS] = {{"t", "2"}, {"t"}, {"q"}};
    const struct subscription s = {.queue = "q", .json = "{}", .origin = "a.lua:3"};
    struct rule rule;

    assert_int_equal(add_handler("t", "1", "a.lua:1"), OK);
    assert_int_equal(add_handler("t", "2", "a.lua:2"), OK);
    assert_int_equal(rules_add_subscription(r, &s, &err), OK);
    rules_seal(r);
    assert_true(rules_at(r, RULE_HANDLER, 1, &rule));
    assert_string_equal(rule.name[1], "2");
    assert_null(rule.name[2]);
    assert_false(rules_at(r, RULE_HANDLER, 2, &rule));
    assert_false(rules_at(r, RULE_ROUTE, 0, &rule));
    assert_true(rules_find(r, RULE_HANDLER, names[0], &rule));
    assert_string_equal(rule.origin, "a.lua:2");
    assert_false(rules_find(r, RULE_HANDLER, names[1], &rule)); /* no name in part */
    assert_true(rules_find(r, RULE_SUBSCRIPTION, names[2], &rule));
    assert_string_equal(rule.json, "{}");
    assert_string_equal(rules_word(RULE_SUBSCRIPTION), "subscription");
}

TEST_BETWEEN(begin, end, many_handlers_are_found_each)
{
    char order[500][16];

    for (int i = 0; i < 500; i++) {
        int n = (i * 37) % 500;

        snprintf(order[n], sizeof order[n], "%d", n);
        assert_int_equal(add_handler("t", order[n], order[n]), OK);
    }
    rules_seal(r);
    for (int i = 0; i < 500; i++)
        assert_string_equal(handler_of("t", order[i]), order[i]);
}

TEST_BETWEEN(begin, end, handlers_of_a_rebuilt_state_take_the_old_ones_place)
{
    const struct handler h = {.type = "t", .order_type = "*", .ref = 1, .origin = "fresh"};
    struct rules *fresh = rules_new();
    const struct route *routes;

    assert_int_equal(add_route("t", NULL, "old"), OK);
    assert_int_equal(add_handler("t", "*", "old"), OK);
    rules_seal(r);
    routes = rules_topology(r)->routes;
    assert_int_equal(rules_add_handler(fresh, &h, &err), OK);
    rules_seal(fresh);
    rules_take_handlers(r, fresh);
    rules_free(&fresh);
    assert_string_equal(handler_of("t", "1"), "fresh");
    assert_ptr_equal(rules_topology(r)->routes, routes);
}

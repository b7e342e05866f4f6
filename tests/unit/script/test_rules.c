/* Which rule a message gets. */
#include "check.h"
#include "script/rules_int.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int add_handler(struct rules *r, const char *type, const char *order, const char *origin,
                       struct err *err)
{
    const struct handler h = {.type = type, .order_type = order, .ref = 1, .origin = origin};

    return rules_add_handler(r, &h, err);
}

static int add_route(struct rules *r, const char *type, const char *order, const char *origin,
                     struct err *err)
{
    static struct destination to[] = {{EXCHANGE_FANOUT, "x", ""}};
    const struct route route = {
        .type = type, .order_type = order, .to = to, .n_to = 1, .origin = origin};

    return rules_add_route(r, &route, err);
}

static const char *handler_of(const struct rules *r, const char *type, const char *order)
{
    const struct handler *h = rules_handler(r, slice_of("q"), slice_of(type), slice_of(order));

    return h ? h->origin : "none";
}

static const char *route_of(const struct rules *r, const char *type, const char *order)
{
    const struct route *route = rules_route(r, slice_of(type), slice_of(order));

    return route ? route->origin : "none";
}

TEST(the_most_specific_handler_wins)
{
    struct rules *r = rules_new();
    struct err err;

    assert_int_equal(add_handler(r, "*", "*", "any", &err), OK);
    assert_int_equal(add_handler(r, "paid", "*", "paid", &err), OK);
    assert_int_equal(add_handler(r, "paid", "60201", "paid 60201", &err), OK);
    assert_int_equal(add_handler(r, "paid", "6020", "paid 6020", &err), OK);
    assert_int_equal(add_handler(r, "pai", "60201", "pai", &err), OK);
    rules_seal(r);
    assert_string_equal(handler_of(r, "paid", "60201"), "paid 60201");
    assert_string_equal(handler_of(r, "paid", "6020"), "paid 6020");
    assert_string_equal(handler_of(r, "paid", "602"), "paid");
    assert_string_equal(handler_of(r, "paid", NULL), "paid");
    assert_string_equal(handler_of(r, "paid", ""), "paid");
    assert_string_equal(handler_of(r, "pai", "1"), "any");
    assert_string_equal(handler_of(r, "other", "60201"), "any");
    assert_int_equal(rules_count(r, RULE_HANDLER), 5);
    rules_free(&r);
    assert_null(r);
}

TEST(this_queue_comes_before_any_within_a_pair)
{
    static const char *const handlers[][4] = {
        {"paid", "1", NULL, "paid 1"},  {"paid", "*", "q", "paid * q"},
        {"paid", "*", NULL, "paid *"},  {"*", "*", "q", "* * q"},
        {"paid", "1", "p", "paid 1 p"},
    };
    struct rules *r = rules_new();
    struct err err;

    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++) {
        const struct handler h = {.type = handlers[i][0],
                                  .order_type = handlers[i][1],
                                  .queue = handlers[i][2],
                                  .ref = 1,
                                  .origin = handlers[i][3]};

        assert_int_equal(rules_add_handler(r, &h, &err), OK);
    }
    rules_seal(r);
    assert_string_equal(handler_of(r, "paid", "1"), "paid 1"); /* in q: the pair counts more */
    assert_string_equal(handler_of(r, "paid", "2"), "paid * q");
    assert_string_equal(handler_of(r, "other", "1"), "* * q");
    assert_string_equal(rules_handler(r, slice_of("p"), slice_of("paid"), slice_of("1"))->origin,
                        "paid 1 p");
    assert_string_equal(rules_handler(r, slice_of("z"), slice_of("paid"), slice_of("2"))->origin,
                        "paid *");
    assert_null(rules_handler(r, slice_of("z"), slice_of("other"), slice_of("2")));
    rules_free(&r);
}

TEST(nothing_matches_nothing)
{
    struct rules *r = rules_new();

    rules_seal(r);
    assert_string_equal(handler_of(r, "paid", "60201"), "none");
    assert_string_equal(route_of(r, "paid", NULL), "none");
    assert_int_equal(rules_topology(r)->n_routes, 0);
    rules_free(&r);
    rules_free(&r);
}

TEST(a_route_with_its_order_type_comes_first)
{
    struct rules *r = rules_new();
    struct err err;

    assert_int_equal(add_route(r, "paid", NULL, "paid", &err), OK);
    assert_int_equal(add_route(r, "paid", "60201", "paid 60201", &err), OK);
    assert_int_equal(add_route(r, "sent", "1", "sent 1", &err), OK);
    rules_seal(r);
    assert_string_equal(route_of(r, "paid", "60201"), "paid 60201");
    assert_string_equal(route_of(r, "paid", "7"), "paid");
    assert_string_equal(route_of(r, "paid", NULL), "paid");
    assert_string_equal(route_of(r, "sent", "1"), "sent 1");
    assert_string_equal(route_of(r, "sent", NULL), "none");
    rules_free(&r);
}

TEST(duplicates_name_both_places)
{
    struct rules *r = rules_new();
    struct subscription s = {.queue = "q", .origin = "a.lua:1"};
    struct err err;

    assert_int_equal(add_handler(r, "t", "o", "a.lua:1", &err), OK);
    assert_int_equal(add_handler(r, "t", "o", "b.lua:2", &err), ERR_CONFIG);
    assert_string_equal(err.text, "b.lua:2: a second handler for type \"t\", order type \"o\": "
                                  "the first one is at a.lua:1");
    assert_int_equal(add_route(r, "t", "o", "a.lua:1", &err), OK);
    assert_int_equal(add_route(r, "t", NULL, "a.lua:2", &err), OK);
    assert_int_equal(add_route(r, "t", "o", "b.lua:2", &err), ERR_CONFIG);
    assert_string_equal(err.text, "b.lua:2: a second route for type \"t\", order type \"o\": "
                                  "the first one is at a.lua:1");
    assert_int_equal(rules_add_subscription(r, &s, &err), OK);
    s.origin = "b.lua:2";
    assert_int_equal(rules_add_subscription(r, &s, &err), ERR_CONFIG);
    assert_string_equal(err.text, "b.lua:2: a second subscription for queue \"q\": "
                                  "the first one is at a.lua:1");
    rules_free(&r);
}

TEST(what_was_declared_is_found_by_place_and_by_name)
{
    static const char *const names[][LOOKUP_PARTS] = {{"t", "2"}, {"t"}, {"q"}};
    const struct subscription s = {.queue = "q", .json = "{}", .origin = "a.lua:3"};
    struct rules *r = rules_new();
    struct rule rule;
    struct err err;

    assert_int_equal(add_handler(r, "t", "1", "a.lua:1", &err), OK);
    assert_int_equal(add_handler(r, "t", "2", "a.lua:2", &err), OK);
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
    rules_free(&r);
}

TEST(many_handlers_are_found_each)
{
    struct rules *r = rules_new();
    struct err err;
    char order[500][16];

    for (int i = 0; i < 500; i++) {
        int n = (i * 37) % 500;

        snprintf(order[n], sizeof order[n], "%d", n);
        assert_int_equal(add_handler(r, "t", order[n], order[n], &err), OK);
    }
    rules_seal(r);
    for (int i = 0; i < 500; i++)
        assert_string_equal(handler_of(r, "t", order[i]), order[i]);
    rules_free(&r);
}

TEST(handlers_of_a_rebuilt_state_take_the_old_ones_place)
{
    struct rules *old = rules_new(), *fresh = rules_new();
    const struct route *routes;
    struct err err;

    assert_int_equal(add_route(old, "t", NULL, "old", &err), OK);
    assert_int_equal(add_handler(old, "t", "*", "old", &err), OK);
    rules_seal(old);
    routes = rules_topology(old)->routes;
    assert_int_equal(add_handler(fresh, "t", "*", "fresh", &err), OK);
    rules_seal(fresh);
    rules_take_handlers(old, fresh);
    rules_free(&fresh);
    assert_string_equal(handler_of(old, "t", "1"), "fresh");
    assert_ptr_equal(rules_topology(old)->routes, routes);
    rules_free(&old);
}

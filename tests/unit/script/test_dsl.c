/* What authors may declare, and what they are told when they err. */
#include "fake_host.h"

#define PREFIX "local herald = require 'herald'\n"

TEST_WITH(scene, declarations_become_rules)
{
    const struct topology *t;

    assert_string_equal(
        load(f, PREFIX "herald.route { type = 'paid', to = herald.fanout 'x' }\n"
                       "herald.route { type = 'paid', order_type = 60201, unroutable = 'park',\n"
                       "  order_by = 'business_key3',\n"
                       "  to = herald.topic('y', 'orders.paid') }\n"
                       "herald.subscribe {\n"
                       "  queue = 'q', queue_type = 'classic', prefetch = 10, unhandled = 'dead',\n"
                       "  from = { herald.fanout 'x', herald.direct('z', 'k') },\n"
                       "  retry = { attempts = 3, delay = { '1s', 5, '250ms' }, factor = 1.5,\n"
                       "    max_delay = '2h', jitter = 0.5, max_age = '1d' },\n"
                       "}\n"
                       "herald.subscribe { queue = 'plain', order_by = 'business_key1',\n"
                       "  on_dead = 'hold' }\n"
                       "return herald.on('paid', '*', function() end)\n"),
        "");
    t = rules_topology(script_rules(f->script));
    assert_int_equal(t->n_routes, 2);
    assert_null(t->routes[0].order_type);
    assert_string_equal(t->routes[0].to->exchange, "x");
    assert_int_equal(t->routes[0].to->kind, EXCHANGE_FANOUT);
    assert_int_equal(t->routes[0].unroutable, UNROUTABLE_RETRY);
    assert_string_equal(t->routes[0].origin, "rules/a.lua:2");
    assert_string_equal(t->routes[1].order_type, "60201");
    assert_string_equal(t->routes[1].to->routing_key, "orders.paid");
    assert_int_equal(t->routes[1].unroutable, UNROUTABLE_PARK);
    assert_int_equal(t->n_subscriptions, 2);
    assert_string_equal(t->subscriptions[0].queue, "q");
    assert_int_equal(t->subscriptions[0].queue_type, QUEUE_CLASSIC);
    assert_int_equal(t->subscriptions[0].prefetch, 10);
    assert_true(t->subscriptions[0].unhandled_dead);
    assert_int_equal(t->subscriptions[0].n_from, 2);
    assert_string_equal(t->subscriptions[0].from[1].exchange, "z");
    assert_string_equal(t->subscriptions[0].from[1].routing_key, "k");
    assert_int_equal(t->subscriptions[0].from[1].kind, EXCHANGE_DIRECT);
    assert_int_equal(t->subscriptions[0].retry.attempts, 3);
    assert_int_equal(t->subscriptions[0].retry.n_delays, 3);
    assert_int_equal(t->subscriptions[0].retry.delay_ms[1], 5000);
    assert_int_equal(t->subscriptions[0].retry.delay_ms[2], 250);
    assert_true(t->subscriptions[0].retry.factor == 1.5);
    assert_int_equal(t->subscriptions[0].retry.delay_max_ms, 7200000);
    assert_true(t->subscriptions[0].retry.jitter == 0.5);
    assert_int_equal(t->subscriptions[0].retry.max_age_ms, 86400000);
    assert_string_equal(t->subscriptions[0].origin, "rules/a.lua:6");
    assert_int_equal(t->routes[0].order_by, 0);
    assert_int_equal(t->routes[1].order_by, 3);
    assert_int_equal(t->subscriptions[0].order_by, 0);
    assert_false(t->subscriptions[0].hold);
    assert_int_equal(t->subscriptions[1].order_by, 1);
    assert_true(t->subscriptions[1].hold);
}

TEST_WITH(scene, a_queue_and_its_bindings_have_arguments)
{
    const struct subscription *s;
    const struct argument *a;

    assert_string_equal(load(f, PREFIX
                             "herald.subscribe { queue = 'q', priority = -5, exclusive = true,\n"
                             "  arguments = { ['x-queue-mode'] = 'lazy', ['x-max-length'] = 10,\n"
                             "    ['x-plugin'] = true },\n"
                             "  from = { herald.topic('t', { 'a.*', 'b.#' }),\n"
                             "    herald.headers('h', { ['x-match'] = 'any', n = 5 }),\n"
                             "    herald.headers 'h' } }\n"
                             "herald.subscribe { queue = 'r', from = herald.fanout 'x' }\n"
                             "herald.route { type = 't', to = herald.headers 'h' }"),
                        "");
    s = rules_topology(script_rules(f->script))->subscriptions;
    assert_int_equal(s->priority, -5);
    assert_true(s->exclusive);
    assert_int_equal(s->arguments.n, 3); /* in order of name */
    a = s->arguments.list;
    assert_string_equal(a[0].name, "x-max-length");
    assert_true(a[0].kind == ARGUMENT_INTEGER && a[0].number == 10);
    assert_true(a[1].kind == ARGUMENT_FLAG && a[1].number == 1);
    assert_true(a[2].kind == ARGUMENT_TEXT);
    assert_string_equal(a[2].text, "lazy");
    assert_int_equal(s->n_from, 4);
    assert_string_equal(s->from[0].routing_key, "a.*");
    assert_string_equal(s->from[1].routing_key, "b.#");
    assert_int_equal(s->from[2].kind, EXCHANGE_HEADERS);
    assert_int_equal(s->from_arguments[0].n, 0);
    assert_int_equal(s->from_arguments[2].n, 2);
    assert_string_equal(s->from_arguments[2].list[0].name, "n");
    assert_int_equal(s->from_arguments[2].list[0].number, 5);
    assert_int_equal(s->from_arguments[3].n, 0);
    assert_non_null(strstr(s->json, "\"arguments\":{\"x-max-length\":10,\"x-plugin\":true,"
                                    "\"x-queue-mode\":\"lazy\"}"));
    assert_int_equal(s[1].arguments.n + (size_t)s[1].priority, 0);
    assert_null(s[1].from_arguments);
    assert_null(strstr(s[1].json, "arguments"));
}

TEST_WITH(scene, defaults_are_the_documented_ones)
{
    const struct subscription *sub;

    assert_string_equal(load(f, PREFIX "herald.subscribe { queue = 'q' }\n"
                                       "herald.on('t', 'x', print)"),
                        "");
    sub = rules_topology(script_rules(f->script))->subscriptions;
    assert_int_equal(sub->n_from, 0);
    assert_int_equal(sub->queue_type, QUEUE_ANY);
    assert_int_equal(sub->prefetch, 500);
    assert_false(sub->unhandled_dead);
    assert_int_equal(sub->retry.attempts, 10);
    assert_int_equal(sub->retry.n_delays, 1);
    assert_int_equal(sub->retry.delay_ms[0], 1000);
    assert_true(sub->retry.factor == 2);
    assert_int_equal(sub->retry.delay_max_ms, 3600000);
    assert_true(sub->retry.jitter == 0.1);
    assert_int_equal(sub->retry.max_age_ms, 0);
    assert_int_equal(rules_count(script_rules(f->script), RULE_HANDLER), 1);
}

TEST_WITH(scene, the_settings_policy_stands_behind_the_rules_own)
{
    const struct retry_policy *p;

    f->settings.retry = (struct retry_policy){.attempts = 4,
                                              .n_delays = 2,
                                              .delay_ms = {10, 20},
                                              .factor = 3,
                                              .delay_max_ms = 500,
                                              .jitter = 0.25,
                                              .max_age_ms = 60000};
    assert_string_equal(load(f, PREFIX "herald.subscribe { queue = 'q' }\n"
                                       "herald.subscribe { queue = 'r', retry = { factor = 1 } }\n"
                                       "herald.on('t', '*', print, { retry = { delay = '1s' } })"),
                        "");
    p = &rules_topology(script_rules(f->script))->subscriptions[0].retry;
    assert_memory_equal(p, &f->settings.retry, sizeof *p);
    p = &rules_topology(script_rules(f->script))->subscriptions[1].retry;
    assert_true(p->factor == 1 && p->attempts == 4 && p->n_delays == 2 && p->delay_ms[1] == 20);
    p = rules_handler_at(script_rules(f->script), 0)->retry;
    assert_non_null(p);
    assert_true(p->n_delays == 1 && p->delay_ms[0] == 1000 && p->attempts == 4 && p->factor == 3);
}

TEST_WITH(scene, a_handler_has_options)
{
    const struct handler *h;

    assert_string_equal(
        load(f, PREFIX "herald.on('t', '1', print, { queue = 'q', timeout = '2s' })\n"
                       "herald.on('t', '1', print)\n"
                       "herald.on('t', '*', print, { queue = 'q', retry = { attempts = 2 } })\n"
                       "herald.on('*', '*', print, { queue = 'z', timeout = 0.5 })"),
        "");
    h = rules_handler(script_rules(f->script), slice_of("q"), slice_of("t"), slice_of("1"));
    assert_string_equal(h->queue, "q");
    assert_int_equal(h->timeout_ms, 2000);
    assert_null(h->retry);
    h = rules_handler(script_rules(f->script), slice_of("other"), slice_of("t"), slice_of("1"));
    assert_null(h->queue);
    assert_int_equal(h->timeout_ms, 0);
    h = rules_handler(script_rules(f->script), slice_of("q"), slice_of("t"), slice_of("2"));
    assert_int_equal(h->retry->attempts, 2);
    assert_null(
        rules_handler(script_rules(f->script), slice_of("other"), slice_of("t"), slice_of("2")));
    h = rules_handler(script_rules(f->script), slice_of("z"), slice_of("t"), slice_of("2"));
    assert_int_equal(h->timeout_ms, 500);
}

/* Each is line 2 of the file, which the error must name. */
static const struct {
    const char *code, *words;
} mistakes[] = {
    /* unknown keys */
    {"herald.subscribe { qeue = 'q' }",
     "unknown key 'qeue' in herald.subscribe: did you mean 'queue'?"},
    {"herald.subscribe { queue = 'q', zzzzzz = 1 }",
     "unknown key 'zzzzzz' in herald.subscribe (known: after, arguments, before, "
     "business_key1, business_key2, business_key3, envelope, exclusive, from, identity, on_dead, "
     "order_by, order_type, pause_after, prefetch, priority, queue, queue_type, retry, "
     "unhandled)"},
    {"herald.subscribe { queue = 'q', retry = { atempts = 3 } }",
     "unknown key 'atempts' in the retry of herald.subscribe: did you mean 'attempts'?"},
    {"herald.route { typ = 't' }", "unknown key 'typ' in herald.route: did you mean 'type'?"},
    {"herald.route { 't' }", "herald.route takes named fields: there is an integer among the keys"},
    {"herald.route 'x'", "herald.route takes a table, not a string"},
    {"herald.subscribe()", "herald.subscribe takes a table, not nil"},
    /* order */
    {"herald.subscribe { queue = 'q', order_by = 'buisness_key1' }",
     "order_by in herald.subscribe is \"buisness_key1\", not one of \"business_key1\", "
     "\"business_key2\", \"business_key3\""},
    {"herald.subscribe { queue = 'q', order_by = 1 }",
     "order_by in herald.subscribe is an integer, not one of \"business_key1\", "
     "\"business_key2\", \"business_key3\""},
    {"herald.route { type = 't', to = herald.fanout 'x', order_by = 'key' }",
     "order_by in herald.route is \"key\", not one of \"business_key1\", \"business_key2\", "
     "\"business_key3\""},
    {"herald.subscribe { queue = 'q', on_dead = 'hold' }",
     "on_dead in herald.subscribe is for lanes: say which by order_by"},
    {"herald.subscribe { queue = 'q', order_by = 'business_key1', on_dead = 'held' }",
     "on_dead in herald.subscribe is \"held\", not one of \"release\", \"hold\""},
    /* names */
    {"herald.subscribe {}", "queue in herald.subscribe is missing"},
    {"herald.subscribe { queue = 5 }", "queue in herald.subscribe is an integer, not a string"},
    {"herald.subscribe { queue = '' }", "queue in herald.subscribe is empty"},
    {"herald.subscribe { queue = ('q'):rep(256) }",
     "queue in herald.subscribe is longer than 255 bytes"},
    {"herald.subscribe { queue = '\\xff' }", "queue in herald.subscribe is not UTF-8 text"},
    {"herald.subscribe { queue = 'a\\0b' }", "queue in herald.subscribe is not UTF-8 text"},
    {"herald.fanout()", "the exchange of herald.fanout is missing"},
    {"herald.fanout('x', 'k')",
     "herald.fanout takes an exchange and no routing key: a fanout ignores it"},
    {"herald.topic('x')", "the routing key of herald.topic is missing"},
    {"herald.direct('x', {})",
     "the routing key of herald.direct is a table, not a text or a list of them"},
    {"herald.topic('x', { 'a', 5 })",
     "item 2 of the routing keys of herald.topic is an integer, not a string"},
    {"herald.queue {}", "the name in herald.queue is a table, not a string"},
    /* routes */
    {"herald.route { to = herald.fanout 'x' }", "type in herald.route is missing"},
    {"herald.route { type = '*', to = herald.fanout 'x' }",
     "type in herald.route is \"*\": a route is for one type"},
    {"herald.route { type = 't', order_type = 1.5, to = herald.fanout 'x' }",
     "order_type in herald.route is the float 1.5: write a string or a whole number"},
    {"herald.route { type = 't', unroutable = 'requeue', to = herald.fanout 'x' }",
     "unroutable in herald.route is \"requeue\", not one of \"retry\", \"park\", \"drop\""},
    {"herald.route { type = 't', unroutable = false, to = herald.fanout 'x' }",
     "unroutable in herald.route is a boolean, not one of \"retry\", \"park\", \"drop\""},
    {"herald.route { type = 't' }", "to is missing in herald.route: write herald.fanout"},
    {"herald.route { type = 't', to = 'x' }",
     "to in herald.route is a string, not a destination: write herald.fanout"},
    {"herald.route { type = 't', to = { kind = 'fanout', exchange = 'x', routing_key = '' } }",
     "to in herald.route is a table, not a destination"},
    {"herald.route { type = 't', to = {} }", "to in herald.route is an empty list: write herald."},
    {"herald.route { type = 't', to = { herald.fanout 'x', 'y' } }",
     "to in herald.route is a list whose item 2 is a string, not a destination: write herald."},
    {"herald.route { type = 't', to = { herald.fanout 'x', herald.queue 'q', herald.topic('x', '') "
     "} }",
     "to in herald.route is a list whose items 1 and 3 are the same: herald.topic \"x\""},
    {"local to = {} for i = 1, 65 do to[i] = herald.queue('q' .. i) end "
     "herald.route { type = 't', to = to }",
     "to in herald.route is a list of 65: it takes at most 64"},
    /* subscriptions */
    {"herald.subscribe { queue = 'q', from = 'x' }",
     "from in herald.subscribe has a string, not a destination"},
    {"herald.subscribe { queue = 'q', from = { herald.fanout 'x', 'y' } }",
     "from in herald.subscribe has a string, not a destination"},
    {"herald.subscribe { queue = 'q', from = {} }",
     "from in herald.subscribe is one destination or a list of them"},
    {"herald.subscribe { queue = 'q', from = { x = herald.fanout 'x' } }",
     "from in herald.subscribe is one destination or a list of them"},
    {"local from = {} for i = 1, 65 do from[i] = herald.fanout('x' .. i) end "
     "herald.subscribe { queue = 'q', from = from }",
     "from in herald.subscribe is a list of 65: it takes at most 64"},
    {"herald.subscribe { queue = 'q', from = herald.queue 'other' }",
     "from in herald.subscribe is a queue: a queue takes from exchanges"},
    {"herald.subscribe { queue = 'q', queue_type = 'stream' }",
     "queue_type in herald.subscribe is \"stream\", not one of \"quorum\", \"classic\""},
    {"herald.subscribe { queue = 'q', unhandled = 'drop' }",
     "unhandled in herald.subscribe is \"drop\", not one of \"ack\", \"dead\""},
    {"herald.subscribe { queue = 'q', prefetch = 0 }",
     "prefetch in herald.subscribe is 0: it must be between 1 and 65535"},
    {"herald.subscribe { queue = 'q', prefetch = 1.5 }",
     "prefetch in herald.subscribe is 1.5, not a whole number"},
    {"herald.subscribe { queue = 'q', prefetch = '5' }",
     "prefetch in herald.subscribe is a string, not a number"},
    {"herald.subscribe { queue = 'q', retry = 3 }",
     "the retry of herald.subscribe takes a table, not an integer"},
    {"herald.subscribe { queue = 'q', retry = { attempts = 0 } }",
     "attempts in the retry of herald.subscribe is 0: it must be between 1 and 1000000"},
    {"herald.subscribe { queue = 'q', retry = { delay = '1 min' } }",
     "delay in the retry of herald.subscribe is \"1 min\", not a duration: write a whole number "
     "with ms, s, m, h or d, such as \"30s\""},
    {"herald.subscribe { queue = 'q', retry = { delay = {} } }",
     "delay in the retry of herald.subscribe is a list of 0: it takes 1 to 16 durations"},
    {"herald.subscribe { queue = 'q', retry = { delay = { 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,"
     "17 } } }",
     "delay in the retry of herald.subscribe is a list of 17: it takes 1 to 16 durations"},
    {"herald.subscribe { queue = 'q', retry = { delay = true } }",
     "delay in the retry of herald.subscribe is a boolean: write a duration such as \"30s\", or "
     "seconds"},
    {"herald.subscribe { queue = 'q', retry = { delay = -1 } }",
     "delay in the retry of herald.subscribe is -1: it must be between 0 and"},
    {"herald.subscribe { queue = 'q', retry = { factor = 0.5 } }",
     "factor in the retry of herald.subscribe is 0.5: it must be between 1 and 1000"},
    {"herald.subscribe { queue = 'q', retry = { factor = 0/0 } }",
     "factor in the retry of herald.subscribe is"},
    {"herald.subscribe { queue = 'q', retry = { jitter = 1.1 } }",
     "jitter in the retry of herald.subscribe is 1.1: it must be between 0 and 1"},
    {"herald.subscribe { queue = 'q', retry = { max_age = 'old' } }",
     "max_age in the retry of herald.subscribe is \"old\", not a duration"},
    {"herald.subscribe { queue = 'q', priority = 'high' }",
     "priority in herald.subscribe is a string, not a number"},
    {"herald.subscribe { queue = 'q', priority = 1 << 31 }",
     "priority in herald.subscribe is 2147483648: it must be between"},
    {"herald.subscribe { queue = 'q', exclusive = 1 }",
     "exclusive in herald.subscribe is an integer, not a boolean"},
    {"herald.subscribe { queue = 'q', exclusive = true, queue_type = 'quorum' }",
     "exclusive in herald.subscribe is for classic queues"},
    {"herald.subscribe { queue = 'q', exclusive = true,"
     " arguments = { ['x-single-active-consumer'] = true } }",
     "herald.subscribe has exclusive and x-single-active-consumer"},
    /* arguments */
    {"herald.subscribe { queue = 'q', arguments = 'x' }",
     "arguments in herald.subscribe: write a table { [\"name\"] = value }, not a string"},
    {"herald.subscribe { queue = 'q', arguments = { 'x-max-length' } }",
     "arguments in herald.subscribe has an integer among its names"},
    {"herald.subscribe { queue = 'q', arguments = { ['x-max-lenght'] = 5 } }",
     "unknown argument 'x-max-lenght' in arguments in herald.subscribe: did you mean "
     "'x-max-length'?"},
    {"herald.subscribe { queue = 'q', arguments = { ['ha-policy'] = 'all' } }",
     "arguments in herald.subscribe has 'ha-policy': the arguments of a queue begin with x-"},
    {"herald.subscribe { queue = 'q', arguments = { ['x-max-length'] = '5' } }",
     "x-max-length in arguments in herald.subscribe is a string: it takes a whole number"},
    {"herald.subscribe { queue = 'q', arguments = { ['x-max-length'] = -5 } }",
     "x-max-length in arguments in herald.subscribe is -5: it is at least 0"},
    {"herald.subscribe { queue = 'q', arguments = { ['x-plugin'] = 1.5 } }",
     "x-plugin in arguments in herald.subscribe is a float: it takes a string, an integer or a "
     "boolean"},
    {"herald.subscribe { queue = 'q', arguments = { ['x-plugin'] = {} } }",
     "x-plugin in arguments in herald.subscribe is a table"},
    {"herald.subscribe { queue = 'q', arguments = { ['x-overflow'] = 'drop' } }",
     "x-overflow in arguments in herald.subscribe is \"drop\", not one of \"drop-head\", "},
    {"herald.subscribe { queue = 'q', arguments = { ['x-queue-type'] = 'quorum' } }",
     "arguments in herald.subscribe has x-queue-type: write queue_type = "},
    {"herald.headers('x', { ['x-match'] = 'some' })",
     "x-match in the arguments of herald.headers is \"some\", not one of \"all\", "},
    {"herald.headers('x', 5)", "the arguments of herald.headers: write a table"},
    {"herald.route { type = 't', to = herald.headers('x', { k = 'v' }) }",
     "to in herald.route is herald.headers with arguments: those are of bindings, for from in "
     "herald.subscribe"},
    {"herald.route { type = 't', to = { herald.topic('x', { 'a', 'b' }) } }",
     "to in herald.route is herald.topic with a list of routing keys"},
    /* handlers */
    {"herald.on()", "the type of herald.on is missing"},
    {"herald.on('t', function() end)",
     "herald.on takes a type, an order type and a function: write herald.on(\"t\", \"*\", "
     "function(msg, tx) ... end)"},
    {"herald.on('t')", "the order type of herald.on is missing"},
    {"herald.on('t', 'x')", "the handler of herald.on is nil, not a function"},
    {"herald.on('t', 'x', {})", "the handler of herald.on is a table, not a function"},
    {"herald.on('*', '60201', print)",
     "herald.on(\"*\", \"60201\") matches nothing: an order type belongs to a type"},
    /* duplicates name both places */
    {"herald.on('t', 'x', print)\nherald.on('t', 'x', print)",
     "rules/a.lua:3: a second handler for type \"t\", order type \"x\": the first one is at "
     "rules/a.lua:2"},
    {"local x = herald.fanout 'x' herald.route { type = 't', to = x }\n"
     "herald.route { type = 't', order_type = '*', to = x }",
     "rules/a.lua:3: a second route for type \"t\": the first one is at rules/a.lua:2"},
    {"herald.subscribe { queue = 'q' }\nherald.subscribe { queue = 'q' }",
     "rules/a.lua:3: a second subscription for queue \"q\": the first one is at rules/a.lua:2"},
};

TEST_WITH(scene, every_mistake_is_named_with_its_place)
{
    for (size_t i = 0; i < sizeof mistakes / sizeof mistakes[0]; i++) {
        char code[1024], words[1024];
        const char *got;

        snprintf(code, sizeof code, PREFIX "%s\n", mistakes[i].code);
        snprintf(words, sizeof words, "%s%s",
                 strncmp(mistakes[i].words, "rules/", 6) ? "rules/a.lua:2: " : "",
                 mistakes[i].words);
        got = load(f, code);
        assert_int_equal(f->err.code, ERR_CONFIG);
        if (strncmp(got, words, strlen(words)) != 0)
            fail_msg("%s\n%s\n%s", mistakes[i].code, words, got);
    }
}

TEST_WITH(scene, a_place_is_known_even_in_a_tail_call_or_a_pcall)
{
    assert_string_equal(
        load(f, PREFIX "return herald.route { type = 't' , x = 1}"),
        "rules/a.lua:2: unknown key 'x' in herald.route (known: format, order_by, order_type, to, "
        "type, unroutable)");
    assert_string_equal(load(f, PREFIX "local ok, e = pcall(herald.queue)\nerror(e, 0)"),
                        "rules/a.lua:2: the name in herald.queue is missing");
}

TEST_WITH(scene, destinations_cannot_be_changed)
{
    assert_string_equal(load(f, PREFIX "local d = herald.fanout 'x'\n"
                                       "assert(tostring(d) == 'herald.fanout \"x\"')\n"
                                       "d.exchange = 'y'"),
                        "rules/a.lua:4: a destination is read-only");
}

TEST_WITH(scene, a_handler_cannot_change_the_rules)
{
    FAILS(f, "herald.on('x', 'y', print)",
          "rules/a.lua:3: herald.on is for loading: a handler cannot change the rules");
}

/* A broker refuses one of the two for as long as the other stands. */
TEST_WITH(scene, an_exchange_is_of_one_kind)
{
    static const struct {
        const char *rules, *why;
    } cases[] = {
        {"herald.route { type = 't', to = herald.fanout 'x' }\n"
         "herald.route { type = 'u', to = herald.topic('x', 'k') }\n",
         "rules/a.lua:3: exchange \"x\" is a topic here, and a fanout at rules/a.lua:2: a broker "
         "has "
         "one exchange of that name, of one kind"},
        {"herald.subscribe { queue = 'q', from = herald.direct('x', 'k') }\n"
         "herald.route { type = 'u', to = { herald.queue 'x', herald.fanout 'x' } }\n",
         "rules/a.lua:3: exchange \"x\" is a fanout here, and a direct at rules/a.lua:2: a broker "
         "has one exchange of that name, of one kind"},
        {"herald.subscribe { queue = 'q', from = { herald.fanout 'x', herald.topic('x', 'k') } }\n",
         "rules/a.lua:2: exchange \"x\" is a topic here, and a fanout at rules/a.lua:2: a broker "
         "has "
         "one exchange of that name, of one kind"},
        {"herald.route { type = 't', to = herald.fanout 'amq.topic' }\n",
         "rules/a.lua:2: exchange \"amq.topic\" is a fanout here: every broker has it as a topic"},
        {"herald.route { type = 't', to = { herald.queue 'x', herald.topic('x', 'k') } }\n"
         "herald.subscribe { queue = 'x', from = herald.topic('x', 'l') }\n"
         "herald.route { type = 'v', to = herald.topic('amq.topic', 'l') }\n",
         ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[512];

        snprintf(text, sizeof text, "local herald = require 'herald'\n%s", cases[i].rules);
        assert_string_equal(load(f, text), cases[i].why);
    }
}

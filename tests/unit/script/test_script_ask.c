/* What rules are asked besides handling: routes, envelopes, identities. */
#include "fake_host.h"

#include "script/script_int.h"

#define PREFIX "local herald = require 'herald'\n"

static const struct topology *topology(const struct scene *s)
{
    return rules_topology(script_rules(s->script));
}

/* Loads one subscription and makes it the message's. */
static const struct subscription *subscribe(struct scene *s, const char *fields)
{
    char text[2048];

    snprintf(text, sizeof text, PREFIX "herald.subscribe { queue = 'q', %s }", fields);
    assert_string_equal(load(s, text), "");
    s->lent.subscription = topology(s)->subscriptions;
    return s->lent.subscription;
}

static int route(struct scene *s, const char *function, const struct destination **to, size_t *n)
{
    char text[2048];

    snprintf(text, sizeof text, PREFIX "herald.route { type = 't',\nto = %s }", function);
    assert_string_equal(load(s, text), "");
    assert_int_equal(topology(s)->n_routes, 1);
    assert_true(topology(s)->routes->to_function != 0);
    assert_int_equal(topology(s)->routes->n_to, 0);
    return script_route(s->script, topology(s)->routes, &s->message, to, n, &s->err);
}

TEST_WITH(scene, a_list_of_destinations_is_a_route_to_each)
{
    const struct route *r;

    assert_string_equal(load(f, PREFIX "herald.route { type = 't', to = {\n"
                                       "herald.fanout 'x', herald.topic('y', 'a.b'),\n"
                                       "herald.queue 'q' } }"),
                        "");
    r = topology(f)->routes;
    assert_int_equal(r->n_to, 3);
    assert_int_equal(r->to_function, 0);
    assert_string_equal(r->to[0].exchange, "x");
    assert_string_equal(r->to[1].routing_key, "a.b");
    assert_int_equal(r->to[2].kind, EXCHANGE_DEFAULT);
    assert_string_equal(r->to[2].routing_key, "q");
}

TEST_WITH(scene, a_function_chooses_by_the_message)
{
    const struct destination *to;
    size_t n;

    f->message.body = slice_of("{\"vip\":true}");
    assert_int_equal(route(f,
                           "function(msg) return msg.body.vip and\n"
                           "herald.topic('vip', msg.order_type) or herald.queue 'rest' end",
                           &to, &n),
                     OK);
    assert_int_equal(n, 1);
    assert_int_equal(to->kind, EXCHANGE_TOPIC);
    assert_string_equal(to->exchange, "vip");
    assert_string_equal(to->routing_key, "60201");
    f->message.body = slice_of("{\"vip\":false}");
    assert_int_equal(script_route(f->script, topology(f)->routes, &f->message, &to, &n, &f->err),
                     OK);
    assert_string_equal(to->routing_key, "rest");
    assert_int_equal(
        route(f, "function() return { herald.queue 'a', herald.queue 'b' } end", &to, &n), OK);
    assert_int_equal(n, 2);
    assert_string_equal(to[1].routing_key, "b");
}

TEST_WITH(scene, a_choice_that_is_none_is_an_error_with_its_place)
{
    static const struct {
        const char *function, *words;
    } cases[] = {
        {"function() end", "rules/a.lua:2: the function to of herald.route returned nil, not a "
                           "destination: write herald.fanout"},
        {"function() return 'q' end", "rules/a.lua:2: the function to of herald.route returned a "
                                      "string, not a destination"},
        {"function() return {} end", "rules/a.lua:2: the function to of herald.route returned an "
                                     "empty list"},
        {"function() return { herald.queue 'a', 5 } end",
         "rules/a.lua:2: the function to of herald.route returned a list whose item 2 is an "
         "integer"},
        {"function() return { herald.queue 'a', herald.queue 'a' } end",
         "rules/a.lua:2: the function to of herald.route returned a list whose items 1 and 2 are "
         "the same"},
        {"function() return herald.queue '' end", "rules/a.lua:3: the name in herald.queue is "
                                                  "empty"},
        {"function(msg) return msg.body.x.y end", "rules/a.lua:3: attempt to index a nil value "
                                                  "(field 'x')"},
        {"function() herald.reject 'no' end", "rules/a.lua:3: no"},
        {"function() while true do end end", "rules/a.lua:3: ran over its time limit of 200 ms"},
    };
    const struct destination *to;
    size_t n;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(route(f, cases[i].function, &to, &n), ERR_SCRIPT);
        if (strncmp(f->err.text, cases[i].words, strlen(cases[i].words)) != 0)
            fail_msg("%s\n%s", f->err.text, cases[i].words);
        assert_int_equal(n, 0);
    }
    f->settings.handler_ms = 1000000;
    assert_int_equal(
        route(f, "function() local t = {} while true do t[#t + 1] = {} end end", &to, &n),
        ERR_NOMEM);
}

TEST_WITH(scene, nothing_but_the_message_is_lent_to_a_question)
{
    const struct destination *to;
    size_t n;

    assert_int_equal(route(f,
                           "(function() local kept return function(msg, tx)\n"
                           "assert(tx == nil and msg.queue == nil and msg.id == 'm-1')\n"
                           "if kept then return kept.id end kept = msg\n"
                           "return herald.queue 'q' end end)()",
                           &to, &n),
                     OK);
    assert_int_equal(script_route(f->script, topology(f)->routes, &f->message, &to, &n, &f->err),
                     ERR_SCRIPT);
    assert_string_equal(f->err.text, "rules/a.lua:5: message used after its handler returned");
}

TEST_WITH(scene, an_envelope_is_read_by_a_function)
{
    struct script_reading reading;
    const struct message *const m = &reading.message;

    f->message.type = slice_of("xml");
    f->message.content_type = slice_of("text/xml");
    f->message.headers = slice_of("{\"tenant\":\"a\",\"n\":7}");
    f->message.timestamp_s = 1700000000;
    f->message.body = slice_of("<paid id='9007199254740993'/>");
    subscribe(f, "envelope = function(raw, p)\n"
                 "assert(p.message_id == 'm-1' and p.type == 'xml' and p.headers.tenant == 'a')\n"
                 "assert(p.content_type == 'text/xml' and p.timestamp == 1700000000)\n"
                 "assert(p.exchange == 'paynotify' and p.routing_key == '' and p.queue)\n"
                 "return { type = 'paid', id = raw:match(\"id='(%d+)'\"), order_type = p.headers.n,"
                 "\nbusiness_key1 = 16, business_key3 = herald.json.decode('1e400'),"
                 "\nbody = { a = { 1, 2 } } } end");
    assert_int_equal(f->lent.subscription->envelope, ENVELOPE_FUNCTION);
    assert_int_equal(script_envelope(f->script, &f->lent, &reading, &f->err), OK);
    assert_true(slice_is(m->type, "paid"));
    assert_true(slice_is(m->id, "9007199254740993"));
    assert_true(slice_is(m->key[0], "16"));
    assert_true(slice_is(m->key[1], "7"));
    assert_true(slice_is(m->key[2], "1e400"));
    assert_true(slice_is(m->body, "{\"a\":[1,2]}"));
    assert_null(m->content_type.data); /* JSON now */
    assert_int_equal(m->timestamp_s, 1700000000);
}

TEST_WITH(scene, what_an_envelope_leaves_out_stays_as_received)
{
    struct script_reading reading;
    const struct message *const m = &reading.message;

    f->message.content_type = slice_of("text/csv");
    f->message.body = slice_of("a;b\xff");
    subscribe(f, "envelope = function(raw, p) return { type = p.type, business_key3 = "
                 "herald.null } end");
    assert_int_equal(script_envelope(f->script, &f->lent, &reading, &f->err), OK);
    assert_true(slice_is(m->id, "m-1"));
    assert_null(m->key[0].data);
    assert_true(slice_is(m->body, "a;b\xff"));
    assert_true(slice_is(m->content_type, "text/csv"));
    subscribe(f, "envelope = function(raw) return { type = 't', body = raw .. '!' } end");
    assert_int_equal(script_envelope(f->script, &f->lent, &reading, &f->err), OK);
    assert_true(slice_is(m->body, "a;b\xff!"));
    assert_true(slice_is(m->content_type, "text/csv"));
}

TEST_WITH(scene, a_bad_envelope_is_an_error_with_words)
{
    static const struct {
        const char *function, *words;
    } cases[] = {
        {"function() end", "rules/a.lua:2: the envelope of herald.subscribe returned nil, not a "
                           "table with type, id, order_type, business_key1 to 3, body"},
        {"function() return {} end", "rules/a.lua:2: the envelope of herald.subscribe returned no "
                                     "type: that of the message is in properties.type"},
        {"function() return { type = 't', key1 = 1 } end",
         "rules/a.lua:2: unknown key 'key1' in what the envelope of herald.subscribe returned"},
        {"function() return { type = {} } end", "rules/a.lua:2: the envelope of herald.subscribe "
                                                "returned a table as type, not a string or an "
                                                "integer"},
        {"function() return { type = 't', id = 1.5 } end",
         "rules/a.lua:2: the envelope of herald.subscribe returned a float as id, not a string or "
         "an integer"},
        {"function() return { type = 't', business_key1 = '\\xff' } end",
         "rules/a.lua:2: the envelope of herald.subscribe returned a business_key1 that is not "
         "UTF-8 text"},
        {"function() return { type = ('t'):rep(256) } end",
         "rules/a.lua:2: type in what the envelope of herald.subscribe returned is longer than 255 "
         "bytes"},
        {"function() return { type = 't', order_type = 1, business_key2 = 2 } end",
         "rules/a.lua:2: the envelope of herald.subscribe returned an order_type and a "
         "business_key2 that differ"},
        {"function() return { type = 't', body = print } end",
         "rules/a.lua:2: cannot write body as JSON: it is a function"},
        {"function(raw) error 'not ours' end", "rules/a.lua:2: not ours"},
    };
    struct script_reading reading = {.message = {.timestamp_s = 5}};
    const struct message *const m = &reading.message;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char fields[512];

        snprintf(fields, sizeof fields, "envelope = %s", cases[i].function);
        subscribe(f, fields);
        assert_int_equal(script_envelope(f->script, &f->lent, &reading, &f->err), ERR_SCRIPT);
        if (strncmp(f->err.text, cases[i].words, strlen(cases[i].words)) != 0)
            fail_msg("%s\n%s", f->err.text, cases[i].words);
        assert_int_equal(m->timestamp_s, 5); /* untouched */
    }
}

TEST_WITH(scene, an_identity_is_a_text_or_nothing)
{
    struct slice id;

    f->message.id = (struct slice){NULL, 0};
    assert_int_equal(subscribe(f, "prefetch = 5")->identity, 0);
    assert_true(subscribe(f, "identity = function(msg) assert(msg.queue == 'paynotify_queue')\n"
                             "return 'pay-' .. msg.business_key1 end")
                    ->identity != 0);
    assert_int_equal(script_identity(f->script, &f->lent, &id, &f->err), OK);
    assert_true(slice_is(id, "pay-16"));
    subscribe(f, "identity = function() return math.maxinteger end");
    assert_int_equal(script_identity(f->script, &f->lent, &id, &f->err), OK);
    assert_true(slice_is(id, "9223372036854775807"));
    subscribe(f, "identity = function() return herald.json.decode('18446744073709551615') end");
    assert_int_equal(script_identity(f->script, &f->lent, &id, &f->err), OK);
    assert_true(slice_is(id, "18446744073709551615"));
    subscribe(f, "identity = function() return herald.null end");
    assert_int_equal(script_identity(f->script, &f->lent, &id, &f->err), OK);
    assert_null(id.data);
    subscribe(f, "identity = function() return '' end");
    assert_int_equal(script_identity(f->script, &f->lent, &id, &f->err), ERR_SCRIPT);
    assert_string_equal(f->err.text,
                        "rules/a.lua:2: what the identity of herald.subscribe returned is empty");
    assert_null(id.data);
    subscribe(f, "identity = function() return 1.5 end");
    assert_int_equal(script_identity(f->script, &f->lent, &id, &f->err), ERR_SCRIPT);
    assert_string_equal(f->err.text,
                        "rules/a.lua:2: what the identity of herald.subscribe returned "
                        "is a float, not a string");
}

/* A subscription may ask for nothing but identities for months. */
TEST_WITH(scene, answers_do_not_add_up)
{
    const struct destination *to;
    struct script_reading reading;
    const struct message *const m = &reading.message;
    struct slice id;
    size_t n;

    assert_int_equal(route(f, "function() return herald.queue(('q'):rep(200)) end", &to, &n), OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(
            script_route(f->script, topology(f)->routes, &f->message, &to, &n, &f->err), OK);
    assert_in_range(f->script->answers.used, 200, 1000);
    subscribe(f, "identity = function() return ('i'):rep(200) end,\n"
                 "envelope = function() return { type = 't', business_key1 = ('k'):rep(200) } end");
    assert_int_equal(script_envelope(f->script, &f->lent, &reading, &f->err), OK);
    for (int i = 0; i < 100; i++)
        assert_int_equal(script_identity(f->script, &f->lent, &id, &f->err), OK);
    assert_in_range(f->script->identities.used, 200, 1000);
    assert_int_equal(m->key[0].len, 200); /* an envelope's answer outlives them */
    assert_int_equal(m->key[0].data[199], 'k');
}

TEST_WITH(scene, a_rebuilt_script_answers_as_before)
{
    static const char text[] =
        PREFIX "herald.route { type = 't', to = function() return herald.queue 'x' end }\n"
               "herald.route { type = 'a', to = herald.queue 'y' }\n"
               "herald.subscribe { queue = 'q', identity = function() return 'i' end,\n"
               "before = function() end,\n"
               "envelope = function() return { type = 'e' } end }\n"
               "for i = 1, 50 do herald.on('t', i, function() end) end";
    const struct topology *t;
    const struct destination *to;
    struct script_reading reading;
    const struct message *const m = &reading.message;
    struct slice id;
    size_t n;

    assert_string_equal(load(f, text), "");
    t = topology(f);
    f->lent.subscription = t->subscriptions;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(script_route(f->script, &t->routes[0], &f->message, &to, &n, &f->err), OK);
        assert_string_equal(to->routing_key, "x");
        assert_int_equal(script_identity(f->script, &f->lent, &id, &f->err), OK);
        assert_true(slice_is(id, "i"));
        assert_int_equal(script_envelope(f->script, &f->lent, &reading, &f->err), OK);
        assert_true(slice_is(m->type, "e"));
        assert_int_equal(script_rebuild(&f->script, &f->err), OK);
        assert_ptr_equal(topology(f), t);
    }
}

/* Rules that look at the environment may declare other things the next time. */
TEST_WITH(scene, a_function_that_is_gone_after_a_rebuild_fails)
{
    const struct destination *to;
    size_t n;

    assert_int_equal(setenv("HERALD_TEST_FUNCTION", "1", 1), 0);
    assert_string_equal(load(f, PREFIX "if herald.env 'HERALD_TEST_FUNCTION' then\n"
                                       "herald.route { type = 't', to = function() end } end"),
                        "");
    assert_int_equal(unsetenv("HERALD_TEST_FUNCTION"), 0);
    assert_int_equal(script_rebuild(&f->script, &f->err), OK);
    assert_int_equal(script_route(f->script, topology(f)->routes, &f->message, &to, &n, &f->err),
                     ERR_SCRIPT);
    assert_string_equal(
        f->err.text,
        "rules/a.lua:3: the rules declared something else when they were run again: what they "
        "declare must not depend on time or environment");
}

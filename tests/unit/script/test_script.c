/* A generation: rebuilt from what it read, and whole under every failed allocation. */
#include "fake_host.h"

#include "script/script_int.h"

/* Memory that fails: `left` growing requests go well, then one fails, or all. */
struct shortage {
    long left;     /* < 0: none fails */
    bool for_good; /* all later ones fail too */
    bool failed;   /* one did */
    long stutter;  /* > 0: after so many requests (the state must stand before Lua tries
                      twice), each new block fails at first: a full collection every time */
    bool refused;  /* the last one was a stutter */
};

static void *scarce(void *arg, void *p, size_t size)
{
    struct shortage *m = arg;

    if (size == 0) {
        free(p);
        return NULL;
    }
    if (m->stutter > 1) {
        m->stutter--;
    } else if (m->stutter == 1 && p == NULL) {
        m->refused = !m->refused;
        if (m->refused)
            return NULL;
    }
    if (m->left == 0) {
        m->failed = true;
        if (!m->for_good)
            m->left = -1;
        return NULL;
    }
    if (m->left > 0)
        m->left--;
    return realloc(p, size);
}

/* A bit of everything that crosses the boundary. */
static const char everything[] =
    "local herald = require 'herald'\n"
    "herald.route { type = 'enrolled', to = { herald.topic('x', 'k'), herald.queue 'y' } }\n"
    "herald.route { type = 'chosen', to = function(msg) return { herald.topic('x', msg.type),\n"
    "  herald.queue 'z' } end }\n"
    "herald.subscribe { queue = 'q', from = { herald.fanout 'a', herald.direct('b', 'c') },\n"
    "  before = function(msg, tx) tx:exec('change 1') end,\n"
    "  after = function(msg) herald.log.info('well', { id = msg.id }) end,\n"
    "  identity = function(msg) return 'i-' .. msg.business_key1 end,\n"
    "  envelope = function(raw, p) return { type = p.type, id = #raw, body = { p.headers } } end "
    "}\n"
    "local kept, n = nil, 0\n"
    "herald.on('payresult_notify', 60201, function(msg, tx)\n"
    "  n = n + 1\n"
    "  if kept then assert(not pcall(function() return kept.id end)) end\n"
    "  kept = msg\n"
    "  local row = tx:row('echo :id :b', { id = msg.business_key1, b = msg.body.list[2] })\n"
    "  assert(row.p1 == '16' and row.p2 == 2.5)\n"
    "  for r in tx:query('count 3') do if r.n == 2 then break end end\n"
    "  local left = tx:query('count 2') left()\n"
    "  tx:emit { type = 'enrolled', business_key1 = n, headers = { n = n },\n"
    "    body = { list = msg.body.list, text = ('x'):rep(10) } }\n"
    "  herald.log.info('done', { n = n, id = msg.id })\n"
    "  pcall(tx.exec, tx, 'fail') pcall(function() return msg.bodi end)\n"
    "  local ok, e = pcall(error, setmetatable({}, { __tostring = function() return 'x' end }))\n"
    "  local gen = coroutine.wrap(function() coroutine.yield(msg.headers.source) end)\n"
    "  assert(gen() == 'shop')\n"
    "  if n % 3 == 0 then herald.retry('1s', 'third') end\n"
    "  if n % 3 == 1 then error { message = 'first' } end\n"
    "end)\n";

static void set_message(struct scene *s)
{
    s->message.body = slice_of("{\"list\":[1,2.5,null,{}],\"t\":\"text\"}");
    s->message.headers = slice_of("{\"source\":\"shop\"}");
}

/* Asks for all that is no handler; true when nothing was short. */
static bool ask(struct scene *s)
{
    const struct topology *t = rules_topology(script_rules(s->script));
    const struct destination *to;
    struct message m;
    struct slice id;
    size_t n;
    int rc;

    s->lent.subscription = t->subscriptions;
    rc = script_route(s->script, &t->routes[1], &s->message, &to, &n, &s->err);
    if (rc == OK)
        assert_true(n == 2 && strcmp(to[1].routing_key, "z") == 0);
    if (rc == OK)
        rc = script_identity(s->script, &s->lent, &id, &s->err);
    if (rc == OK)
        assert_true(slice_is(id, "i-16"));
    if (rc == OK)
        rc = script_envelope(s->script, &s->lent, &m, &s->err);
    if (rc == OK)
        assert_true(slice_is(m.body, "[{\"source\":\"shop\"}]"));
    else
        assert_int_equal(rc, ERR_NOMEM);
    return rc == OK;
}

/* From 5.4.7 on Lua asks once only for its stack, and where a coroutine or the library finds that
 * it does not grow, an ordinary error comes of it. */
static bool fell_short(const struct scene *s)
{
    static const char *const words[] = {"not enough memory", "stack overflow", "too many"};
    const struct shortage *m = s->settings.memory_arg;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (m != NULL && m->failed && strstr(s->out.error, words[i]) != NULL)
            return true;
    return s->out.verdict == SCRIPT_NOMEM;
}

/* Loads and calls three times; true when nothing was short. */
static bool play(struct scene *s)
{
    bool good;
    int rc;

    s->fake.emitted[0] = s->fake.logged[0] = '\0';
    rc = script_load(&s->script, &s->settings, &s->err);
    if (rc != OK) {
        assert_int_equal(rc, ERR_NOMEM);
        assert_null(s->script);
        return false;
    }
    good = ask(s);
    for (int i = 1; i <= 3 && good; i++) {
        const struct handler *h = rules_handler(script_rules(s->script), slice_of("q"),
                                                s->message.type, s->message.key[1]);

        script_call(s->script, h, &s->lent, &s->out);
        assert_int_equal(s->fake.open, 0);
        if (fell_short(s))
            good = false;
        else if (s->out.verdict != (i == 1 ? SCRIPT_FAILED : i == 2 ? SCRIPT_DONE : SCRIPT_RETRY))
            fail_msg("call %d: verdict %d: %s", i, (int)s->out.verdict, s->out.error);
    }
    script_free(&s->script);
    return good;
}

static void run_short_of_memory(bool for_good)
{
    struct shortage m = {.for_good = for_good};
    struct scene s;
    long good = 0, bad = 0;

    begin(&s);
    set_message(&s);
    s.settings.memory = scarce;
    s.settings.memory_arg = &m;
    s.settings.handler_ms = s.settings.load_ms = 1000000;
    write_rules(&s, "a.lua", everything, sizeof everything - 1);
    for (long n = 0;; n++) {
        bool fine;

        m.left = n;
        m.failed = false;
        fine = play(&s);
        m.left = -1;
        if (!m.failed)
            break;
        good += fine;
        bad += !fine;
    }
    print_message("%ld clean failures, %ld full runs\n", bad, good);
    assert_true(bad > 10);
    end(&s);
}

static void every_allocation_may_fail_once(void **state)
{
    (void)state;
    run_short_of_memory(false);
}

static void every_allocation_may_fail_from_there_on(void **state)
{
    (void)state;
    run_short_of_memory(true);
}

static void nothing_depends_on_when_the_collector_runs(void **state)
{
    struct shortage m = {.left = -1, .stutter = 200};
    struct scene s;

    (void)state;
    begin(&s);
    set_message(&s);
    s.settings.memory = scarce;
    s.settings.memory_arg = &m;
    s.settings.handler_ms = s.settings.load_ms = 1000000;
    write_rules(&s, "a.lua", everything, sizeof everything - 1);
    assert_true(play(&s));
    end(&s);
}

static void finalizers_run_at_any_time(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    set_message(&s);
    assert_string_equal(load(&s, everything), "");
    lua_gc(s.script->state->L, LUA_GCINC, 1, 1000, 1); /* a cycle every few allocations */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(again(&s), SCRIPT_FAILED);
        assert_int_equal(again(&s), SCRIPT_DONE);
        assert_int_equal(again(&s), SCRIPT_RETRY);
    }
    end(&s);
}

static void a_ceiling_just_above_what_is_needed_is_enough(void **state)
{
    struct scene s;
    size_t max = 0;

    (void)state;
    begin(&s);
    set_message(&s);
    s.settings.handler_ms = s.settings.load_ms = 1000000;
    write_rules(&s, "a.lua", everything, sizeof everything - 1);
    for (max = 20000; max < 400000; max += 2000) {
        s.settings.memory_max = max;
        if (script_load(&s.script, &s.settings, &s.err) != OK) {
            assert_true(s.err.code == ERR_CONFIG || s.err.code == ERR_NOMEM);
            continue;
        }
        for (int i = 0; i < 30; i++)
            if (again(&s) == SCRIPT_NOMEM)
                break;
        script_free(&s.script);
    }
    end(&s);
}

/* An allocator around that of a state: while it runs, the one way from there into Lua leads to
 * a state that does not stand. */
struct guarded {
    struct state *state;
    lua_Alloc allocate;
    void *arg;
};

static void *guard(void *arg, void *p, size_t old, size_t size)
{
    static char ruin[4096];
    struct guarded *g = arg;
    lua_State *L = g->state->L;
    void *q;

    g->state->L = (lua_State *)(void *)ruin;
    q = g->allocate(g->arg, p, old, size);
    g->state->L = L;
    return q;
}

/* Lua is in the middle of something when it asks for memory, such as moving its stack. */
static void the_allocator_never_calls_into_lua(void **state)
{
    static const char deep[] =
        "local function f(n) return n == 0 and {} or { f(n - 1) } end f(2000)";
    struct guarded g;
    struct scene s;
    int refused = 0, done = 0;

    (void)state;
    begin(&s);
    for (size_t extra = 0; extra < 1000000; extra += 20000) {
        assert_int_equal(run(&s, deep), SCRIPT_DONE);
        lua_gc(s.script->state->L, LUA_GCCOLLECT);
        g.state = s.script->state;
        g.allocate = lua_getallocf(g.state->L, &g.arg);
        g.state->max = g.state->used + extra;
        lua_setallocf(g.state->L, guard, &g);
        if (again(&s) == SCRIPT_NOMEM)
            refused++;
        else
            done += s.out.verdict == SCRIPT_DONE;
        lua_setallocf(g.state->L, g.allocate, g.arg);
    }
    print_message("%d refused, %d done\n", refused, done);
    assert_true(refused > 5 && done > 5);
    end(&s);
}

static void a_rebuilt_script_comes_from_the_same_bytes(void **state)
{
    const struct rules *rules;
    const struct topology *topology;
    const struct route *routes;
    struct script *before;
    struct scene s;

    (void)state;
    begin(&s);
    set_message(&s);
    assert_string_equal(load(&s, everything), "");
    before = s.script;
    rules = script_rules(s.script);
    topology = rules_topology(rules);
    routes = topology->routes;
    assert_true(ask(&s));
    assert_int_equal(again(&s), SCRIPT_FAILED);
    assert_int_equal(again(&s), SCRIPT_DONE);
    write_rules(&s, "a.lua", "error 'changed'", 15);
    assert_int_equal(script_rebuild(&s.script, &s.err), OK);
    assert_ptr_equal(s.script, before);
    assert_ptr_equal(script_rules(s.script), rules);
    assert_ptr_equal(rules_topology(rules), topology);
    assert_ptr_equal(topology->routes, routes);
    assert_true(ask(&s));
    assert_int_equal(again(&s), SCRIPT_FAILED); /* it counts from the start again */
    end(&s);
}

static void a_rebuild_that_fails_changes_nothing(void **state)
{
    struct shortage m = {.left = -1, .for_good = true};
    struct scene s;

    (void)state;
    begin(&s);
    set_message(&s);
    s.settings.memory = scarce;
    s.settings.memory_arg = &m;
    assert_string_equal(load(&s, everything), "");
    for (long n = 0; n < 600; n += 7) {
        m.left = n;
        if (script_rebuild(&s.script, &s.err) == OK)
            break;
        assert_int_equal(s.err.code, ERR_NOMEM);
        m.left = -1;
        again(&s);
        assert_true(s.out.verdict != SCRIPT_NOMEM);
    }
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_allocation_may_fail_once),
        cmocka_unit_test(every_allocation_may_fail_from_there_on),
        cmocka_unit_test(nothing_depends_on_when_the_collector_runs),
        cmocka_unit_test(finalizers_run_at_any_time),
        cmocka_unit_test(a_ceiling_just_above_what_is_needed_is_enough),
        cmocka_unit_test(the_allocator_never_calls_into_lua),
        cmocka_unit_test(a_rebuilt_script_comes_from_the_same_bytes),
        cmocka_unit_test(a_rebuild_that_fails_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

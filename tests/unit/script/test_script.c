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
    struct script_reading reading;
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
        rc = script_envelope(s->script, &s->lent, &reading, &s->err);
    if (rc == OK)
        assert_true(slice_is(reading.message.body, "[{\"source\":\"shop\"}]"));
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

enum { SHORT_STEP = 7 }; /* each allocation takes minutes: with HERALD_LONG */

static void run_short_of_memory(bool for_good)
{
    struct shortage m = {.for_good = for_good};
    struct scene s;
    long good = 0, bad = 0, step = getenv("HERALD_LONG") != NULL ? 1 : SHORT_STEP;

    scene_setup(&s);
    set_message(&s);
    s.settings.memory = scarce;
    s.settings.memory_arg = &m;
    s.settings.handler_ms = s.settings.load_ms = 1000000;
    write_rules(&s, "a.lua", everything, sizeof everything - 1);
    for (long n = 0;; n += step) {
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
    assert_true(bad * step > 10);
    scene_teardown(&s);
}

TEST(every_allocation_may_fail_once)
{
    run_short_of_memory(false);
}

TEST(every_allocation_may_fail_from_there_on)
{
    run_short_of_memory(true);
}

TEST_WITH(scene, nothing_depends_on_when_the_collector_runs)
{
    struct shortage m = {.left = -1, .stutter = 200};

    set_message(f);
    f->settings.memory = scarce;
    f->settings.memory_arg = &m;
    f->settings.handler_ms = f->settings.load_ms = 1000000;
    write_rules(f, "a.lua", everything, sizeof everything - 1);
    assert_true(play(f));
}

TEST_WITH(scene, finalizers_run_at_any_time)
{
    set_message(f);
    assert_string_equal(load(f, everything), "");
    lua_gc(f->script->state->L, LUA_GCINC, 1, 1000, 1); /* a cycle every few allocations */
    for (int i = 0; i < 3; i++) {
        assert_int_equal(again(f), SCRIPT_FAILED);
        assert_int_equal(again(f), SCRIPT_DONE);
        assert_int_equal(again(f), SCRIPT_RETRY);
    }
}

TEST_WITH(scene, a_ceiling_just_above_what_is_needed_is_enough)
{
    size_t max = 0;

    set_message(f);
    f->settings.handler_ms = f->settings.load_ms = 1000000;
    write_rules(f, "a.lua", everything, sizeof everything - 1);
    for (max = 20000; max < 400000; max += 2000) {
        f->settings.memory_max = max;
        if (script_load(&f->script, &f->settings, &f->err) != OK) {
            assert_true(f->err.code == ERR_CONFIG || f->err.code == ERR_NOMEM);
            continue;
        }
        for (int i = 0; i < 30; i++)
            if (again(f) == SCRIPT_NOMEM)
                break;
        script_free(&f->script);
    }
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
TEST_WITH(scene, the_allocator_never_calls_into_lua)
{
    static const char deep[] =
        "local function f(n) return n == 0 and {} or { f(n - 1) } end f(2000)";
    struct guarded g;
    int refused = 0, done = 0;

    for (size_t extra = 0; extra < 1000000; extra += 20000) {
        assert_int_equal(run(f, deep), SCRIPT_DONE);
        lua_gc(f->script->state->L, LUA_GCCOLLECT);
        g.state = f->script->state;
        g.allocate = lua_getallocf(g.state->L, &g.arg);
        g.state->max = g.state->used + extra;
        lua_setallocf(g.state->L, guard, &g);
        if (again(f) == SCRIPT_NOMEM)
            refused++;
        else
            done += f->out.verdict == SCRIPT_DONE;
        lua_setallocf(g.state->L, g.allocate, g.arg);
    }
    print_message("%d refused, %d done\n", refused, done);
    assert_true(refused > 5 && done > 5);
}

TEST_WITH(scene, a_rebuilt_script_comes_from_the_same_bytes)
{
    const struct rules *rules;
    const struct topology *topology;
    const struct route *routes;
    struct script *before;

    set_message(f);
    assert_string_equal(load(f, everything), "");
    before = f->script;
    rules = script_rules(f->script);
    topology = rules_topology(rules);
    routes = topology->routes;
    assert_true(ask(f));
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_int_equal(again(f), SCRIPT_DONE);
    write_rules(f, "a.lua", "error 'changed'", 15);
    assert_int_equal(script_rebuild(&f->script, &f->err), OK);
    assert_ptr_equal(f->script, before);
    assert_ptr_equal(script_rules(f->script), rules);
    assert_ptr_equal(rules_topology(rules), topology);
    assert_ptr_equal(topology->routes, routes);
    assert_true(ask(f));
    assert_int_equal(again(f), SCRIPT_FAILED); /* it counts from the start again */
}

TEST_WITH(scene, a_rebuild_that_fails_changes_nothing)
{
    struct shortage m = {.left = -1, .for_good = true};

    set_message(f);
    f->settings.memory = scarce;
    f->settings.memory_arg = &m;
    assert_string_equal(load(f, everything), "");
    for (long n = 0; n < 600; n += 7) {
        m.left = n;
        if (script_rebuild(&f->script, &f->err) == OK)
            break;
        assert_int_equal(f->err.code, ERR_NOMEM);
        m.left = -1;
        again(f);
        assert_true(f->out.verdict != SCRIPT_NOMEM);
    }
}

/* What rule authors do wrong in their first week, and the exact words they are told. */
#include "fake_host.h"

#include <sys/wait.h>

/* A whole file, and what its load says. */
static const struct {
    const char *text, *words;
} loads[] = {
    {"require 'herald'.subscribe { quue = 'q' }",
     "rules/a.lua:1: unknown key 'quue' in herald.subscribe: did you mean 'queue'?"},
    {"require 'herald'.on('t', '*', function() end, { timout = '2s' })",
     "rules/a.lua:1: unknown key 'timout' in the options of herald.on: did you mean 'timeout'?"},
    {"require 'herald'.subscribe { queue = 5 }",
     "rules/a.lua:1: queue in herald.subscribe is an integer, not a string"},
    {"require 'herald'.subscribe { queue = 'q', before = 'x' }",
     "rules/a.lua:1: before in herald.subscribe is a string, not a function"},
    {"require 'herald'.subscribe { queue = 'q', envelope = 'xml' }",
     "rules/a.lua:1: envelope in herald.subscribe is \"xml\": write \"auto\", \"raw\", a function, "
     "or one of \"cap\", \"celery\", \"cloudevents\", \"masstransit\", \"moleculer\", \"nestjs\", "
     "\"node-ts\", \"nservicebus\", \"spring\", \"symfony\""},
    {"require 'herald'.on('t', '*', function() end, { timeout = '1h' })",
     "rules/a.lua:1: timeout in herald.on is 1h: it must be between 10ms and 5m"},
    {"require 'herald'.on('t', '*', function() end, { timeout = false })",
     "rules/a.lua:1: timeout in herald.on is a boolean: write a duration such as \"30s\", or "
     "seconds"},
    {"require 'herald'.on('t', '*', function() end, '2s')",
     "rules/a.lua:1: the options of herald.on takes a table, not a string"},
    {"local h = require 'herald'\nh.on('t', '*', function(msg, tx)\n  if msg then\n",
     "rules/a.lua:4: 'end' expected (to close 'if' at line 3) near <eof>"},
    {"local x = {\n  a = 1\n  b = 2\n}",
     "rules/a.lua:3: '}' expected (to close '{' at line 1) near "
     "'b'"},
    {"herald.on('t', '*', print)", "rules/a.lua:1: undefined global 'herald': write local herald = "
                                   "require \"herald\" at the top of the file"},
    {"require 'herald'.subscibe { queue = 'q' }",
     "rules/a.lua:1: herald has no 'subscibe': did you mean 'subscribe'?"},
    {"local h = require 'herald' h.json.stringify {}", "rules/a.lua:1: herald.json has no "
                                                       "'stringify'"},
    {"function helper() end\nhelpr()",
     "rules/a.lua:2: undefined global 'helpr': did you mean 'helper'?"},
    {"local n = unpack { 1 }",
     "rules/a.lua:1: undefined global 'unpack': it is table.unpack in Lua "
     "5.4"},
    {"local f = io.open 'x'", "rules/a.lua:1: undefined global 'io': rules have no files: what a "
                              "handler does is its SQL and its emits"},
    {"print(qqqqqq)", "rules/a.lua:1: undefined global 'qqqqqq'"},
    {"local h = require 'herald'\nh.on('t', 5, print)\nh.on('t', '5', print)",
     "rules/a.lua:3: a second handler for type \"t\", order type \"5\": the first one is at "
     "rules/a.lua:2"},
    {"local h = require 'herald'\nh.on('t', '*', print, { queue = 'q' })\n"
     "h.on('t', '*', print)\nh.on('t', '*', print, { queue = 'q' })",
     "rules/a.lua:4: a second handler for type \"t\", order type \"*\", queue \"q\": the first one "
     "is at rules/a.lua:2"},
    {"require 'lib.money'", "rules/a.lua:1: no module 'lib.money': there is no file lib/money.lua"},
    {"require 'cjson'", "rules/a.lua:1: cannot require 'cjson': rules can require \"herald\" and "
                        "modules of the router's lib/ folder, such as require \"lib.money\" for "
                        "lib/money.lua"},
    {"require 'lib.../x'",
     "rules/a.lua:1: cannot require 'lib.../x': rules can require \"herald\" and modules of the "
     "router's lib/ folder, such as require \"lib.money\" for lib/money.lua"},
    {"\xef\xbb\xbflocal x = 1\nerror 'here'", "rules/a.lua:2: here"},
    {"local x = 1\r\n\r\nerror 'here'\r\n", "rules/a.lua:3: here"},
    {"local preis = 1 local größe = 2",
     "rules/a.lua:1: unexpected symbol near '<\\195>': names are "
     "made of ASCII letters, digits and _; other text "
     "stands in quotes"},
    {"error('Größe 付款')", "rules/a.lua:1: Größe 付款"},
    {"local h = require 'herald' h.subscribe { queue = '付款' }\nh.subscribe { queue = '付款' }",
     "rules/a.lua:2: a second subscription for queue \"付款\": the first one is at rules/a.lua:1"},
    {"coroutine.yield()", "rules/a.lua:1: attempt to yield from outside a coroutine"},
};

TEST_WITH(scene, loading_says_what_is_wrong)
{
    for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
        assert_string_equal(load(f, loads[i].text), loads[i].words);
        assert_int_equal(f->err.code, ERR_CONFIG);
    }
}

#define NOTHING                                                                                    \
    ": it returns nothing when all is well; to fail, call error(why), herald.retry(delay, why) "   \
    "or herald.reject(why)"

/* A handler's body, line 3 of its file, and how the attempt fails. */
static const struct {
    const char *body, *words;
} handlers[] = {
    {"return msg.body.user.name", "rules/a.lua:3: attempt to index a nil value (field 'user')"},
    {"local x = msg.boddy", "rules/a.lua:3: a message has no field 'boddy': did you mean 'body'?"},
    {"msg.body = {}", "rules/a.lua:3: a message is read-only"},
    {"tx:execute('x')", "rules/a.lua:3: tx has no method 'execute': did you mean 'exec'?"},
    {"tx.exec('x')", "rules/a.lua:3: bad argument #1 to 'exec' (herald.tx expected, got string)"},
    {"tx:exec('bad')", "rules/a.lua:3: near \"bad\": syntax error, in: bad"},
    {"return false", "rules/a.lua:2: the handler returned false" NOTHING},
    {"return true", "rules/a.lua:2: the handler returned true" NOTHING},
    {"return 3", "rules/a.lua:2: the handler returned 3" NOTHING},
    {"return { retry = true }", "rules/a.lua:2: the handler returned a table" NOTHING},
    {"return 'failed'", "rules/a.lua:2: the handler returned a string" NOTHING},
    {"return nil, 'no stock'", "rules/a.lua:2: the handler returned nil and a string" NOTHING},
    {"return pcall(error, 'no')", "rules/a.lua:2: the handler returned false and a string" NOTHING},
    {"return herald.reject", "rules/a.lua:2: the handler returned a function" NOTHING},
    {"error { code = 7, message = 'no stock' }", "rules/a.lua:3: no stock"},
    {"error { code = 7 }",
     "rules/a.lua:3: the error is a table without words: raise a string, or a table with a field "
     "message or a __tostring that works"},
    {"error(setmetatable({}, { __tostring = function() error 'again' end }))",
     "rules/a.lua:3: the error is a table without words: raise a string, or a table with a field "
     "message or a __tostring that works"},
    {"local _, e = xpcall(error, function() error 'again' end, 'x') error(e)",
     "rules/a.lua:3: error in error handling"},
    {"coroutine.yield()", "rules/a.lua:3: attempt to yield from outside a coroutine"},
    {"table.sort({ 2, 1 }, function() coroutine.yield() end)",
     "rules/a.lua:3: attempt to yield from outside a coroutine"},
    {"local co = coroutine.wrap(function() table.sort({ 2, 1 }, coroutine.yield) end) co()",
     "rules/a.lua:3: attempt to yield across a C-call boundary"},
    {"total = 1", "rules/a.lua:3: a handler cannot make the global 'total': write local total = "
                  "..."},
    {"load('total = 1')()",
     "[string \"total = 1\"]:1: a handler cannot make the global 'total': write local total = ..."},
    {"local x = totl", "rules/a.lua:3: undefined global 'totl'"},
    {"herald.on('x', '*', print)",
     "rules/a.lua:3: herald.on is for loading: a handler cannot change the rules"},
    {"herald.env('A-B')",
     "rules/a.lua:3: herald.env: 'A-B' cannot be the name of a variable: names "
     "are letters, digits and _"},
    {"herald.json.decode('{')", "rules/a.lua:3: herald.json.decode: bad JSON at byte 1: premature "
                                "EOF"},
    {"herald.json.encode(print)", "rules/a.lua:3: cannot write value as JSON: it is a function"},
    {"tx:emit { typ = 'x' }", "rules/a.lua:3: unknown key 'typ' in tx:emit: did you mean 'type'?"},
    {"tx:emit { type = 'x', order_type = 1, business_key2 = 2 }",
     "rules/a.lua:3: tx:emit: order_type and business_key2 are two names of one thing, and differ "
     "here"},
    {"tx:emit { type = 'x', timetolive = '1m' }",
     "rules/a.lua:3: unknown key 'timetolive' in tx:emit (known: app_id, at, body, business_key1, "
     "business_key2, business_key3, content_encoding, content_type, correlation_id, delay, "
     "delivery_mode, expiration, headers, key, message_id, order_type, priority, properties, "
     "reply_to, type)"},
    {"local function f() return 1 + f() end f()",
     "rules/a.lua:3: stack overflow: over 16000 calls deep, a fixed limit: does a function call "
     "itself for ever?"},
    {"local t = setmetatable({}, { __index = function(t, k) return t[k] end }) local x = t.y",
     "rules/a.lua:3: C stack overflow: over 200 calls through C deep (pcall, metamethods, "
     "callbacks), a fixed limit: does a function call itself for ever?"},
};

TEST_WITH(scene, a_handler_is_told_what_is_wrong)
{
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        FAILS(f, handlers[i].body, handlers[i].words);
}

TEST_WITH(scene, what_was_lent_is_dead_afterwards)
{
    assert_string_equal(load(f, "local kept, n = {}, 0\n"
                                "require 'herald'.on('*', '*', function(msg, tx)\n"
                                "  n = n + 1\n"
                                "  if n == 2 then local id = kept.msg.id end\n"
                                "  if n == 3 then kept.tx:exec('change 1') end\n"
                                "  if n == 4 then kept.rows() end\n"
                                "  kept = { msg = msg, tx = tx, rows = tx:query('count 2') }\n"
                                "end)"),
                        "");
    assert_int_equal(again(f), SCRIPT_DONE);
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_string_equal(f->out.error, "rules/a.lua:4: message used after its handler returned");
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_string_equal(f->out.error, "rules/a.lua:5: tx used after its handler returned");
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_string_equal(f->out.error, "rules/a.lua:6: query used after its handler returned");
}

TEST_WITH(scene, a_cycle_of_requires_is_named_whole)
{
    folder_write(f->dir, "lib/a.lua", "\nrequire 'lib.b'");
    folder_write(f->dir, "lib/b.lua", "local c = require 'lib.c'");
    folder_write(f->dir, "lib/c.lua", "require 'lib.a'");
    assert_string_equal(load(f, "require 'lib.a'"),
                        "lib/c.lua:1: a cycle of requires: lib.a -> lib.b -> lib.c -> lib.a");
    assert_string_equal(load(f, "require 'lib.c'"),
                        "lib/b.lua:1: a cycle of requires: lib.c -> lib.a -> lib.b -> lib.c");
    folder_write(f->dir, "lib/c.lua", "require 'lib.c'");
    assert_string_equal(load(f, "require 'lib.a'"),
                        "lib/c.lua:1: a cycle of requires: lib.c -> lib.c");
}

/* To root everything is readable: another user tries. */
static void load_as(struct scene *s, uid_t user, const char *words)
{
    int status;
    pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        if (geteuid() == 0 && setuid(user) != 0)
            _exit(2);
        if (script_load(&s->script, &s->settings, &s->err) == ERR_CONFIG &&
            strcmp(s->err.text, words) == 0)
            _exit(0);
        fprintf(stderr, "%s\n%s\n", s->err.text, words);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

TEST_WITH(scene, a_file_without_rights_is_named)
{
    const uid_t user = geteuid() == 0 ? 65534 : geteuid();
    char path[256], words[512];

    folder_write(f->dir, "rules/b.lua", "");
    snprintf(path, sizeof path, "%s/rules", f->dir);
    assert_int_equal(chmod(f->dir, 0755), 0);
    assert_int_equal(chmod(path, 0755), 0);
    snprintf(path, sizeof path, "%s/rules/b.lua", f->dir);
    assert_int_equal(chmod(path, 0), 0);
    snprintf(
        words, sizeof words,
        "cannot read %s: Permission denied: let the user that herald runs as (uid %ld) read it",
        path, (long)user);
    load_as(f, user, words);
}

TEST_WITH(scene, a_link_stays_in_the_folder)
{
    char path[256], words[1024], target[] = "/tmp/herald-target-XXXXXX";
    int fd = mkstemp(target);

    assert_true(fd >= 0);
    close(fd);
    snprintf(path, sizeof path, "%s/rules/out.lua", f->dir);
    assert_int_equal(symlink(target, path), 0);
    snprintf(words, sizeof words,
             "%s is a link that leads out of the router's folder, to %s: copy the file into the "
             "folder",
             path, target);
    assert_string_equal(load(f, ""), words);
    assert_int_equal(unlink(path), 0);
    folder_write(f->dir, "shared.lua", "error 'linked'");
    assert_int_equal(symlink("../shared.lua", path), 0);
    assert_string_equal(load(f, ""), "rules/out.lua:1: linked");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("nothing", path), 0);
    snprintf(words, sizeof words, "cannot read %s: No such file or directory", path);
    assert_string_equal(load(f, ""), words);
    assert_int_equal(unlink(target), 0);
}

TEST_WITH(scene, one_files_globals_are_not_anothers)
{
    folder_write(f->dir, "rules/b.lua", "print(shared)");
    assert_string_equal(load(f, "shared = 1 print(shared)"),
                        "rules/b.lua:1: undefined global 'shared'");
}

/* A cap that was hit says how to raise it, or that it is fixed. */
TEST_WITH(scene, a_limit_says_which_where_and_how_to_raise_it)
{
    FAILS(
        f, "while true do end",
        "rules/a.lua:3: ran over its time limit of 200 ms (setting handler_timeout; a handler can "
        "have its own with timeout in herald.on)");
    assert_string_equal(load(f, "require 'herald'.on('*', '*', function()\n"
                                "while true do end end, { timeout = '50ms' })"),
                        "");
    assert_int_equal(again(f), SCRIPT_FAILED);
    assert_string_equal(f->out.error, "rules/a.lua:2: ran over its time limit of 50 ms (timeout in "
                                      "its herald.on)");
    f->settings.handler_ms = 100000;
    assert_int_equal(run(f, "local t = {}\nfor i = 1, 1e9 do t[i] = { i } end"), SCRIPT_NOMEM);
    assert_string_equal(
        f->out.error, "rules/a.lua:4: the rules need more memory than the limit of 16777216 bytes "
                      "(setting handler_memory; all rules of a generation share it)");
    assert_int_equal(run(f, "local s = ('x'):rep(4000000)\nreturn #(s .. s .. s .. s .. s)"),
                     SCRIPT_NOMEM); /* at once, so it is the handler that is named */
    assert_string_equal(
        f->out.error, "rules/a.lua:2: the rules need more memory than the limit of 16777216 bytes "
                      "(setting handler_memory; all rules of a generation share it)");
}

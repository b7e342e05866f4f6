/* What a rule file can see, and what it cannot. */
#include "fake_host.h"

TEST_WITH(scene, only_the_allowed_names_are_there)
{
    RUNS(f,
         "for _, name in ipairs { 'io', 'debug', 'package', 'dofile', 'loadfile',\n"
         "'collectgarbage', 'warn', 'herald_', 'loadstring' } do\n"
         "assert(rawget(_G, name) == nil and not pcall(function() return _G[name] end)) end\n"
         "assert(string.dump == nil and os.execute == nil and os.getenv == nil)\n"
         "assert(os.exit == nil and os.remove == nil and os.setlocale == nil)\n"
         "assert(os.time() > 0 and os.clock() >= 0 and os.date('%Y') and os.difftime(2, 1) == 1)\n"
         "assert(math.max(1, 2) == 2 and utf8.char(8364) == '\\u{20ac}')\n"
         "assert(('x'):upper() == 'X' and #table.pack(1, 2) == 2)\n"
         "assert(_VERSION == 'Lua 5.4' and tostring(1) == '1')");
}

TEST_WITH(scene, bytecode_is_refused_everywhere)
{
    static const char bytecode[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n";

    RUNS(f, "local f, why = load('\\27Lua')\n"
            "assert(not f and why:find('binary'), why)\n"
            "f, why = load('\\27Lua', 'x', 'bt') assert(not f and why:find('binary'))\n"
            "f, why = load(function() return nil end) assert(f)\n"
            "assert(not pcall(load, 'return 1', 'x', 'b'))");
    script_free(&f->script);
    write_rules(f, "a.lua", bytecode, sizeof bytecode - 1);
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), ERR_CONFIG);
    assert_string_equal(f->err.text, "rules/a.lua: attempt to load a binary chunk (mode is 't')");
}

TEST_WITH(scene, loaded_text_lives_in_the_files_environment)
{
    RUNS(f, "rawset(_G, 'mine', 5)\n"
            "assert(load('return mine')() == 5)\n"
            "load('mine = 6')() assert(mine == 6)\n"
            "assert(load('return mine', 'c', 't', { mine = 7 })() == 7)\n"
            "assert(not pcall(load('return io')))\n"
            "local parts = { 'return ', 'mine' } local i = 0\n"
            "assert(load(function() i = i + 1 return parts[i] end)() == 6)\n"
            "local f, why = load('x =', '=chunk') assert(not f and why:find('chunk:1:'))");
}

TEST_WITH(scene, globals_stay_in_their_file)
{
    write_rules(f, "a.lua", "shared = 1 _G.other = 2 rawset(_G, 'third', 3)", 46);
    write_rules(f, "b.lua",
                "for _, n in ipairs { 'shared', 'other', 'third' } do\n"
                "assert(not rawget(_G, n)) end tostring = 5 assert(tostring == 5)",
                117);
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), OK);
    assert_string_equal(load(f, "assert(tostring(1) == '1')"), "");
}

TEST_WITH(scene, libraries_cannot_be_changed)
{
    FAILS(f, "string.upper = nil", "rules/a.lua:3: string is read-only");
    FAILS(f, "function math.half(x) return x / 2 end", "rules/a.lua:3: math is read-only");
    FAILS(f, "herald.on = nil", "rules/a.lua:3: herald is read-only");
    FAILS(f, "herald.json.x = 1", "rules/a.lua:3: herald.json is read-only");
    FAILS(f, "rawset(string, 'upper', 1)", "rules/a.lua:3: this table is read-only");
    FAILS(f, "table.insert(table, 1)", "rules/a.lua:3: table is read-only");
    FAILS(f, "setmetatable(string, {})", "rules/a.lua:3: cannot change a protected metatable");
    FAILS(f, "setmetatable(_G, {})", "rules/a.lua:3: cannot change a protected metatable");
    RUNS(f, "assert(getmetatable('') == false and getmetatable(string) == false)\n"
            "assert(getmetatable(msg) == false and getmetatable(tx) == false)\n"
            "assert(getmetatable(herald.null) == false and getmetatable(_ENV) == false)\n"
            "local seen = false\n"
            "for name, f in pairs(string) do seen = seen or name == 'rep' end\n"
            "assert(seen)\n"
            "for name, f in pairs(herald) do assert(herald[name] == f) end");
}

TEST_WITH(scene, require_knows_one_module)
{
    RUNS(f, "assert(require 'herald' == herald and require('herald') == herald)");
    FAILS(f, "require 'socket.http'",
          "rules/a.lua:3: cannot require 'socket.http': rules can require \"herald\" and modules "
          "of the "
          "router's lib/ folder, such as require \"lib.money\" for lib/money.lua");
    FAILS(f, "require 'string'", "rules/a.lua:3: 'string' needs no require: it is there already");
    FAILS(f, "require()",
          "rules/a.lua:3: bad argument #1 to 'require' (string expected, got no value)");
}

/* Each tries to reach what other files, or other messages, see. */
TEST_WITH(scene, nothing_that_is_shared_can_be_reached)
{
    static const char *const attempts[] = {
        "local f = getmetatable('').__index",
        "getmetatable('').__index = nil",
        "('').upper = 1",
        "setmetatable(herald, nil)",
        "setmetatable(herald.json, { __index = {} })",
        "setmetatable(herald.fanout 'x', nil)",
        "rawset(herald, 'on', 1)",
        "rawset(herald.log, 'info', 1)",
        "table.move({ 1, 2 }, 1, 2, 1, string)",
        "table.sort(string, function() string.rep = nil end) table.insert(string, 1, 'x')",
        "for k in pairs(string) do string[k] = nil end",
        "table.remove(herald) herald[1] = 1",
        "_ENV.string.rep = 1",
        "_G.require = 1 _G.table.x = 1",
        "getmetatable(_G).__index.print = 1",
        "getmetatable(msg).__index = 1",
        "getmetatable(tx).__gc = 1",
        "getmetatable(tx:query('count 1')).__close = 1",
        "getmetatable(herald.null).x = 1",
        "getmetatable(herald.blob 'x').__tostring = 1",
        "getmetatable(herald.fanout 'x').__index = 1",
        "local ok, e = pcall(herald.reject, 'x') getmetatable(e).__tostring = 1",
        "string.dump(function() end)",
        "load('\27Lua', 'x', 'b')",
        "assert(load(string.char(27) .. 'Lua', 'x', 'bt'))",
        "load(coroutine.create(print))",
        "require 'debug'.sethook()",
        "os.execute 'true'",
        "os.getenv 'HOME'",
        "io.open '/etc/passwd'",
        "package.loaded.os.exit()",
        "dofile '/etc/passwd'",
        "coroutine.close(coroutine.running())",
        "collectgarbage 'stop'",
    };

    for (size_t i = 0; i < sizeof attempts / sizeof attempts[0]; i++)
        if (run(f, attempts[i]) != SCRIPT_FAILED)
            fail_msg("%s: verdict %d", attempts[i], (int)f->out.verdict);
    RUNS(f, "assert(('x'):upper() == 'X' and string.rep and herald.on and print)");
}

/* Two files, and two messages: what one does to its own globals stays there. */
TEST_WITH(scene, what_a_file_does_to_its_globals_stays_there)
{
    static const char other[] = "print = nil _G.tostring = nil rawset(_G, 'pairs', 5) _ENV = {}";

    write_rules(f, "b.lua", other, strlen(other));
    assert_string_equal(load(f, "require 'herald'.on('*', '*', function()\n"
                                "for _ in pairs { tostring(print) } do end end)"),
                        "");
    assert_int_equal(again(f), SCRIPT_DONE);
}

TEST_WITH(scene, a_finalizer_is_refused)
{
    FAILS(f, "setmetatable({}, { __gc = function() end })",
          "rules/a.lua:3: setmetatable: __gc is not available to rules; use __close");
    RUNS(f, "local closed local mt = { __close = function() closed = true end }\n"
            "do local x <close> = setmetatable({}, mt) end assert(closed)\n"
            "mt.__gc = function() end local y = {}\n"
            "assert(not pcall(setmetatable, y, mt))");
}

/* require "lib.money": modules of the router's own lib/. */
#include "fake_host.h"

#include "script/folder_above.h"

TEST_WITH(scene, a_module_runs_once_and_all_get_its_value)
{
    folder_write(f->dir, "lib/money.lua",
                 "print('run') local M = { n = 0 }\n"
                 "function M.cents(x) return x * 100 end return M");
    folder_write(f->dir, "lib/shop/tax.lua",
                 "local m = require 'lib.money' m.n = m.n + 1\n"
                 "rate = 19 return function(x) return m.cents(x) + rate end");
    folder_write(f->dir, "lib/nothing.lua", "");
    folder_write(f->dir, "rules/b.lua",
                 "assert(require 'lib.money'.n == 1)\n"
                 "assert(require('lib.nothing') == true)");
    assert_string_equal(load(f, "local tax = require 'lib.shop.tax'\n"
                                "assert(tax(1) == 119 and tax == require 'lib.shop.tax')\n"
                                "assert(rawget(_G, 'rate') == nil)"),
                        "");
    assert_string_equal(f->fake.logged, "1 script.log text=run place=lib/money.lua:1\n");
    assert_int_equal(script_rebuild(&f->script, &f->err), OK); /* a state of its own */
    assert_string_equal(f->fake.logged + strlen(f->fake.logged) / 2,
                        "1 script.log text=run place=lib/money.lua:1\n");
}

TEST_WITH(scene, modules_are_part_of_the_generation)
{
    char hash[32];

    folder_write(f->dir, "lib/b.lua", "return 1");
    folder_write(f->dir, "lib/.b.lua", "this is no Lua");
    folder_write(f->dir, "lib/notes.txt", "nor is this");
    assert_string_equal(load(f, "assert(require 'lib.b' == 1)"), "");
    snprintf(hash, sizeof hash, "%s", script_hash(f->script));
    assert_string_equal(script_file(f->script, 0), "rules/a.lua");
    assert_string_equal(script_file(f->script, 1), "lib/b.lua");
    assert_null(script_file(f->script, 2));
    folder_write(f->dir, "lib/b.lua", "return 2");
    assert_int_equal(script_rebuild(&f->script, &f->err), OK); /* from the bytes that were read */
    assert_string_equal(load(f, "assert(require 'lib.b' == 2)"), "");
    assert_string_not_equal(hash, script_hash(f->script));
}

TEST_WITH(scene, each_folder_has_its_own)
{
    struct script_folder folders[2];
    char path[128];

    snprintf(path, sizeof path, "%s/learning", f->dir);
    folders[0] = f->folder;
    folders[1] = (struct script_folder){path, "learning"};
    f->settings.folders = folders;
    f->settings.n_folders = 2;
    folder_write(f->dir, "lib/name.lua", "return 'root'");
    folder_write(f->dir, "lib/only.lua", "return 'root'");
    folder_write(f->dir, "learning/lib/name.lua", "return 'learning'");
    folder_write(f->dir, "learning/rules/x.lua", "assert(require 'lib.name' == 'learning')");
    assert_string_equal(load(f, "assert(require 'lib.name' == 'root')"), "");
    folder_write(f->dir, "learning/rules/x.lua", "\nrequire 'lib.nme'");
    assert_string_equal(load(f, ""),
                        "learning/rules/x.lua:2: no module 'lib.nme': there is no file "
                        "learning/lib/nme.lua or lib/nme.lua: did you mean 'lib.name'?");
    folder_write(f->dir, "learning/rules/x.lua", "assert(require 'lib.only' == 'root')");
    assert_string_equal(load(f, ""), "");
}

/* Two included folders, beside what they share. */
static void begin_shared(struct scene *s, struct script_folder folders[2], char paths[2][128])
{
    static const char *const names[] = {"orders", "learning"};

    folder_add(s->dir, "lib");
    for (int i = 0; i < 2; i++) {
        char below[64];

        snprintf(below, sizeof below, "%s/rules", names[i]);
        folder_add(s->dir, below);
        snprintf(below, sizeof below, "%s/lib", names[i]);
        folder_add(s->dir, below);
        snprintf(paths[i], 128, "%s/%s", s->dir, names[i]);
        folders[i] = (struct script_folder){paths[i], names[i]};
    }
    s->settings.folders = folders;
    s->settings.n_folders = 2;
}

TEST_WITH(scene, what_lies_above_is_shared_and_belongs_to_nobody)
{
    struct script_folder folders[2];
    char paths[2][128], hash[32];

    begin_shared(f, folders, paths);
    folder_write(f->dir, "lib/money.lua", "print('run') return { rate = require 'lib.rate' }");
    folder_write(f->dir, "lib/rate.lua", "return 19");
    folder_write(f->dir, "learning/lib/rate.lua", "return require('lib.money').rate - 12");
    folder_write(f->dir, "orders/rules/x.lua", "assert(require('lib.money').rate == 19)");
    folder_write(f->dir, "learning/rules/x.lua",
                 "assert(require('lib.rate') == 7 and require('lib.money').rate == 19)");
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), OK);
    assert_string_equal(f->fake.logged, "1 script.log text=run place=lib/money.lua:1\n"); /* once */
    assert_string_equal(script_file(f->script, 4), "lib/rate.lua");
    assert_null(script_file(f->script, 5));
    snprintf(hash, sizeof hash, "%s", script_hash(f->script));
    script_free(&f->script);
    folder_write(f->dir, "lib/rate.lua", "return 19 --");
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), OK);
    assert_string_not_equal(script_hash(f->script), hash);
}

TEST_WITH(scene, a_cycle_among_shared_modules_is_told)
{
    struct script_folder folders[2];
    char paths[2][128];

    begin_shared(f, folders, paths);
    folder_write(f->dir, "lib/a.lua", "return require 'lib.b'");
    folder_write(f->dir, "lib/b.lua", "return require 'lib.a'");
    folder_write(f->dir, "learning/lib/own.lua", "return require 'lib.a'");
    folder_write(f->dir, "learning/rules/x.lua", "require 'lib.own'");
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), ERR_CONFIG);
    assert_non_null(strstr(f->err.text, "a cycle of requires: lib.a -> lib.b -> lib.a"));
}

/* The folders as the command line gives them: relative to where it went. */
TEST(an_include_called_lib_is_an_include)
{
    const struct script_folder two[] = {{"orders", "orders"}, {"learning", "learning"}};
    const struct script_folder lib[] = {{"orders", "orders"}, {"lib", "lib"}};
    const struct script_folder own[] = {{".", ""}, {"learning", "learning"}};
    char above[64];

    assert_true(folder_above_is_next(two, 2, 0, above, sizeof above));
    assert_string_equal(above, ".");
    assert_false(folder_above_is_next(two, 2, 1, above, sizeof above));
    assert_false(folder_above_is_next(lib, 2, 0, above, sizeof above));
    assert_false(folder_above_is_next(lib, 2, 1, above, sizeof above));
    assert_false(folder_above_is_next(own, 2, 1, above, sizeof above));
    assert_false(folder_above_of(&own[0], above, sizeof above));
    assert_string_equal(above, ".");
}

/* What two included folders share may be linked, but not from outside of the router. */
TEST_WITH(scene, a_link_between_includes_is_fine)
{
    struct script_folder folders[1];
    char path[128], link[256];

    folder_add(f->dir, "learning/lib");
    folder_write(f->dir, "shared/m.lua", "return 5");
    folder_write(f->dir, "learning/rules/x.lua", "assert(require 'lib.m' == 5)");
    snprintf(link, sizeof link, "%s/learning/lib/m.lua", f->dir);
    assert_int_equal(symlink("../../shared/m.lua", link), 0);
    snprintf(path, sizeof path, "%s/learning", f->dir);
    folders[0] = (struct script_folder){path, "learning"};
    f->settings.folders = folders;
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), OK);
    script_free(&f->script);
    folders[0].namespace_ = ""; /* the same folder as a router: the link leads out */
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), ERR_CONFIG);
    assert_non_null(strstr(f->err.text, "is a link that leads out of the router's folder"));
}

TEST_WITH(scene, an_error_inside_names_the_modules_file)
{
    folder_write(f->dir, "lib/m.lua", "local x\r\nx.y = 1");
    assert_string_equal(load(f, "require 'lib.m'"),
                        "lib/m.lua:2: attempt to index a nil value (local 'x')");
    folder_write(f->dir, "lib/m.lua", "return {");
    assert_string_equal(load(f, "require 'lib.m'"), "lib/m.lua:1: unexpected symbol near <eof>");
    folder_write(f->dir, "lib/m.lua", "\x1bLua");
    assert_string_equal(load(f, "require 'lib.m'"),
                        "rules/a.lua:1: attempt to load a binary chunk (mode is 't')");
    folder_write(f->dir, "lib/m.lua", "error 'once'"); /* a failure is not remembered as a cycle */
    assert_string_equal(load(f, "pcall(require, 'lib.m') require 'lib.m'"), "lib/m.lua:1: once");
}

TEST_WITH(scene, a_handler_may_require_late)
{
    folder_write(f->dir, "lib/m.lua",
                 "count = 0 return function() count = count + 1 return count end");
    RUNS(f, "assert(require 'lib.m'() == 1)");
    assert_int_equal(again(f), SCRIPT_FAILED); /* it is 2 now */
    assert_string_equal(f->out.error, "rules/a.lua:3: assertion failed!");
    folder_write(f->dir, "lib/m.lua", "while true do end");
    FAILS(f, "require 'lib.m'",
          "lib/m.lua:1: ran over its time limit of 200 ms (setting handler_timeout; a handler can "
          "have its own with timeout in herald.on)");
    folder_write(f->dir, "lib/m.lua", "require 'herald'.on('x', '*', print)");
    FAILS(f, "require 'lib.m'",
          "lib/m.lua:1: herald.on is for loading: a handler cannot change the rules");
}

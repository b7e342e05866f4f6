/* Literals that rules give to tx:, found without running anything. */
#include "fake_host.h"

struct found {
    char text[4096];
    int left; /* stop after so many */
};

static bool note(void *arg, const struct script_constant *c)
{
    struct found *f = arg;

    put(f->text, sizeof f->text, "%s:%d:%d %s [%.*s]", c->file, c->line, c->column,
        c->kind == CONSTANT_SQL ? "sql" : "emit", (int)c->text.len, c->text.data);
    if (c->order_type.data != NULL)
        put(f->text, sizeof f->text, " [%.*s]", (int)c->order_type.len, c->order_type.data);
    put(f->text, sizeof f->text, "\n");
    return --f->left != 0;
}

/* What is found in the body of a function that nobody calls; its line is 1. */
static void finds(struct scene *s, const char *body, const char *expected)
{
    struct found f = {.text = ""};
    char text[4096];

    snprintf(text, sizeof text, "local function never(tx, sql, t) %s\nend", body);
    assert_string_equal(load(s, text), "");
    assert_int_equal(script_constants(s->script, note, &f, &s->err), OK);
    if (strcmp(f.text, expected) != 0)
        fail_msg("%s\n%s\n%s", body, f.text, expected);
}

TEST_WITH(scene, sql_is_one_literal_string)
{
    finds(f, "tx:exec('a') tx:query(\"b\", 1) tx:row([[c]]) tx:value 'd' tx:row [==[e]==]",
          "rules/a.lua:1:42 sql [a]\nrules/a.lua:1:56 sql [b]\nrules/a.lua:1:71 sql [c]\n"
          "rules/a.lua:1:87 sql [d]\nrules/a.lua:1:98 sql [e]\n");
    finds(f, "\n  tx:exec(\n   'a'\n , 2)", "rules/a.lua:3:4 sql [a]\n");
    finds(f, "tx : exec --[[ why ]] ( -- x\n'a' --[==[ ]] ]==])", "rules/a.lua:2:1 sql [a]\n");
    finds(f, "for row in tx:query('a') do tx:exec('b', tx:value('c')) end",
          "rules/a.lua:1:54 sql [a]\nrules/a.lua:1:70 sql [b]\nrules/a.lua:1:84 sql [c]\n");
}

TEST_WITH(scene, what_is_computed_or_said_elsewhere_is_not_found)
{
    finds(f,
          "tx:exec(sql) tx:exec('a' .. sql) tx:exec(('a')) tx:exec('a'):x() t.exec('b')\n"
          "-- tx:exec('c')\n"
          "--[[ tx:exec('d')\n ]] local x = \"tx:exec('e')\" local y = [[tx:exec('f')]]\n"
          "tx:execute('g') goto exec ::exec::",
          "rules/a.lua:1:90 sql [a]\n");
}

TEST_WITH(scene, strings_have_their_values)
{
    finds(f, "tx:exec 'it\\'s \\\"1\\\" \\x41\\66\\067\\u{20ac}\\u{1F600}\\\\'",
          "rules/a.lua:1:42 sql [it's \"1\" ABC\xe2\x82\xac\xf0\x9f\x98\x80\\]\n");
    finds(f, "tx:exec 'select \\z\n      1' tx:exec 'a\\\nb'",
          "rules/a.lua:1:42 sql [select 1]\nrules/a.lua:2:18 sql [a\nb]\n");
    finds(f, "tx:exec [[\nselect \\n]]", "rules/a.lua:1:42 sql [select \\n]\n");
    finds(f, "tx:exec [=[a]]b]=] tx:exec '' tx:exec 'b'",
          "rules/a.lua:1:42 sql [a]]b]\nrules/a.lua:1:61 sql []\nrules/a.lua:1:72 sql [b]\n");
    finds(f, "local n = 1e-5 + 0x.8p+1 + 3 .. '' tx:exec 'a'", "rules/a.lua:1:77 sql [a]\n");
}

TEST_WITH(scene, windows_line_ends_and_a_mark_do_not_move_a_place)
{
    struct found found = {.text = ""};

    assert_string_equal(load(f, "\xef\xbb\xbflocal f = function(tx)\r\n tx:exec 'a'\r\n\r\n"
                                "tx:exec [[\r\nb\r\nc]]\rtx:exec 'd' end"),
                        "");
    assert_int_equal(script_constants(f->script, note, &found, &f->err), OK);
    assert_string_equal(found.text, "rules/a.lua:2:10 sql [a]\nrules/a.lua:4:9 sql [b\nc]\n"
                                    "rules/a.lua:7:9 sql [d]\n");
}

TEST_WITH(scene, an_emit_has_its_literal_type)
{
    finds(f, "tx:emit { type = 'a' } tx:emit({ business_key2 = 'o', type = \"b\" })",
          "rules/a.lua:1:51 emit [a]\nrules/a.lua:1:95 emit [b] [o]\n");
    finds(f, "tx:emit { type = 'a', order_type = 60201, body = { type = 'no' } }",
          "rules/a.lua:1:51 emit [a] [60201]\n");
    finds(f, "tx:emit { ['type'] = 'a'; order_type = sql }", "rules/a.lua:1:55 emit [a]\n");
    finds(f,
          "tx:emit { body = { type = 'no' } } tx:emit { type = sql } tx:emit(t)\n"
          "tx:emit { type = 'a' .. sql } tx:emit { type = t.type }",
          "");
    finds(f,
          "tx:emit { type = 'a', business_key1 = tx:value('b', t.type),\n"
          "order_type = 1.5 } tx:exec 'c'",
          "rules/a.lua:1:51 emit [a]\nrules/a.lua:1:81 sql [b]\nrules/a.lua:2:28 sql [c]\n");
}

TEST_WITH(scene, all_files_are_searched_until_it_is_enough)
{
    struct found found = {.left = 2};

    write_rules(f, "b.lua", "local f = function(tx) tx:exec 'b' tx:exec 'c' end", 50);
    assert_string_equal(load(f, "local f = function(tx) tx:exec 'a' end"), "");
    assert_int_equal(script_constants(f->script, note, &found, &f->err), OK);
    assert_string_equal(found.text, "rules/a.lua:1:32 sql [a]\nrules/b.lua:1:32 sql [b]\n");
}

static bool note_mistake(void *arg, const struct script_constant *c)
{
    static const char *const kinds[] = {"sql", "emit", "dot", "field", "header"};

    put(arg, 1024, "%d %s [%.*s] %d\n", c->column, kinds[c->kind], (int)c->text.len, c->text.data,
        c->values);
    return true;
}

static void finds_mistakes(struct scene *s, const char *body, const char *expected)
{
    char found[1024] = "", text[1024];

    snprintf(text, sizeof text, "local function never(tx, a, b, ...)\n%s\nend", body);
    assert_string_equal(load(s, text), "");
    assert_int_equal(script_constants(s->script, note_mistake, found, &s->err), OK);
    if (strcmp(found, expected) != 0)
        fail_msg("%s\n%s\n%s", body, found, expected);
}

TEST_WITH(scene, values_behind_a_statement_are_counted)
{
    finds_mistakes(f, "tx:exec('x') tx:row 'y'", "9 sql [x] 0\n21 sql [y] 0\n");
    finds_mistakes(f, "tx:exec('x', a, (a or b).c, a[b(1, 2)])", "9 sql [x] 3\n");
    finds_mistakes(f, "tx:exec('x', ...)", "9 sql [x] -1\n");
    finds_mistakes(f, "tx:exec('x', a, b())", "9 sql [x] -1\n");
    finds_mistakes(f, "tx:exec('x', { a = 1, b = 2 })", "9 sql [x] -1\n");
    finds_mistakes(f, "tx:exec('x', function() return 1, 2 end)", "9 sql [x] -1\n");
}

TEST_WITH(scene, calls_that_must_fail_are_found)
{
    finds_mistakes(f, "tx.exec('x') tx.emit { type = 't' }", "4 dot [exec] 0\n17 dot [emit] 0\n");
    finds_mistakes(f, "tx.exec(tx, 'x') pcall(tx.exec, tx, 'x') local f = tx.row", "");
    finds_mistakes(f, "a.exec('x')", "");
    finds_mistakes(f, "tx:emit { type = 't', bodi = { nix = 1 }, body = a, delay = b }",
                   "23 field [bodi] 0\n18 emit [t] 0\n");
}

TEST_WITH(scene, headers_that_bear_a_propertys_name_are_found)
{
    finds_mistakes(
        f, "tx:emit { type = 't', headers = { priority = 1, ['reply_to'] = a, app_id = 1 } }",
        "35 header [priority] 0\n67 header [app_id] 0\n18 emit [t] 0\n");
    finds_mistakes(f,
                   "tx:emit { headers = { content_type = 'x', x = { app_id = 1 } },\n"
                   "properties = { priority = 1 }, body = { priority = 1 } }",
                   "");
}

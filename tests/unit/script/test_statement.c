/* Parameters of a statement, and the words of its errors. */
#include "fake_host.h"

TEST_WITH(scene, named_parameters_come_from_a_table)
{
    RUNS(f, "local row = tx:row('echo :id :note :n', { id = 16, note = herald.null, n = 'x' })\n"
            "assert(row.p1 == 16 and row.p2 == nil and row.p3 == 'x')\n"
            "assert(tx:value('echo :id', 5) == 5)\n"
            "for row in tx:query('echo :id', { id = 3 }) do assert(row.p1 == 3) end");
    FAILS(f, "tx:row('echo :id :note', { id = 16 })",
          "rules/a.lua:3: no value for parameter 'note'; herald.null means NULL, in: echo :id "
          ":note");
    FAILS(f, "tx:row('echo :id', { idd = 16 })",
          "rules/a.lua:3: the statement has no parameter 'idd': did you mean 'id'?, in: echo :id");
    FAILS(f, "tx:row('echo :id', { id = 16, other_thing = 1 })",
          "rules/a.lua:3: the statement has no parameter 'other_thing' (known: id), in: echo :id");
    FAILS(f, "tx:row('echo ?', { id = 16 })",
          "rules/a.lua:3: parameter 1 has no name: write :name in the statement, or give separate "
          "values, in: echo ?");
    FAILS(f, "tx:row('none', { 1, 2 })",
          "rules/a.lua:3: a table of parameters has names; give a list as separate values, in: "
          "none");
}

TEST_WITH(scene, a_wrong_count_says_how_many)
{
    FAILS(f, "tx:exec('echo ? ?', 1)",
          "rules/a.lua:3: the statement has 2 parameters, 1 value was given, in: echo ? ?");
    FAILS(f, "tx:exec('none', 1, nil)",
          "rules/a.lua:3: the statement has 0 parameters, 2 values were given, in: none");
    FAILS(f, "for _ in tx:query('echo ?') do end",
          "rules/a.lua:3: the statement has 1 parameter, 0 values were given, in: echo ?");
    FAILS(f, "tx:exec('echo ? ?', 1, print)",
          "rules/a.lua:3: parameter 2 is a function: SQL takes strings, numbers, booleans, nil, "
          "in: echo ? ?");
}

TEST_WITH(scene, errors_carry_the_words_and_the_statement)
{
    FAILS(f, "tx:exec('bad statement')",
          "rules/a.lua:3: near \"bad\": syntax error, in: bad statement");
    FAILS(f, "tx:exec([[fail\n   with  \n much space]])",
          "rules/a.lua:3: UNIQUE constraint failed: t.x, in: fail with much space");
    /* Without parentheses Lua names the first line of it (5.4.4) or the last (from 5.4.7). */
    assert_int_equal(run(f, "tx:exec [[fail\n   with  \n much space]]"), SCRIPT_FAILED);
    assert_non_null(
        strstr(f->out.error, ": UNIQUE constraint failed: t.x, in: fail with much space"));
    assert_true(strncmp(f->out.error, "rules/a.lua:3:", 14) == 0 ||
                strncmp(f->out.error, "rules/a.lua:5:", 14) == 0);
}

TEST_WITH(scene, a_long_statement_is_cut)
{
    assert_int_equal(run(f, "tx:exec('fail' .. (' a\\n\\t  longer'):rep(40))"), SCRIPT_FAILED);
    assert_non_null(
        strstr(f->out.error, "UNIQUE constraint failed: t.x, in: fail a longer a longer a longer"));
    assert_string_equal(f->out.error + strlen(f->out.error) - 3, "...");
    assert_in_range(strlen(f->out.error), 200, 300);
    FAILS(f, "for row in tx:query('fail') do end",
          "rules/a.lua:3: UNIQUE constraint failed: t.x, in: fail");
    RUNS(f, "local ok, e = pcall(tx.exec, tx, 'fail') assert(not ok)\n"
            "assert(tx:exec('change 1') == 1)");
}

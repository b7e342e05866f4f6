/* SQL from a handler: values both ways, parameters, rows, errors. */
#include "fake_host.h"

TEST_WITH(scene, exec_row_value_and_query_answer)
{
    RUNS(f, "assert(tx:exec('change 5') == 5 and tx:exec('change 0') == 0)\n"
            "assert(tx:row('none') == nil and tx:value('none') == nil)\n"
            "assert(tx:row('count 2').n == 1 and tx:value('count 2') == 1)\n"
            "local sum = 0\n"
            "for row in tx:query('count 100') do sum = sum + row.n end assert(sum == 5050)\n"
            "for a in tx:query('count 3') do for b in tx:query('count 3') do sum = sum + b.n end\n"
            "end assert(sum == 5068)\n"
            "local rows = tx:query('count 2')\n"
            "assert(rows().n == 1 and rows().n == 2 and rows() == nil and rows() == nil)\n"
            "for row in tx:query('none') do error 'no' end");
}

/* Text and blob compare differently in SQL; what is UTF-8 by chance may still be a blob. */
TEST_WITH(scene, a_blob_is_bound_as_one)
{
    RUNS(f,
         "local row = tx:row('echo ? ? ? ?', 'text', herald.blob 'text', '\\xff', herald.blob '')\n"
         "assert(row.p1 == 'text' and row.p2 == 'text' and row.p3 == '\\xff' and row.p4 == '')\n"
         "assert(tostring(herald.blob 'a\\0b') == 'a\\0b')");
    assert_int_equal(f->fake.stmt[0].bound[0].kind, VALUE_TEXT);
    assert_int_equal(f->fake.stmt[0].bound[1].kind, VALUE_BLOB);
    assert_int_equal(f->fake.stmt[0].bound[2].kind, VALUE_BLOB);
    assert_int_equal(f->fake.stmt[0].bound[3].kind, VALUE_BLOB);
    assert_int_equal(f->fake.stmt[0].bound[3].bytes.len, 0);
    FAILS(f, "herald.blob(5)",
          "rules/a.lua:3: bad argument #1 to 'blob' (string expected, got number)");
    FAILS(
        f, "herald.json.encode { herald.blob 'x' }",
        "rules/a.lua:3: cannot write value[1] as JSON: it is a herald.blob, and JSON has no bytes");
}

TEST_WITH(scene, wrong_use_is_explained)
{
    FAILS(f, "tx:execute('none')",
          "rules/a.lua:3: tx has no method 'execute': did you mean 'exec'?");
    FAILS(f, "tx.exec('none')",
          "rules/a.lua:3: bad argument #1 to 'exec' (herald.tx expected, "
          "got string)");
    FAILS(f, "tx:exec()",
          "rules/a.lua:3: bad argument #1 to 'exec' (string expected, got no "
          "value)");
    FAILS(f, "tx.x = 1", "rules/a.lua:3: tx is read-only");
}

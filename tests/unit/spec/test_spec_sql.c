/* Another program's SQL: several statements, values, and an end in the middle. */
#include "store.h"

#include "spec/spec_sql.h"

#include <string.h>

static struct spec_sql *g;

static void begin(struct store *s)
{
    store_setup_open(s);
    assert_ok(s, spec_sql_open(&g, s->db, &s->err));
}

static void end(struct store *s)
{
    spec_sql_close(&g);
    store_teardown(s);
}

/* Runs all statements, with `v` as the first parameter of each; returns the code. */
static int run(struct store *s, const char *sql, const struct value *v)
{
    int rc, ended;

    spec_sql_begin(g, slice_of(sql));
    while ((rc = spec_sql_next(g, &s->err)) == 1) {
        if (spec_sql_parameters(g) > 0 && v != NULL)
            assert_ok(s, spec_sql_bind(g, 1, v, &s->err));
        while ((rc = spec_sql_step(g, &s->err)) == 1)
            continue;
        if (rc != OK)
            break;
    }
    ended = spec_sql_end(g, rc == OK ? &s->err : NULL);
    return rc == OK ? ended : rc;
}

TEST_ON(struct store, begin, end, runs_all_statements_of_a_text)
{
    assert_ok(
        f, run(f, "create table t (n); ; -- nothing\ninsert into t values (1); /* end */", NULL));
    assert_ok(f, run(f, "begin; insert into t values (2); commit", NULL));
    assert_ok(f, run(f, "", NULL));
    assert_string_equal(other_rows(f, "select n from t"), "1, 2");
    spec_sql_close(&g);
    assert_null(g);
}

TEST_ON(struct store, begin, end, values_keep_their_kind)
{
    const struct value big = {.kind = VALUE_INT, .integer = INT64_MAX};
    const struct value blob = {.kind = VALUE_BLOB, .bytes = {"\0\xff", 2}};
    const struct value text = {.kind = VALUE_TEXT, .bytes = {"", 0}};
    const struct value real = {.kind = VALUE_REAL, .real = 99.9};
    const struct value null = {.kind = VALUE_NULL};
    struct value out;

    assert_ok(f, run(f, "create table t (n)", NULL));
    assert_ok(f, run(f, "insert into t values (:v)", &big));
    assert_ok(f, run(f, "insert into t values (:v)", &blob));
    assert_ok(f, run(f, "insert into t values (:v)", &text));
    assert_ok(f, run(f, "insert into t values (:v)", &real));
    assert_ok(f, run(f, "insert into t values (:v)", &null));
    assert_string_equal(other_rows(f, "select typeof(n) from t"),
                        "integer, blob, text, real, null");
    spec_sql_begin(g, slice_of("select n, 1 as one from t where :v is not null"));
    assert_int_equal(spec_sql_next(g, &f->err), 1);
    assert_string_equal(spec_sql_parameter_name(g, 1), ":v");
    assert_ok(f, spec_sql_bind(g, 1, &big, &f->err));
    assert_int_equal(spec_sql_columns(g), 2);
    assert_string_equal(spec_sql_column_name(g, 1), "one");
    assert_int_equal(spec_sql_step(g, &f->err), 1);
    spec_sql_column(g, 0, &out);
    assert_int_equal(out.integer, INT64_MAX);
    assert_int_equal(spec_sql_step(g, &f->err), 1);
    spec_sql_column(g, 0, &out);
    assert_int_equal(out.bytes.len, 2);
    assert_memory_equal(out.bytes.data, "\0\xff", 2);
    spec_sql_close(&g); /* in the middle of a statement */
}

TEST_ON(struct store, begin, end, mistakes_have_words_and_leave_nothing_open)
{
    assert_refused(f, run(f, "select * from absent", NULL), ERR_SCRIPT,
                   "no such table: absent in: select * from absent");
    assert_refused(f, run(f, "create table t (n); begin; insert into t values (1); selec", NULL),
                   ERR_SCRIPT, "syntax error");
    assert_refused(f, run(f, "begin; insert into t values (2)", NULL), ERR_SCRIPT,
                   "left a transaction open");
    assert_string_equal(other_rows(f, "select count(*) from t"), "0");
    spec_sql_begin(g, slice_of("begin; insert into t values (3); select 1"));
    assert_int_equal(spec_sql_next(g, &f->err), 1);
    assert_int_equal(spec_sql_step(g, &f->err), 0);
    assert_ok(f, run(f, "insert into t values (4)", NULL)); /* what was left is undone */
    assert_string_equal(other_rows(f, "select n from t"), "4");
}

/* A business may write where handlers may not. */
TEST_ON(struct store, begin, end, nobody_watches_it)
{
    assert_ok(f, run(f, "insert into herald_outbox (type) values ('t')", NULL));
    assert_string_equal(other_rows(f, "select type from herald_outbox"), "t");
}

/* What handlers' statements may do, and that values come back as they were. */
#include "store.h"

#include "store/outbox.h"
#include "store/sql.h"
#include "store/sqlite/db_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct sql *sql; /* of the running test */

/* A store with tables, and its transaction as a handler has it. */
static void begin(struct store *s)
{
    store_setup(s);
    store_open(s);
    other_exec(s, "create table t(id integer primary key, v unique);"
                  "create table parent(id primary key);"
                  "create table child(id, parent references parent(id)"
                  " deferrable initially deferred);"
                  "create virtual table words using fts5(word);"
                  "create view seen as select id from herald_outbox;"
                  "create trigger tell after insert on t when new.v = 'tell' begin"
                  " insert into herald_outbox(type) values ('told'); end;"
                  "create table forged(v);"
                  "create trigger forge after insert on forged begin"
                  " delete from herald_inbox; end;"
                  "create trigger gone after insert on t when new.v = 'gone' begin"
                  " select raise(rollback, 'all of it'); end;");
    other_close(s);
    assert_ok(s, sql_new(&sql, s->db, 4, &s->err));
    assert_ok(s, db_begin(s->db, &s->err));
    sql_enter(sql, INT64_MAX);
}

static void end(struct store *s)
{
    sql_leave(sql);
    sql_free(&sql);
    db_rollback(s->db);
    store_teardown(s);
}

/* Prepares and runs to the end; the first code that is not a row. */
static int run(struct store *s, const char *text)
{
    struct sql_stmt *stmt;
    int rc = sql_prepare(sql, slice_of(text), &stmt, &s->err);

    if (rc != OK)
        return rc;
    do
        rc = sql_step(stmt, &s->err);
    while (rc == 1);
    sql_done(&stmt);
    return rc;
}

static void refuse(struct store *s, const char *text, const char *words)
{
    assert_refused(s, run(s, text), ERR_SCRIPT, words);
    assert_true(db_in_transaction(s->db));
}

/* Sends a value through SQL and back. */
static struct value round_trip(struct store *s, struct sql_stmt **stmt, struct value in)
{
    struct value out;

    assert_ok(s, sql_prepare(sql, slice_of("select ?"), stmt, &s->err));
    assert_ok(s, sql_bind(*stmt, 1, &in, &s->err));
    assert_int_equal(sql_step(*stmt, &s->err), 1);
    sql_column(*stmt, 0, &out);
    return out;
}

TEST_ON(struct store, begin, end, integers_are_exact)
{
    static const int64_t numbers[] = {
        0, -1, INT64_MAX, INT64_MIN, (INT64_C(1) << 53) + 1, 1029384756102938475};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sql_stmt *stmt;
        struct value v =
            round_trip(f, &stmt, (struct value){.kind = VALUE_INT, .integer = numbers[i]});

        assert_int_equal(v.kind, VALUE_INT);
        assert_true(v.integer == numbers[i]);
        sql_done(&stmt);
    }
}

TEST_ON(struct store, begin, end, reals_stay_reals)
{
    static const double numbers[] = {0.5, 99.90, 3.0, -0.1, 1e300, INFINITY};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        struct sql_stmt *stmt;
        struct value v =
            round_trip(f, &stmt, (struct value){.kind = VALUE_REAL, .real = numbers[i]});

        assert_int_equal(v.kind, VALUE_REAL);
        assert_true(v.real >= numbers[i] && v.real <= numbers[i]);
        sql_done(&stmt);
    }
}

TEST_ON(struct store, begin, end, nan_is_refused_rather_than_made_null)
{
    struct sql_stmt *stmt;
    const struct value nan_value = {.kind = VALUE_REAL, .real = NAN};

    assert_ok(f, sql_prepare(sql, slice_of("select ?"), &stmt, &f->err));
    assert_refused(f, sql_bind(stmt, 1, &nan_value, &f->err), ERR_SCRIPT, "NaN");
    sql_done(&stmt);
}

TEST_ON(struct store, begin, end, text_blobs_and_null_keep_kind_and_bytes)
{
    static const struct value values[] = {
        {.kind = VALUE_TEXT, .bytes = {"a\0b", 3}},
        {.kind = VALUE_TEXT, .bytes = {"", 0}},
        {.kind = VALUE_TEXT, .bytes = {NULL, 0}},
        {.kind = VALUE_BLOB, .bytes = {"\0\xff", 2}},
        {.kind = VALUE_BLOB, .bytes = {"", 0}},
        {.kind = VALUE_BLOB, .bytes = {NULL, 0}},
        {.kind = VALUE_NULL},
    };

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct sql_stmt *stmt;
        struct value v = round_trip(f, &stmt, values[i]);

        assert_int_equal(v.kind, values[i].kind);
        assert_int_equal(v.bytes.len, values[i].bytes.len);
        if (v.bytes.len > 0)
            assert_memory_equal(v.bytes.data, values[i].bytes.data, v.bytes.len);
        sql_done(&stmt);
    }
}

TEST_ON(struct store, begin, end, bound_text_outlives_its_lender)
{
    struct sql_stmt *stmt;
    struct value v;
    char *text = strdup("here today");
    const struct value in = {.kind = VALUE_TEXT, .bytes = slice_of(text)};

    assert_ok(f, sql_prepare(sql, slice_of("select ?"), &stmt, &f->err));
    assert_ok(f, sql_bind(stmt, 1, &in, &f->err));
    free(text);
    assert_int_equal(sql_step(stmt, &f->err), 1);
    sql_column(stmt, 0, &v);
    assert_true(slice_is(v.bytes, "here today"));
    sql_done(&stmt);
}

TEST_ON(struct store, begin, end, parameters_and_columns_have_names)
{
    struct sql_stmt *stmt;
    const struct value v = {.kind = VALUE_INT, .integer = 1};

    assert_ok(f, sql_prepare(sql, slice_of("select :a as x, @b y, ?, :a"), &stmt, &f->err));
    assert_int_equal(sql_parameters(stmt), 3);
    assert_string_equal(sql_parameter_name(stmt, 1), ":a");
    assert_null(sql_parameter_name(stmt, 3));
    assert_int_equal(sql_columns(stmt), 4);
    assert_string_equal(sql_column_name(stmt, 1), "y");
    assert_refused(f, sql_bind(stmt, 4, &v, &f->err), ERR_SCRIPT, "no such parameter");
    sql_done(&stmt);
}

TEST_ON(struct store, begin, end, business_tables_are_open)
{
    assert_ok(f, run(f, "insert into t(v) values ('a'), ('b')"));
    assert_int_equal(sql_changes(sql), 2);
    assert_ok(f, run(f, "update t set v = 'c' where id = 1"));
    assert_ok(f, run(f, "with recursive n(i) as (select 1 union all select i + 1 from n where "
                        "i < 5) select max(i) from n, t"));
    assert_ok(f, run(f, "delete from t"));
    assert_ok(f, run(f, "select * from herald_outbox, herald_dead, seen"));
    assert_ok(f, run(f, "insert into words values ('some words')"));
    assert_ok(f, run(f, "select * from words where words match 'some'"));
}

TEST_ON(struct store, begin, end, what_handlers_must_not_do_is_denied_in_words)
{
    static const char *const cases[][2] = {
        {"begin", "a handler may not begin or end a transaction in: begin"},
        {"commit", "transaction"},
        {"end", "transaction"},
        {"rollback", "transaction"},
        {"savepoint x", "savepoints"},
        {"release herald", "savepoints"},
        {"rollback to herald", "savepoints"},
        {"attach ':memory:' as m", "attach"},
        {"detach main", "detach"},
        {"pragma user_version", "pragma"},
        {"pragma user_version = 3", "pragma"},
        {"pragma synchronous = off", "pragma"},
        {"select * from pragma_table_info('t')", ""},
        {"create table x(a)", "change the schema"},
        {"create temp table x(a)", "change the schema"},
        {"create table x as select 1", "change the schema"},
        {"create index x on t(v)", "change the schema"},
        {"create view x as select 1", "change the schema"},
        {"create trigger x after insert on t begin select 1; end", "change the schema"},
        {"create virtual table x using fts5(a)", "change the schema"},
        {"drop table t", ""},
        {"drop view seen", ""},
        {"drop trigger tell", ""},
        {"alter table t add column x", "change the schema"},
        {"alter table t rename to u", "change the schema"},
        {"reindex", "change the schema"},
        {"analyze", ""},
        {"vacuum", "VACUUM"},
        {"select load_extension('x')", ""},
        {"insert into herald_outbox(type) values ('x')", "write to herald_outbox"},
        {"INSERT INTO HERALD_OUTBOX(type) VALUES ('x')", "write to herald_outbox"},
        {"replace into herald_meta values ('a', 1)", "write to herald_meta"},
        {"update herald_meta set value = 0", "write to herald_meta"},
        {"delete from herald_inbox", "write to herald_inbox"},
        {"with x as (select 1) delete from herald_retry", "write to herald_retry"},
        {"update sqlite_sequence set seq = 0", "write to sqlite_sequence"},
        {"delete from sqlite_schema", ""},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(f, cases[i][0], cases[i][1]);
}

TEST_ON(struct store, begin, end, a_statement_of_heralds_own_is_never_watched)
{
    const struct message m = {.type = slice_of("t")};
    int64_t id;

    assert_ok(f, db_commit(f->db, &f->err));
    other_exec(f, "create table later(x)"); /* everything is compiled anew */
    other_close(f);
    assert_ok(f, db_begin(f->db, &f->err));
    assert_ok(f, run(f, "select 1"));
    assert_ok(f, outbox_add(f->db, &m, 0, &id, &f->err));
    refuse(f, "delete from herald_outbox", "write to herald_outbox");
    assert_ok(f, outbox_add(f->db, &m, 0, &id, &f->err));
}

TEST_ON(struct store, begin, end, a_kept_statement_stays_watched_when_the_schema_changes)
{
    const char *text = "insert into t(v) values ('later')";

    assert_ok(f, run(f, text));
    db_rollback(f->db);
    other_exec(f, "create trigger sly after insert on t begin delete from herald_dead; end");
    assert_ok(f, db_begin(f->db, &f->err));
    assert_refused(f, run(f, text), ERR_SCRIPT, "write to herald_dead");
    other_exec(f, "select 1");
}

TEST_ON(struct store, begin, end, or_rollback_is_noticed)
{
    assert_ok(f, run(f, "insert into t(v) values ('a')"));
    assert_refused(f, run(f, "insert or rollback into t(v) values ('a')"), ERR_TX_LOST,
                   "this statement ended the transaction: UNIQUE");
    assert_false(db_in_transaction(f->db));
    assert_int_equal(run(f, "select 1"), ERR_TX_LOST);
    assert_int_equal(db_savepoint(f->db, &f->err), ERR_TX_LOST);
    assert_int_equal(db_release(f->db, &f->err), ERR_TX_LOST);
    assert_int_equal(db_commit(f->db, &f->err), ERR_TX_LOST);
}

TEST_ON(struct store, begin, end, heralds_own_writes_do_not_commit_by_themselves_afterwards)
{
    const struct message m = {.type = slice_of("t")};

    assert_ok(f, run(f, "insert into t(v) values ('a')"));
    assert_int_equal(run(f, "insert or rollback into t(v) values ('a')"), ERR_TX_LOST);
    assert_int_equal(outbox_add(f->db, &m, 0, NULL, &f->err), ERR_TX_LOST);
    db_rollback(f->db);
    assert_int_equal(other_int(f, "select count(*) from herald_outbox"), 0);
}

TEST_ON(struct store, begin, end, wrong_sql_is_told_with_its_text)
{
    refuse(f, "selec 1", "near \"selec\": syntax error in: selec 1");
    refuse(f, "select * from nowhere", "no such table: nowhere");
    refuse(f, "", "no statement");
    refuse(f, " -- nothing", "no statement");
    assert_ok(f, run(f, "insert into t(v) values (1)"));
    refuse(f, "insert into t(v) values (1)", "UNIQUE constraint failed: t.v");
}

TEST_ON(struct store, begin, end, wrong_sql_is_told_with_its_place)
{
    refuse(f, "selec 1", "syntax error");
    assert_int_equal(sql_error_at(sql), 0);
    refuse(f, "select v,\n  nowhere from t", "no such column");
    assert_int_equal(sql_error_at(sql), 12);
    refuse(f, "delete from herald_outbox", "may not");
    assert_int_equal(sql_error_at(sql), -1);
}

TEST_ON(struct store, begin, end, exactly_one_statement_is_taken)
{
    const struct slice nul = {"select 1\0; delete from t", 24};
    struct sql_stmt *stmt;

    assert_ok(f, run(f, "select 1;"));
    assert_ok(f, run(f, "/* one */ select 1 ; -- done\n\t/* really * / */ -- "));
    refuse(f, "select 1; select 2", "more than one statement");
    refuse(f, "select 1;;", "more than one statement");
    assert_ok(f, run(f, "select 1; /* open")); /* a comment to SQLite, too */
    assert_refused(f, sql_prepare(sql, nul, &stmt, &f->err), ERR_SCRIPT, "more than one");
}

TEST_ON(struct store, begin, end, the_cache_forgets_the_statement_used_longest_ago)
{
    struct sql_stmt *a, *b, *again;

    assert_ok(f, sql_prepare(sql, slice_of("select 'a'"), &a, &f->err));
    b = a;
    sql_done(&a);
    assert_null(a);
    assert_ok(f, sql_prepare(sql, slice_of("select 'a'"), &again, &f->err));
    assert_ptr_equal(again, b); /* kept */
    sql_done(&again);
    assert_ok(f, run(f, "select 1"));
    assert_ok(f, run(f, "select 2"));
    assert_ok(f, run(f, "select 'a'"));
    assert_ok(f, run(f, "select 3"));
    assert_ok(f, run(f, "select 4")); /* five for four places: "select 1" goes */
    assert_int_equal(
        sqlite3_stmt_status(sqlite3_next_stmt(f->db->work, NULL), SQLITE_STMTSTATUS_RUN, 0),
        1); /* the newest */
    for (sqlite3_stmt *p = sqlite3_next_stmt(f->db->work, NULL); p != NULL;
         p = sqlite3_next_stmt(f->db->work, p))
        assert_string_not_equal(sqlite3_sql(p), "select 1");
}

TEST_ON(struct store, begin, end, a_statement_may_run_inside_itself)
{
    struct sql_stmt *outer, *inner;

    assert_ok(f, run(f, "insert into t(v) values ('a'), ('b')"));
    assert_ok(f, sql_prepare(sql, slice_of("select id from t"), &outer, &f->err));
    assert_int_equal(sql_step(outer, &f->err), 1);
    assert_ok(f, sql_prepare(sql, slice_of("select id from t"), &inner, &f->err));
    assert_ptr_not_equal(outer, inner);
    assert_int_equal(sql_step(inner, &f->err), 1);
    assert_int_equal(sql_step(inner, &f->err), 1);
    assert_int_equal(sql_step(inner, &f->err), 0);
    sql_done(&inner);
    assert_int_equal(sql_step(outer, &f->err), 1);
    assert_int_equal(sql_step(outer, &f->err), 0);
    sql_done(&outer);
}

TEST_ON(struct store, begin, end, a_statement_left_open_ends_with_its_handler)
{
    struct sql_stmt *stmt;

    assert_ok(f, run(f, "insert into t(v) values ('a'), ('b')"));
    assert_ok(f, sql_prepare(sql, slice_of("select id from t"), &stmt, &f->err));
    assert_int_equal(sql_step(stmt, &f->err), 1);
    sql_leave(sql);
    assert_refused(f, sql_step(stmt, &f->err), ERR_SCRIPT, "after its handler returned");
    sql_enter(sql, INT64_MAX);
    assert_refused(f, sql_step(stmt, &f->err), ERR_SCRIPT, "after its handler returned");
    sql_done(&stmt); /* as a garbage collector would, late */
    assert_ok(f, run(f, "select id from t"));
}

/* docs/design.md#what-handlers-may-write: business triggers that insert into herald_outbox. */
TEST_ON(struct store, begin, end, a_trigger_sends_and_others_are_stopped)
{
    refuse(f, "insert into forged values (1)", "write to herald_inbox");
    assert_ok(f, run(f, "insert into t(v) values ('tell')"));
    assert_int_equal(run(f, "insert into t(v) values ('gone')"), ERR_TX_LOST);
    assert_contains(f->err.text, "all of it");
    db_rollback(f->db);
    assert_ok(f, db_begin(f->db, &f->err));
    assert_ok(f, run(f, "insert into t(v) values ('tell')"));
    assert_ok(f, db_commit(f->db, &f->err));
    assert_string_equal(other_rows(f, "select type from herald_outbox"), "told");
}

TEST_ON(struct store, begin, end, a_statement_beyond_the_time_limit_is_interrupted)
{
    sql_enter(sql, 0); /* long ago */
    assert_int_equal(run(f, "with recursive c(n) as (select 1 union all select n + 1 from c)"
                            " select count(*) from c"),
                     ERR_SCRIPT);
    assert_non_null(strstr(f->err.text, "time limit"));
    assert_true(db_in_transaction(f->db));
    assert_int_equal(run(f, "with recursive c(n) as (select 1 union all select n + 1 from c)"
                            " insert into t(v) select n from c"),
                     ERR_TX_LOST);
    assert_non_null(strstr(f->err.text, "time limit"));
    assert_false(db_in_transaction(f->db));
}

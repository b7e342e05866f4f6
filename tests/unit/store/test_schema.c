/* What db_open makes of the files it may find. */
#include "store.h"

#include "store/sqlite/db_int.h"
#include "version_1.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void a_new_store_has_the_public_table(void **state)
{
    struct store *s = *state;

    store_open(s);
    other_exec(s, "insert into herald_outbox(type, business_key1, business_key2) "
                  "values ('payresult_notify', '16', '60201')");
    assert_string_equal(
        other_rows(s, "select id, type, business_key1, business_key2, business_key3, body, headers,"
                      " message_id, due_at, key from herald_outbox"),
        "1|payresult_notify|16|60201|-|-|-|-|0|-");
    assert_int_equal(other_int(s, "select abs(created_at - strftime('%s') * 1000) < 5000 "
                                  "from herald_outbox"),
                     1);
    assert_string_equal(other_rows(s, "pragma journal_mode"), "wal");
}

static void the_outbox_refuses_what_could_never_be_sent(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_int_equal(other_try(s, "insert into herald_outbox(business_key1) values ('16')"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(other_try(s, "insert into herald_outbox(id, type) values (0, 't')"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(
        other_try(s, "insert into herald_outbox(id, type) values (9007199254740992, 't')"),
        SQLITE_CONSTRAINT);
    assert_int_equal(other_try(s, "insert into herald_outbox(type, due_at) values ('t', 'soon')"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(other_try(s, "insert into herald_outbox(type, due_at) values ('t', -1)"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(
        other_try(s, "insert into herald_outbox(type, body) values ('t', zeroblob(16777216))"),
        SQLITE_CONSTRAINT);
    assert_int_equal(
        other_try(s, "insert into herald_outbox(type, body) values ('t', zeroblob(16777215))"),
        SQLITE_OK);
}

static void an_id_that_was_given_is_refused_with_words(void **state)
{
    struct store *s = *state;

    store_open(s);
    other_exec(s, "insert into herald_outbox(type) values ('t'), ('t'), ('t')");
    other_exec(s, "delete from herald_outbox where id = 2");
    assert_int_equal(other_try(s, "insert into herald_outbox(id, type) values (2, 't')"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(other_try(s, "update herald_outbox set id = 2 where id = 1"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(other_try(s, "insert into herald_outbox(id, type) values (9, 't'), (7, 't')"),
                     SQLITE_OK); /* nobody has passed either */
    assert_int_equal(
        other_try(s, "insert into herald_outbox(type, due_at) values ('t', 9223372036854775807)"),
        SQLITE_CONSTRAINT);
}

static void a_store_is_opened_again_as_it_was(void **state)
{
    struct store *s = *state;

    store_open(s);
    other_exec(s, "insert into herald_outbox(type) values ('t')");
    other_close(s);
    store_close(s);
    assert_ok(s, store_try(s, s->path, false, true, &s->db));
    assert_int_equal(other_int(s, "select count(*) from herald_outbox"), 1);
}

static void a_database_with_business_tables_becomes_a_store(void **state)
{
    struct store *s = *state;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "create table orders(id); insert into orders values (1)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_refused(s, store_try(s, s->path, false, false, &s->db), ERR_NOT_FOUND, "not a store");
    assert_string_equal(other_rows(s, "pragma journal_mode"), "delete"); /* left as it was */
    other_close(s);
    store_open(s);
    assert_int_equal(other_int(s, "select count(*) from orders"), 1);
}

static void what_is_absent_is_not_made_unasked(void **state)
{
    struct store *s = *state;

    assert_refused(s, store_try(s, s->path, false, true, &s->db), ERR_NOT_FOUND, "no such store");
    assert_null(s->db);
    assert_int_not_equal(access(s->path, F_OK), 0);
    assert_refused(s, store_try(s, "/nowhere/at/all.db", true, true, &s->db), ERR_NOT_FOUND,
                   "/nowhere/at/all.db");
}

static void a_newer_store_is_refused_with_both_versions(void **state)
{
    struct store *s = *state;

    store_open(s);
    store_close(s);
    other_exec(s, "update herald_meta set value = 99 where key = 'schema_version';"
                  "update herald_meta set value = '7.8.9' where key = 'herald'");
    other_close(s);
    assert_refused(s, store_try(s, s->path, true, true, &s->db), ERR_CONFIG, "schema version 99");
    assert_contains(s->err.text, "herald 7.8.9");
    assert_contains(s->err.text, "herald " HERALD_VERSION);
    assert_null(s->db);
}

static void a_file_that_is_no_database_is_damage(void **state)
{
    struct store *s = *state;
    char junk[4097];

    memset(junk, 'x', sizeof junk - 1);
    junk[sizeof junk - 1] = '\0';
    store_write(s, "store.db", junk);
    assert_refused(s, store_try(s, s->path, true, true, &s->db), ERR_CORRUPT, "restore a backup");
    assert_contains(s->err.text, s->path);
}

static void a_store_without_its_version_is_damage(void **state)
{
    struct store *s = *state;

    store_open(s);
    store_close(s);
    other_exec(s, "delete from herald_meta where key = 'schema_version'");
    other_close(s);
    assert_refused(s, store_try(s, s->path, true, true, &s->db), ERR_CORRUPT, "no schema version");
}

static void a_database_in_utf_16_is_refused(void **state)
{
    struct store *s = *state;
    sqlite3 *db;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    sqlite3_exec(db, "pragma encoding = 'UTF-16'; create table t(x)", NULL, NULL, NULL);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_refused(s, store_try(s, s->path, true, true, &s->db), ERR_CONFIG, "UTF-16");
}

/* Steps after those that the store has, which are never run again. */
enum { RELEASED_MAX = 20, MADE_UP = 3 };

static const struct schema_step made_up[MADE_UP] = {
    {"alter table herald_outbox add column made_up integer; create table herald_made_up(id)"},
    {"insert into herald_made_up values (3)"},
    {"create table herald_made_up(id)"}, /* fails */
};

static int version_of(struct store *s)
{
    return (int)other_int(s, "select value from herald_meta where key = 'schema_version'");
}

/* With the first `n` of the made-up steps. */
static int upgrade(struct store *s, int released, int n)
{
    struct schema_step all[RELEASED_MAX + MADE_UP];

    assert_in_range(released, 1, RELEASED_MAX);
    for (int i = 0; i < released; i++)
        all[i].sql = "";
    memcpy(all + released, made_up, sizeof made_up);
    return schema_upgrade(s->db, all, released + n, false, &s->err);
}

static void an_older_store_is_brought_forward_step_by_step(void **state)
{
    struct store *s = *state;
    int released;

    store_open(s);
    released = version_of(s);
    assert_ok(s, upgrade(s, released, 2));
    assert_int_equal(version_of(s), released + 2);
    assert_ok(s, upgrade(s, released, 2)); /* once */
    assert_string_equal(other_rows(s, "select count(*), max(id) from herald_made_up"), "1|3");
}

static void make_version_1(struct store *s)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "pragma journal_mode = wal", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, version_1_store, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void a_store_of_version_1_keeps_its_rows(void **state)
{
    struct store *s = *state;

    make_version_1(s);
    assert_refused(s, store_try(s, s->path, false, false, &s->db), ERR_CONFIG, "when it starts");
    assert_ok(s, store_try(s, s->path, false, true, &s->db));
    assert_true(version_of(s) > 1);
    assert_string_equal(other_rows(s, "select id, type, business_key1, leg_kind, leg_exchange, "
                                      "leg_routing_key from herald_outbox"),
                        "4|t|16|-|-|-");
    assert_string_equal(other_rows(s, "select message_id, attempts, error, generation "
                                      "from herald_retry"),
                        "ylx3vzzjqp7u:2|1|rules/r.lua:4: as told|0");
    assert_string_equal(other_rows(s, "select message_id, error from herald_dead"),
                        "ylx3vzzjqp7u:3|rules/r.lua:4: not wanted");
    assert_string_equal(other_rows(s, "select group_concat(state) from herald_inbox"), "0,1,2");
    assert_int_equal(other_int(s, "select count(*) from herald_recent"), 0);
    other_exec(s, "insert into herald_outbox(type) values ('t')");
    assert_int_equal(other_int(s, "select max(id) from herald_outbox"), 5);
}

/* There each failure was an attempt, a lost connection too, and its time that of a first send. */
static void failures_of_an_older_store_are_no_refusals(void **state)
{
    struct store *s = *state;
    sqlite3 *db;

    make_version_1(s);
    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "update herald_outbox set attempts = 400, due_at = 5000,"
                                  " reason = 'the connection was lost', first_sent_at = 17",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_ok(s, store_try(s, s->path, false, true, &s->db));
    assert_string_equal(other_rows(s, "select attempts, first_sent_at, refused_at, due_at, reason "
                                      "from herald_outbox"),
                        "0|-|-|5000|the connection was lost");
}

/* However it came to be, the schema is the same. */
static void an_upgraded_store_has_the_columns_of_a_new_one(void **state)
{
    static const char columns[] =
        "select group_concat(t.name || '.' || c.name || ' ' || c.type || c.\"notnull\") from "
        "(select name from sqlite_schema where type = 'table' and name like 'herald%' order by "
        "name) t, pragma_table_info(t.name) c";
    struct store *s = *state;
    char upgraded[8192];

    make_version_1(s);
    assert_ok(s, store_try(s, s->path, false, true, &s->db));
    snprintf(upgraded, sizeof upgraded, "%s", other_rows(s, columns));
    other_close(s);
    store_close(s);
    assert_int_equal(remove(s->path), 0);
    store_open(s);
    assert_string_equal(other_rows(s, columns), upgraded);
}

static void a_step_that_fails_changes_nothing(void **state)
{
    struct store *s = *state;
    int released;

    store_open(s);
    released = version_of(s);
    assert_int_equal(upgrade(s, released, 3), ERR_FAILED);
    assert_contains(s->err.text, "herald_made_up already exists");
    assert_int_equal(version_of(s), released);
    assert_int_equal(
        other_int(s, "select count(*) from sqlite_schema where name = 'herald_made_up'"), 0);
}

static void the_command_line_leaves_upgrading_to_the_router(void **state)
{
    struct store *s = *state;

    store_open(s);
    store_close(s);
    assert_ok(s, store_try(s, s->path, false, false, &s->db));
    assert_refused(s, upgrade(s, version_of(s), 1), ERR_CONFIG, "when it starts");
}

/* No full scans and no sorting, whatever the tables hold: cost must not grow with what
 * lies around. The few exceptions take the first row of an order, count to 1,000, read
 * tables that stay small, or are asked only where a set of rules has lost a route. */
static bool may_scan(enum statement which, const char *detail)
{
    return which == STATEMENT_OUTBOX_FEW || which == STATEMENT_OUTBOX_REMOVED ||
           which == STATEMENT_OUTBOX_OLDEST || which == STATEMENT_OUTBOX_NEXT_DUE ||
           which == STATEMENT_RETRY_NEXT_DUE || which == STATEMENT_RECENT_LIST ||
           which == STATEMENT_RECENT_TRIM || which == STATEMENT_DEAD_NEWEST ||
           which == STATEMENT_TAKEN_TYPES || strstr(detail, "sqlite_sequence") != NULL ||
           strstr(detail, "(subquery") != NULL;
}

static void check_plan(struct store *s, enum statement which)
{
    char sql[4096];
    sqlite3_stmt *stmt;

    snprintf(sql, sizeof sql, "explain query plan %s", statement_sql(which));
    assert_int_equal(sqlite3_prepare_v2(s->other, sql, -1, &stmt, NULL), SQLITE_OK);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        const char *detail = (const char *)sqlite3_column_text(stmt, 3);

        if ((strstr(detail, "TEMP B-TREE") != NULL && which != STATEMENT_TAKEN_TYPES) ||
            (strncmp(detail, "SCAN", 4) == 0 && !may_scan(which, detail)))
            fail_msg("%s: %s", statement_sql(which), detail);
    }
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
}

static void no_statement_scans_or_sorts(void **state)
{
    struct store *s = *state;

    store_open(s);
    other_int(s, "select 1");
    for (int i = 0; i < STATEMENTS; i++)
        if (i > STATEMENT_DATA_VERSION) /* those before have no plan */
            check_plan(s, (enum statement)i);
}

static const char *plan_of(struct store *s, enum statement which)
{
    static char plan[512];
    char sql[4096];

    snprintf(sql, sizeof sql, "explain query plan %s", statement_sql(which));
    snprintf(plan, sizeof plan, "%s", other_rows(s, sql));
    return plan;
}

static void claims_and_due_look_ups_use_rowid_and_index(void **state)
{
    struct store *s = *state;

    store_open(s);
    assert_contains(plan_of(s, STATEMENT_OUTBOX_CLAIM), "INTEGER PRIMARY KEY (rowid>?)");
    assert_contains(plan_of(s, STATEMENT_OUTBOX_DELETE),
                    "INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
    assert_contains(plan_of(s, STATEMENT_OUTBOX_DUE),
                    "INDEX herald_outbox_due (due_at>? AND due_at<?)");
    assert_contains(plan_of(s, STATEMENT_OUTBOX_NEXT_DUE), "INDEX herald_outbox_due");
    assert_contains(plan_of(s, STATEMENT_INBOX_OLD), "INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
    assert_contains(plan_of(s, STATEMENT_INBOX_GET), "INDEX herald_inbox_key");
    assert_contains(plan_of(s, STATEMENT_RETRY_DUE), "INDEX herald_retry_queue");
    assert_contains(plan_of(s, STATEMENT_RETRY_QUEUE), "INDEX herald_retry_queue");
    assert_contains(plan_of(s, STATEMENT_RETRY_NEXT_DUE), "INDEX herald_retry_due");
    assert_contains(plan_of(s, STATEMENT_DEAD_FIND), "INDEX herald_dead_once");
    assert_contains(plan_of(s, STATEMENT_ITEM_LIST), "INDEX herald_queue_item_queue");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_new_store_has_the_public_table),
        TEST(the_outbox_refuses_what_could_never_be_sent),
        TEST(an_id_that_was_given_is_refused_with_words),
        TEST(a_store_is_opened_again_as_it_was),
        TEST(a_database_with_business_tables_becomes_a_store),
        TEST(what_is_absent_is_not_made_unasked),
        TEST(a_newer_store_is_refused_with_both_versions),
        TEST(a_file_that_is_no_database_is_damage),
        TEST(a_store_without_its_version_is_damage),
        TEST(a_database_in_utf_16_is_refused),
        TEST(an_older_store_is_brought_forward_step_by_step),
        TEST(a_store_of_version_1_keeps_its_rows),
        TEST(failures_of_an_older_store_are_no_refusals),
        TEST(an_upgraded_store_has_the_columns_of_a_new_one),
        TEST(a_step_that_fails_changes_nothing),
        TEST(the_command_line_leaves_upgrading_to_the_router),
        TEST(no_statement_scans_or_sorts),
        TEST(claims_and_due_look_ups_use_rowid_and_index),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

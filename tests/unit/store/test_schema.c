/* What db_open makes of the files it may find. */
#include "store.h"

#include "store/sqlite/db_int.h"
#include "version_1.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

TEST_OPENED(a_new_store_has_the_public_table)
{
    other_exec(f, "insert into herald_outbox(type, business_key1, business_key2) "
                  "values ('payresult_notify', '16', '60201')");
    assert_string_equal(
        other_rows(f, "select id, type, business_key1, business_key2, business_key3, body, headers,"
                      " message_id, due_at, key from herald_outbox"),
        "1|payresult_notify|16|60201|-|-|-|-|0|-");
    assert_int_equal(other_int(f, "select abs(created_at - strftime('%s') * 1000) < 5000 "
                                  "from herald_outbox"),
                     1);
    assert_string_equal(other_rows(f, "pragma journal_mode"), "wal");
}

TEST_OPENED(the_outbox_refuses_what_could_never_be_sent)
{
    assert_int_equal(other_try(f, "insert into herald_outbox(business_key1) values ('16')"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(other_try(f, "insert into herald_outbox(id, type) values (0, 't')"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(
        other_try(f, "insert into herald_outbox(id, type) values (9007199254740992, 't')"),
        SQLITE_CONSTRAINT);
    assert_int_equal(other_try(f, "insert into herald_outbox(type, due_at) values ('t', 'soon')"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(other_try(f, "insert into herald_outbox(type, due_at) values ('t', -1)"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(
        other_try(f, "insert into herald_outbox(type, body) values ('t', zeroblob(16777216))"),
        SQLITE_CONSTRAINT);
    assert_int_equal(
        other_try(f, "insert into herald_outbox(type, body) values ('t', zeroblob(16777215))"),
        SQLITE_OK);
}

TEST_OPENED(an_id_that_was_given_is_refused_with_words)
{
    other_exec(f, "insert into herald_outbox(type) values ('t'), ('t'), ('t')");
    other_exec(f, "delete from herald_outbox where id = 2");
    assert_int_equal(other_try(f, "insert into herald_outbox(id, type) values (2, 't')"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(other_try(f, "update herald_outbox set id = 2 where id = 1"),
                     SQLITE_CONSTRAINT);
    assert_int_equal(other_try(f, "insert into herald_outbox(id, type) values (9, 't'), (7, 't')"),
                     SQLITE_OK); /* nobody has passed either */
    assert_int_equal(
        other_try(f, "insert into herald_outbox(type, due_at) values ('t', 9223372036854775807)"),
        SQLITE_CONSTRAINT);
}

TEST_OPENED(a_store_is_opened_again_as_it_was)
{
    other_exec(f, "insert into herald_outbox(type) values ('t')");
    other_close(f);
    store_close(f);
    assert_ok(f, store_try(f, f->path, false, true, &f->db));
    assert_int_equal(other_int(f, "select count(*) from herald_outbox"), 1);
}

TEST_WITH(store, a_database_with_business_tables_becomes_a_store)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "create table orders(id); insert into orders values (1)",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_refused(f, store_try(f, f->path, false, false, &f->db), ERR_NOT_FOUND, "not a store");
    assert_string_equal(other_rows(f, "pragma journal_mode"), "delete"); /* left as it was */
    other_close(f);
    store_open(f);
    assert_int_equal(other_int(f, "select count(*) from orders"), 1);
}

TEST_WITH(store, what_is_absent_is_not_made_unasked)
{
    assert_refused(f, store_try(f, f->path, false, true, &f->db), ERR_NOT_FOUND, "no such store");
    assert_null(f->db);
    assert_int_not_equal(access(f->path, F_OK), 0);
    assert_refused(f, store_try(f, "/nowhere/at/all.db", true, true, &f->db), ERR_NOT_FOUND,
                   "/nowhere/at/all.db");
}

TEST_OPENED(a_newer_store_is_refused_with_both_versions)
{
    store_close(f);
    other_exec(f, "update herald_meta set value = 99 where key = 'schema_version';"
                  "update herald_meta set value = '7.8.9' where key = 'herald'");
    other_close(f);
    assert_refused(f, store_try(f, f->path, true, true, &f->db), ERR_CONFIG, "schema version 99");
    assert_contains(f->err.text, "herald 7.8.9");
    assert_contains(f->err.text, "herald " HERALD_VERSION);
    assert_null(f->db);
}

TEST_WITH(store, a_file_that_is_no_database_is_damage)
{
    char junk[4097];

    memset(junk, 'x', sizeof junk - 1);
    junk[sizeof junk - 1] = '\0';
    store_write(f, "store.db", junk);
    assert_refused(f, store_try(f, f->path, true, true, &f->db), ERR_CORRUPT, "restore a backup");
    assert_contains(f->err.text, f->path);
}

TEST_OPENED(a_store_without_its_version_is_damage)
{
    store_close(f);
    other_exec(f, "delete from herald_meta where key = 'schema_version'");
    other_close(f);
    assert_refused(f, store_try(f, f->path, true, true, &f->db), ERR_CORRUPT, "no schema version");
}

TEST_WITH(store, a_database_in_utf_16_is_refused)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    sqlite3_exec(db, "pragma encoding = 'UTF-16'; create table t(x)", NULL, NULL, NULL);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_refused(f, store_try(f, f->path, true, true, &f->db), ERR_CONFIG, "UTF-16");
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

TEST_OPENED(an_older_store_is_brought_forward_step_by_step)
{
    int released;

    released = version_of(f);
    assert_ok(f, upgrade(f, released, 2));
    assert_int_equal(version_of(f), released + 2);
    assert_ok(f, upgrade(f, released, 2)); /* once */
    assert_string_equal(other_rows(f, "select count(*), max(id) from herald_made_up"), "1|3");
}

static void make_version_1(struct store *s)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(s->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "pragma journal_mode = wal", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, version_1_store, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

TEST_WITH(store, a_store_of_version_1_keeps_its_rows)
{
    make_version_1(f);
    assert_refused(f, store_try(f, f->path, false, false, &f->db), ERR_CONFIG, "when it starts");
    assert_ok(f, store_try(f, f->path, false, true, &f->db));
    assert_true(version_of(f) > 1);
    assert_string_equal(other_rows(f, "select id, type, business_key1, leg_kind, leg_exchange, "
                                      "leg_routing_key from herald_outbox"),
                        "4|t|16|-|-|-");
    assert_string_equal(other_rows(f, "select message_id, attempts, error, generation "
                                      "from herald_retry"),
                        "ylx3vzzjqp7u:2|1|rules/r.lua:4: as told|0");
    assert_string_equal(other_rows(f, "select message_id, error from herald_dead"),
                        "ylx3vzzjqp7u:3|rules/r.lua:4: not wanted");
    assert_string_equal(other_rows(f, "select group_concat(state) from herald_inbox"), "0,1,2");
    assert_int_equal(other_int(f, "select count(*) from herald_recent"), 0);
    other_exec(f, "insert into herald_outbox(type) values ('t')");
    assert_int_equal(other_int(f, "select max(id) from herald_outbox"), 5);
}

/* There each failure was an attempt, a lost connection too, and its time that of a first send. */
TEST_WITH(store, failures_of_an_older_store_are_no_refusals)
{
    sqlite3 *db;

    make_version_1(f);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db,
                                  "update herald_outbox set attempts = 400, due_at = 5000,"
                                  " reason = 'the connection was lost', first_sent_at = 17",
                                  NULL, NULL, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    assert_ok(f, store_try(f, f->path, false, true, &f->db));
    assert_string_equal(other_rows(f, "select attempts, first_sent_at, refused_at, due_at, reason "
                                      "from herald_outbox"),
                        "0|-|-|5000|the connection was lost");
}

/* However it came to be, the schema is the same. */
TEST_WITH(store, an_upgraded_store_has_the_columns_of_a_new_one)
{
    static const char columns[] =
        "select group_concat(t.name || '.' || c.name || ' ' || c.type || c.\"notnull\") from "
        "(select name from sqlite_schema where type = 'table' and name like 'herald%' order by "
        "name) t, pragma_table_info(t.name) c";
    char upgraded[8192];

    make_version_1(f);
    assert_ok(f, store_try(f, f->path, false, true, &f->db));
    snprintf(upgraded, sizeof upgraded, "%s", other_rows(f, columns));
    other_close(f);
    store_close(f);
    assert_int_equal(remove(f->path), 0);
    store_open(f);
    assert_string_equal(other_rows(f, columns), upgraded);
}

TEST_OPENED(a_step_that_fails_changes_nothing)
{
    int released;

    released = version_of(f);
    assert_int_equal(upgrade(f, released, 3), ERR_FAILED);
    assert_contains(f->err.text, "herald_made_up already exists");
    assert_int_equal(version_of(f), released);
    assert_int_equal(
        other_int(f, "select count(*) from sqlite_schema where name = 'herald_made_up'"), 0);
}

TEST_OPENED(the_command_line_leaves_upgrading_to_the_router)
{
    store_close(f);
    assert_ok(f, store_try(f, f->path, false, false, &f->db));
    assert_refused(f, upgrade(f, version_of(f), 1), ERR_CONFIG, "when it starts");
}

/* No full scans and no sorting, whatever the tables hold: cost must not grow with what
 * lies around. The few exceptions take the first row of an order, count to 1,000, read
 * tables that stay small, or are asked only where a set of rules has lost a route. */
static bool may_scan(enum statement which, const char *detail)
{
    return which == STATEMENT_OUTBOX_FEW || which == STATEMENT_OUTBOX_REMOVED ||
           which == STATEMENT_OUTBOX_OLDEST || which == STATEMENT_OUTBOX_NEXT_DUE ||
           which == STATEMENT_RETRY_NEXT_DUE || which == STATEMENT_RECENT_LIST ||
           which == STATEMENT_RECENT_TRIM || which == STATEMENT_LETTER_NEWEST ||
           which == STATEMENT_TAKEN_TYPES || strstr(detail, "sqlite_sequence") != NULL ||
           strstr(detail, "(subquery") != NULL || strcmp(detail, "SCAN CONSTANT ROW") == 0;
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

TEST_OPENED(no_statement_scans_or_sorts)
{
    other_int(f, "select 1");
    for (int i = 0; i < STATEMENTS; i++)
        if (i > STATEMENT_DATA_VERSION) /* those before have no plan */
            check_plan(f, (enum statement)i);
}

static const char *plan_of(struct store *s, enum statement which)
{
    static char plan[512];
    char sql[4096];

    snprintf(sql, sizeof sql, "explain query plan %s", statement_sql(which));
    snprintf(plan, sizeof plan, "%s", other_rows(s, sql));
    return plan;
}

TEST_OPENED(claims_and_due_look_ups_use_rowid_and_index)
{
    assert_contains(plan_of(f, STATEMENT_OUTBOX_CLAIM), "INTEGER PRIMARY KEY (rowid>?)");
    assert_contains(plan_of(f, STATEMENT_OUTBOX_DELETE),
                    "INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
    assert_contains(plan_of(f, STATEMENT_OUTBOX_DUE),
                    "INDEX herald_outbox_due (due_at>? AND due_at<?)");
    assert_contains(plan_of(f, STATEMENT_OUTBOX_NEXT_DUE), "INDEX herald_outbox_due");
    assert_contains(plan_of(f, STATEMENT_INBOX_OLD), "INTEGER PRIMARY KEY (rowid>? AND rowid<?)");
    assert_contains(plan_of(f, STATEMENT_INBOX_GET), "INDEX herald_inbox_key");
    assert_contains(plan_of(f, STATEMENT_RETRY_DUE), "INDEX herald_retry_queue");
    assert_contains(plan_of(f, STATEMENT_RETRY_QUEUE), "INDEX herald_retry_queue");
    assert_contains(plan_of(f, STATEMENT_RETRY_NEXT_DUE), "INDEX herald_retry_due");
    assert_contains(plan_of(f, STATEMENT_LETTER_FIND), "INDEX herald_dead_once");
    assert_contains(plan_of(f, STATEMENT_ITEM_LIST), "INDEX herald_queue_item_queue");
}

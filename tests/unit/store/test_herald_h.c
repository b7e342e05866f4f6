/* include/herald.h and the producer of the examples, against a real store. */
#include "store.h"

#include "store/outbox.h"

#include <stdio.h>
#include <string.h>

/* The example is built and run as it is, but for its name. */
int producer_main(int argc, char **argv);
#define main producer_main
#include "../../../examples/c-producer/producer.c"
#undef main

static int add(struct store *s, const struct herald_message *m, sqlite3_int64 *id)
{
    return herald_outbox_add(s->other, m, id);
}

static void prepared(struct store *s)
{
    store_setup_open(s);
    other_exec(s, "select 1");
    assert_int_equal(herald_prepare_connection(s->other), SQLITE_OK);
}

TEST_FROM(store, prepared, a_connection_is_prepared)
{
    assert_string_equal(other_rows(f, "pragma synchronous"), "2");
    assert_string_equal(other_rows(f, "pragma wal_autocheckpoint"), "0");
    assert_string_equal(other_rows(f, "pragma busy_timeout"), "5000");
}

TEST_FROM(store, prepared, a_message_commits_with_its_cause)
{
    const struct herald_message m = {.type = "payresult_notify",
                                     .business_key1 = "16",
                                     .business_key2 = "60201",
                                     .body = "a\0b",
                                     .body_size = 3,
                                     .headers = "{\"h\":1}",
                                     .message_id = "mine",
                                     .due_at = 77,
                                     .key = "close-order-16",
                                     .properties = "{\"priority\":5}"};
    sqlite3_int64 id = 0;

    other_exec(f, "begin immediate");
    assert_int_equal(add(f, &m, &id), SQLITE_OK);
    assert_int_equal(id, 1);
    other_exec(f, "rollback; begin immediate");
    assert_int_equal(add(f, &m, NULL), SQLITE_OK);
    other_exec(f, "commit");
    assert_string_equal(other_rows(f, "select type, business_key1, business_key2, business_key3, "
                                      "hex(body), headers, message_id, due_at, key, "
                                      "properties from herald_outbox"),
                        "payresult_notify|16|60201|-|610062|{\"h\":1}|mine|77|close-order-16|"
                        "{\"priority\":5}");
}

TEST_FROM(store, prepared, what_is_left_out_takes_the_default)
{
    const struct herald_message m = {.type = "t"};

    other_exec(f, "begin immediate");
    assert_int_equal(add(f, &m, NULL), SQLITE_OK);
    other_exec(f, "commit");
    assert_string_equal(other_rows(f, "select type, business_key1, body, headers, message_id, "
                                      "due_at, key, created_at > 0 from herald_outbox"),
                        "t|-|-|-|-|0|-|1");
}

TEST_FROM(store, prepared, a_key_replaces_and_a_bad_one_is_refused)
{
    char big[257];
    const struct herald_message first = {.type = "t", .business_key1 = "1", .key = "k"};
    const struct herald_message second = {
        .type = "t", .business_key1 = "2", .key = "k", .due_at = 1769860800000};
    const struct herald_message empty = {.type = "t", .key = ""},
                                long_key = {.type = "t", .key = big};
    const struct herald_message early = {.type = "t", .due_at = -1};

    memset(big, 'k', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    other_exec(f, "begin immediate");
    assert_int_equal(add(f, &first, NULL), SQLITE_OK);
    assert_int_equal(add(f, &second, NULL), SQLITE_OK);
    assert_int_equal(add(f, &empty, NULL), SQLITE_CONSTRAINT);
    assert_int_equal(add(f, &long_key, NULL), SQLITE_CONSTRAINT);
    assert_contains(sqlite3_errmsg(f->other), "1 to 255 bytes");
    assert_int_equal(add(f, &early, NULL), SQLITE_CONSTRAINT);
    other_exec(f, "commit");
    assert_string_equal(other_rows(f, "select business_key1, due_at, key from herald_outbox"),
                        "2|1769860800000|k");
}

TEST_FROM(store, prepared, a_message_without_a_transaction_is_refused)
{
    const struct herald_message m = {.type = "t"};

    assert_int_equal(add(f, &m, NULL), SQLITE_MISUSE);
    assert_int_equal(other_int(f, "select count(*) from herald_outbox"), 0);
}

TEST_FROM(store, prepared, a_message_without_type_is_refused)
{
    const struct herald_message m = {.business_key1 = "16"};

    other_exec(f, "begin immediate");
    assert_int_equal(add(f, &m, NULL), SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_get_autocommit(f->other), 0); /* never ended here */
    other_exec(f, "rollback");
}

TEST(a_database_that_is_no_store_is_refused)
{
    const struct herald_message m = {.type = "t"};
    sqlite3 *db;

    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "begin", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(herald_outbox_add(db, &m, NULL), SQLITE_ERROR);
    assert_contains(sqlite3_errmsg(db), "herald_outbox");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

TEST_OPENED(the_example_pays_and_tells)
{
    char name[] = "producer", order[] = "16";
    char *args[] = {name, f->path, order, NULL};

    assert_int_equal(producer_main(3, args), 0);
    assert_int_equal(producer_main(3, args), 0);
    assert_int_equal(producer_main(1, args), 2);
    assert_string_equal(other_rows(f, "select id, status from orders"), "16|paid");
    assert_string_equal(other_rows(f, "select type, business_key1 from herald_outbox"),
                        "payresult_notify|16, payresult_notify|16");
    assert_true(db_foreign_commits(f->db));
}

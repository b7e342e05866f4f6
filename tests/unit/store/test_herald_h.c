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

static void setup(struct store *s)
{
    store_open(s);
    other_exec(s, "select 1");
    assert_int_equal(herald_prepare_connection(s->other), SQLITE_OK);
}

static void a_connection_is_prepared(void **state)
{
    struct store *s = *state;

    setup(s);
    assert_string_equal(other_rows(s, "pragma synchronous"), "2");
    assert_string_equal(other_rows(s, "pragma wal_autocheckpoint"), "0");
    assert_string_equal(other_rows(s, "pragma busy_timeout"), "5000");
}

static void a_message_commits_with_its_cause(void **state)
{
    struct store *s = *state;
    const struct herald_message m = {.type = "payresult_notify",
                                     .business_key1 = "16",
                                     .business_key2 = "60201",
                                     .body = "a\0b",
                                     .body_size = 3,
                                     .headers = "{\"h\":1}",
                                     .message_id = "mine",
                                     .due_at = 77,
                                     .key = "close-order-16"};
    sqlite3_int64 id = 0;

    setup(s);
    other_exec(s, "begin immediate");
    assert_int_equal(add(s, &m, &id), SQLITE_OK);
    assert_int_equal(id, 1);
    other_exec(s, "rollback; begin immediate");
    assert_int_equal(add(s, &m, NULL), SQLITE_OK);
    other_exec(s, "commit");
    assert_string_equal(other_rows(s, "select type, business_key1, business_key2, business_key3, "
                                      "hex(body), headers, message_id, due_at, key "
                                      "from herald_outbox"),
                        "payresult_notify|16|60201|-|610062|{\"h\":1}|mine|77|close-order-16");
}

static void what_is_left_out_takes_the_default(void **state)
{
    struct store *s = *state;
    const struct herald_message m = {.type = "t"};

    setup(s);
    other_exec(s, "begin immediate");
    assert_int_equal(add(s, &m, NULL), SQLITE_OK);
    other_exec(s, "commit");
    assert_string_equal(other_rows(s, "select type, business_key1, body, headers, message_id, "
                                      "due_at, key, created_at > 0 from herald_outbox"),
                        "t|-|-|-|-|0|-|1");
}

static void a_key_replaces_and_a_bad_one_is_refused(void **state)
{
    struct store *s = *state;
    char big[257];
    const struct herald_message first = {.type = "t", .business_key1 = "1", .key = "k"};
    const struct herald_message second = {
        .type = "t", .business_key1 = "2", .key = "k", .due_at = 1769860800000};
    const struct herald_message empty = {.type = "t", .key = ""},
                                long_key = {.type = "t", .key = big};
    const struct herald_message early = {.type = "t", .due_at = -1};

    setup(s);
    memset(big, 'k', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    other_exec(s, "begin immediate");
    assert_int_equal(add(s, &first, NULL), SQLITE_OK);
    assert_int_equal(add(s, &second, NULL), SQLITE_OK);
    assert_int_equal(add(s, &empty, NULL), SQLITE_CONSTRAINT);
    assert_int_equal(add(s, &long_key, NULL), SQLITE_CONSTRAINT);
    assert_contains(sqlite3_errmsg(s->other), "1 to 255 bytes");
    assert_int_equal(add(s, &early, NULL), SQLITE_CONSTRAINT);
    other_exec(s, "commit");
    assert_string_equal(other_rows(s, "select business_key1, due_at, key from herald_outbox"),
                        "2|1769860800000|k");
}

static void a_message_without_a_transaction_is_refused(void **state)
{
    struct store *s = *state;
    const struct herald_message m = {.type = "t"};

    setup(s);
    assert_int_equal(add(s, &m, NULL), SQLITE_MISUSE);
    assert_int_equal(other_int(s, "select count(*) from herald_outbox"), 0);
}

static void a_message_without_type_is_refused(void **state)
{
    struct store *s = *state;
    const struct herald_message m = {.business_key1 = "16"};

    setup(s);
    other_exec(s, "begin immediate");
    assert_int_equal(add(s, &m, NULL), SQLITE_CONSTRAINT);
    assert_int_equal(sqlite3_get_autocommit(s->other), 0); /* never ended here */
    other_exec(s, "rollback");
}

static void a_database_that_is_no_store_is_refused(void **state)
{
    const struct herald_message m = {.type = "t"};
    sqlite3 *db;

    (void)state;
    assert_int_equal(sqlite3_open(":memory:", &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "begin", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(herald_outbox_add(db, &m, NULL), SQLITE_ERROR);
    assert_contains(sqlite3_errmsg(db), "herald_outbox");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void the_example_pays_and_tells(void **state)
{
    struct store *s = *state;
    char name[] = "producer", order[] = "16";
    char *args[] = {name, s->path, order, NULL};

    store_open(s);
    assert_int_equal(producer_main(3, args), 0);
    assert_int_equal(producer_main(3, args), 0);
    assert_int_equal(producer_main(1, args), 2);
    assert_string_equal(other_rows(s, "select id, status from orders"), "16|paid");
    assert_string_equal(other_rows(s, "select type, business_key1 from herald_outbox"),
                        "payresult_notify|16, payresult_notify|16");
    assert_true(db_foreign_commits(s->db));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connection_is_prepared),
        TEST(a_message_commits_with_its_cause),
        TEST(what_is_left_out_takes_the_default),
        TEST(a_message_without_a_transaction_is_refused),
        TEST(a_key_replaces_and_a_bad_one_is_refused),
        TEST(a_message_without_type_is_refused),
        TEST(a_database_that_is_no_store_is_refused),
        TEST(the_example_pays_and_tells),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

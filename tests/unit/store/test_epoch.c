/* A store that comes back from a backup does not give old ids a second time. */
#include "store.h"

#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void rows(struct store *s, int n)
{
    for (int i = 0; i < n; i++)
        other_exec(s, "insert into herald_outbox(type) values ('t')");
    other_close(s);
}

static void id_of(struct store *s, int64_t row, char out[STORE_ID_LEN + 1])
{
    snprintf(out, STORE_ID_LEN + 1, "%s", db_store_id(s->db, row));
}

static int epochs(struct store *s)
{
    int n = (int)other_int(s, "select count(*) from herald_epoch");

    other_close(s);
    return n;
}

static void store_ids_are_twelve_small_letters_and_digits(void **state)
{
    struct store *s = *state;
    char id[STORE_ID_LEN + 1], another[STORE_ID_LEN + 1];

    store_open(s);
    id_of(s, 1, id);
    assert_int_equal(strlen(id), 12);
    assert_int_equal(strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789"), 12);
    epoch_new_id(another);
    assert_string_not_equal(id, another);
}

static void a_store_that_stays_where_it_is_keeps_its_id(void **state)
{
    struct store *s = *state;
    char before[STORE_ID_LEN + 1], after[STORE_ID_LEN + 1];

    store_open(s);
    id_of(s, 1, before);
    rows(s, 5);
    for (int64_t row = 1; row <= 5; row++)
        db_saw_id(s->db, row);
    store_close(s);
    store_open(s);
    store_close(s);
    store_open(s);
    id_of(s, 6, after);
    assert_string_equal(before, after);
    assert_int_equal(epochs(s), 1);
}

/* docs/design.md#store-ids: a store restored from a backup hands out old ids again. */
static void a_backup_copied_over_the_store_starts_an_epoch(void **state)
{
    struct store *s = *state;
    char before[STORE_ID_LEN + 1], old[STORE_ID_LEN + 1], new[STORE_ID_LEN + 1], backup[128];

    snprintf(backup, sizeof backup, "%s.backup", s->path);
    store_open(s);
    id_of(s, 1, before);
    rows(s, 5);
    store_close(s);
    store_copy(s->path, backup);
    store_open(s);
    rows(s, 3);
    db_saw_id(s->db, 8);
    store_close(s);
    store_copy(backup, s->path); /* the inode stays */
    store_open(s);
    id_of(s, 5, old);
    id_of(s, 6, new);
    assert_string_equal(old, before);
    assert_string_not_equal(new, before);
    assert_contains(store_logged(s), "store.epoch reason=\"an older state\" above=5");
}

static void a_backup_of_the_running_store_is_told_by_the_highest_id(void **state)
{
    struct store *s = *state;
    char before[STORE_ID_LEN + 1], new[STORE_ID_LEN + 1], backup[128], sql[256];

    snprintf(backup, sizeof backup, "%s.backup", s->path);
    store_open(s);
    id_of(s, 1, before);
    rows(s, 5);
    snprintf(sql, sizeof sql, "vacuum into '%s'", backup);
    other_exec(s, sql);
    other_close(s);
    rows(s, 1);
    db_saw_id(s->db, 6);
    store_close(s);
    store_copy(backup, s->path);
    assert_ok(s, store_try(s, s->path, true, true, &s->db));
    id_of(s, 6, new);
    assert_string_not_equal(new, before);
    assert_contains(store_logged(s), "reason=\"an older sequence\" above=5");
}

/* docs/faults.md#f54: a template that was run once before its first row. */
static void copies_of_an_unused_store_have_ids_of_their_own(void **state)
{
    struct store *s = *state;
    char before[STORE_ID_LEN + 1], first[STORE_ID_LEN + 1], second[STORE_ID_LEN + 1], copy[128];

    snprintf(copy, sizeof copy, "%s.copy", s->path);
    store_open(s);
    id_of(s, 1, before);
    store_close(s);
    store_copy(s->path, copy);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(unlink(store_file(s, "store.db-epoch")), 0);
        store_copy(copy, s->path);
        store_open(s);
        id_of(s, 1, i == 0 ? first : second);
        store_close(s);
    }
    assert_string_not_equal(first, before);
    assert_string_not_equal(first, second);
}

static void another_file_in_its_place_starts_an_epoch(void **state)
{
    struct store *s = *state;
    char before[STORE_ID_LEN + 1], new[STORE_ID_LEN + 1], copy[128];

    snprintf(copy, sizeof copy, "%s.copy", s->path);
    store_open(s);
    id_of(s, 1, before);
    rows(s, 5);
    store_close(s);
    store_copy(s->path, copy);
    assert_int_equal(rename(copy, s->path), 0); /* the same bytes, another inode */
    store_open(s);
    id_of(s, 6, new);
    assert_string_not_equal(new, before);
    assert_contains(store_logged(s), "reason=\"another file\"");
}

static void a_store_that_comes_without_its_side_file_starts_an_epoch(void **state)
{
    struct store *s = *state;
    char before[STORE_ID_LEN + 1], old[STORE_ID_LEN + 1], new[STORE_ID_LEN + 1];

    store_open(s);
    id_of(s, 1, before);
    rows(s, 2);
    store_close(s);
    assert_int_equal(unlink(store_file(s, "store.db-epoch")), 0);
    store_open(s);
    id_of(s, 2, old);
    id_of(s, 3, new);
    assert_string_equal(old, before);
    assert_string_not_equal(new, before);
}

static void a_damaged_side_file_is_as_good_as_none(void **state)
{
    struct store *s = *state;

    store_open(s);
    rows(s, 2);
    store_close(s);
    store_write(s, "store.db-epoch", "rubbish, and short");
    store_open(s);
    assert_int_equal(epochs(s), 2);
    store_close(s);
    store_open(s);
    assert_int_equal(epochs(s), 2); /* it was made whole */
}

static void an_epoch_without_rows_is_replaced(void **state)
{
    struct store *s = *state;
    char first[STORE_ID_LEN + 1], second[STORE_ID_LEN + 1];

    store_open(s);
    rows(s, 2);
    store_close(s);
    unlink(store_file(s, "store.db-epoch"));
    store_open(s);
    id_of(s, 3, first);
    store_close(s);
    unlink(store_file(s, "store.db-epoch"));
    store_open(s);
    id_of(s, 3, second);
    assert_string_not_equal(first, second);
    assert_int_equal(epochs(s), 2);
}

static void rows_written_before_the_first_router_are_of_the_first_id(void **state)
{
    struct store *s = *state;
    struct db *beside;

    assert_ok(s, store_try(s, s->path, true, false, &beside));
    rows(s, 3);
    store_open(s);
    assert_string_equal(db_store_id(s->db, 3), db_store_id(beside, 3));
    db_close(&beside);
}

static void the_highest_id_survives_a_kill(void **state)
{
    struct store *s = *state;

    store_open(s);
    rows(s, 5);
    db_saw_id(s->db, 4);
    db_saw_id(s->db, 3); /* never goes back */
    {
        /* what another process would find in the file now, without any closing */
        FILE *f = fopen(store_file(s, "store.db-epoch"), "r");
        int64_t words[6];

        assert_non_null(f);
        assert_int_equal(fread(words, sizeof words[0], 6, f), 6);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(words[5], 4);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(store_ids_are_twelve_small_letters_and_digits),
        TEST(a_store_that_stays_where_it_is_keeps_its_id),
        TEST(a_backup_copied_over_the_store_starts_an_epoch),
        TEST(a_backup_of_the_running_store_is_told_by_the_highest_id),
        TEST(another_file_in_its_place_starts_an_epoch),
        TEST(copies_of_an_unused_store_have_ids_of_their_own),
        TEST(a_store_that_comes_without_its_side_file_starts_an_epoch),
        TEST(a_damaged_side_file_is_as_good_as_none),
        TEST(an_epoch_without_rows_is_replaced),
        TEST(rows_written_before_the_first_router_are_of_the_first_id),
        TEST(the_highest_id_survives_a_kill),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

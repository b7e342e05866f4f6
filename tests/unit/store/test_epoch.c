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

TEST_OPENED(store_ids_are_twelve_small_letters_and_digits)
{
    char id[STORE_ID_LEN + 1], another[STORE_ID_LEN + 1];

    id_of(f, 1, id);
    assert_int_equal(strlen(id), 12);
    assert_int_equal(strspn(id, "abcdefghijklmnopqrstuvwxyz0123456789"), 12);
    epoch_new_id(another);
    assert_string_not_equal(id, another);
}

TEST_OPENED(a_store_that_stays_where_it_is_keeps_its_id)
{
    char before[STORE_ID_LEN + 1], after[STORE_ID_LEN + 1];

    id_of(f, 1, before);
    rows(f, 5);
    for (int64_t row = 1; row <= 5; row++)
        db_saw_id(f->db, row);
    store_close(f);
    store_open(f);
    store_close(f);
    store_open(f);
    id_of(f, 6, after);
    assert_string_equal(before, after);
    assert_int_equal(epochs(f), 1);
}

/* docs/design.md#store-ids: a store restored from a backup hands out old ids again. */
TEST_WITH(store, a_backup_copied_over_the_store_starts_an_epoch)
{
    char before[STORE_ID_LEN + 1], old[STORE_ID_LEN + 1], new[STORE_ID_LEN + 1], backup[128];

    snprintf(backup, sizeof backup, "%s.backup", f->path);
    store_open(f);
    id_of(f, 1, before);
    rows(f, 5);
    store_close(f);
    store_copy(f->path, backup);
    store_open(f);
    rows(f, 3);
    db_saw_id(f->db, 8);
    store_close(f);
    store_copy(backup, f->path); /* the inode stays */
    store_open(f);
    id_of(f, 5, old);
    id_of(f, 6, new);
    assert_string_equal(old, before);
    assert_string_not_equal(new, before);
    assert_contains(store_logged(f), "store.epoch reason=\"an older state\" above=5");
}

TEST_WITH(store, a_backup_of_the_running_store_is_told_by_the_highest_id)
{
    char before[STORE_ID_LEN + 1], new[STORE_ID_LEN + 1], backup[128], sql[256];

    snprintf(backup, sizeof backup, "%s.backup", f->path);
    store_open(f);
    id_of(f, 1, before);
    rows(f, 5);
    snprintf(sql, sizeof sql, "vacuum into '%s'", backup);
    other_exec(f, sql);
    other_close(f);
    rows(f, 1);
    db_saw_id(f->db, 6);
    store_close(f);
    store_copy(backup, f->path);
    assert_ok(f, store_try(f, f->path, true, true, &f->db));
    id_of(f, 6, new);
    assert_string_not_equal(new, before);
    assert_contains(store_logged(f), "reason=\"an older sequence\" above=5");
}

/* docs/faults.md#f54: a template that was run once before its first row. */
TEST_WITH(store, copies_of_an_unused_store_have_ids_of_their_own)
{
    char before[STORE_ID_LEN + 1], first[STORE_ID_LEN + 1], second[STORE_ID_LEN + 1], copy[128];

    snprintf(copy, sizeof copy, "%s.copy", f->path);
    store_open(f);
    id_of(f, 1, before);
    store_close(f);
    store_copy(f->path, copy);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(unlink(store_file(f, "store.db-epoch")), 0);
        store_copy(copy, f->path);
        store_open(f);
        id_of(f, 1, i == 0 ? first : second);
        store_close(f);
    }
    assert_string_not_equal(first, before);
    assert_string_not_equal(first, second);
}

TEST_WITH(store, another_file_in_its_place_starts_an_epoch)
{
    char before[STORE_ID_LEN + 1], new[STORE_ID_LEN + 1], copy[128];

    snprintf(copy, sizeof copy, "%s.copy", f->path);
    store_open(f);
    id_of(f, 1, before);
    rows(f, 5);
    store_close(f);
    store_copy(f->path, copy);
    assert_int_equal(rename(copy, f->path), 0); /* the same bytes, another inode */
    store_open(f);
    id_of(f, 6, new);
    assert_string_not_equal(new, before);
    assert_contains(store_logged(f), "reason=\"another file\"");
}

TEST_OPENED(a_store_that_comes_without_its_side_file_starts_an_epoch)
{
    char before[STORE_ID_LEN + 1], old[STORE_ID_LEN + 1], new[STORE_ID_LEN + 1];

    id_of(f, 1, before);
    rows(f, 2);
    store_close(f);
    assert_int_equal(unlink(store_file(f, "store.db-epoch")), 0);
    store_open(f);
    id_of(f, 2, old);
    id_of(f, 3, new);
    assert_string_equal(old, before);
    assert_string_not_equal(new, before);
}

TEST_OPENED(a_damaged_side_file_is_as_good_as_none)
{
    rows(f, 2);
    store_close(f);
    store_write(f, "store.db-epoch", "rubbish, and short");
    store_open(f);
    assert_int_equal(epochs(f), 2);
    store_close(f);
    store_open(f);
    assert_int_equal(epochs(f), 2); /* it was made whole */
}

TEST_OPENED(an_epoch_without_rows_is_replaced)
{
    char first[STORE_ID_LEN + 1], second[STORE_ID_LEN + 1];

    rows(f, 2);
    store_close(f);
    unlink(store_file(f, "store.db-epoch"));
    store_open(f);
    id_of(f, 3, first);
    store_close(f);
    unlink(store_file(f, "store.db-epoch"));
    store_open(f);
    id_of(f, 3, second);
    assert_string_not_equal(first, second);
    assert_int_equal(epochs(f), 2);
}

TEST_WITH(store, rows_written_before_the_first_router_are_of_the_first_id)
{
    struct db *beside;

    assert_ok(f, store_try(f, f->path, true, false, &beside));
    rows(f, 3);
    store_open(f);
    assert_string_equal(db_store_id(f->db, 3), db_store_id(beside, 3));
    db_close(&beside);
}

TEST_OPENED(the_highest_id_survives_a_kill)
{
    rows(f, 5);
    db_saw_id(f->db, 4);
    db_saw_id(f->db, 3); /* never goes back */
    {
        /* what another process would find in the file now, without any closing */
        FILE *file = fopen(store_file(f, "store.db-epoch"), "r");
        int64_t words[6];

        assert_non_null(file);
        assert_int_equal(fread(words, sizeof words[0], 6, file), 6);
        assert_int_equal(fclose(file), 0);
        assert_int_equal(words[5], 4);
    }
}

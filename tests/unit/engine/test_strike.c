/* Deaths are played by closing without leaving; a real one is in the integration tests. */
#include "check.h"
#include "folder.h"

#include "engine/strike.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static char folder[64], store[96], file[96];
static struct strike *s; /* of the life that goes on */

static void begin(void)
{
    folder_make(folder);
    snprintf(store, sizeof store, "%s/s.db", folder);
    snprintf(file, sizeof file, "%s/s.db-strike", folder);
}

static void end(void)
{
    strike_close(&s);
    folder_remove(folder);
}

/* The next life of the process. */
static void live(void)
{
    struct err err = {0};

    strike_close(&s);
    assert_int_equal(strike_open(&s, store, &err), OK);
}

static int count(const char *id)
{
    return strike_count(s, slice_of("q"), slice_of(id), 7);
}

/* One life of the process that ends in the handler of `id`. */
static void die_in(const char *id)
{
    live();
    strike_enter(s, slice_of("q"), slice_of(id), 7);
}

TEST_BETWEEN(begin, end, test_nobody_is_suspected_at_first)
{
    live();
    assert_int_equal(count("a"), 0);
    strike_enter(s, slice_of("q"), slice_of("a"), 7);
    strike_leave(s);
    live();
    assert_int_equal(count("a"), 0);
}

TEST_BETWEEN(begin, end, test_deaths_in_a_row_count)
{
    for (int n = 1; n <= STRIKES_MAX; n++) {
        die_in("a");
        live();
        assert_int_equal(count("a"), n);
        assert_int_equal(count("b"), 0);
    }
}

TEST_BETWEEN(begin, end, test_an_open_that_dies_elsewhere_changes_nothing)
{
    die_in("a");
    live(); /* ends outside of any handler */
    live();
    assert_int_equal(count("a"), 1);
}

TEST_BETWEEN(begin, end, test_returning_clears_the_suspect)
{
    die_in("a");
    live();
    strike_enter(s, slice_of("q"), slice_of("b"), 7); /* another one's return does not */
    strike_leave(s);
    assert_int_equal(count("a"), 1);
    strike_enter(s, slice_of("q"), slice_of("a"), 7);
    strike_leave(s);
    assert_int_equal(count("a"), 0);
    die_in("a");
    live();
    assert_int_equal(count("a"), 1);
}

TEST_BETWEEN(begin, end, test_two_that_take_turns_are_both_counted)
{
    die_in("a");
    die_in("b");
    die_in("a");
    die_in("b");
    die_in("a");
    live();
    assert_int_equal(count("a"), STRIKES_MAX);
    assert_int_equal(count("b"), STRIKES_MAX - 1);
    strike_forget(s, strike_key(slice_of("q"), slice_of("a"), 7));
    assert_int_equal(count("a"), 0);
    assert_int_equal(count("b"), STRIKES_MAX - 1);
    assert_true(strike_any(s));
    strike_enter(s, slice_of("q"), slice_of("b"), 7);
    strike_leave(s);
    assert_false(strike_any(s));
}

TEST_BETWEEN(begin, end, test_of_too_many_the_oldest_makes_room)
{
    char id[] = "a";

    for (int n = 0; n < STRIKES_SUSPECTS; n++) {
        id[0] = (char)('a' + n);
        die_in(id);
    }
    die_in("a");
    die_in("z");
    live();
    assert_int_equal(count("a"), 2);
    assert_int_equal(count("b"), 0);
    assert_int_equal(count("c"), 1);
    assert_int_equal(count("z"), 1);
}

TEST_BETWEEN(begin, end, test_queue_id_and_fingerprint_name_a_message)
{
    const struct slice none = {NULL, 0};
    live();
    strike_enter(s, slice_of("q"), none, 7);
    live();
    assert_int_equal(strike_count(s, slice_of("q"), none, 7), 1);
    assert_int_equal(strike_count(s, slice_of("r"), none, 7), 0);
    assert_int_equal(strike_count(s, slice_of("q"), none, 8), 0);
    assert_int_equal(strike_count(s, slice_of("q"), slice_of("a"), 7), 0);
    strike_forget(s, strike_key(slice_of("q"), none, 7));
    assert_int_equal(strike_count(s, slice_of("q"), none, 7), 0);
}

TEST_BETWEEN(begin, end, test_a_file_of_something_else_is_made_anew)
{
    FILE *f = fopen(file, "w");

    assert_non_null(f);
    assert_true(fputs("not a strike file at all", f) >= 0);
    assert_int_equal(fclose(f), 0);
    live();
    assert_int_equal(count("a"), 0);
}

TEST_BETWEEN(begin, end, test_a_folder_that_is_missing)
{
    struct err err = {0};

    assert_int_equal(strike_open(&s, "/nowhere/at/all.db", &err), ERR_IO);
    assert_non_null(strstr(err.text, "/nowhere/at/all.db-strike"));
    assert_null(s);
    strike_enter(s, slice_of("q"), slice_of("a"), 7); /* works without one */
    assert_int_equal(count("a"), 0);
    strike_leave(s);
}

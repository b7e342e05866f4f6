/* Buffers and arenas end at their ceilings. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

#include "check.h"

#include <string.h>

TEST(a_buffer_stops_at_its_ceiling_and_stays_whole)
{
    struct buf b;
    char kilo[1024];

    memset(kilo, 'x', sizeof kilo);
    buf_init(&b, 2500);
    assert_int_equal(buf_append(&b, kilo, sizeof kilo), OK);
    assert_int_equal(buf_append(&b, kilo, sizeof kilo), OK);
    assert_int_equal(buf_append(&b, kilo, sizeof kilo), ERR_LIMIT);
    assert_true(b.failed);
    assert_int_equal(b.len, 2048);
    buf_consume(&b, 2000);
    assert_int_equal(b.len, 48);
    buf_clear(&b);
    assert_false(b.failed);
    assert_int_equal(buf_printf(&b, "%d-%s", 7, "seven"), OK);
    assert_int_equal(b.len, 7);
    assert_memory_equal(b.data, "7-seven", 7);
    buf_free(&b);
}

TEST(arena_copies_stay_where_they_are)
{
    struct arena a;
    struct slice first = slice_of("first"), absent = {NULL, 0};
    const char *at;

    arena_init(&a, 4 * 1024 * 1024);
    assert_true(arena_keep(&a, &first));
    assert_true(arena_keep(&a, &absent));
    assert_null(absent.data);
    at = first.data;
    for (int i = 0; i < 100; i++)
        assert_non_null(arena_take(&a, 30000));
    assert_ptr_equal(first.data, at);
    assert_string_equal(first.data, "first");
    arena_free(&a);
}

TEST(an_arena_stops_at_its_ceiling_and_starts_over)
{
    struct arena a;

    arena_init(&a, 100000);
    assert_non_null(arena_take(&a, 60000));
    assert_null(arena_take(&a, 60000));
    assert_null(arena_take(&a, SIZE_MAX - 3));
    arena_reset(&a);
    assert_non_null(arena_take(&a, 60000));
    arena_free(&a);
}

/* Outcomes on their way to a turn: lent, then told or forgotten. */
#include "check.h"
#include "rabbit/settlements.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

static struct settlements *s;

static void three(void)
{
    struct reason *last = NULL;

    s = settlements_new(4);
    assert_non_null(s);
    settlements_add(s, 1, PUBLISH_CONFIRMED, NULL);
    settlements_add(s, 2, PUBLISH_UNKNOWN, reason_take(&last, "the channel went away"));
    settlements_add(s, 3, PUBLISH_UNKNOWN, reason_take(&last, "the channel went away"));
    reason_drop(&last);
}

static void end(void)
{
    settlements_free(&s);
}

/* The rows that are lent now, as text. */
static const char *lend(size_t max)
{
    static char text[64];
    struct settlement out[8];
    size_t n = settlements_lend(s, out, max);

    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%lld ", (long long)out[i].row);
    return text;
}

TEST_BETWEEN(three, end, what_was_forgotten_is_lent_again_in_order)
{
    assert_string_equal(lend(2), "1 2 ");
    assert_int_equal(settlements_waiting(s), 1);
    settlements_forget(s);
    assert_string_equal(lend(8), "1 2 3 ");
    settlements_free(&s);
    assert_null(s);
}

TEST_BETWEEN(three, end, what_was_told_is_gone)
{
    assert_string_equal(lend(1), "1 ");
    settlements_tell(s);
    assert_int_equal(settlements_count(s), 2);
    assert_string_equal(lend(8), "2 3 ");
    settlements_tell(s);
    assert_string_equal(lend(8), "");
}

TEST_BETWEEN(three, end, a_turn_may_ask_in_pieces_while_more_comes)
{
    assert_string_equal(lend(2), "1 2 ");
    settlements_add(s, 4, PUBLISH_NACKED, NULL);
    assert_string_equal(lend(8), "3 4 ");
    settlements_tell(s);
    assert_int_equal(settlements_count(s), 0);
}

TEST_BETWEEN(three, end, words_outlive_the_channel_they_came_from)
{
    struct settlement out[3];

    assert_int_equal(settlements_lend(s, out, 3), 3);
    assert_null(out[0].why);
    assert_string_equal(out[1].why, "the channel went away");
    assert_ptr_equal(out[1].why, out[2].why); /* one block for all */
}

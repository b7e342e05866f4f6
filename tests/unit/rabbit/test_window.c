/* What a broker may say about publishes, and what the window makes of it. */
#include "check.h"
#include "rabbit/window.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The settled rows as text: "7+" confirmed, "7r" returned, "7-" nacked,
 * "7t" timed out, "7?" unknown. One string shows outcome and order at once. */
struct story {
    char text[512];
    struct window *window;
};

static void note(void *arg, int64_t row, void *whose, enum window_outcome outcome)
{
    struct story *s = arg;
    size_t used = strlen(s->text);

    (void)whose;
    snprintf(s->text + used, sizeof s->text - used, "%s%lld%c", used ? " " : "", (long long)row,
             "+r-t?"[outcome]);
}

/* What a return of this row's message would carry. */
static uint64_t mark_of(int64_t row)
{
    return 1000 + (uint64_t)row;
}

static struct window *begin(struct story *s, size_t capacity, int publishes)
{
    *s = (struct story){.text = ""};
    s->window = window_new(capacity, note, s);
    assert_non_null(s->window);
    for (int row = 1; row <= publishes; row++)
        assert_int_equal(window_add(s->window, row, NULL, mark_of(row), 100 * row), row);
    return s->window;
}

static void end(struct story *s, const char *want)
{
    assert_string_equal(s->text, want);
    window_free(&s->window);
    assert_null(s->window);
}

TEST(acks_come_out_of_order_and_overlap)
{
    struct story s;
    struct window *w = begin(&s, 8, 5);

    assert_int_equal(window_ack(w, 4, 0), 0);
    assert_int_equal(window_ack(w, 3, 1), 0);
    assert_int_equal(window_ack(w, 5, 1), 0); /* covers 1 to 4 once more */
    assert_int_equal(window_ack(w, 2, 0), 0); /* and so does this */
    assert_int_equal(window_room(w), 8);
    end(&s, "4+ 1+ 2+ 3+ 5+");
}

TEST(a_return_before_the_ack_is_a_failure)
{
    struct story s;
    struct window *w = begin(&s, 8, 3);

    assert_int_equal(window_returned(w, mark_of(2)), 0);
    assert_int_equal(window_ack(w, 0, 1), 0); /* tag 0: all so far */
    end(&s, "1+ 2r 3+");
}

TEST(a_full_window_takes_nothing)
{
    struct story s;
    struct window *w = begin(&s, 3, 3);

    assert_int_equal(window_add(w, 9, NULL, 0, 0), 0);
    assert_int_equal(window_ack(w, 2, 0), 0);
    assert_int_equal(window_room(w), 0); /* 1 is still in the way */
    assert_int_equal(window_ack(w, 1, 0), 0);
    assert_int_equal(window_room(w), 2);
    assert_int_equal(window_add(w, 9, NULL, 0, 0), 4);
    end(&s, "2+ 1+");
}

TEST(nonsense_is_a_protocol_error)
{
    struct story s;
    struct window *w = begin(&s, 4, 2);

    assert_int_equal(window_ack(w, 3, 0), -1);
    assert_int_equal(window_nack(w, 0, 0), -1);
    assert_int_equal(window_returned(w, mark_of(7)), -1);
    end(&s, "");
}

TEST(silence_times_out_and_a_lost_channel_is_unknown)
{
    struct story s;
    struct window *w = begin(&s, 4, 4);

    assert_int_equal(window_returned(w, mark_of(3)), 0);
    assert_int_equal(window_expire(w, 101), 1);
    assert_int_equal(window_nack(w, 2, 0), 0);
    assert_int_equal(window_drop(w), 2);
    assert_int_equal(window_add(w, 8, NULL, 0, 0), 1); /* a new channel counts from 1 */
    end(&s, "1t 2- 3r 4?");
}

TEST(the_same_mark_twice_is_returned_oldest_first)
{
    struct story s;
    struct window *w = begin(&s, 4, 1);

    assert_int_equal(window_add(w, 2, NULL, mark_of(1), 200), 2);
    assert_int_equal(window_returned(w, mark_of(1)), 0);
    assert_int_equal(window_ack(w, 2, 1), 0);
    end(&s, "1r 2+");
}

TEST(a_nack_covers_many)
{
    struct story s;
    struct window *w = begin(&s, 8, 4);

    assert_int_equal(window_ack(w, 2, 0), 0);
    assert_int_equal(window_returned(w, mark_of(3)), 0);
    assert_int_equal(window_nack(w, 3, 1), 0);
    assert_int_equal(window_waiting(w), 1);
    end(&s, "2+ 1- 3r");
}

TEST(the_oldest_is_due_first_and_can_be_postponed)
{
    struct story s;
    struct window *w = begin(&s, 4, 3);

    assert_int_equal(window_deadline(w), 100);
    assert_int_equal(window_ack(w, 1, 0), 0);
    assert_int_equal(window_deadline(w), 200);
    window_postpone(w, 900);
    assert_int_equal(window_expire(w, 899), 0);
    assert_int_equal(window_deadline(w), 900);
    assert_int_equal(window_expire(w, 901), 2);
    assert_true(window_deadline(w) == INT64_MAX);
    end(&s, "1+ 2t 3t");
}

TEST(many_rounds_go_through_a_small_ring)
{
    struct story s;
    struct window *w = begin(&s, 3, 0);

    for (int64_t row = 1; row <= 1000; row++) {
        uint64_t tag = window_add(w, row, NULL, mark_of(row), row);

        s.text[0] = '\0';
        assert_int_equal(tag, row);
        assert_int_equal(window_ack(w, tag, (int)(row % 2)), 0);
    }
    assert_int_equal(window_waiting(w), 0);
    end(&s, "1000+");
}

TEST(the_size_is_bounded)
{
    assert_null(window_new(0, note, NULL));
    assert_null(window_new(65537, note, NULL));
}

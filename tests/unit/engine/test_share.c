/* How the time of a turn is divided among its phases. */
#include "engine/share.h"

#include "check.h"

enum { AGE_MS = 40 };

/* A phase works until its share is used, or its work is done. Units last `unit_ms`. Gives the
 * number of them. */
static int work(struct share *s, enum share_phase phase, int64_t *now_ms, int units,
                int64_t unit_ms)
{
    int done = 0;

    share_enter(s, phase, *now_ms);
    while (done < units && !share_is_used(s, *now_ms)) {
        *now_ms += unit_ms;
        done++;
    }
    share_leave(s, *now_ms);
    return done;
}

TEST(who_is_alone_has_the_whole_turn)
{
    struct share s = {.age_ms = 0};
    int64_t now = 1000;

    for (int turn = 0; turn < 3; turn++) {
        share_begin(&s, now, AGE_MS);
        assert_int_equal(work(&s, SHARE_RETRIES, &now, 0, 0), 0);
        assert_int_equal(work(&s, SHARE_DELIVERIES, &now, 1000, 2), 20);
        assert_int_equal(work(&s, SHARE_FRESH, &now, 0, 0), 0);
    }
}

TEST(two_that_want_all_have_half_each)
{
    struct share s = {.age_ms = 0};
    int64_t now = 1000;

    for (int turn = 0; turn < 3; turn++) {
        int first = turn == 0 ? 20 : 10; /* nobody knows before the first one */

        share_begin(&s, now, AGE_MS);
        assert_int_equal(work(&s, SHARE_RETRIES, &now, 1000, 2), first);
        assert_int_equal(work(&s, SHARE_DELIVERIES, &now, 1000, 2), 10);
    }
}

TEST(what_a_later_phase_does_not_need_goes_to_an_earlier_one)
{
    struct share s = {.age_ms = 0};
    int64_t now = 1000;

    for (int turn = 0; turn < 3; turn++) {
        share_begin(&s, now, AGE_MS);
        assert_int_equal(work(&s, SHARE_DELIVERIES, &now, 1000, 1), turn == 0 ? 40 : 36);
        assert_int_equal(work(&s, SHARE_FRESH, &now, 4, 1), 4);
    }
}

TEST(a_unit_that_outlasts_the_turn_takes_nothing_from_the_next_phase)
{
    struct share s = {.age_ms = 0};
    int64_t now = 1000;

    for (int turn = 0; turn < 3; turn++) {
        share_begin(&s, now, AGE_MS);
        assert_int_equal(work(&s, SHARE_DELIVERIES, &now, 1000, 500), 1);
        assert_int_equal(work(&s, SHARE_FRESH, &now, 1000, 1), turn == 0 ? 20 : 13);
        assert_int_equal(work(&s, SHARE_SETTLE, &now, 3, 1), 3);
    }
}

TEST(every_phase_moves_in_a_turn_that_is_shorter_than_their_number)
{
    struct share s = {.age_ms = 0};
    int64_t now = 1000;

    for (int turn = 0; turn < 3; turn++) {
        share_begin(&s, now, 5);
        for (enum share_phase p = 0; p < SHARE_PHASES; p++)
            assert_in_range(work(&s, p, &now, 1000, 3), 1, 2);
    }
}

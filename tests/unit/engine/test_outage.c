/* When an engine in trouble lets go of its deliveries, and for how long. */
#include "engine/outage.h"

#include "check.h"

TEST(short_trouble_changes_nothing)
{
    struct stall s = {.stopped = false};

    for (int64_t now = 0; now < STALL_STOP_MS; now += 1000)
        assert_false(stall_trouble(&s, 5000 + now));
    assert_false(stall_over(&s, false));
    assert_false(stall_trouble(&s, 5000 + STALL_STOP_MS)); /* another one */
}

TEST(trouble_that_lasts_stops_consuming_once)
{
    struct stall s = {.stopped = false};

    assert_false(stall_trouble(&s, 0));
    assert_true(stall_trouble(&s, STALL_STOP_MS));
    assert_int_equal(s.rest_ms, 0); /* the next turn may prove that it is over */
    assert_false(stall_trouble(&s, 2 * STALL_STOP_MS));
    assert_true(stall_over(&s, false));
    assert_false(stall_over(&s, true));
}

/* Stops, goes on, and the deliveries bring the trouble back. */
static int64_t one_round(struct stall *s, int64_t *now)
{
    assert_false(stall_trouble(s, *now));
    *now += STALL_STOP_MS;
    assert_true(stall_trouble(s, *now));
    assert_true(stall_over(s, false));
    *now += 1000;
    return s->rest_ms;
}

TEST(in_vain_it_waits_longer_each_time)
{
    struct stall s = {.stopped = false};
    int64_t now = 0, want = STALL_REST_MIN_MS;

    assert_int_equal(one_round(&s, &now), 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(one_round(&s, &now), want);
        want = want * 2 < STALL_REST_MAX_MS ? want * 2 : STALL_REST_MAX_MS;
    }
    assert_int_equal(want, STALL_REST_MAX_MS);
    assert_false(stall_over(&s, true)); /* a message was handled: all is forgotten */
    assert_int_equal(one_round(&s, &now), 0);
}

TEST(turns_without_messages_prove_nothing)
{
    struct stall s = {.stopped = false};
    int64_t now = 0;

    one_round(&s, &now);
    assert_false(stall_over(&s, false));
    assert_int_equal(one_round(&s, &now), STALL_REST_MIN_MS);
}

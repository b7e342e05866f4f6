/* When an engine in trouble lets go of its deliveries, and for how long. */
#include "engine/outage.h"

#include "check.h"

TEST(short_trouble_changes_nothing)
{
    struct outage s = {.stopped = false};

    for (int64_t now = 0; now < OUTAGE_STOP_MS; now += 1000)
        assert_false(outage_trouble(&s, 5000 + now));
    assert_false(outage_over(&s, false));
    assert_false(outage_trouble(&s, 5000 + OUTAGE_STOP_MS)); /* another one */
}

TEST(trouble_that_lasts_stops_consuming_once)
{
    struct outage s = {.stopped = false};

    assert_false(outage_trouble(&s, 0));
    assert_true(outage_trouble(&s, OUTAGE_STOP_MS));
    assert_int_equal(s.wait_ms, 0); /* the next turn may prove that it is over */
    assert_false(outage_trouble(&s, 2 * OUTAGE_STOP_MS));
    assert_true(outage_over(&s, false));
    assert_false(outage_over(&s, true));
}

/* Stops, goes on, and the deliveries bring the trouble back. */
static int64_t one_round(struct outage *s, int64_t *now)
{
    assert_false(outage_trouble(s, *now));
    *now += OUTAGE_STOP_MS;
    assert_true(outage_trouble(s, *now));
    assert_true(outage_over(s, false));
    *now += 1000;
    return s->wait_ms;
}

TEST(in_vain_it_waits_longer_each_time)
{
    struct outage s = {.stopped = false};
    int64_t now = 0, want = OUTAGE_WAIT_MIN_MS;

    assert_int_equal(one_round(&s, &now), 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(one_round(&s, &now), want);
        want = want * 2 < OUTAGE_WAIT_MAX_MS ? want * 2 : OUTAGE_WAIT_MAX_MS;
    }
    assert_int_equal(want, OUTAGE_WAIT_MAX_MS);
    assert_false(outage_over(&s, true)); /* a message was handled: all is forgotten */
    assert_int_equal(one_round(&s, &now), 0);
}

TEST(turns_without_messages_prove_nothing)
{
    struct outage s = {.stopped = false};
    int64_t now = 0;

    one_round(&s, &now);
    assert_false(outage_over(&s, false));
    assert_int_equal(one_round(&s, &now), OUTAGE_WAIT_MIN_MS);
}

/* Signs of life: when one is sent, and when a peer is given up. */
#include "check.h"
#include "wire/heartbeat.h"

TEST(one_is_due_after_half_an_interval_of_silence)
{
    struct heartbeat h;

    heartbeat_start(&h, 10, 1000);
    assert_int_equal(heartbeat_period_ms(&h), 2500);
    assert_false(heartbeat_is_due(&h, 5999));
    assert_true(heartbeat_is_due(&h, 6000));
    heartbeat_sent(&h, 6000);
    assert_false(heartbeat_is_due(&h, 10999));
}

TEST(a_peer_is_dead_only_at_the_second_look)
{
    struct heartbeat h;

    heartbeat_start(&h, 10, 0);
    assert_int_equal(heartbeat_judge(&h, 19999), HEARTBEAT_ALIVE);
    assert_int_equal(heartbeat_judge(&h, 20000), HEARTBEAT_LOOK_AGAIN);
    assert_int_equal(heartbeat_judge(&h, 20001), HEARTBEAT_DEAD);
}

TEST(what_was_heard_between_two_looks_counts)
{
    struct heartbeat h;

    heartbeat_start(&h, 10, 0);
    assert_int_equal(heartbeat_judge(&h, 60000), HEARTBEAT_LOOK_AGAIN);
    heartbeat_heard(&h, 60000);
    assert_int_equal(heartbeat_judge(&h, 60001), HEARTBEAT_ALIVE);
    assert_int_equal(heartbeat_judge(&h, 80000), HEARTBEAT_LOOK_AGAIN);
}

TEST(without_an_interval_nothing_is_due_and_nobody_dies)
{
    struct heartbeat h;

    heartbeat_start(&h, 0, 0);
    assert_false(heartbeat_is_due(&h, 1000000));
    assert_int_equal(heartbeat_judge(&h, 1000000), HEARTBEAT_ALIVE);
}

TEST(both_sides_settle_on_the_smaller_interval)
{
    assert_int_equal(heartbeat_agree(10, 60), 10);
    assert_int_equal(heartbeat_agree(60, 10), 10);
    assert_int_equal(heartbeat_agree(10, 0), 10);
    assert_int_equal(heartbeat_agree(0, 60), 0);
    assert_int_equal(heartbeat_agree(-1, 60), 0);
    assert_int_equal(heartbeat_agree(100000, 0), 65535);
}

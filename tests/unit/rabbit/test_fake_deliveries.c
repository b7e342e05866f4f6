/* docs/faults.md#f44, #f21, #f13: duplicate deliveries, redelivery in another order, consumers that
 * are cancelled, channels and connections that go: an ack only ever covers what a turn has
 * accepted, and in the end everything is acked. Whole driver, broker in the process. */
#include "check.h"
#include "fake_rabbit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODIES = 2048 };

static struct fake_rabbit *r;
static struct fake_queue *q;
static int accepted[BODIES]; /* turns that were told with it, by body */
static int taken[BODIES];

static int number_of(const struct fake_message *m)
{
    return atoi(m->body);
}

/* Invariant I4: nothing is acked that no turn has committed. */
static void on_acked(void *arg, const struct fake_message *m)
{
    (void)arg;
    if (accepted[number_of(m)] == 0)
        fail_msg("message %s was acked and never accepted", m->body);
}

/* Rests between two tries last at least so long. */
static void begin_resting(uint64_t seed, int64_t ms)
{
    static const char *const names[] = {"q", "q.herald-dead", NULL};

    memset(accepted, 0, sizeof accepted);
    memset(taken, 0, sizeof taken);
    r = fake_rabbit_new();
    q = fake_queue_new(r->fake, "x", names, seed);
    q->acked = on_acked;
    r->settings.backoff_min_ms = ms;
    r->settings.backoff_max_ms = 2 * ms;
    fake_rabbit_start(r);
}

/* Long enough for a test to see that it rests. */
static void begin(uint64_t seed)
{
    begin_resting(seed, 30);
}

static void end(void)
{
    if (r == NULL)
        return;
    fake_rabbit_free(&r);
    free(q->messages);
    free(q);
    q = NULL;
}

static void add(int from, int to)
{
    char id[16], body[16];

    for (int i = from; i <= to; i++) {
        snprintf(id, sizeof id, "m%d", i);
        snprintf(body, sizeof body, "%d", i);
        fake_queue_add(q, 0, id, "t", body);
    }
}

static int body_of(const struct delivery *d)
{
    char text[16];

    snprintf(text, sizeof text, "%.*s", (int)d->message.body.len, d->message.body.data);
    return atoi(text);
}

/* A turn that takes at most `max`, accepts the first of them, and is told or undone. */
static size_t turn(size_t max, size_t accept, bool told)
{
    struct delivery *d[64];
    struct err err = {.code = OK};
    size_t n = 0;

    assert_int_equal(r->broker->ops->take(r->broker, d, max, &n, &err), OK);
    for (size_t i = 0; i < n; i++)
        taken[body_of(d[i])]++;
    for (size_t i = 0; i < n && i < accept; i++) {
        accepted[body_of(d[i])] += told;
        assert_int_equal(r->broker->ops->accept(r->broker, d[i], &err), OK);
    }
    if (told)
        r->broker->ops->tell(r->broker);
    else
        r->broker->ops->forget(r->broker);
    return n < accept ? n : accept;
}

static bool is_empty(void *arg)
{
    (void)arg;
    while (turn(64, 64, true) > 0)
        ;
    return fake_queue_left(q) == 0;
}

static void until_empty(void)
{
    fake_rabbit_until(r, is_empty, NULL, "an empty queue");
    assert_int_equal(fake_rabbit_state(r).unacked, 0);
}

static bool is_consuming(void *arg)
{
    (void)arg;
    return fake_rabbit_is_ready(r);
}

TEST_BETWEEN(check_nothing, end, faults_44_each_of_two_deliveries_of_one_message_is_acked)
{
    begin(1);
    q->twice = 100;
    add(1, 20);
    until_empty();
    for (int i = 1; i <= 20; i++)
        assert_int_equal(accepted[i], 2);
}

TEST_BETWEEN(check_nothing, end, faults_44_redelivery_in_another_order)
{
    begin(7);
    add(1, 30);
    fake_run(r->fake, 5);
    assert_int_equal(turn(30, 30, false), 30);
    q->shuffle = true;
    for (int i = 0; i < 3; i++) {
        fake_cut(fake_conn(r->fake, "consume"));
        fake_rabbit_until(r, fake_rabbit_is_not_ready, r, "the loss");
        fake_rabbit_until(r, is_consuming, NULL, "the next connection");
    }
    until_empty();
    for (int i = 1; i <= 30; i++)
        assert_int_equal(accepted[i], 1);
}

TEST_BETWEEN(check_nothing, end, faults_44_an_ack_that_is_lost_brings_the_message_again)
{
    begin(3);
    add(1, 5);
    fake_run(r->fake, 5);
    fake_plan(r->fake)->deaf = true; /* what we say from here on is lost with the connection */
    assert_int_equal(turn(5, 5, true), 5);
    fake_run(r->fake, 5);
    assert_int_equal(fake_queue_left(q), 5);
    fake_cut(fake_conn(r->fake, "consume"));
    fake_plan(r->fake)->cut_heard = 1;
    fake_plan(r->fake)->deaf = false;
    fake_rabbit_until(r, fake_rabbit_is_not_ready, r, "the loss");
    fake_plan(r->fake)->cut_heard = 0;
    until_empty();
    for (int i = 1; i <= 5; i++)
        assert_int_equal(accepted[i], 2);
}

TEST_BETWEEN(check_nothing, end, faults_44_what_a_turn_leaves_stands_in_front_again)
{
    begin(3);
    add(1, 6);
    fake_run(r->fake, 5);
    assert_int_equal(turn(4, 2, true), 2);
    fake_run(r->fake, 5);
    assert_int_equal(fake_queue_left(q), 4);
    assert_int_equal(turn(3, 3, false), 3);
    assert_int_equal(turn(3, 3, true), 3);
    fake_run(r->fake, 5);
    assert_int_equal(fake_queue_left(q), 1);
    assert_int_equal(taken[6], 0);
    until_empty();
    assert_int_equal(taken[1], 1);
    assert_int_equal(taken[3], 3);
}

TEST_BETWEEN(check_nothing, end, faults_13_a_cancelled_consumer_comes_back)
{
    begin(3);
    for (int i = 0; i < 5; i++) {
        add(i * 10 + 1, i * 10 + 10);
        fake_run(r->fake, 3);
        turn(64, 4, true);
        fake_queue_cancel(q, 0);
        fake_rabbit_until(r, fake_rabbit_is_not_ready, r, "the cancel to be seen");
        assert_non_null(strstr(fake_rabbit_state(r).error, "cancelled"));
        fake_rabbit_until(r, is_consuming, NULL, "the consumer");
    }
    assert_int_equal(fake_connects(r->fake), 2);
    until_empty();
}

TEST_BETWEEN(check_nothing, end, faults_13_a_cancel_in_the_middle_of_a_turn)
{
    struct delivery *d[8];
    struct err err = {.code = OK};
    size_t n;

    begin(3);
    add(1, 3);
    fake_run(r->fake, 5);
    assert_int_equal(r->broker->ops->take(r->broker, d, 8, &n, &err), OK);
    assert_int_equal(n, 3);
    fake_queue_cancel(q, 0);
    fake_rabbit_until(r, fake_rabbit_is_not_ready, r, "the cancel to be seen");
    for (size_t i = 0; i < n; i++) {
        accepted[body_of(d[i])]++; /* lent until tell, though its channel is gone */
        assert_int_equal(r->broker->ops->accept(r->broker, d[i], &err), OK);
    }
    r->broker->ops->tell(r->broker);
    until_empty();
    for (int i = 1; i <= 3; i++)
        assert_int_equal(accepted[i], 2); /* the inbox knows them */
}

static bool nothing_is_unacked(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < q->n_messages; i++)
        if (q->messages[i].state == FAKE_UNACKED)
            return false;
    return fake_rabbit_state(r).unacked == 0;
}

/* docs/design.md#trouble-of-the-store: the consuming channel is closed once and no deliveries
 * are unacked. */
TEST_BETWEEN(check_nothing, end, a_stopped_queue_gives_its_deliveries_back_once)
{
    begin(8);
    add(1, 20);
    fake_rabbit_until(r, fake_rabbit_is_pending, r, "deliveries");
    turn(5, 3, true);
    r->broker->ops->pace(r->broker, "q", PACE_STOP);
    fake_rabbit_until(r, nothing_is_unacked, NULL, "nothing to be unacked");
    for (int i = 0; i < 50; i++)
        uv_run(&r->loop, UV_RUN_NOWAIT);
    assert_true(fake_rabbit_is_ready(r));
    assert_int_equal(fake_queue_left(q), 17);
    assert_int_equal(turn(64, 64, true), 0);
    for (size_t i = 0; i < q->n_messages; i++)
        assert_true(q->messages[i].deliveries <= 1);
    r->broker->ops->pace(r->broker, "q", PACE_FLOW);
    until_empty();
}

static bool has_drained(void *arg)
{
    return fake_rabbit_is_ready(r) && strstr(fake_heard(r->fake), arg) != NULL;
}

/* docs/faults.md#f21: from the dead-letter queue, under its queue, and acked as any other. */
TEST_BETWEEN(check_nothing, end, faults_21_what_the_broker_gave_up_on_is_taken_too)
{
    char wanted[] = "3:basic.consume";
    struct delivery *d[8];
    struct err err = {.code = OK};
    size_t n;

    begin(3);
    fake_plan(r->fake)->dead_queues = true;
    fake_forget(r->fake);
    fake_cut(fake_conn(r->fake, "consume"));
    fake_rabbit_until(r, has_drained, wanted, "the dead-letter queue to be consumed");
    fake_queue_add(q, 1, "m7", "t", "7");
    add(1, 1);
    fake_run(r->fake, 5);
    assert_int_equal(r->broker->ops->take(r->broker, d, 8, &n, &err), OK);
    assert_int_equal(n, 2);
    assert_int_equal(body_of(d[0]), 7);
    assert_non_null(strstr(d[0]->dead_lettered, "dead-letter queue of \"q\""));
    assert_string_equal(d[0]->subscription->queue, "q");
    assert_null(d[1]->dead_lettered);
    r->broker->ops->forget(r->broker);
    fake_queue_cancel(q, 1); /* it is delivered again, and harms nobody */
    fake_run(r->fake, 1);
    assert_true(fake_rabbit_is_ready(r));
    until_empty();
    assert_int_equal(accepted[1], 1);
    assert_int_equal(accepted[7], 1);
}

static void misbehave(uint64_t *dice)
{
    struct fake_conn *c = fake_conn(r->fake, "consume");

    switch (fake_dice(dice, 60)) {
    case 0:
        fake_queue_cancel(q, 0);
        break;
    case 1:
        fake_queue_close(q, 0);
        break;
    case 2:
        if (c != NULL)
            fake_cut(c);
        break;
    case 3:
        fake_run(r->fake, 6);
        break;
    case 4:
    case 5:
    case 6:
        r->broker->ops->pace(r->broker, fake_dice(dice, 2) == 0 ? "q" : NULL,
                             (enum broker_pace)fake_dice(dice, 3));
        break;
    default:
        break;
    }
}

static void run_seed(uint64_t seed)
{
    uint64_t dice = seed;
    int last = 0;

    begin_resting(seed, 1);
    q->twice = fake_dice(&dice, 3) * 10;
    q->shuffle = fake_dice(&dice, 2) == 0;
    fake_plan(r->fake)->chunk = fake_dice(&dice, 2) * 7;
    for (int step = 0; step < 600; step++) {
        int more = (int)fake_dice(&dice, 4);

        add(last + 1, last + more);
        last += more;
        misbehave(&dice);
        uv_run(&r->loop, UV_RUN_NOWAIT);
        turn(fake_dice(&dice, 20), fake_dice(&dice, 20), fake_dice(&dice, 4) != 0);
    }
    fake_plan(r->fake)->chunk = 0;
    q->twice = 0;
    r->broker->ops->pace(r->broker, "q", PACE_FLOW);
    r->broker->ops->pace(r->broker, NULL, PACE_FLOW);
    until_empty();
    for (int i = 1; i <= last; i++)
        if (accepted[i] == 0)
            fail_msg("seed %llu: message %d was lost", (unsigned long long)seed, i);
    end();
}

TEST_BETWEEN(check_nothing, end, faults_44_any_deliveries_in_any_order)
{
    for (uint64_t seed = 1; seed <= 10; seed++)
        run_seed(seed);
}

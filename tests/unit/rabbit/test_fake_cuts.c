/* docs/faults.md#f9, #f10: the stream is cut at any byte, in both directions, or is half open: the
 * driver comes back by itself, each row has one outcome, nothing is acked in vain, and
 * memory is bounded by the window. Whole driver, broker in the process. */
#include "check.h"
#include "fake_rabbit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_rabbit *r;
static struct fake_queue *q;
static int handled[FAKE_ROWS]; /* turns that were told with a delivery of this row */

static void on_acked(void *arg, const struct fake_message *m)
{
    (void)arg;
    if (handled[atoi(m->id + 2)] == 0)
        fail_msg("message %s was acked and never accepted", m->id);
}

static void begin(void)
{
    static const char *const names[] = {"q", NULL};

    memset(handled, 0, sizeof handled);
    r = fake_rabbit_new();
    q = fake_queue_new(r->fake, "x", names, 1);
    q->acked = on_acked;
}

static void end(void)
{
    if (r == NULL)
        return;
    fake_rabbit_free(&r);
    free(q->messages);
    free(q);
}

/* "m-17" to 17; the text ends without a NUL. */
static size_t number_of(struct slice id)
{
    size_t n = 0;

    for (size_t i = 2; i < id.len; i++)
        n = n * 10 + (size_t)(id.data[i] - '0');
    return n;
}

static void take_all(void)
{
    struct delivery *d[64];
    struct err err = {.code = OK};
    size_t n;

    assert_int_equal(r->broker->ops->take(r->broker, d, 64, &n, &err), OK);
    for (size_t i = 0; i < n; i++) {
        handled[number_of(d[i]->message.id)]++;
        assert_int_equal(r->broker->ops->accept(r->broker, d[i], &err), OK);
    }
    r->broker->ops->tell(r->broker);
}

/* As the engine does: a row without a confirm goes out again, here under the next number. */
struct work {
    int64_t row;   /* the one under way */
    bool sent;     /* it is the driver's affair */
    int confirmed; /* rows so far */
};

static bool is_done(void *arg)
{
    struct work *w = arg;

    take_all();
    fake_rabbit_settle(r, FAKE_WINDOW, true);
    if (w->sent && r->rows[w->row].settled == 1) {
        w->confirmed += r->rows[w->row].outcome == PUBLISH_CONFIRMED;
        w->row++;
        w->sent = false;
    }
    if (!w->sent && w->confirmed < 3) {
        w->sent = fake_rabbit_publish(r, w->row, "x") == OK;
        fake_rabbit_tell(r);
    }
    return w->confirmed == 3 && fake_queue_left(q) == 0 && r->outstanding == 0;
}

static int cuts_left;

static void (*queue_gone)(void *arg, struct fake_conn *c);

/* The next connections are whole again. */
static void on_gone(void *arg, struct fake_conn *c)
{
    queue_gone(arg, c);
    if (cuts_left > 0 && --cuts_left == 0)
        fake_plan(r->fake)->cut_after = fake_plan(r->fake)->cut_heard = 0;
}

/* Three rows go out, come in, and are acked, while the first connections are cut at this
 * byte. False when no connection lived to say or hear so many. */
static bool cut_at(size_t heard, size_t given, size_t chunk)
{
    struct work w = {.row = 1};
    struct err err = {.code = OK};
    bool cut;

    begin();
    cuts_left = 2; /* both links, as a rule */
    queue_gone = fake_plan(r->fake)->hooks.gone;
    fake_plan(r->fake)->hooks.gone = on_gone;
    fake_plan(r->fake)->cut_heard = heard;
    fake_plan(r->fake)->cut_after = given;
    fake_plan(r->fake)->chunk = chunk;
    assert_int_equal(rabbit_new(&r->broker, &r->settings, &err), OK);
    assert_int_equal(r->broker->ops->start(r->broker, &r->topology, &err), OK);
    fake_rabbit_until(r, is_done, &w, "three rows");
    cut = cuts_left < 2;
    cuts_left = 0;
    fake_plan(r->fake)->cut_heard = fake_plan(r->fake)->cut_after = 0;
    assert_true(fake_connects(r->fake) <= 4);
    for (int64_t i = 1; i < w.row; i++)
        if (r->rows[i].outcome == PUBLISH_CONFIRMED)
            assert_true(handled[i] >= 1);
    end();
    return cut;
}

TEST_BETWEEN(check_nothing, end, faults_9_cut_at_any_byte_that_we_say)
{
    size_t at = 1;

    while (cut_at(at, 0, 0))
        at++;
    assert_true(at > 400); /* login, declarations, publishes, acks */
}

TEST_BETWEEN(check_nothing, end, faults_9_cut_at_any_byte_that_the_broker_says)
{
    size_t at = 1;

    while (cut_at(0, at, at % 5))
        at++;
    assert_true(at > 250);
}

/* What one exchange may have of it. */
enum { FAKE_PART = FAKE_WINDOW * 7 / 8 };

static bool part_is_full(void *arg)
{
    int64_t *row = arg;

    fake_rabbit_settle(r, FAKE_WINDOW, true);
    if (fake_rabbit_publish(r, *row, "x") != OK)
        return r->outstanding == FAKE_PART;
    fake_rabbit_tell(r);
    ++*row;
    return false;
}

static bool is_reconnected(void *arg)
{
    (void)arg;
    fake_rabbit_settle(r, FAKE_WINDOW, true);
    return fake_connects(r->fake) > 2 && fake_rabbit_is_ready(r) && r->outstanding == 0;
}

/* We can say what we like, and nothing comes back: heartbeats tell. */
TEST_BETWEEN(begin, end, faults_10_half_open)
{
    int64_t row = 1;

    fake_plan(r->fake)->heartbeat_s = 1;
    r->settings.heartbeat_s = 1;
    fake_rabbit_start(r);
    fake_plan(r->fake)->mute = true;
    fake_rabbit_until(r, part_is_full, &row, "a full part of the window");
    assert_int_equal(row, FAKE_PART + 1);
    assert_int_equal(fake_rabbit_publish(r, row, "x"), ERR_BUSY);
    fake_rabbit_until(r, fake_rabbit_is_not_ready, r, "the loss");
    fake_plan(r->fake)->mute = false;
    fake_rabbit_until(r, is_reconnected, NULL, "the next connection");
    for (int64_t i = 1; i < row; i++)
        assert_true(r->rows[i].settled == 1 && r->rows[i].outcome == PUBLISH_UNKNOWN);
    take_all();
}

/* It takes nothing: what we say piles up, to a bound. */
TEST_BETWEEN(begin, end, faults_10_a_broker_that_does_not_read)
{
    int64_t row = 1;

    r->settings.confirm_timeout_ms = 100;
    fake_rabbit_start(r);
    fake_plan(r->fake)->deaf = true;
    fake_rabbit_until(r, part_is_full, &row, "a full part of the window");
    fake_rabbit_until(r, fake_rabbit_is_settled, r, "the time-out");
    for (int64_t i = 1; i < row; i++)
        assert_true(r->rows[i].outcome == PUBLISH_TIMED_OUT ||
                    r->rows[i].outcome == PUBLISH_UNKNOWN);
    fake_plan(r->fake)->deaf = false;
    fake_rabbit_send(r, row, row + 40, "x");
    fake_rabbit_until(r, fake_rabbit_is_settled, r, "the next rows");
    take_all();
}

/* 1 byte a millisecond or so: slow is not dead. */
TEST_BETWEEN(begin, end, faults_10_a_slow_broker)
{
    fake_rabbit_start(r);
    fake_plan(r->fake)->chunk = 1;
    fake_rabbit_send(r, 1, 60, "x");
    fake_rabbit_until(r, fake_rabbit_is_settled, r, "all confirms");
    assert_int_equal(fake_connects(r->fake), 2);
    for (int64_t i = 1; i <= 60; i++)
        assert_true(r->rows[i].outcome == PUBLISH_CONFIRMED);
}

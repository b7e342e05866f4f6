/* What a queue is, from what a broker says when it refuses to compare it. */
#include "check.h"
#include "rabbit/queue_probe.h"

#include "rabbit/channel.h"
#include "rabbit/fake_link.h"

static struct queue_probe probe;

/* The next declaration is sent, and refused with this. */
static bool hears(const char *argument, const char *rest)
{
    amqp_channel_close_t close;
    char text[400], why[400];
    struct err err = {0};

    assert_int_equal(queue_probe_ask(&probe, &fake_link, 1, &err), OK);
    snprintf(text, sizeof text,
             "PRECONDITION_FAILED - inequivalent arg '%s' for queue 'q' in vhost '/': received %s",
             argument, rest);
    close_of(&close, 406, text);
    return queue_probe_hear(&probe, channel_why(&close, why, sizeof why));
}

static void begin(void)
{
    fake_begin();
    queue_probe_begin(&probe, "q");
}

TEST_BETWEEN(begin, check_nothing, a_plain_queue)
{
    assert_false(hears("x-queue-type", /* 3.10 */
                       "the value 'none' of type 'longstr' but current is none"));
    assert_string_equal(probe.type, "classic");
    assert_false(probe.transient || probe.auto_delete);
    sent("1:queue.declare(q,none,durable)");
}

TEST_BETWEEN(begin, check_nothing, a_classic_queue_with_all_that_can_end_it)
{
    assert_true(hears("durable", "'true' but current is 'false'"));
    assert_true(hears("auto_delete", "'false' but current is 'true'"));
    assert_true(hears("x-expires", "none but current is the value '600000' of type 'signedint'"));
    assert_true(
        hears("x-dead-letter-exchange", "none but current is the value 'foo' of type 'longstr'"));
    assert_false(hears("x-queue-type", "'none' but current is 'classic'")); /* 4.x */
    assert_string_equal(probe.type, "classic");
    assert_true(probe.transient && probe.auto_delete);
    assert_int_equal(queue_probe_find(&probe, "x-expires")->number, 600000);
    assert_string_equal(queue_probe_find(&probe, "x-dead-letter-exchange")->text, "foo");
    assert_null(queue_probe_find(&probe, "x-message-ttl"));
}

TEST_BETWEEN(begin, check_nothing, a_quorum_queue_is_asked_for_its_limit)
{
    assert_true(hears("x-queue-type", "'none' but current is 'quorum'"));
    assert_false(hears("x-delivery-limit", "'none' but current is '3'"));
    assert_string_equal(probe.type, "quorum");
    assert_int_equal(probe.limit, 3);
    begin();
    assert_true(hears("x-queue-type", "'none' but current is 'quorum'"));
    assert_false(
        hears("x-delivery-limit", "the value 'none' of type 'longstr' but current is none"));
    assert_int_equal(probe.limit, -1);
}

/* It ends whatever is said. */
TEST_BETWEEN(begin, check_nothing, what_leads_nowhere_ends_it)
{
    assert_false(queue_probe_hear(&probe,
                                  "406 PRECONDITION_FAILED - invalid arg 'x-queue-type' for queue "
                                  "'q' in vhost '/': \"unsupported queue type 'none'\""));
    assert_false(queue_probe_hear(&probe,
                                  "403 ACCESS_REFUSED - configure access to queue 'q' in vhost "
                                  "'/' refused for user 'lim'"));
    assert_true(hears("durable", "'true' but current is 'false'"));
    assert_false(hears("durable", "'true' but current is 'false'"));
    assert_true(hears("x-a", "none but current is the value 'b' of type 'longstr'"));
    assert_false(hears("x-a", "'b' but current is 'c'"));
    for (int n = 0; n < QUEUE_PROBE_ARGUMENTS_MAX - 1; n++) {
        char name[8];

        snprintf(name, sizeof name, "x-%d", n);
        assert_true(hears(name, "none but current is the value '1' of type 'long'"));
    }
    assert_false(hears("x-more", "none but current is the value '1' of type 'long'"));
    assert_string_equal(probe.type, "");
}

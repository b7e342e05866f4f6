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

TEST_BETWEEN(begin, check_nothing, what_a_rule_states_is_compared)
{
    const struct argument list[] = {{"x-delivery-limit", ARGUMENT_INTEGER, "", 5},
                                    {"x-max-length", ARGUMENT_INTEGER, "", 10},
                                    {"x-message-ttl", ARGUMENT_INTEGER, "", 1000},
                                    {"x-overflow", ARGUMENT_TEXT, "drop-head", 0},
                                    {"x-plugin", ARGUMENT_TEXT, "a", 0},
                                    {"x-single-active-consumer", ARGUMENT_FLAG, "", 1}};
    const struct arguments stated = {list, 6};

    queue_probe_state(&probe, &stated);
    assert_true(hears("x-max-length", "'10' but current is '20'")); /* of the same kind */
    sent("1:queue.declare(q,none x-max-length=10 x-message-ttl=1000 x-overflow=drop-head "
         "x-plugin=a x-single-active-consumer=true,durable)");
    assert_true(hears("x-message-ttl", "the value '1000' of type 'signedint' but current is none"));
    assert_true(hears("x-expires", "none but current is the value '7' of type 'signedint'"));
    assert_true(hears("x-queue-type", "'none' but current is 'quorum'"));
    fake_link.said[0] = '\0';
    assert_false(hears("x-delivery-limit", "'none' but current is '3'"));
    sent("1:queue.declare(q,quorum x-max-length=20 x-overflow=drop-head x-plugin=a "
         "x-single-active-consumer=true x-expires=7 x-delivery-limit=none x-max-priority=1,"
         "durable)");
    for (size_t i = 0; i < stated.n; i++)
        assert_int_equal(queue_probe_differs(&probe, &list[i]), i < 3);
    assert_int_equal(queue_probe_find(&probe, "x-max-length")->number, 20);
    assert_false(hears("x-max-length", "'20' but current is '30'")); /* it ends */
}

TEST_BETWEEN(begin, check_nothing, a_flag_is_learned_as_one)
{
    assert_true(
        hears("x-single-active-consumer", "none but current is the value 'true' of type 'bool'"));
    fake_link.said[0] = '\0';
    assert_false(hears("x-queue-type", "'none' but current is 'classic'"));
    sent("1:queue.declare(q,none x-single-active-consumer=true,durable)");
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
        char name[16];

        snprintf(name, sizeof name, "x-%d", n);
        assert_true(hears(name, "none but current is the value '1' of type 'long'"));
    }
    assert_false(hears("x-more", "none but current is the value '1' of type 'long'"));
    assert_string_equal(probe.type, "");
}

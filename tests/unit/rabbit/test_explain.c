/* A refusal in words: what is there, what was asked for, what to change. */
#include "check.h"
#include "rabbit/explain.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define INEQUIVALENT "406 PRECONDITION_FAILED - inequivalent arg "

static void expect(enum queue_type asked, uint16_t code, const char *broker, const char *want)
{
    char out[900];
    struct refusal r = {.code = code,
                        .text = broker,
                        .what = "queue",
                        .name = "q",
                        .origin = "rules/a.lua:3",
                        .queue_type = asked};

    assert_string_equal(explain_refusal(&r, out, sizeof out), want);
}

TEST(a_quorum_queue_where_classic_was_asked_for)
{
    expect(QUEUE_CLASSIC, 406,
           INEQUIVALENT "'x-queue-type' for queue 'q' in vhost '/': received none but current is "
                        "the value 'quorum' of type 'longstr'",
           "queue \"q\" exists with type = quorum, but queue_type = \"classic\" at rules/a.lua:3 "
           "asks for another; leave queue_type out of the subscription or set queue_type = "
           "\"quorum\", or delete the queue so that it is made anew (broker: " INEQUIVALENT
           "'x-queue-type' for queue 'q' in vhost '/': received none but current is the value "
           "'quorum' of type 'longstr')");
}

TEST(a_plain_queue_where_quorum_was_asked_for)
{
    expect(QUEUE_QUORUM, 406,
           INEQUIVALENT "'x-queue-type' for queue 'q' in vhost '/': received the value 'quorum' "
                        "of type 'longstr' but current is none",
           "queue \"q\" exists with type = classic, but queue_type = \"quorum\" at rules/a.lua:3 "
           "asks for another; leave queue_type out of the subscription or set queue_type = "
           "\"classic\", or delete the queue so that it is made anew (broker: " INEQUIVALENT
           "'x-queue-type' for queue 'q' in vhost '/': received the value 'quorum' of type "
           "'longstr' but current is none)");
}

TEST(another_argument_says_to_take_the_queue_as_it_is)
{
    expect(QUEUE_CLASSIC, 406,
           INEQUIVALENT "'x-message-ttl' for queue 'q' in vhost '/': received none but current is "
                        "the value '60000' of type 'signedint'",
           "queue \"q\" exists with x-message-ttl = 60000, but queue_type = \"classic\" at "
           "rules/a.lua:3 asks for another; leave queue_type out of the subscription to take the "
           "queue as it is, or delete the queue so that it is made anew (broker: " INEQUIVALENT
           "'x-message-ttl' for queue 'q' in vhost '/': received none but current is the value "
           "'60000' of type 'signedint')");
}

TEST(no_permission_says_whose)
{
    expect(QUEUE_ANY, 403, "403 ACCESS_REFUSED - access to queue 'q' in vhost '/' refused",
           "queue \"q\" of rules/a.lua:3 was refused; give the broker's user permission to it "
           "(broker: 403 ACCESS_REFUSED - access to queue 'q' in vhost '/' refused)");
}

TEST(a_text_of_an_unknown_form_is_passed_on)
{
    expect(QUEUE_QUORUM, 406, "406 PRECONDITION_FAILED - no way",
           "queue \"q\" of rules/a.lua:3 was refused (broker: 406 PRECONDITION_FAILED - no way)");
}

TEST(an_exchange_of_another_kind_is_taken_as_it_is)
{
    char out[900];

    explain_exchange("x",
                     INEQUIVALENT "'type' for exchange 'x' in vhost '/': received 'fanout' but "
                                  "current is 'direct'",
                     out, sizeof out);
    assert_string_equal(out, "exchange \"x\" exists with type = direct, not fanout; it is taken as "
                             "it is, and a queue bound to it may get other messages than expected "
                             "(broker: " INEQUIVALENT "'type' for exchange 'x' in vhost '/': "
                             "received 'fanout' but current is 'direct')");
    explain_exchange("x",
                     INEQUIVALENT "'durable' for exchange 'x' in vhost '/': received 'true' but "
                                  "current is 'false'",
                     out, sizeof out);
    assert_non_null(strstr(out, "exists with durable = false, not true; it is taken as it is ("));
    explain_exchange("x",
                     INEQUIVALENT "'alternate-exchange' for exchange 'x' in vhost '/': received "
                                  "none but current is the value 'ae' of type 'longstr'",
                     out, sizeof out);
    assert_non_null(strstr(out, "exists with alternate-exchange = ae, not none;"));
    explain_exchange("x", "406 PRECONDITION_FAILED - something else", out, sizeof out);
    assert_string_equal(out, "exchange \"x\" exists, but not as it would be made; it is taken as "
                             "it is (broker: 406 PRECONDITION_FAILED - something else)");
}

TEST(a_classic_one_that_herald_made_as_quorum_is_told)
{
    struct refusal r = {
        .code = 406,
        .text = "406 PRECONDITION_FAILED - inequivalent arg 'x-dead-letter-exchange' for queue 'q' "
                "in vhost '/': received none but current is the value '' of type 'longstr'",
        .what = "queue",
        .name = "q",
        .queue_type = QUEUE_CLASSIC,
    };
    char out[1024];

    assert_non_null(strstr(explain_refusal(&r, out, sizeof out),
                           "queue_type = \"classic\" asks for another; if herald made it, it is a "
                           "quorum queue: leave queue_type out"));
}

TEST(refusals_of_a_dead_letter_queue_are_told_from_others)
{
    assert_true(explain_is_of_dead_letters(INEQUIVALENT
                                           "'x-dead-letter-strategy' for queue 'q' in vhost '/': "
                                           "received 'at-least-once' but current is none"));
    assert_true(explain_is_of_dead_letters(INEQUIVALENT
                                           "'x-overflow' for queue 'q' in vhost '/': received "
                                           "'reject-publish' but current is none"));
    assert_true(explain_is_of_dead_letters(
        "403 ACCESS_REFUSED - access to exchange 'amq.default' in vhost '/' refused"));
    assert_true(explain_is_of_dead_letters(
        "403 ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused"));
    assert_false(explain_is_of_dead_letters(
        "403 ACCESS_REFUSED - configure access to queue 'q' in vhost '/' refused"));
    assert_false(explain_is_of_dead_letters(INEQUIVALENT
                                            "'x-queue-type' for queue 'q' in vhost '/': received "
                                            "'quorum' but current is 'classic'"));
    assert_false(explain_is_of_dead_letters(INEQUIVALENT "'x-dead' for queue 'q' in vhost '/': "
                                                         "received 'a' but current is none"));
    assert_false(explain_is_of_dead_letters(INEQUIVALENT "'"));
    assert_false(explain_is_of_dead_letters(
        "403 ACCESS_REFUSED - access to queue 'q' in vhost '/' refused for user 'u'"));
}

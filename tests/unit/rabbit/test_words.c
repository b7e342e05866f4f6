/* What RabbitMQ 3.10.8, 4.0.5 and 4.3.6 say, word for word, and what it means
 * (docs/faults.md#f60). */
#include "check.h"
#include "rabbit/words.h"

#include <stddef.h>
#include <string.h>

static void mean(enum words wanted, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (words_of(texts[i]) != wanted)
            fail_msg("it means %d instead of %d: %s", (int)words_of(texts[i]), (int)wanted,
                     texts[i]);
}

#define MEAN(wanted, ...)                                                                          \
    mean(wanted, (const char *const[]){__VA_ARGS__},                                               \
         sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

TEST(what_is_absent)
{
    MEAN(WORDS_ABSENT, "404 NOT_FOUND - no queue 'gone' in vhost '/'",
         "404 NOT_FOUND - no exchange 'gone' in vhost '/'");
}

TEST(a_node_that_is_down_is_no_absent_queue)
{
    MEAN(
        WORDS_NODE_DOWN,
        /* 3.10 */
        "404 NOT_FOUND - home node 'a@b' of durable queue 'q' in vhost '/' is down or inaccessible",
        /* 4.x, after a minute */
        "404 NOT_FOUND - failed to perform operation on queue 'cl_on3' in vhost '/' due to "
        "timeout");
}

TEST(a_stream_is_no_queue)
{
    MEAN(WORDS_STREAM, "406 PRECONDITION_FAILED - invalid arg 'x-priority' for queue 'ss' in vhost "
                       "'/' of queue type rabbit_stream_queue");
}

TEST(a_topic_that_may_not_be_written)
{
    MEAN(WORDS_NO_TOPIC,
         "403 ACCESS_REFUSED - access to topic 'no' in exchange 't1' in vhost '/' refused for user "
         "'lim'",
         "403 ACCESS_REFUSED - write access to topic 'no' in exchange 't1' in vhost '/' refused "
         "for user 'lim'");
}

TEST(an_exchange_that_may_not_be_written)
{
    MEAN(WORDS_NO_EXCHANGE,
         "403 ACCESS_REFUSED - access to exchange 'nox' in vhost '/' refused for user 'lim'",
         "403 ACCESS_REFUSED - write access to exchange 'nox' in vhost '/' refused for user 'lim'",
         "403 ACCESS_REFUSED - write access to exchange 'amq.default' in vhost '/' refused for "
         "user 'lim'",
         "403 ACCESS_REFUSED - cannot publish to internal exchange 'internal' in vhost '/'");
}

TEST(what_may_not_be_made_or_read)
{
    MEAN(WORDS_NO_RIGHT,
         "403 ACCESS_REFUSED - access to queue 'zz' in vhost '/' refused for user 'lim'",
         "403 ACCESS_REFUSED - configure access to queue 'zz' in vhost '/' refused for user 'lim'",
         "403 ACCESS_REFUSED - configure access to exchange 'zz' in vhost '/' refused for user "
         "'lim'",
         "403 ACCESS_REFUSED - read access to exchange 't1' in vhost '/' refused for user 'lim'",
         "403 ACCESS_REFUSED - read access to queue 'zz' in vhost '/' refused for user 'lim'",
         "403 ACCESS_REFUSED - write access to queue 'zz' in vhost '/' refused for user 'lim'");
}

TEST(a_message_that_is_not_taken)
{
    MEAN(WORDS_MESSAGE_REFUSED,
         "406 PRECONDITION_FAILED - message size 17825792 is larger than configured max size "
         "16777216",
         "406 PRECONDITION_FAILED - invalid expiration 'abc': no_integer",
         "406 PRECONDITION_FAILED - user_id property set to 'bob' but authenticated user was "
         "'guest'",
         "406 PRECONDITION_FAILED - invalid message: {delivery_mode_unknown,0}",
         "406 PRECONDITION_FAILED - invalid message: {unacceptable_type_in_header,\"CC\",longstr}",
         "311 CONTENT_TOO_LARGE - whatever");
}

/* A name may hold any words, and later versions say what they like. */
TEST(what_nobody_knows_is_unknown)
{
    MEAN(WORDS_UNKNOWN, "", "406", "404 ", "NOT_FOUND", "404 NOT_FOUND - something else",
         "404 NOT_FOUND - queue 'no exchange 'x'' does not run",
         "403 ACCESS_REFUSED - publish access to topic 'no' refused",
         "403 ACCESS_REFUSED - exchange name 'amq.foo' contains reserved prefix 'amq.*'",
         "406 PRECONDITION_FAILED - fast reply consumer does not exist",
         "406 PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out. Timeout value "
         "used: 10000 ms.",
         "405 RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'ex1' in vhost '/'.",
         "541 INTERNAL_ERROR - Could not add binding due to timeout", "access to topic 'no'",
         "406 message size 1");
}

static void differs(const char *why, const char *argument, const char *asked, const char *there)
{
    struct words_difference d;

    assert_int_equal(words_of(why), WORDS_DIFFERENT);
    assert_true(words_difference(why, &d));
    assert_true(slice_is(d.argument, argument));
    assert_true(slice_is(d.asked, asked));
    assert_true(slice_is(d.there, there));
}

#define INEQUIVALENT "406 PRECONDITION_FAILED - inequivalent arg "

TEST(what_is_there_but_otherwise)
{
    differs(INEQUIVALENT
            "'x-queue-type' for queue 'q' in vhost '/': received the value 'quorum' of "
            "type 'longstr' but current is none",
            "x-queue-type", "quorum", "none"); /* 3.10 */
    differs(INEQUIVALENT "'x-queue-type' for queue 'q' in vhost '/': received none but current is "
                         "the value 'quorum' of type 'longstr'",
            "x-queue-type", "none", "quorum"); /* 3.10 */
    differs(INEQUIVALENT "'x-queue-type' for queue 'okq' in vhost '/': received 'quorum' but "
                         "current is 'classic'",
            "x-queue-type", "quorum", "classic"); /* 4.x */
    differs(INEQUIVALENT "'x-overflow' for queue 'okq' in vhost '/': received the value "
                         "'reject-publish' of type 'longstr' but current is none",
            "x-overflow", "reject-publish", "none");
    differs(INEQUIVALENT "'durable' for queue 'okq' in vhost '/': received 'false' but current is "
                         "'true'",
            "durable", "false", "true");
    differs(INEQUIVALENT "'type' for exchange 't1' in vhost '/': received 'fanout' but current is "
                         "'topic'",
            "type", "fanout", "topic");
}

TEST(a_difference_that_is_cut_short_is_none)
{
    static const char whole[] = INEQUIVALENT
        "'type' for exchange 'x' in vhost '/': received 'fanout' but current is 'topic'";
    struct words_difference d;
    char cut[sizeof whole];

    for (size_t n = 0; n < sizeof whole - 1; n++) {
        memcpy(cut, whole, n);
        cut[n] = '\0';
        assert_false(words_difference(cut, &d));
    }
    assert_true(words_difference(whole, &d));
    assert_false(words_difference("404 NOT_FOUND - no queue 'q' in vhost '/'", &d));
}

/* Rows go out after the commit, and every one of them gets exactly one outcome. */
#include "check.h"
#include "rabbit/fake_link.h"
#include "rabbit/publisher.h"

#include <stdlib.h>

enum { WINDOW = 8, TIMEOUT = 5000 };

static struct channels *channels;
static struct declare *declare;
static struct publisher *publisher;
static char gone[32]; /* exchange that was reported as deleted */

static char x_name[] = "x", y_name[] = "y", empty[] = "", key[] = "k";
static const struct destination to_x = {EXCHANGE_FANOUT, x_name, empty};
static const struct destination to_y = {EXCHANGE_TOPIC, y_name, key};
static const struct destination to_queue = {EXCHANGE_DEFAULT, empty, key};

static void on_gone(void *arg, const char *exchange)
{
    (void)arg;
    snprintf(gone, sizeof gone, "%s", exchange);
}

static void method(uint16_t channel, amqp_method_number_t id, void *decoded)
{
    amqp_method_t m = method_of(id, decoded);

    if (channels_hear(channels, channel, &m))
        ;
    else if (channels_owner(channels, CHANNELS_OF_DECLARE, channel) != NULL)
        declare_method(declare, channel, &m);
    else
        publisher_method(publisher, channel, &m);
    publisher_step(publisher);
}

static void ack(uint16_t channel, uint64_t tag, bool multiple)
{
    amqp_basic_ack_t m = {.delivery_tag = tag, .multiple = multiple};

    method(channel, AMQP_BASIC_ACK_METHOD, &m);
}

static void nack(uint16_t channel, uint64_t tag, bool multiple)
{
    amqp_basic_nack_t m = {.delivery_tag = tag, .multiple = multiple};

    method(channel, AMQP_BASIC_NACK_METHOD, &m);
}

static void closed(uint16_t channel, uint16_t code, const char *text)
{
    amqp_channel_close_t close;
    amqp_method_t m = close_of(&close, code, text);

    method(channel, m.id, m.decoded);
}

/* The same over a publish, as the broker says. */
static void closed_over_publish(uint16_t channel, uint16_t code, const char *text)
{
    amqp_channel_close_t close;
    amqp_method_t m = close_of(&close, code, text);

    close.class_id = AMQP_BASIC_CLASS;
    close.method_id = AMQP_BASIC_PUBLISH_METHOD & 0xffff;
    method(channel, m.id, m.decoded);
}

/* The broker returns the message that a row carried. */
static void returned(uint16_t channel, int64_t row, const char *routing_key)
{
    char id[16];
    amqp_basic_return_t r = {.reply_code = 312,
                             .reply_text = amqp_cstring_bytes("NO_ROUTE"),
                             .routing_key = amqp_cstring_bytes(routing_key)};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG};
    amqp_method_t m = method_of(AMQP_BASIC_RETURN_METHOD, &r);
    struct codec_content content = {.channel = channel, .method = &m, .properties = &properties};

    snprintf(id, sizeof id, "s:%lld", (long long)row);
    properties.message_id = amqp_cstring_bytes(id);
    publisher_content(publisher, &content);
}

static int publish(int64_t row, const struct destination *to)
{
    char id[16];
    struct err err = {0};
    struct message m = {.type = slice_of("t"), .body = slice_of("{}")};

    snprintf(id, sizeof id, "s:%lld", (long long)row);
    m.id = slice_of(id);
    return publisher_publish(publisher, row, to, &m, &err);
}

/* Publishes rows from..to and tells. */
static void publish_rows(int64_t from, int64_t to, const struct destination *destination)
{
    for (int64_t row = from; row <= to; row++)
        assert_int_equal(publish(row, destination), OK);
    publisher_tell(publisher);
    fake_link.said[0] = '\0';
}

/* What the next turn learns: "7+" confirmed, "7r" returned, "7-" nacked, "7t" timed
 * out, "7?" unknown. Told, so that it is learned once. */
static const char *learn(void)
{
    static char text[512];
    struct settlement out[64];
    size_t n = publisher_settled(publisher, out, 64);

    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof text - used, "%s%lld%c", used ? " " : "",
                 (long long)out[i].row, "+r-xt?u"[out[i].outcome]);
    }
    return text;
}

static void settled(const char *want)
{
    assert_string_equal(learn(), want);
    publisher_tell(publisher);
}

/* The words of the oldest settlement. */
static const char *first_why(void)
{
    struct settlement s = {.why = ""};

    assert_int_equal(publisher_settled(publisher, &s, 1), 1);
    publisher_forget(publisher);
    return s.why;
}

/* A publisher with x on channel 2 and y on channel 3, both open. */
static void begin(void)
{
    struct publisher_settings settings = {
        .link = &fake_link,
        .clock = fake_clock,
        .window = WINDOW,
        .confirm_timeout_ms = TIMEOUT,
        .backoff_min_ms = 100,
        .backoff_max_ms = 1000,
        .gone = on_gone,
    };
    struct err err = {0};

    fake_begin();
    channels = channels_new(&fake_link);
    declare = declare_new(channels, NULL, fake_clock);
    settings.channels = channels;
    settings.declare = declare;
    publisher = publisher_new(&settings, &err);
    assert_non_null(publisher);
    gone[0] = '\0';
    assert_int_equal(publisher_plan(publisher, &to_x, &err), OK);
    assert_int_equal(publisher_plan(publisher, &to_y, &err), OK);
    declare_up(declare);
    publisher_up(publisher);
    sent("1:open 1:exchange.declare?(x)");
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    sent("1:exchange.declare?(y) 2:open 2:confirm");
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    sent("3:open 3:confirm");
    assert_int_equal(publish(1, &to_x), ERR_BUSY);
    method(2, AMQP_CHANNEL_OPEN_OK_METHOD, NULL);
    method(2, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    method(3, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    sent("");
}

static void end(void)
{
    publisher_free(&publisher);
    declare_free(&declare);
    channels_free(&channels);
    assert_null(publisher);
}

TEST_BETWEEN(begin, end, nothing_is_sent_before_it_is_told)
{
    assert_int_equal(publish(1, &to_x), OK);
    assert_int_equal(publish(2, &to_y), OK);
    assert_int_equal(publish(3, &to_x), OK);
    sent("");
    assert_int_equal(publisher_room(publisher), WINDOW - 3);
    assert_int_equal(publisher_in_flight(publisher), 0);
    publisher_tell(publisher);
    sent("2:publish(x/) 3:publish(y/k) 2:publish(x/)");
    assert_int_equal(publisher_in_flight(publisher), 3);
}

TEST_BETWEEN(begin, end, a_turn_that_is_forgotten_publishes_nothing)
{
    assert_int_equal(publish(1, &to_x), OK);
    publisher_forget(publisher);
    sent("");
    assert_int_equal(publisher_room(publisher), WINDOW);
    assert_int_equal(publish(2, &to_x), OK);
    publisher_tell(publisher);
    sent("2:publish(x/)");
    ack(2, 1, false);
    settled("2+");
}

TEST_BETWEEN(begin, end, acks_come_out_of_order_and_overlap)
{
    publish_rows(1, 5, &to_x);
    publish_rows(6, 6, &to_y);
    ack(2, 4, false);
    ack(3, 1, false);
    ack(2, 3, true);
    ack(2, 5, true);
    settled("4+ 6+ 1+ 2+ 3+ 5+");
    assert_int_equal(publisher_room(publisher), WINDOW);
    assert_null(publisher_broken(publisher));
}

TEST_BETWEEN(begin, end, a_return_before_the_ack_is_a_failure_with_words)
{
    publish_rows(1, 3, &to_x);
    publish_rows(4, 4, &to_y);
    returned(2, 2, "");
    returned(3, 4, "k");
    ack(2, 0, true);
    assert_int_equal(publisher_settled(publisher, (struct settlement[1]){{0}}, 1), 1);
    publisher_tell(publisher);
    assert_string_equal(first_why(), "no queue took it: none is bound to exchange \"x\" for its "
                                     "routing key (312 NO_ROUTE)");
    ack(3, 1, false);
    settled("2r 3+ 4r");
}

TEST_BETWEEN(begin, end, a_nack_covers_many)
{
    publish_rows(1, 4, &to_x);
    nack(2, 3, true);
    ack(2, 4, false);
    settled("1- 2- 3- 4+");
}

TEST_BETWEEN(begin, end, what_was_forgotten_is_settled_again)
{
    publish_rows(1, 2, &to_x);
    ack(2, 2, true);
    assert_true(publisher_pending(publisher));
    assert_string_equal(learn(), "1+ 2+");
    assert_false(publisher_pending(publisher));
    publisher_forget(publisher);
    assert_true(publisher_pending(publisher));
    settled("1+ 2+");
    assert_false(publisher_pending(publisher));
}

TEST_BETWEEN(begin, end, an_unknown_exchange_closes_only_its_own_channel)
{
    int64_t due;

    publish_rows(1, 2, &to_x);
    publish_rows(3, 3, &to_y);
    closed_over_publish(2, 404, "NOT_FOUND - no exchange 'x' in vhost '/'");
    sent("2:close-ok");
    assert_string_equal(gone, "x");
    assert_string_equal(first_why(), "404 NOT_FOUND - no exchange 'x' in vhost '/'");
    settled("1? 2?");
    assert_int_equal(publish(4, &to_x), ERR_BROKER);
    ack(3, 1, false);
    settled("3+");
    assert_int_equal(publish(5, &to_y), OK);
    publisher_forget(publisher);

    due = publisher_due(publisher);
    assert_in_range(due - fake_now, 50, 100);
    fake_now = due;
    publisher_step(publisher);
    sent("1:exchange.declare?(x)");
    closed(1, 404, "NOT_FOUND - no exchange 'x' in vhost '/'");
    sent("1:close-ok 1:open 1:exchange.declare(x,fanout,durable)");
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    sent("2:open 2:confirm");
    method(2, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    publish_rows(1, 1, &to_x);
    ack(2, 1, false);
    settled("1+");
}

/* Opens channel 2 again after the broker closed it. */
static void reopen(void)
{
    fake_now = publisher_due(publisher);
    publisher_step(publisher);
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    method(2, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    fake_link.said[0] = '\0';
}

TEST_BETWEEN(begin, end, careful_mode_finds_the_row_to_blame)
{
    static const char too_large[] = "PRECONDITION_FAILED - message size is larger than configured";

    publish_rows(1, 3, &to_x);
    closed_over_publish(2, 406, too_large);
    settled("1? 2? 3?");
    assert_int_equal(publish(4, &to_x), ERR_CLOSED); /* not its fault */
    reopen();
    assert_int_equal(publish(1, &to_x), OK);
    assert_int_equal(publish(2, &to_x), ERR_BUSY); /* one by one now */
    publisher_tell(publisher);
    assert_int_equal(publish(2, &to_x), ERR_BUSY);
    ack(2, 1, false);
    settled("1+");
    publish_rows(2, 2, &to_x);
    closed_over_publish(2, 406, too_large);
    assert_string_equal(first_why(), "406 PRECONDITION_FAILED - message size is larger than "
                                     "configured");
    settled("2x"); /* it was alone */
    reopen();
    publish_rows(3, 3, &to_x);
    ack(2, 1, false);
    settled("3+");
    publish_rows(4, 8, &to_x); /* and the rest flows */
    ack(2, 6, true);
    settled("4+ 5+ 6+ 7+ 8+");
}

TEST_BETWEEN(begin, end, a_lone_row_is_to_blame_at_once)
{
    publish_rows(1, 1, &to_x);
    ack(2, 1, false);
    settled("1+");
    publish_rows(2, 2, &to_x);
    closed_over_publish(2, 311, "CONTENT_TOO_LARGE");
    settled("2x");
    reopen();
    publish_rows(3, 9, &to_x); /* nobody was lost: no care is needed */
    ack(2, 7, true);
    settled("3+ 4+ 5+ 6+ 7+ 8+ 9+");
}

/* The broker had not read the row when it closed the channel, whyever it did. */
TEST_BETWEEN(begin, end, a_close_over_no_publish_blames_nobody)
{
    publish_rows(1, 2, &to_x);
    closed(2, 541, "INTERNAL_ERROR");
    settled("1? 2?");
    reopen();
    publish_rows(1, 1, &to_x); /* alone, with care */
    closed(2, 406, "PRECONDITION_FAILED - fast reply consumer does not exist");
    settled("1?");
    reopen();
    publish_rows(1, 1, &to_x);
    closed_over_publish(2, 541, "INTERNAL_ERROR");
    settled("1-"); /* over this one, but why: it may be taken later */
}

TEST_BETWEEN(begin, end, an_exchange_that_may_not_be_written_is_tried_by_one_row_at_a_time)
{
    static const char refused[] = "ACCESS_REFUSED - access to exchange 'x' in vhost '/' refused";

    publish_rows(1, 3, &to_x);
    closed_over_publish(2, 403, refused);
    settled("1? 2? 3?");
    assert_int_equal(publish(4, &to_x), ERR_BROKER); /* nor would this one be taken */
    for (int i = 0; i < 3; i++) {
        reopen();
        publish_rows(1, 1, &to_x);
        assert_int_equal(publish(2, &to_x), ERR_BUSY);
        closed_over_publish(2, 403, refused);
        settled("1-");
        assert_int_equal(publish(2, &to_x), ERR_BROKER);
    }
    reopen();
    publish_rows(1, 1, &to_x);
    ack(2, 1, false);
    settled("1+");
    publish_rows(2, 4, &to_x); /* all of them again */
    ack(2, 4, true);
    settled("2+ 3+ 4+");
}

static void topic_is_refused(const char *text)
{
    publish_rows(1, 1, &to_x);
    closed_over_publish(2, 403, text);
    assert_non_null(strstr(first_why(), "access to topic 'a.b'"));
    settled("1x");
    assert_int_equal(publish(2, &to_x), ERR_CLOSED);
    reopen();
}

TEST_BETWEEN(begin, end, a_topic_that_may_not_be_written_is_the_rows_own_fault)
{
    topic_is_refused("ACCESS_REFUSED - access to topic 'a.b' in exchange 'x' in vhost '/' refused "
                     "for user 'u'"); /* RabbitMQ 3 */
    topic_is_refused("ACCESS_REFUSED - write access to topic 'a.b' in exchange 'x' in vhost '/' "
                     "refused for user 'u'"); /* RabbitMQ 4 */
}

/* docs/faults.md#f60: nobody is charged for what was not even sent. */
TEST_BETWEEN(begin, end, words_that_nobody_knows_blame_no_exchange)
{
    static const struct {
        uint16_t code;
        const char *text;
    } unknown[] = {
        {403, "ACCESS_REFUSED - publishing to topic 'a.b' is not for user 'u'"},
        {404, "NOT_FOUND - something else is missing"},
        {406, "PRECONDITION_FAILED - not like this"},
    };

    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        publish_rows(1, 3, &to_x);
        closed_over_publish(2, unknown[i].code, unknown[i].text);
        settled("1? 2? 3?");
        assert_int_equal(publish(4, &to_x), ERR_CLOSED);
        reopen();
        publish_rows(1, 1, &to_x);
        ack(2, 1, false);
        settled("1+");
        publish_rows(2, 2, &to_x);
        closed_over_publish(2, unknown[i].code, unknown[i].text);
        settled("2-"); /* the one that did it, all alone: later again */
        assert_int_equal(publish(3, &to_x), ERR_CLOSED);
        reopen();
        publish_rows(3, 3, &to_x);
        ack(2, 1, false);
        settled("3+");
    }
}

TEST_BETWEEN(begin, end, a_missing_confirm_closes_the_channel_and_opens_a_new_one)
{
    publish_rows(1, 1, &to_x);
    fake_now += 1000;
    publish_rows(2, 2, &to_x);
    publish_rows(3, 3, &to_y);
    assert_int_equal(publisher_due(publisher), fake_now - 1000 + TIMEOUT + 1);
    fake_now = publisher_due(publisher);
    publisher_step(publisher);
    sent("2:close");
    settled("1t 2?");
    assert_int_equal(publish(4, &to_x), ERR_BUSY);
    ack(2, 1, false); /* too late: nobody waits for it */
    settled("");
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    sent("2:open 2:confirm");
    method(2, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    ack(3, 1, false);
    settled("3+");
    assert_int_equal(publish(5, &to_x), ERR_BUSY); /* not at once */
    fake_now += 1000;
    publish_rows(5, 5, &to_x);
    ack(2, 1, false);
    settled("5+");
    assert_null(publisher_broken(publisher));
}

TEST_BETWEEN(begin, end, blocked_takes_nothing_and_silence_proves_nothing)
{
    publish_rows(1, 1, &to_x);
    publisher_blocked(publisher, "low on memory");
    assert_int_equal(publisher_room(publisher), 0);
    assert_int_equal(publish(2, &to_x), ERR_BUSY);
    fake_now += 10 * TIMEOUT;
    publisher_step(publisher);
    settled("");
    publisher_blocked(publisher, NULL);
    assert_int_equal(publisher_room(publisher), WINDOW - 1);
    publisher_step(publisher);
    settled("");
    fake_now += TIMEOUT + 1;
    publisher_step(publisher);
    settled("1t");
}

TEST_BETWEEN(begin, end, a_lost_link_makes_everything_unknown_and_starts_over)
{
    struct err why = {ERR_CLOSED, "connection reset by peer"};

    publish_rows(1, 2, &to_x);
    publish_rows(3, 3, &to_y);
    returned(2, 2, "");
    fake_link.up = false;
    declare_down(declare);
    publisher_down(publisher, &why);
    channels_down(channels);
    assert_int_equal(publisher_room(publisher), 0);
    assert_string_equal(first_why(), "connection reset by peer");
    settled("1? 2r 3?");
    assert_int_equal(publish(1, &to_x), ERR_BUSY);
    fake_link.up = true;
    declare_up(declare);
    publisher_up(publisher);
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    sent("1:open 1:exchange.declare?(x) 1:exchange.declare?(y) 2:open 2:confirm 3:open 3:confirm");
    method(2, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    publish_rows(1, 1, &to_x);
    ack(2, 1, false);
    settled("1+");
}

TEST_BETWEEN(begin, end, what_cannot_be_sent_any_more_is_unsent)
{
    assert_int_equal(publish(1, &to_x), OK);
    fake_link.up = false;
    publisher_tell(publisher);
    assert_string_equal(first_why(), "not connected");
    settled("1u");
    assert_int_equal(publisher_in_flight(publisher), 0);
}

TEST_BETWEEN(begin, end, nonsense_from_the_broker_means_reconnect)
{
    publish_rows(1, 1, &to_x);
    ack(2, 2, false);
    assert_non_null(publisher_broken(publisher));
    assert_null(publisher_broken(publisher)); /* said once */
    returned(2, 9, "");
    assert_non_null(publisher_broken(publisher));
    ack(77, 1, false);
    assert_non_null(publisher_broken(publisher));
}

TEST_BETWEEN(begin, end, a_refused_exchange_says_why_and_others_work)
{
    static char z_name[] = "z";
    static const struct destination to_z = {EXCHANGE_DIRECT, z_name, key};
    struct err err = {0};
    struct message m = {.id = slice_of("s:1"), .type = slice_of("t"), .body = slice_of("{}")};

    assert_int_equal(publish(1, &to_z), ERR_BUSY); /* not seen before: it is asked for */
    publisher_tell(publisher);
    sent("1:exchange.declare?(z)");
    closed(1, 403, "ACCESS_REFUSED - access to exchange 'z' in vhost '/' refused");
    assert_int_equal(publisher_publish(publisher, 1, &to_z, &m, &err), ERR_BROKER);
    assert_non_null(strstr(err.text, "403 ACCESS_REFUSED"));
    assert_non_null(publisher_trouble(publisher));
    assert_null(declare_trouble(declare)); /* the rules did not name it */
    assert_int_equal(publish(2, &to_x), OK);
}

TEST_BETWEEN(begin, end, an_exchange_that_no_rule_names_any_more_is_no_trouble)
{
    struct err err = {0};

    closed(3, 404, "NOT_FOUND - no exchange 'y' in vhost '/'");
    fake_now = publisher_due(publisher);
    publisher_step(publisher);
    closed(1, 403, "ACCESS_REFUSED - access to exchange 'y' in vhost '/' refused");
    assert_non_null(declare_trouble(declare));
    assert_non_null(publisher_trouble(publisher));
    sent("3:close-ok 1:exchange.declare?(y) 1:close-ok");

    declare_plan(declare);
    assert_int_equal(publisher_plan(publisher, &to_x, &err), OK);
    assert_false(declare_adopt(declare));
    publisher_step(publisher);
    assert_null(declare_trouble(declare));
    assert_null(publisher_trouble(publisher));
    sent("");
    publish_rows(1, 1, &to_x);
    ack(2, 1, false);
    settled("1+");
    assert_int_equal(publish(2, &to_y), ERR_BUSY); /* routed before: it is asked for again */
    publisher_tell(publisher);
    sent("1:open 1:exchange.declare?(y)");
    closed(1, 403, "ACCESS_REFUSED - access to exchange 'y' in vhost '/' refused");
    assert_null(declare_trouble(declare)); /* the row's trouble, not the rules' */
    assert_int_equal(publish(2, &to_y), ERR_BROKER);
    fake_now += 40 * 1000;
    publisher_step(publisher);
    sent("1:close-ok 1:open 1:exchange.declare?(y)");
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    sent("3:open 3:confirm");
    method(3, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    assert_int_equal(publish(2, &to_y), OK);
}

TEST_BETWEEN(begin, end, an_open_channel_serves_though_no_rule_names_it)
{
    declare_plan(declare);
    assert_false(declare_adopt(declare));
    publish_rows(1, 1, &to_x);
    ack(2, 1, false);
    settled("1+");
    declare_down(declare);
    publisher_down(publisher, &(struct err){.code = ERR_IO, .text = "cut"});
    channels_down(channels);
    declare_up(declare);
    publisher_up(publisher);
    sent(""); /* but is not made again by itself */
}

TEST_BETWEEN(begin, end, the_default_exchange_is_never_declared)
{
    assert_int_equal(publish(1, &to_queue), ERR_BUSY);
    publisher_tell(publisher);
    sent("4:open 4:confirm");
    method(4, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    assert_int_equal(publish(1, &to_queue), OK);
    publisher_tell(publisher);
    sent("4:publish(/k)");
}

TEST_BETWEEN(begin, end, the_window_bounds_all_exchanges_together)
{
    publish_rows(100, 100, &to_y);
    ack(3, 0, true); /* the last of the window is for those that confirm */
    settled("100+");
    publish_rows(1, 5, &to_x);
    publish_rows(6, WINDOW, &to_y);
    assert_int_equal(publisher_room(publisher), 0);
    assert_int_equal(publish(9, &to_y), ERR_BUSY);
    ack(2, 0, true);
    assert_int_equal(publisher_room(publisher), 5);
    publish_rows(9, 13, &to_x); /* outcomes wait for a turn, and the window is used again */
    ack(2, 0, true);
    assert_int_equal(publisher_room(publisher), 3);
    publish_rows(14, 16, &to_x);
    ack(2, 0, true);
    assert_int_equal(publisher_room(publisher), 0); /* twice the window is untold */
    settled("1+ 2+ 3+ 4+ 5+ 9+ 10+ 11+ 12+ 13+ 14+ 15+ 16+");
    assert_int_equal(publisher_room(publisher), 5);
}

/* x confirms nothing: y goes on at once, and x has one row from time to time. */
TEST_BETWEEN(begin, end, an_exchange_that_is_silent_holds_nobody_else)
{
    int64_t row = 1;

    while (publish(row, &to_x) == OK)
        row++;
    assert_true(row - 1 < WINDOW);
    publisher_tell(publisher);
    for (int i = 0; i < 3; i++) {
        publish_rows(100 + i, 100 + i, &to_y);
        ack(3, 0, true);
        fake_now += 100;
    }
    fake_now += TIMEOUT;
    publisher_step(publisher);
    sent("2:close"); /* its own channel */
    assert_non_null(
        strstr(publisher_trouble(publisher), "exchange \"x\" has confirmed nothing since"));
    method(2, AMQP_CHANNEL_CLOSE_OK_METHOD, NULL);
    method(2, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    (void)learn();
    publisher_tell(publisher);
    fake_link.said[0] = '\0';
    assert_int_equal(publish(20, &to_x), ERR_BUSY); /* it waits with back-off */
    assert_int_equal(publish(103, &to_y), OK);
    fake_now = publisher_due(publisher);
    publisher_step(publisher);
    assert_int_equal(publish(20, &to_x), OK); /* a probe, and no second one */
    assert_int_equal(publish(21, &to_x), ERR_BUSY);
    publisher_tell(publisher);
    ack(2, 0, true);
    assert_null(publisher_trouble(publisher));
    assert_int_equal(publish(21, &to_x), OK);
    assert_int_equal(publish(22, &to_x), OK);
}

/* One queue behind the default exchange is silent, another one confirms. */
TEST_BETWEEN(begin, end, a_silent_queue_takes_no_channel_from_others)
{
    static char other_key[] = "other";
    const struct destination to_other = {EXCHANGE_DEFAULT, empty, other_key};

    assert_int_equal(publish(1, &to_queue), ERR_BUSY);
    publisher_tell(publisher);
    method(4, AMQP_CHANNEL_OPEN_OK_METHOD, NULL);
    method(4, AMQP_CONFIRM_SELECT_OK_METHOD, NULL);
    publish_rows(1, 1, &to_queue);
    publish_rows(2, 2, &to_other);
    ack(4, 2, false);
    settled("2+");
    fake_now += TIMEOUT - 1000;
    publish_rows(3, 3, &to_other);
    fake_now += 1500;
    publisher_step(publisher);
    sent("");
    settled("1t");
    assert_non_null(strstr(publisher_trouble(publisher), "queue \"k\""));
    ack(4, 3, false);
    ack(4, 1, false); /* too late: the row waits to be sent again */
    settled("3+");
    assert_null(publisher_broken(publisher));
    publish_rows(4, 4, &to_other);
}

TEST_BETWEEN(begin, end, unsent_bytes_stop_the_flow)
{
    fake_link.backlog = (4 << 20) + 1;
    assert_int_equal(publisher_room(publisher), 0);
    assert_int_equal(publish(1, &to_x), ERR_BUSY);
    fake_link.backlog = 0;
    assert_int_equal(publish(1, &to_x), OK);
}

TEST_BETWEEN(begin, end, what_no_broker_would_take_is_bad_input)
{
    static char long_key[300];
    struct destination to = {EXCHANGE_FANOUT, x_name, long_key};
    struct message m = {.id = slice_of("s:1"), .type = slice_of("t"), .body = slice_of("{}")};
    struct err err = {0};

    memset(long_key, 'k', sizeof long_key - 1);
    assert_int_equal(publisher_publish(publisher, 1, &to, &m, &err), ERR_INPUT);
    m.body.len = MESSAGE_BODY_MAX + 1;
    assert_int_equal(publisher_publish(publisher, 1, &to_x, &m, &err), ERR_INPUT);
    m.body.len = 2;
    m.type = slice_of(long_key);
    assert_int_equal(publisher_publish(publisher, 1, &to_x, &m, &err), ERR_INPUT);
    m.type = slice_of("t");
    m.headers = slice_of("[1]");
    assert_int_equal(publisher_publish(publisher, 1, &to_x, &m, &err), ERR_INPUT);
    publisher_tell(publisher);
    sent("");
    assert_int_equal(publisher_room(publisher), WINDOW);
}

TEST_BETWEEN(begin, end, a_channel_that_is_not_answered_means_reconnect)
{
    closed_over_publish(2, 404, "NOT_FOUND - no exchange 'x' in vhost '/'");
    fake_now = publisher_due(publisher);
    publisher_step(publisher);
    method(1, AMQP_EXCHANGE_DECLARE_OK_METHOD, NULL);
    assert_null(publisher_broken(publisher));
    fake_now = publisher_due(publisher);
    publisher_step(publisher);
    assert_non_null(publisher_broken(publisher));
}

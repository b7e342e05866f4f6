/* docs/faults.md#f43: whatever the broker says of published rows, in whatever order, each row
 * gets exactly one outcome, and the right one. Whole driver, broker in the process. */
#include "check.h"
#include "fake_rabbit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_rabbit *r;

static void prepare(void)
{
    r = fake_rabbit_new();
    fake_plan(r->fake)->confirm = false;
    fake_rabbit_start(r);
}

static void finish(void)
{
    fake_rabbit_free(&r);
}

static struct fake_conn *publishing(void)
{
    return fake_conn(r->fake, "publish");
}

/* Exchange x has channel 2. */
static void ack(uint64_t tag, bool multiple)
{
    amqp_basic_ack_t m = {.delivery_tag = tag, .multiple = multiple};

    fake_send(publishing(), 2, AMQP_BASIC_ACK_METHOD, &m);
}

static void nack(uint64_t tag, bool multiple)
{
    amqp_basic_nack_t m = {.delivery_tag = tag, .multiple = multiple};

    fake_send(publishing(), 2, AMQP_BASIC_NACK_METHOD, &m);
}

static void give_back_on(struct fake_conn *c, uint16_t channel, int64_t row)
{
    char id[16];
    amqp_basic_return_t m = {.reply_code = 312,
                             .reply_text = amqp_cstring_bytes("NO_ROUTE"),
                             .exchange = amqp_cstring_bytes("x")};
    amqp_basic_properties_t properties = {._flags = AMQP_BASIC_MESSAGE_ID_FLAG};

    snprintf(id, sizeof id, "s:%lld", (long long)row);
    properties.message_id = amqp_cstring_bytes(id);
    fake_content(c, channel, AMQP_BASIC_RETURN_METHOD, &m, &properties, slice_of("{}"), 0);
}

static void give_back(int64_t row)
{
    give_back_on(publishing(), 2, row);
}

static bool has_heard(void *arg)
{
    return strstr(fake_heard(r->fake), arg) != NULL;
}

static void until_heard(int64_t row)
{
    char text[32];

    snprintf(text, sizeof text, "#s:%lld)", (long long)row);
    fake_rabbit_until(r, has_heard, text, text);
}

/* Rows 1 to n are on the wire with tags 1 to n, and the broker has said nothing. */
static void send_rows(int64_t n)
{
    fake_rabbit_send(r, 1, n, "x");
    until_heard(n);
}

static void books(const char *want, int64_t n)
{
    fake_run(r->fake, 5);
    while (fake_rabbit_settle(r, 3, true) > 0)
        ;
    assert_string_equal(fake_rabbit_books(r, 1, n), want);
}

TEST_BETWEEN(prepare, finish, faults_43_acks_out_of_order)
{
    send_rows(4);
    ack(3, false);
    ack(1, false);
    books("1+ 2. 3+ 4.", 4);
    ack(4, false);
    ack(2, false);
    books("1+ 2+ 3+ 4+", 4);
    assert_int_equal(fake_connects(r->fake), 2);
}

TEST_BETWEEN(prepare, finish, faults_43_a_multiple_covers_what_was_acked_before)
{
    send_rows(6);
    ack(2, false);
    ack(4, false);
    ack(4, true);
    books("1+ 2+ 3+ 4+ 5. 6.", 6);
    ack(4, true);
    ack(2, false);
    ack(1, true);
    books("1+ 2+ 3+ 4+ 5. 6.", 6);
    nack(6, true); /* covers acked ones too: only 5 and 6 are meant */
    books("1+ 2+ 3+ 4+ 5- 6-", 6);
    assert_int_equal(fake_connects(r->fake), 2);
}

TEST_BETWEEN(prepare, finish, faults_43_tag_zero_means_all_so_far)
{
    send_rows(3);
    ack(2, false);
    nack(0, true);
    books("1- 2+ 3-", 3);
    ack(0, true); /* nothing is left: no harm */
    books("1- 2+ 3-", 3);
    assert_int_equal(fake_connects(r->fake), 2);
}

TEST_BETWEEN(prepare, finish, faults_43_nack_multiple_in_the_middle)
{
    send_rows(6);
    ack(5, false);
    nack(3, true);
    ack(6, true);
    books("1- 2- 3- 4+ 5+ 6+", 6);
}

TEST_BETWEEN(prepare, finish, faults_43_a_return_before_its_ack_is_a_failure)
{
    send_rows(4);
    give_back(2);
    books("1. 2. 3. 4.", 4);
    ack(4, true);
    books("1+ 2r 3+ 4+", 4);
    assert_non_null(strstr(r->rows[2].why, "312 NO_ROUTE"));
}

TEST_BETWEEN(prepare, finish, faults_43_returns_come_in_any_order_and_before_a_nack)
{
    send_rows(5);
    give_back(4);
    give_back(1);
    ack(1, false);
    nack(5, true);
    books("1r 2- 3- 4r 5-", 5);
}

static bool third_connection(void *arg)
{
    (void)arg;
    return fake_connects(r->fake) == 3 && fake_rabbit_is_ready(r);
}

/* What cannot be: the connection goes, and every row in flight has an unknown outcome, but
 * for what was said before. */
static void breaks(const char *want)
{
    fake_rabbit_until(r, third_connection, NULL, "the next connection");
    books(want, 3);
    fake_plan(r->fake)->confirm = true;
    fake_rabbit_send(r, 11, 30, "x");
    fake_rabbit_until(r, fake_rabbit_is_settled, r, "the next rows");
    books(want, 3);
}

TEST_BETWEEN(prepare, finish, faults_43_an_ack_for_an_unknown_tag)
{
    send_rows(3);
    ack(1, false);
    ack(4, false);
    breaks("1+ 2? 3?");
}

TEST_BETWEEN(prepare, finish, faults_43_a_multiple_beyond_the_last_tag)
{
    send_rows(3);
    nack(2, false);
    ack(4, true);
    breaks("1? 2- 3?");
}

TEST_BETWEEN(prepare, finish, faults_43_a_nack_for_tag_zero_alone)
{
    send_rows(3);
    nack(0, false);
    breaks("1? 2? 3?");
}

TEST_BETWEEN(prepare, finish, faults_43_a_return_of_what_never_was)
{
    send_rows(3);
    ack(3, false);
    give_back(77);
    breaks("1? 2? 3+");
}

TEST_BETWEEN(prepare, finish, faults_43_an_ack_on_a_channel_that_is_not_open)
{
    amqp_basic_ack_t m = {.delivery_tag = 1};

    send_rows(3);
    fake_send(publishing(), 9, AMQP_BASIC_ACK_METHOD, &m);
    breaks("1? 2? 3?");
}

/* --- a channel or the connection goes in the middle of a window --- */

TEST_BETWEEN(prepare, finish, faults_43_a_channel_closes_in_the_middle)
{
    amqp_channel_close_t close = {.reply_code = 541,
                                  .reply_text = amqp_cstring_bytes("INTERNAL_ERROR")};

    send_rows(6);
    fake_rabbit_send(r, 101, 102, "y");
    ack(3, false);
    give_back(5);
    fake_send(publishing(), 2, AMQP_CHANNEL_CLOSE_METHOD, &close);
    books("1? 2? 3+ 4? 5r 6?", 6);
    assert_non_null(strstr(r->rows[1].why, "541 INTERNAL_ERROR"));
    assert_string_equal(fake_rabbit_books(r, 101, 102), "101. 102."); /* y is left alone */
    assert_int_equal(fake_connects(r->fake), 2);
    fake_plan(r->fake)->confirm = true;
    fake_rabbit_send(r, 11, 30, "x"); /* one by one at first, and with tags from 1 */
    until_heard(30);
    books("1? 2? 3+ 4? 5r 6?", 6);
    for (int64_t row = 11; row <= 30; row++)
        assert_true(r->rows[row].settled == 1 && r->rows[row].outcome == PUBLISH_CONFIRMED);
}

TEST_BETWEEN(prepare, finish, faults_43_late_words_of_a_closed_channel_are_not_the_next_ones)
{
    amqp_channel_close_t close = {.reply_code = 541, .reply_text = amqp_cstring_bytes("x")};

    send_rows(3);
    fake_send(publishing(), 2, AMQP_CHANNEL_CLOSE_METHOD, &close);
    ack(3, true); /* a broker that should be silent by now */
    books("1? 2? 3?", 3);
    fake_rabbit_send(r, 11, 11, "x");
    fake_run(r->fake, 10);
    assert_string_equal(fake_rabbit_books(r, 11, 11), "11.");
    ack(1, false);
    fake_rabbit_until(r, fake_rabbit_is_settled, r, "row 11");
    assert_string_equal(fake_rabbit_books(r, 11, 11), "11+");
}

TEST_BETWEEN(prepare, finish, faults_43_the_connection_is_closed_in_the_middle)
{
    amqp_connection_close_t close = {.reply_code = 320,
                                     .reply_text = amqp_cstring_bytes("CONNECTION_FORCED")};

    send_rows(3);
    fake_rabbit_send(r, 101, 102, "y");
    ack(2, false);
    fake_send(publishing(), 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
    fake_rabbit_until(r, fake_rabbit_is_settled, r, "an outcome of all");
    books("1? 2+ 3?", 3);
    assert_string_equal(fake_rabbit_books(r, 101, 102), "101? 102?");
    assert_non_null(strstr(r->rows[1].why, "CONNECTION_FORCED"));
}

TEST_BETWEEN(prepare, finish, faults_12_a_window_outlives_blocked_and_unblocked)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("low on disk")};
    amqp_connection_unblocked_t unblocked = {0};

    send_rows(4);
    ack(1, false);
    for (int i = 0; i < 3; i++) {
        fake_send(publishing(), 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
        fake_rabbit_until(r, fake_rabbit_is_not_ready, r, "blocked");
        assert_int_equal(fake_rabbit_publish(r, 50 + i, "x"), ERR_BUSY);
        ack((uint64_t)i + 2, false); /* it still answers what it has */
        fake_send(publishing(), 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
        fake_rabbit_until(r, fake_rabbit_is_ready, r, "unblocked");
    }
    books("1+ 2+ 3+ 4+", 4);
}

TEST_BETWEEN(prepare, finish, faults_12_a_cut_while_blocked_is_no_block_for_the_next_connection)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("low on memory")};

    send_rows(3);
    fake_send(publishing(), 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    fake_rabbit_until(r, fake_rabbit_is_not_ready, r, "blocked");
    fake_cut(publishing());
    fake_rabbit_until(r, third_connection, NULL, "the next connection");
    books("1? 2? 3?", 3);
    fake_plan(r->fake)->confirm = true;
    fake_rabbit_send(r, 11, 12, "x");
    fake_rabbit_until(r, fake_rabbit_is_settled, r, "the next rows");
}

TEST_BETWEEN(prepare, finish, faults_10_confirms_that_never_come)
{
    fake_rabbit_free(&r);
    r = fake_rabbit_new();
    fake_plan(r->fake)->confirm = false;
    r->settings.confirm_timeout_ms = 60;
    fake_rabbit_start(r);
    send_rows(3);
    ack(2, false);
    give_back(3);
    fake_rabbit_until(r, fake_rabbit_is_settled, r, "the time-out");
    books("1t 2+ 3r", 3);
    ack(3, true); /* late, on a channel that is being closed or opened anew */
    fake_rabbit_send(r, 11, 11, "x");
    fake_plan(r->fake)->confirm = true;
    fake_run(r->fake, 10);
    books("1t 2+ 3r", 3);
    fake_rabbit_until(r, fake_rabbit_is_settled, r, "the next row");
    assert_int_equal(r->rows[11].settled, 1);
}

/* --- anything at all --- */

enum { TAGS = 8192, CHANNELS = 2 };

/* What the broker knows of a channel of the living connection. */
struct line {
    int64_t row[TAGS]; /* by tag */
    bool returned[TAGS];
    bool answered[TAGS];
    uint64_t last; /* tag */
    bool closed;   /* it closed the channel and awaits close-ok */
};

static struct line lines[CHANNELS];
static enum publish_outcome expected[FAKE_ROWS]; /* UNKNOWN where the broker said nothing */
static enum publish_outcome culprit[FAKE_ROWS];  /* NACKED, REFUSED: it closed the channel */
static uint64_t dice;                            /* what the broker does */

static void reset_line(struct line *l)
{
    memset(l, 0, sizeof *l);
}

static struct fake_conn *publisher; /* the connection that the lines belong to */

/* As the real one does over an exchange that is gone or may not be written. */
static void close_over(struct fake_conn *c, uint16_t channel, int64_t row)
{
    static const uint16_t codes[] = {403, 404, 406, 541};
    bool named = fake_dice(&dice, 4) != 0;
    const uint16_t code = codes[fake_dice(&dice, 4)];
    const char *text = code == 406 ? "PRECONDITION_FAILED - message size dice" : "dice";
    amqp_channel_close_t close = {.reply_code = code,
                                  .reply_text = amqp_cstring_bytes(text),
                                  .class_id = named ? AMQP_BASIC_CLASS : 0,
                                  .method_id = named ? AMQP_BASIC_PUBLISH_METHOD & 0xffff : 0};

    if (named)
        culprit[row] = code == 406 ? PUBLISH_REFUSED : PUBLISH_NACKED;
    lines[channel - 2].closed = true;
    fake_send(c, channel, AMQP_CHANNEL_CLOSE_METHOD, &close);
}

/* "m-17" to 17; the text ends without a NUL. */
static int64_t number_of(const void *text, size_t len)
{
    int64_t n = 0;

    for (size_t i = 2; i < len; i++)
        n = n * 10 + (((const char *)text)[i] - '0');
    return n;
}

static void on_publish(void *arg, struct fake_conn *c, uint16_t channel,
                       const struct fake_publish *p)
{
    struct line *l = &lines[channel - 2];

    (void)arg;
    publisher = c;
    if (l->closed)
        return;
    assert_true(p->tag < TAGS);
    l->last = p->tag;
    l->row[p->tag] = number_of(p->properties->message_id.bytes, p->properties->message_id.len);
    if (fake_dice(&dice, 30) == 0)
        close_over(c, channel, l->row[p->tag]);
}

static bool on_method(void *arg, struct fake_conn *c, uint16_t channel, const amqp_method_t *m)
{
    (void)arg;
    if (c != publisher)
        return false;
    if (channel >= 2 && channel < 2 + CHANNELS &&
        (m->id == AMQP_CHANNEL_CLOSE_OK_METHOD || m->id == AMQP_CONFIRM_SELECT_METHOD))
        reset_line(&lines[channel - 2]);
    return false;
}

static void on_gone(void *arg, struct fake_conn *c)
{
    (void)arg;
    for (int i = 0; c == publisher && i < CHANNELS; i++)
        reset_line(&lines[i]);
}

static void count(struct line *l, uint64_t tag, bool positive)
{
    if (l->answered[tag])
        return;
    l->answered[tag] = true;
    expected[l->row[tag]] = l->returned[tag] ? PUBLISH_RETURNED
                            : positive       ? PUBLISH_CONFIRMED
                                             : PUBLISH_NACKED;
}

static void speak(struct fake_conn *c)
{
    unsigned which = fake_dice(&dice, CHANNELS);
    struct line *l = &lines[which];
    uint16_t channel = (uint16_t)(2 + which);
    bool positive = fake_dice(&dice, 4) != 0, multiple = fake_dice(&dice, 3) == 0;
    amqp_basic_ack_t m = {.multiple = multiple};
    uint64_t tag;

    if (l->last == 0 || l->closed)
        return;
    tag = 1 + fake_dice(&dice, (unsigned)l->last);
    if (fake_dice(&dice, 4) == 0 && !l->answered[tag] && !l->returned[tag]) {
        l->returned[tag] = true;
        expected[l->row[tag]] = PUBLISH_RETURNED;
        give_back_on(c, channel, l->row[tag]);
        return;
    }
    m.delivery_tag = tag;
    for (uint64_t t = multiple ? 1 : tag; t <= tag; t++)
        count(l, t, positive);
    if (positive) {
        fake_send(c, channel, AMQP_BASIC_ACK_METHOD, &m);
    } else {
        amqp_basic_nack_t n = {.delivery_tag = m.delivery_tag, .multiple = multiple};

        fake_send(c, channel, AMQP_BASIC_NACK_METHOD, &n);
    }
}

static void block(struct fake_conn *c, bool on)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("dice")};
    amqp_connection_unblocked_t unblocked = {0};

    if (on)
        fake_send(c, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    else
        fake_send(c, 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
}

static void misbehave(void)
{
    struct fake_conn *c = publishing();
    unsigned what = fake_dice(&dice, 100);

    if (c == NULL)
        return;
    if (what == 0)
        fake_cut(c);
    else if (what < 7)
        block(c, what < 3);
    else
        for (unsigned n = 1 + fake_dice(&dice, 6); n > 0; n--)
            speak(c);
}

/* A turn with publishes, settlements or both, told or undone. */
static void turn(int64_t *row)
{
    int64_t first = *row;

    for (unsigned n = fake_dice(&dice, 5); n > 0 && *row < FAKE_ROWS; n--)
        if (fake_rabbit_publish(r, *row, fake_dice(&dice, 3) ? "x" : "y") == OK)
            ++*row;
    if (fake_dice(&dice, 8) != 0) {
        fake_rabbit_tell(r);
        return;
    }
    fake_rabbit_forget(r);
    *row = first;
}

static void check_row(int64_t row, uint64_t seed)
{
    const struct fake_row *is = &r->rows[row];
    bool blamed = is->outcome == culprit[row] && expected[row] == PUBLISH_UNKNOWN &&
                  strstr(is->why, "dice") != NULL;

    if (is->settled != 1)
        fail_msg("seed %llu: row %lld has %d outcomes", (unsigned long long)seed, (long long)row,
                 is->settled);
    if (is->outcome != expected[row] && !blamed)
        fail_msg("seed %llu: row %lld is %c, the broker said %c (%s)", (unsigned long long)seed,
                 (long long)row, "+r-xt?u"[is->outcome], "+r-xt?u"[expected[row]], is -> why);
}

static bool unblocked(void *arg)
{
    (void)arg;
    if (publishing() != NULL && strcmp(fake_rabbit_state(r).word, "blocked") == 0)
        block(publishing(), false);
    return fake_rabbit_is_ready(r);
}

static void run_seed(uint64_t seed)
{
    int64_t row = 1;

    dice = seed;
    memset(lines, 0, sizeof lines);
    memset(culprit, 0, sizeof culprit);
    for (size_t i = 0; i < FAKE_ROWS; i++)
        expected[i] = PUBLISH_UNKNOWN;
    fake_plan(r->fake)->hooks = (struct fake_hooks){on_method, on_publish, on_gone};
    for (int step = 0; row < 400; step++) {
        assert_true(step < 100000);
        turn(&row);
        misbehave();
        uv_run(&r->loop, UV_RUN_NOWAIT);
        if (fake_dice(&dice, 3) == 0)
            fake_rabbit_settle(r, 1 + fake_dice(&dice, FAKE_WINDOW), fake_dice(&dice, 4) != 0);
        if (fake_dice(&dice, 20) == 0)
            fake_run(r->fake, 4);
    }
    fake_rabbit_until(r, unblocked, NULL, "both links");
    fake_cut(publishing()); /* the rest has no word */
    fake_rabbit_until(r, fake_rabbit_is_settled, r, "all outcomes");
    for (int64_t i = 1; i < row; i++)
        check_row(i, seed);
}

TEST_BETWEEN(prepare, finish, faults_43_any_words_in_any_order_are_kept_exactly)
{
    for (uint64_t seed = 1; seed <= 12; seed++) {
        run_seed(seed);
        fake_rabbit_free(&r);
        r = fake_rabbit_new();
        fake_plan(r->fake)->confirm = false;
        fake_rabbit_start(r);
    }
}

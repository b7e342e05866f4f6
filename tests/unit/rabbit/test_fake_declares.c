/* A broker that leaves a declaration or a consume without an answer, or ends the connection over
 * it, and one that allows few channels: nobody else waits, and the state says why. */
#include "check.h"
#include "fake_rabbit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUES = 20, CLOSED_BY_BROKER = 541 };

static struct fake_rabbit *r;

/* --- a clock that jumps ----------------------------------------------------------------------- */

static int64_t ahead_ms;

static int64_t jumping(void *arg)
{
    (void)arg;
    return (int64_t)(uv_hrtime() / 1000000) + ahead_ms;
}

static void take_up(void)
{
    struct err err = {.code = OK};

    assert_int_equal(r->broker->ops->change(r->broker, &r->topology, &err), OK);
}

/* What is due is due by real timers only later, so the driver is stirred. */
static void jump(int64_t ms)
{
    ahead_ms += ms;
    r->broker->ops->pace(r->broker, "nobody's", PACE_FLOW);
}

/* --- rules ------------------------------------------------------------------------------------ */

static char names[QUEUES][8];
static struct destination to[QUEUES];
static struct subscription subscriptions[QUEUES];
static char kind[] = "t", origin[] = "rules/a.lua:3", nothing[] = "";
static struct route routes[QUEUES];

/* Queues "q0", "q1", ... bound to exchanges of the same names, which have a route each. */
static void make_rules(size_t n_queues, size_t n_exchanges)
{
    for (size_t i = 0; i < QUEUES; i++) {
        snprintf(names[i], sizeof names[i], "q%zu", i);
        to[i] = (struct destination){EXCHANGE_FANOUT, names[i], nothing};
        subscriptions[i] = (struct subscription){
            .queue = names[i], .from = &to[i], .n_from = 1, .prefetch = 5, .origin = origin};
        routes[i] = (struct route){.type = kind, .to = &to[i], .n_to = 1};
    }
    r->topology = (struct topology){.subscriptions = subscriptions,
                                    .n_subscriptions = n_queues,
                                    .routes = routes,
                                    .n_routes = n_exchanges};
}

/* --- the broker's manners ----------------------------------------------------------------------
 */

static struct {
    amqp_method_number_t mute;  /* this method about "q0" gets no answer, */
    amqp_method_number_t fatal; /* or the connection is closed over it, */
    bool alone_too;             /* likewise on a connection of its own, */
    bool over;                  /* and never again */
    int asked_here;             /* so often on one of the two links */
    int asked_alone;
    uint16_t most; /* highest channel seen */
    int consumes;  /* answered, of any queue but q0 */
} manners;

static bool is_q0(amqp_bytes_t name)
{
    return name.len == 2 && memcmp(name.bytes, "q0", 2) == 0;
}

static bool concerns_q0(const amqp_method_t *m)
{
    switch (m->id) {
    case AMQP_QUEUE_DECLARE_METHOD:
        return is_q0(((const amqp_queue_declare_t *)m->decoded)->queue);
    case AMQP_QUEUE_BIND_METHOD:
        return is_q0(((const amqp_queue_bind_t *)m->decoded)->queue);
    case AMQP_EXCHANGE_DECLARE_METHOD:
        return is_q0(((const amqp_exchange_declare_t *)m->decoded)->exchange);
    case AMQP_BASIC_CONSUME_METHOD:
        return is_q0(((const amqp_basic_consume_t *)m->decoded)->queue);
    default:
        return false;
    }
}

static void end_connection(struct fake_conn *c, uint16_t code, amqp_method_number_t over)
{
    amqp_connection_close_t close = {.reply_code = code,
                                     .reply_text = amqp_cstring_bytes("INTERNAL_ERROR - nodedown"),
                                     .class_id = (uint16_t)(over >> 16),
                                     .method_id = (uint16_t)over};

    fake_send(c, 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
}

static bool on_method(void *arg, struct fake_conn *c, uint16_t channel, const amqp_method_t *m)
{
    const bool alone = strstr(fake_name(c), "alone") != NULL;

    (void)arg;
    manners.most = channel > manners.most ? channel : manners.most;
    if (channel > fake_plan(r->fake)->channel_max) {
        end_connection(c, 530, m->id);
        return true;
    }
    manners.consumes += m->id == AMQP_BASIC_CONSUME_METHOD && !concerns_q0(m);
    if (!concerns_q0(m) || (m->id != manners.mute && m->id != manners.fatal))
        return false;
    *(alone ? &manners.asked_alone : &manners.asked_here) += 1;
    if ((alone && !manners.alone_too) || manners.over)
        return false;
    if (m->id == manners.fatal)
        end_connection(c, CLOSED_BY_BROKER, m->id);
    return true;
}

static void begin(size_t n_queues, size_t n_exchanges)
{
    static const struct clock clock = {.wall_ms = jumping, .mono_ms = jumping};

    r = fake_rabbit_new();
    memset(&manners, 0, sizeof manners);
    ahead_ms = 0;
    r->settings.clock = clock;
    make_rules(n_queues, n_exchanges);
    fake_plan(r->fake)->hooks.method = on_method;
}

static void start(void)
{
    struct err err = {.code = OK};

    assert_int_equal(rabbit_new(&r->broker, &r->settings, &err), OK);
    assert_int_equal(r->broker->ops->start(r->broker, &r->topology, &err), OK);
}

static void finish(void)
{
    fake_rabbit_free(&r);
}

/* --- conditions ------------------------------------------------------------------------------- */

static bool is_asked(void *arg)
{
    (void)arg;
    return manners.asked_here > 0;
}

static bool is_asked_alone(void *arg)
{
    return manners.asked_alone >= *(const int *)arg;
}

static bool consumes(void *arg)
{
    return manners.consumes >= *(const int *)arg;
}

static bool has_error(void *arg)
{
    return strstr(fake_rabbit_state(r).error, arg) != NULL;
}

static void until_error(const char *part)
{
    fake_rabbit_until(r, has_error, (void *)(uintptr_t)part, part);
}

/* A row to the exchange of this number, with id "s:ROW": what publish says. */
static int publish(int64_t row, size_t exchange, struct err *err)
{
    char id[16];
    struct message m = {.type = slice_of("t"), .body = slice_of("{}")};
    int rc;

    snprintf(id, sizeof id, "s:%lld", (long long)row);
    m.id = slice_of(id);
    rc = r->broker->ops->publish(r->broker, row, &to[exchange], &m, err);
    if (rc == OK)
        r->broker->ops->tell(r->broker);
    else
        r->broker->ops->forget(r->broker);
    return rc;
}

struct sending {
    int64_t row;
    size_t exchange;
    bool sent;
};

/* It goes out as soon as it can, and is confirmed. */
static bool is_confirmed(void *arg)
{
    struct sending *s = arg;
    struct settlement out[FAKE_WINDOW];
    struct err err = {.code = OK};
    size_t n = r->broker->ops->settled(r->broker, out, FAKE_WINDOW);
    bool confirmed = false;

    for (size_t i = 0; i < n; i++)
        confirmed = confirmed || (out[i].row == s->row && out[i].outcome == PUBLISH_CONFIRMED);
    r->broker->ops->tell(r->broker);
    if (!s->sent)
        s->sent = publish(s->row, s->exchange, &err) == OK;
    return confirmed;
}

static void deliver_row(int64_t row, size_t exchange)
{
    struct sending s = {.row = row, .exchange = exchange};
    char what[40];

    snprintf(what, sizeof what, "a confirm of exchange q%zu", exchange);
    fake_rabbit_until(r, is_confirmed, &s, what);
}

/* --- no answer -------------------------------------------------------------------------------- */

/* Whatever of q0 is not answered: the others are consumed, and rows go out. */
static void others_go_on(amqp_method_number_t mute)
{
    int all = QUEUES - 1;

    begin(QUEUES, 2);
    manners.mute = mute;
    manners.alone_too = true;
    start();
    fake_rabbit_until(r, is_asked, NULL, "a question about q0");
    fake_rabbit_until(r, consumes, &all, "the other queues");
    jump(3000); /* nobody waits for an answer that is late */
    deliver_row(1, 1);
    assert_false(fake_rabbit_is_ready(r));
    until_error("q0");
}

/* It is a state with a reason, and is tried again on a connection of its own until it answers. */
static void it_is_tried_alone(void)
{
    int once = 1, twice = 2;
    size_t connects = fake_connects(r->fake);
    struct broker_trouble trouble;

    jump(15000);
    until_error("has not answered");
    assert_true(r->broker->ops->trouble(r->broker, 0, &trouble));
    assert_string_equal(trouble.name, "q0");
    assert_string_equal(trouble.why, fake_rabbit_state(r).error);
    assert_false(r->broker->ops->trouble(r->broker, 1, &trouble));
    jump(2000);
    fake_rabbit_until(r, is_asked_alone, &once, "a question on a connection of its own");
    assert_int_equal(fake_connects(r->fake), connects + 1);
    jump(75000);
    until_error("on a connection of its own either");
    manners.over = true;
    jump(60000);
    fake_rabbit_until(r, is_asked_alone, &twice, "one more question on a connection of its own");
    fake_rabbit_until(r, fake_rabbit_is_ready, r, "ready");
    /* It is consumed here, once that has been shown to work. */
    assert_int_equal(manners.asked_here, manners.mute == AMQP_BASIC_CONSUME_METHOD ? 2 : 1);
    assert_string_equal(fake_rabbit_state(r).error, "");
    assert_int_equal(fake_connects(r->fake), connects + 2); /* the two links were left in peace */
}

TEST_BETWEEN(check_nothing, finish, faults_53_a_declaration_without_an_answer)
{
    others_go_on(AMQP_QUEUE_DECLARE_METHOD);
    it_is_tried_alone();
}

TEST_BETWEEN(check_nothing, finish, faults_53_a_bind_without_an_answer)
{
    others_go_on(AMQP_QUEUE_BIND_METHOD);
    it_is_tried_alone();
}

TEST_BETWEEN(check_nothing, finish, faults_53_a_consume_without_an_answer)
{
    others_go_on(AMQP_BASIC_CONSUME_METHOD);
    it_is_tried_alone();
}

TEST_BETWEEN(check_nothing, finish, faults_53_an_exchange_without_an_answer)
{
    struct err err = {.code = OK};

    begin(0, QUEUES);
    manners.mute = AMQP_EXCHANGE_DECLARE_METHOD;
    start();
    for (size_t i = 1; i < QUEUES; i++)
        deliver_row((int64_t)i, i);
    assert_int_equal(publish(100, 0, &err), ERR_BUSY);
    ahead_ms += 3000;
    take_up();
    assert_false(fake_rabbit_is_ready(r));
    until_error("exchange \"q0\": the broker has not answered its declaration for 3 s");
    ahead_ms += 13000;
    take_up();
    assert_int_equal(publish(100, 0, &err), ERR_CLOSED); /* no attempt: nobody has refused it */
    assert_non_null(strstr(err.text, "exchange \"q0\": the broker has not answered"));
    manners.mute = 0;
    ahead_ms += 3000;
    take_up();
    deliver_row(100, 0);
    fake_rabbit_until(r, fake_rabbit_is_ready, r, "ready");
}

TEST_BETWEEN(check_nothing, finish, a_late_answer_is_an_answer)
{
    amqp_queue_declare_ok_t ok = {.queue = amqp_cstring_bytes("q0")};
    int all = QUEUES - 1;

    begin(QUEUES, 0);
    manners.mute = AMQP_QUEUE_DECLARE_METHOD;
    start();
    fake_rabbit_until(r, consumes, &all, "the other queues");
    jump(10000);
    until_error("has not answered its declaration for 10 s");
    /* q0 is the first thing that is asked for, on the first channel. */
    fake_send(fake_conn(r->fake, "consume"), 1, AMQP_QUEUE_DECLARE_OK_METHOD, &ok);
    fake_rabbit_until(r, fake_rabbit_is_ready, r, "ready");
    assert_int_equal(fake_connects(r->fake), 2);
}

/* The broker ends the connection over it, once; then it does so to a connection of its own. */
static void it_ends_one_connection(amqp_method_number_t fatal)
{
    int once = 1, twice = 2;
    int all = QUEUES - 1;

    begin(QUEUES, 2);
    manners.fatal = fatal;
    manners.alone_too = true;
    start();
    fake_rabbit_until(r, is_asked, NULL, "a question about q0");
    fake_rabbit_until(r, consumes, &all, "the other queues");
    jump(3000);
    fake_rabbit_until(r, is_asked_alone, &once, "a question on a connection of its own");
    until_error("541 INTERNAL_ERROR - nodedown");
    deliver_row(1, 1);
    manners.over = true;
    jump(60000);
    fake_rabbit_until(r, is_asked_alone, &twice, "one more question on a connection of its own");
    fake_rabbit_until(r, fake_rabbit_is_ready, r, "ready");
    assert_int_equal(manners.asked_here, fatal == AMQP_BASIC_CONSUME_METHOD ? 2 : 1);
}

TEST_BETWEEN(check_nothing, finish, faults_53_a_connection_closed_over_a_bind)
{
    it_ends_one_connection(AMQP_QUEUE_BIND_METHOD);
}

TEST_BETWEEN(check_nothing, finish, faults_53_a_connection_closed_over_a_consume)
{
    it_ends_one_connection(AMQP_BASIC_CONSUME_METHOD);
}

/* --- few channels ----------------------------------------------------------------------------- */

static void all_exchanges_are_served(uint16_t channel_max)
{
    begin(0, QUEUES);
    fake_plan(r->fake)->channel_max = channel_max;
    start();
    for (int64_t row = 1; row <= 3 * QUEUES; row++)
        deliver_row(row, (size_t)row % QUEUES);
    assert_true(manners.most <= channel_max);
    assert_int_equal(fake_connects(r->fake), 1);
    fake_rabbit_free(&r);
}

TEST(faults_58_exchanges_take_turns_on_few_channels)
{
    all_exchanges_are_served(4);
    all_exchanges_are_served(8);
    all_exchanges_are_served(16);
}

TEST_BETWEEN(check_nothing, finish, faults_58_what_fits_is_consumed_and_the_limit_is_told)
{
    int some = 6; /* and q0: seven beside the channel of declarations */

    begin(QUEUES, 0);
    fake_plan(r->fake)->channel_max = 8;
    start();
    fake_rabbit_until(r, consumes, &some, "seven queues");
    until_error("the broker allows 8 channels on a connection (channel_max)");
    assert_true(manners.most <= 8);
    assert_int_equal(fake_connects(r->fake), 2);
}

TEST_BETWEEN(check_nothing, finish, faults_58_more_exchanges_over_a_life_than_are_kept_at_once)
{
    char name[32];

    begin(0, 1);
    start();
    to[1].exchange = name;
    for (int64_t row = 1; row <= 1500; row++) {
        snprintf(name, sizeof name, "x%lld", (long long)row);
        deliver_row(row, 1);
    }
    assert_int_equal(fake_connects(r->fake), 1);
}

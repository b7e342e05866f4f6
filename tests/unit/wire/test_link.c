/* What a broker may do to a connection in peace, and what its owner hears of it. */
#include "check.h"
#include "link_probe.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void the_handshake_is_answered_step_by_step(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    probe_up(&p);
    assert_string_equal(fake_heard(p.broker), "start-ok tune-ok open");
    assert_string_equal(p.story, "up");
    assert_string_equal(link_state_word(p.link), "up");
    assert_string_equal(link_error(p.link), "");
    assert_int_equal(link_frame_max(p.link), 131072);
    assert_non_null(fake_conn(p.broker, "probe")); /* its connection_name */
    probe_end(&p);
}

static bool look_at_tune_ok(void *arg, struct fake_conn *c, uint16_t channel,
                            const amqp_method_t *m)
{
    (void)c, (void)channel;
    if (m->id == AMQP_CONNECTION_TUNE_OK_METHOD)
        *(amqp_connection_tune_ok_t *)arg = *(amqp_connection_tune_ok_t *)m->decoded;
    return false;
}

static amqp_connection_tune_ok_t tune(int ours, uint16_t theirs, uint32_t frame_max)
{
    amqp_connection_tune_ok_t seen = {0, 0, 0};
    struct probe p;

    probe_begin(&p, NULL);
    p.settings.heartbeat_s = ours;
    *fake_plan(p.broker) = (struct fake_plan){
        .user = "guest",
        .password = "guest",
        .vhost = "/",
        .mechanisms = "PLAIN",
        .heartbeat_s = theirs,
        .frame_max = frame_max,
        .hooks = {.method = look_at_tune_ok},
        .arg = &seen,
    };
    probe_up(&p);
    probe_end(&p);
    return seen;
}

static void the_smaller_heartbeat_and_a_bounded_frame_are_agreed(void **state)
{
    (void)state;
    assert_int_equal(tune(20, 60, 131072).heartbeat, 20);
    assert_int_equal(tune(60, 20, 131072).heartbeat, 20);
    assert_int_equal(tune(20, 0, 131072).heartbeat, 20);
    assert_int_equal(tune(0, 60, 131072).heartbeat, 0);
    assert_int_equal(tune(0, 0, 0).frame_max, 131072);
    assert_int_equal(tune(0, 0, 8192).frame_max, 8192);
    assert_int_equal(tune(0, 0, 1u << 30).frame_max, 1 << 20);
}

static void a_frame_limit_that_is_too_small_is_refused(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    fake_plan(p.broker)->frame_max = 4096;
    probe_open(&p);
    probe_until_error(&p, "set frame_max on the broker to 8192 or more");
    probe_end(&p);
}

static void a_wrong_password_names_the_user_and_the_setting(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, "amqp://tom:secret@fake:1234");
    probe_open(&p);
    probe_until_error(&p, "user 'tom' was refused by fake:1234 (403 ACCESS_REFUSED");
    assert_non_null(strstr(link_error(p.link), "check `broker` in herald.lua"));
    assert_null(strstr(link_error(p.link), "secret"));
    assert_string_equal(p.story, ""); /* it never was up, so it never went down */
    fake_plan(p.broker)->user = "tom";
    fake_plan(p.broker)->password = "secret";
    probe_up(&p); /* it tried on */
    assert_string_equal(link_error(p.link), "");
    probe_end(&p);
}

static void a_login_that_ends_in_silence_is_explained_too(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, "amqp://tom:secret@fake");
    fake_plan(p.broker)->hang_up = true;
    probe_open(&p);
    probe_until_error(&p, "after the login: wrong user or password?");
    probe_end(&p);
}

static void an_unknown_vhost_is_named(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, "amqp://guest:guest@fake/orders");
    probe_open(&p);
    probe_until_error(&p, "vhost 'orders' on fake:5672 was refused to user 'guest' (530");
    probe_end(&p);
}

static void a_broker_without_plain_is_told_what_to_enable(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    fake_plan(p.broker)->mechanisms = "EXTERNAL XPLAIN PLAINER";
    probe_open(&p);
    probe_until_error(&p, "enable auth_mechanisms PLAIN");
    probe_end(&p);
}

static void a_refused_connection_is_tried_again_until_it_succeeds(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    fake_plan(p.broker)->refuse = true;
    probe_open(&p);
    probe_until_error(&p, "connection refused");
    fake_run(p.broker, 30);
    assert_true(fake_connects(p.broker) > 3);
    assert_string_equal(p.story, "");
    fake_plan(p.broker)->refuse = false;
    probe_up(&p);
    probe_end(&p);
}

static void a_silent_peer_times_the_handshake_out(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    p.settings.connect_timeout_ms = 20;
    fake_plan(p.broker)->silent = true;
    probe_open(&p);
    probe_until_error(&p, "no handshake with fake:5672 within 20 ms");
    probe_end(&p);
}

static void hosts_are_tried_in_turn(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, "amqp://tom:x@a,b:1");
    probe_open(&p);
    probe_until_error(&p, "refused by a:5672");
    probe_until_error(&p, "refused by b:1");
    probe_until_error(&p, "refused by a:5672");
    probe_end(&p);
}

static void tls_that_no_stream_speaks_is_an_error_and_no_loop(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, "amqps://guest:guest@fake");
    probe_open(&p);
    fake_run(p.broker, 20);
    assert_non_null(strstr(link_error(p.link), "TLS is not built in yet"));
    assert_string_equal(link_state_word(p.link), "waiting");
    assert_int_equal(fake_connects(p.broker), 0);
    probe_end(&p);
}

static void methods_go_both_ways(void **state)
{
    amqp_channel_open_t open = {.out_of_band = amqp_empty_bytes};
    struct probe p;
    struct err err;

    (void)state;
    probe_begin(&p, NULL);
    probe_open(&p);
    assert_int_equal(link_send(p.link, 1, AMQP_CHANNEL_OPEN_METHOD, &open, &err), ERR_CLOSED);
    probe_up(&p);
    assert_int_equal(link_send(p.link, 1, AMQP_CHANNEL_OPEN_METHOD, &open, &err), OK);
    assert_true(link_backlog(p.link) > 0);
    link_flush(p.link);
    probe_until(&p, "1:CHANNEL_OPEN_OK_METHOD");
    assert_int_equal(link_backlog(p.link), 0);
    assert_string_equal(fake_heard(p.broker), "start-ok tune-ok open 1:channel.open");
    probe_end(&p);
}

static void publishes_of_a_turn_go_out_in_one_write(void **state)
{
    struct message m = {.id = slice_of("s:1"), .type = slice_of("t"), .body = slice_of("{}")};
    struct probe p;
    struct err err;

    (void)state;
    probe_begin(&p, NULL);
    probe_up(&p);
    fake_forget(p.broker);
    assert_int_equal(link_publish(p.link, 2, "x", "k", &m, &err), OK);
    m.id = slice_of("s:2");
    assert_int_equal(link_publish(p.link, 2, "x", "k", &m, &err), OK);
    fake_run(p.broker, 5);
    assert_string_equal(fake_heard(p.broker), ""); /* not before the flush */
    link_flush(p.link);
    fake_run(p.broker, 5);
    assert_string_equal(fake_heard(p.broker),
                        "2:basic.publish(x/k #s:1) 2:basic.publish(x/k #s:2)");
    probe_end(&p);
}

static void what_a_message_must_not_be_leaves_the_buffer_as_it_was(void **state)
{
    char key[257];
    struct message m = {.id = {key, 256}, .type = slice_of("t")};
    struct probe p;
    struct err err;
    size_t before;

    (void)state;
    memset(key, 'k', sizeof key);
    probe_begin(&p, NULL);
    probe_up(&p);
    before = link_backlog(p.link);
    assert_int_equal(link_publish(p.link, 1, "x", "", &m, &err), ERR_INPUT);
    assert_string_equal(err.text, "the message id has 256 bytes; AMQP takes 255 at most");
    assert_int_equal(link_backlog(p.link), before);
    probe_end(&p);
}

static void a_broker_that_does_not_read_fills_the_backlog_to_its_limit(void **state)
{
    static char body[1 << 20];
    struct message m = {.type = slice_of("t"), .body = {body, sizeof body}};
    struct probe p;
    struct err err;
    int rc, n = 0;

    (void)state;
    probe_begin(&p, NULL);
    probe_up(&p);
    fake_plan(p.broker)->deaf = true;
    while ((rc = link_publish(p.link, 1, "x", "", &m, &err)) == OK && n < 100) {
        link_flush(p.link);
        n++;
    }
    assert_int_equal(rc, ERR_LIMIT);
    assert_int_equal(n, 32);
    fake_plan(p.broker)->deaf = false;
    m.body.len = 1;
    fake_run(p.broker, 10);
    assert_int_equal(link_backlog(p.link), 0);
    assert_int_equal(link_publish(p.link, 1, "x", "", &m, &err), OK);
    probe_end(&p);
}

static amqp_basic_deliver_t deliver_one(void)
{
    return (amqp_basic_deliver_t){
        .consumer_tag = amqp_cstring_bytes("c"),
        .delivery_tag = 1,
        .exchange = amqp_cstring_bytes("x"),
        .routing_key = amqp_cstring_bytes("k"),
    };
}

/* A delivery of this text in frames that hold `most` bytes of it. */
static void deliver(struct probe *p, uint16_t channel, const char *text, size_t most)
{
    amqp_basic_deliver_t d = deliver_one();
    amqp_basic_properties_t properties = {._flags = 0};

    fake_content(fake_conn(p->broker, NULL), channel, AMQP_BASIC_DELIVER_METHOD, &d, &properties,
                 slice_of(text), most + FRAME_OVERHEAD);
}

static void contents_are_put_together_from_any_frames(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    probe_up(&p);
    deliver(&p, 1, "whole", 100);
    deliver(&p, 1, "in pieces", 2);
    deliver(&p, 1, "", 1);
    probe_until(&p, "1:content(whole) 1:content(in pieces) 1:content()");
    assert_int_equal(p.reads, 2); /* the end of the handshake, and one for all of them */
    probe_end(&p);
}

static void reads_may_end_anywhere_in_a_frame(void **state)
{
    (void)state;
    for (size_t chunk = 1; chunk < 40; chunk++) {
        struct probe p;

        probe_begin(&p, NULL);
        fake_plan(p.broker)->chunk = chunk;
        probe_up(&p);
        deliver(&p, 1, "whole", 100);
        deliver(&p, 7, "in pieces", 2);
        probe_until(&p, "up 1:content(whole) 7:content(in pieces)");
        probe_end(&p);
    }
}

static void a_body_that_cannot_be_kept_ends_the_connection(void **state)
{
    char body[1002];
    struct probe p;

    (void)state;
    memset(body, 'b', sizeof body);
    body[1001] = '\0';
    probe_begin(&p, NULL);
    probe_up(&p);
    deliver(&p, 1, body, 300);
    probe_until_error(&p, "a body of 1001 bytes, but 1000 can be kept at most");
    probe_end(&p);
}

static void blocked_and_unblocked_are_told(void **state)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("low on memory")};
    amqp_connection_unblocked_t unblocked = {0};
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    probe_up(&p);
    fake_send(fake_conn(p.broker, NULL), 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    probe_until(&p, "blocked(low on memory)");
    assert_true(link_is_blocked(p.link));
    fake_send(fake_conn(p.broker, NULL), 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
    probe_until(&p, "unblocked");
    assert_false(link_is_blocked(p.link));
    fake_send(fake_conn(p.broker, NULL), 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    fake_cut(fake_conn(p.broker, NULL));
    probe_until(&p, "down(fake:5672 closed the connection) up");
    assert_false(link_is_blocked(p.link));
    probe_end(&p);
}

static void a_close_by_the_broker_is_answered_told_and_followed_by_a_new_connection(void **state)
{
    amqp_connection_close_t close = {.reply_code = 320,
                                     .reply_text = amqp_cstring_bytes("CONNECTION_FORCED - bye")};
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    probe_up(&p);
    fake_forget(p.broker);
    fake_send(fake_conn(p.broker, NULL), 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
    probe_until(&p, "up down(fake:5672 closed the connection: 320 CONNECTION_FORCED - bye) up");
    assert_int_equal(fake_connects(p.broker), 2);
    probe_end(&p);
}

static void closing_says_goodbye(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    probe_up(&p);
    fake_forget(p.broker);
    link_close(p.link);
    assert_false(link_is_up(p.link));
    fake_run(p.broker, 20);
    assert_string_equal(fake_heard(p.broker), "close");
    assert_true(p.closed);
    assert_string_equal(p.story, "up");
    probe_end(&p);
}

static void closing_does_not_wait_for_ever_for_the_broker(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    probe_up(&p);
    fake_plan(p.broker)->silent = true;
    probe_end(&p); /* 2 s, within its patience */
}

static void a_link_can_be_closed_in_every_state(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    p.link = NULL;
    probe_open(&p);
    probe_end(&p); /* before the first step */
    for (int steps = 1; steps < 12; steps++) {
        probe_begin(&p, NULL);
        fake_plan(p.broker)->chunk = 50;
        probe_open(&p);
        for (int i = 0; i < steps; i++)
            uv_run(&p.loop, UV_RUN_NOWAIT);
        probe_end(&p);
    }
    probe_begin(&p, NULL);
    fake_plan(p.broker)->refuse = true;
    p.settings.backoff_min_ms = p.settings.backoff_max_ms = 100000;
    probe_open(&p);
    probe_until_error(&p, "refused");
    probe_end(&p); /* while it waits */
}

static void events_may_close_or_restart_the_link(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    probe_up(&p);
    deliver(&p, 1, "one", 100);
    deliver(&p, 1, "two", 100);
    p.restart_on_next = true;
    probe_until(&p,
                "up 1:content(one) down(connection to fake:5672 given up: the owner says so) up");
    deliver(&p, 1, "three", 100);
    deliver(&p, 1, "four", 100);
    p.close_on_next = true;
    probe_until(&p, "1:content(three)");
    probe_end(&p);
    assert_null(strstr(p.story, "four"));
}

static void a_quiet_link_shows_signs_of_life(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    p.settings.heartbeat_s = 1;
    fake_plan(p.broker)->heartbeat_s = 60;
    probe_up(&p);
    fake_forget(p.broker);
    fake_run(p.broker, 800);
    assert_string_equal(fake_heard(p.broker), "heartbeat");
    probe_end(&p);
}

static void a_peer_that_fell_silent_is_given_up(void **state)
{
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    p.settings.heartbeat_s = 1;
    probe_up(&p);
    p.ahead_ms = 1900;
    fake_run(p.broker, 50);
    assert_string_equal(p.story, "up");
    p.ahead_ms = 2100;
    probe_until(&p, "up down(fake:5672 is silent: no bytes for two heartbeats of 1 s) up");
    probe_end(&p);
}

/* docs/design.md#heartbeats: heartbeats on a busy loop. */
static void a_busy_loop_does_not_take_a_healthy_peer_for_dead(void **state)
{
    static const char heartbeat[] = {8, 0, 0, 0, 0, 0, 0, (char)0xce};
    struct probe p;

    (void)state;
    probe_begin(&p, NULL);
    p.settings.heartbeat_s = 1;
    probe_up(&p);
    p.ahead_ms = 60000; /* a handler took a minute; the peer's bytes lie unread */
    usleep(300 * 1000);
    uv_update_time(&p.loop);
    fake_raw(fake_conn(p.broker, NULL), heartbeat, sizeof heartbeat);
    fake_run(p.broker, 600);
    assert_string_equal(p.story, "up");
    probe_end(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_handshake_is_answered_step_by_step),
        cmocka_unit_test(the_smaller_heartbeat_and_a_bounded_frame_are_agreed),
        cmocka_unit_test(a_frame_limit_that_is_too_small_is_refused),
        cmocka_unit_test(a_wrong_password_names_the_user_and_the_setting),
        cmocka_unit_test(a_login_that_ends_in_silence_is_explained_too),
        cmocka_unit_test(an_unknown_vhost_is_named),
        cmocka_unit_test(a_broker_without_plain_is_told_what_to_enable),
        cmocka_unit_test(a_refused_connection_is_tried_again_until_it_succeeds),
        cmocka_unit_test(a_silent_peer_times_the_handshake_out),
        cmocka_unit_test(hosts_are_tried_in_turn),
        cmocka_unit_test(tls_that_no_stream_speaks_is_an_error_and_no_loop),
        cmocka_unit_test(methods_go_both_ways),
        cmocka_unit_test(publishes_of_a_turn_go_out_in_one_write),
        cmocka_unit_test(what_a_message_must_not_be_leaves_the_buffer_as_it_was),
        cmocka_unit_test(a_broker_that_does_not_read_fills_the_backlog_to_its_limit),
        cmocka_unit_test(contents_are_put_together_from_any_frames),
        cmocka_unit_test(reads_may_end_anywhere_in_a_frame),
        cmocka_unit_test(a_body_that_cannot_be_kept_ends_the_connection),
        cmocka_unit_test(blocked_and_unblocked_are_told),
        cmocka_unit_test(a_close_by_the_broker_is_answered_told_and_followed_by_a_new_connection),
        cmocka_unit_test(closing_says_goodbye),
        cmocka_unit_test(closing_does_not_wait_for_ever_for_the_broker),
        cmocka_unit_test(a_link_can_be_closed_in_every_state),
        cmocka_unit_test(events_may_close_or_restart_the_link),
        cmocka_unit_test(a_quiet_link_shows_signs_of_life),
        cmocka_unit_test(a_peer_that_fell_silent_is_given_up),
        cmocka_unit_test(a_busy_loop_does_not_take_a_healthy_peer_for_dead),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

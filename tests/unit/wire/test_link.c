/* What a broker may do to a connection in peace, and what its owner hears of it. */
#include "check.h"
#include "link_probe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void up(struct probe *p)
{
    probe_setup(p);
    probe_up(p);
}

TEST_FROM(probe, up, the_handshake_is_answered_step_by_step)
{
    assert_string_equal(fake_heard(f->broker), "start-ok tune-ok open");
    assert_string_equal(f->story, "up");
    assert_string_equal(link_state_word(f->link), "up");
    assert_string_equal(link_error(f->link), "");
    assert_int_equal(link_frame_max(f->link), 131072);
    assert_non_null(fake_conn(f->broker, "probe")); /* its connection_name */
}

static bool look_at_tune_ok(void *arg, struct fake_conn *c, uint16_t channel,
                            const amqp_method_t *m)
{
    (void)c, (void)channel;
    if (m->id == AMQP_CONNECTION_TUNE_OK_METHOD)
        *(amqp_connection_tune_ok_t *)arg = *(amqp_connection_tune_ok_t *)m->decoded;
    return false;
}

static amqp_connection_tune_ok_t tune(struct probe *p, int ours, uint16_t theirs,
                                      uint32_t frame_max)
{
    amqp_connection_tune_ok_t seen = {0, 0, 0};

    probe_teardown(p);
    probe_setup(p);
    p->settings.heartbeat_s = ours;
    *fake_plan(p->broker) = (struct fake_plan){
        .user = "guest",
        .password = "guest",
        .vhost = "/",
        .mechanisms = "PLAIN",
        .heartbeat_s = theirs,
        .frame_max = frame_max,
        .hooks = {.method = look_at_tune_ok},
        .arg = &seen,
    };
    probe_up(p);
    return seen;
}

TEST_WITH(probe, the_smaller_heartbeat_and_a_bounded_frame_are_agreed)
{
    assert_int_equal(tune(f, 20, 60, 131072).heartbeat, 20);
    assert_int_equal(tune(f, 60, 20, 131072).heartbeat, 20);
    assert_int_equal(tune(f, 20, 0, 131072).heartbeat, 20);
    assert_int_equal(tune(f, 0, 60, 131072).heartbeat, 0);
    assert_int_equal(tune(f, 0, 0, 0).frame_max, 131072);
    assert_int_equal(tune(f, 0, 0, 8192).frame_max, 8192);
    assert_int_equal(tune(f, 0, 0, 1u << 30).frame_max, 1 << 20);
}

TEST_WITH(probe, a_frame_limit_that_is_too_small_is_refused)
{
    fake_plan(f->broker)->frame_max = 4096;
    probe_open(f);
    probe_until_error(f, "set frame_max on the broker to 8192 or more");
}

TEST_WITH(probe, a_wrong_password_names_the_user_and_the_setting)
{
    probe_url(f, "amqp://tom:secret@fake:1234");
    probe_open(f);
    probe_until_error(f, "user 'tom' was refused by fake:1234 (403 ACCESS_REFUSED");
    assert_non_null(strstr(link_error(f->link), "check `broker` in herald.lua"));
    assert_null(strstr(link_error(f->link), "secret"));
    assert_string_equal(f->story, ""); /* it never was up, so it never went down */
    fake_plan(f->broker)->user = "tom";
    fake_plan(f->broker)->password = "secret";
    probe_up(f); /* it tried on */
    assert_string_equal(link_error(f->link), "");
}

TEST_WITH(probe, a_login_that_ends_in_silence_is_explained_too)
{
    probe_url(f, "amqp://tom:secret@fake");
    fake_plan(f->broker)->hang_up = true;
    probe_open(f);
    probe_until_error(f, "after the login: wrong user or password?");
}

TEST_WITH(probe, an_unknown_vhost_is_named)
{
    probe_url(f, "amqp://guest:guest@fake/orders");
    probe_open(f);
    probe_until_error(f, "vhost 'orders' on fake:5672 was refused to user 'guest' (530");
}

TEST_WITH(probe, a_broker_without_plain_is_told_what_to_enable)
{
    fake_plan(f->broker)->mechanisms = "AMQPLAIN XPLAIN PLAINER";
    probe_open(f);
    probe_until_error(f, "enable auth_mechanisms PLAIN");
    fake_plan(f->broker)->mechanisms = "EXTERNAL";
    probe_until_error(f, "for EXTERNAL give a certificate");
}

/* A stream that has told who we are. */
static void with_certificate(struct probe *f, struct stream_factory *streams)
{
    *streams = *fake_broker_streams(f->broker);
    streams->certificate = true;
    f->settings.streams = streams;
    fake_plan(f->broker)->mechanisms = "PLAIN EXTERNAL";
}

TEST_WITH(probe, who_names_no_user_logs_in_by_the_certificate)
{
    struct stream_factory streams;

    with_certificate(f, &streams);
    probe_url(f, "amqp://fake");
    probe_open(f);
    probe_until_error(f, "the user of our certificate (tls.cert) was refused by fake:5672");
    fake_plan(f->broker)->certificate = true;
    probe_up(f);
    probe_teardown(f); /* before `streams` goes */
    probe_setup(f);
}

TEST_WITH(probe, a_user_who_is_named_or_a_broker_without_external_wants_the_password)
{
    struct stream_factory streams;

    with_certificate(f, &streams);
    probe_up(f);
    probe_teardown(f);
    probe_setup(f);
    with_certificate(f, &streams);
    fake_plan(f->broker)->mechanisms = "PLAIN";
    probe_url(f, "amqp://fake");
    probe_up(f);
    probe_teardown(f);
    probe_setup(f);
}

static void write_password(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

TEST_WITH(probe, a_password_in_a_file_is_read_at_each_login)
{
    char path[] = "/tmp/herald-password-XXXXXX";
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
    probe_url(f, "amqp://guest@fake");
    f->settings.password_file = path;
    probe_open(f);
    probe_until_error(f, "is empty: write the secret into it");
    write_password(path, "wrong\n");
    probe_until_error(f, "wrong user or password, check `broker` and the password_file /tmp/");
    write_password(path, "guest\r\n");
    probe_up(f);
    assert_int_equal(unlink(path), 0);
    fake_cut(fake_conn(f->broker, NULL));
    probe_until_error(f, "is not there");
}

TEST_WITH(probe, a_listener_with_tls_is_known_by_its_alert)
{
    struct fake_conn *c;

    fake_plan(f->broker)->silent = true;
    probe_open(f);
    while ((c = fake_conn(f->broker, NULL)) == NULL)
        uv_run(&f->loop, UV_RUN_ONCE);
    fake_raw(c, "\x15\x03\x03\x00\x02\x02\x46", 7);
    probe_until_error(f, "fake:5672 speaks TLS: use amqps://");
}

TEST_WITH(probe, a_refused_connection_is_tried_again_until_it_succeeds)
{
    fake_plan(f->broker)->refuse = true;
    probe_open(f);
    probe_until_error(f, "connection refused");
    fake_run(f->broker, 30);
    assert_true(fake_connects(f->broker) > 3);
    assert_string_equal(f->story, "");
    fake_plan(f->broker)->refuse = false;
    probe_up(f);
}

TEST_WITH(probe, a_silent_peer_times_the_handshake_out)
{
    f->settings.connect_timeout_ms = 20;
    fake_plan(f->broker)->silent = true;
    probe_open(f);
    probe_until_error(f, "no handshake with fake:5672 within 20 ms");
}

TEST_WITH(probe, hosts_are_tried_in_turn)
{
    probe_url(f, "amqp://tom:x@a,b:1");
    probe_open(f);
    probe_until_error(f, "refused by a:5672");
    probe_until_error(f, "refused by b:1");
    probe_until_error(f, "refused by a:5672");
}

TEST_WITH(probe, methods_go_both_ways)
{
    amqp_channel_open_t open = {.out_of_band = amqp_empty_bytes};
    struct err err;

    probe_open(f);
    assert_int_equal(link_send(f->link, 1, AMQP_CHANNEL_OPEN_METHOD, &open, &err), ERR_CLOSED);
    probe_up(f);
    assert_int_equal(link_send(f->link, 1, AMQP_CHANNEL_OPEN_METHOD, &open, &err), OK);
    assert_true(link_backlog(f->link) > 0);
    link_flush(f->link);
    probe_until(f, "1:CHANNEL_OPEN_OK_METHOD");
    assert_int_equal(link_backlog(f->link), 0);
    assert_string_equal(fake_heard(f->broker), "start-ok tune-ok open 1:channel.open");
}

TEST_FROM(probe, up, publishes_of_a_turn_go_out_in_one_write)
{
    struct message m = {.id = slice_of("s:1"), .type = slice_of("t"), .body = slice_of("{}")};
    struct err err;

    fake_forget(f->broker);
    assert_int_equal(link_publish(f->link, 2, "x", "k", &m, &err), OK);
    m.id = slice_of("s:2");
    assert_int_equal(link_publish(f->link, 2, "x", "k", &m, &err), OK);
    fake_run(f->broker, 5);
    assert_string_equal(fake_heard(f->broker), ""); /* not before the flush */
    link_flush(f->link);
    fake_run(f->broker, 5);
    assert_string_equal(fake_heard(f->broker),
                        "2:basic.publish(x/k #s:1) 2:basic.publish(x/k #s:2)");
}

TEST_WITH(probe, what_a_message_must_not_be_leaves_the_buffer_as_it_was)
{
    char key[257];
    struct message m = {.id = {key, 256}, .type = slice_of("t")};
    struct err err;
    size_t before;

    memset(key, 'k', sizeof key);
    probe_up(f);
    before = link_backlog(f->link);
    assert_int_equal(link_publish(f->link, 1, "x", "", &m, &err), ERR_INPUT);
    assert_string_equal(err.text, "the message id has 256 bytes; AMQP takes 255 at most");
    assert_int_equal(link_backlog(f->link), before);
}

TEST_FROM(probe, up, a_broker_that_does_not_read_fills_the_backlog_to_its_limit)
{
    static char body[1 << 20];
    struct message m = {.type = slice_of("t"), .body = {body, sizeof body}};
    struct err err;
    int rc, n = 0;

    fake_plan(f->broker)->deaf = true;
    while ((rc = link_publish(f->link, 1, "x", "", &m, &err)) == OK && n < 100) {
        link_flush(f->link);
        n++;
    }
    assert_int_equal(rc, ERR_LIMIT);
    assert_int_equal(n, 32);
    fake_plan(f->broker)->deaf = false;
    m.body.len = 1;
    fake_run(f->broker, 10);
    assert_int_equal(link_backlog(f->link), 0);
    assert_int_equal(link_publish(f->link, 1, "x", "", &m, &err), OK);
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

TEST_FROM(probe, up, contents_are_put_together_from_any_frames)
{
    deliver(f, 1, "whole", 100);
    deliver(f, 1, "in pieces", 2);
    deliver(f, 1, "", 1);
    probe_until(f, "1:content(whole) 1:content(in pieces) 1:content()");
    assert_int_equal(f->reads, 2); /* the end of the handshake, and one for all of them */
}

TEST_WITH(probe, reads_may_end_anywhere_in_a_frame)
{
    for (size_t chunk = 1; chunk < 40; chunk++) {
        probe_teardown(f);
        probe_setup(f);
        fake_plan(f->broker)->chunk = chunk;
        probe_up(f);
        deliver(f, 1, "whole", 100);
        deliver(f, 7, "in pieces", 2);
        probe_until(f, "up 1:content(whole) 7:content(in pieces)");
    }
}

TEST_WITH(probe, a_body_that_cannot_be_kept_ends_the_connection)
{
    char body[1002];

    memset(body, 'b', sizeof body);
    body[1001] = '\0';
    probe_up(f);
    deliver(f, 1, body, 300);
    probe_until_error(f, "a body of 1001 bytes, but 1000 can be kept at most");
}

TEST_FROM(probe, up, blocked_and_unblocked_are_told)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("low on memory")};
    amqp_connection_unblocked_t unblocked = {0};

    fake_send(fake_conn(f->broker, NULL), 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    probe_until(f, "blocked(low on memory)");
    assert_true(link_is_blocked(f->link));
    fake_send(fake_conn(f->broker, NULL), 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
    probe_until(f, "unblocked");
    assert_false(link_is_blocked(f->link));
    fake_send(fake_conn(f->broker, NULL), 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    fake_cut(fake_conn(f->broker, NULL));
    probe_until(f, "down(fake:5672 closed the connection) up");
    assert_false(link_is_blocked(f->link));
}

TEST_FROM(probe, up, a_close_by_the_broker_is_answered_told_and_followed_by_a_new_connection)
{
    amqp_connection_close_t close = {.reply_code = 320,
                                     .reply_text = amqp_cstring_bytes("CONNECTION_FORCED - bye")};

    fake_forget(f->broker);
    fake_send(fake_conn(f->broker, NULL), 0, AMQP_CONNECTION_CLOSE_METHOD, &close);
    probe_until(f, "up down(fake:5672 closed the connection: 320 CONNECTION_FORCED - bye) up");
    assert_int_equal(fake_connects(f->broker), 2);
}

TEST_FROM(probe, up, closing_says_goodbye)
{
    fake_forget(f->broker);
    link_close(f->link);
    assert_false(link_is_up(f->link));
    fake_run(f->broker, 20);
    assert_string_equal(fake_heard(f->broker), "close");
    assert_true(f->closed);
    assert_string_equal(f->story, "up");
}

TEST_FROM(probe, up, closing_does_not_wait_for_ever_for_the_broker)
{
    fake_plan(f->broker)->silent = true; /* the teardown waits for 2 s, within its patience */
}

TEST_WITH(probe, a_link_can_be_closed_in_every_state)
{
    probe_open(f);
    probe_teardown(f); /* before the first step */
    for (int steps = 1; steps < 12; steps++) {
        probe_setup(f);
        fake_plan(f->broker)->chunk = 50;
        probe_open(f);
        for (int i = 0; i < steps; i++)
            uv_run(&f->loop, UV_RUN_NOWAIT);
        probe_teardown(f);
    }
    probe_setup(f);
    fake_plan(f->broker)->refuse = true;
    f->settings.backoff_min_ms = f->settings.backoff_max_ms = 100000;
    probe_open(f);
    probe_until_error(f, "refused"); /* it is closed while it waits */
}

TEST_FROM(probe, up, events_may_close_or_restart_the_link)
{
    deliver(f, 1, "one", 100);
    deliver(f, 1, "two", 100);
    f->restart_on_next = true;
    probe_until(f,
                "up 1:content(one) down(connection to fake:5672 given up: the owner says so) up");
    deliver(f, 1, "three", 100);
    deliver(f, 1, "four", 100);
    f->close_on_next = true;
    probe_until(f, "1:content(three)");
    probe_teardown(f);
    assert_null(strstr(f->story, "four"));
    probe_setup(f); /* for the teardown */
}

TEST_WITH(probe, a_quiet_link_shows_signs_of_life)
{
    f->settings.heartbeat_s = 1;
    fake_plan(f->broker)->heartbeat_s = 60;
    probe_up(f);
    fake_forget(f->broker);
    fake_run(f->broker, 800);
    assert_string_equal(fake_heard(f->broker), "heartbeat");
}

TEST_WITH(probe, a_peer_that_fell_silent_is_given_up)
{
    f->settings.heartbeat_s = 1;
    probe_up(f);
    f->ahead_ms = 1900;
    fake_run(f->broker, 50);
    assert_string_equal(f->story, "up");
    f->ahead_ms = 2100;
    probe_until(f, "up down(fake:5672 is silent: no bytes for two heartbeats of 1 s) up");
}

/* docs/design.md#heartbeats: heartbeats on a busy loop. */
TEST_WITH(probe, a_busy_loop_does_not_take_a_healthy_peer_for_dead)
{
    static const char heartbeat[] = {8, 0, 0, 0, 0, 0, 0, (char)0xce};

    f->settings.heartbeat_s = 1;
    probe_up(f);
    f->ahead_ms = 60000; /* a handler took a minute; the peer's bytes lie unread */
    usleep(300 * 1000);
    uv_update_time(&f->loop);
    fake_raw(fake_conn(f->broker, NULL), heartbeat, sizeof heartbeat);
    fake_run(f->broker, 600);
    assert_string_equal(f->story, "up");
}

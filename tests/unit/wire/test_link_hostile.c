/* What a broken or hostile broker may send, and that a link outlives all of it: the
 * connection goes, the reason is told, the next one works. (docs/faults.md#f9, #f41, #f42) */
#include "check.h"
#include "link_probe.h"
#include "wire/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static amqp_basic_deliver_t deliver = {.consumer_tag = {1, (char[]){"c"}}, .delivery_tag = 1};

static struct buf out; /* for the link */
static struct err err;

static void begin(struct probe *p)
{
    probe_setup(p);
    buf_init(&out, 1 << 20);
}

static void end(struct probe *p)
{
    probe_teardown(p);
    buf_free(&out);
}

/* The bytes break the protocol in this way, and the link is up again afterwards. */
static void breaks(struct probe *p, const char *bytes, size_t len, const char *why)
{
    char want[512];

    probe_teardown(p);
    probe_setup(p);
    probe_up(p);
    fake_raw(fake_conn(p->broker, NULL), bytes, len);
    snprintf(want, sizeof want, "up down(fake:5672 broke the protocol: %s) up", why);
    probe_until(p, want);
}

#define BREAKS(bytes, why) breaks(f, bytes, sizeof(bytes) - 1, why)

TEST_ON(struct probe, begin, end, bytes_that_are_no_frames_end_the_connection)
{
    BREAKS("GARBAGE", "bytes that are no AMQP frame (type 71); is it an AMQP port?");
    BREAKS("\1\0\0\x7f\xff\xff\xff", "a frame of 2147483647 bytes is over the limit of 131072");
    BREAKS("\1\0\0\0\0\0\4\0\x0a\0\x33\xcd", "a frame of 12 bytes ends in 0xcd, not in 0xce");
    BREAKS("\1\0\0\0\0\0\3\0\x0a\0\xce", "a method frame of 3 bytes");
    BREAKS("\4\0\0\0\0\0\0\xce", "bytes that are no AMQP frame (type 4); is it an AMQP port?");
}

TEST_ON(struct probe, begin, end, methods_that_have_no_place_end_the_connection)
{
    BREAKS("\1\0\1\0\0\0\4\xff\xff\xff\xff\xce", "a method that no server sends (0xffffffff)");
    BREAKS("\1\0\1\0\0\0\4\0\x32\0\x0a\xce", "a method that no server sends (0x0032000a)");
    BREAKS("\1\0\1\0\0\0\4\0\x0a\0\x33\xce", "AMQP_CONNECTION_CLOSE_OK_METHOD on channel 1");
    BREAKS("\1\0\0\0\0\0\4\0\x14\0\x29\xce", "AMQP_CHANNEL_CLOSE_OK_METHOD on channel 0");
    BREAKS("\1\xff\xff\0\0\0\4\0\x14\0\x29\xce",
           "AMQP_CHANNEL_CLOSE_OK_METHOD on channel 65535, which cannot be open");
    BREAKS("\1\0\0\0\0\0\4\0\x0a\0\x33\xce",
           "AMQP_CONNECTION_CLOSE_OK_METHOD on an open connection");
    BREAKS("\1\0\1\0\0\0\x05\0\x3c\0\x50\0\xce",
           "a method that cannot be decoded (0x003c0050, 5 bytes)");
}

TEST_ON(struct probe, begin, end, contents_out_of_order_end_the_connection)
{
    BREAKS("\3\0\1\0\0\0\1x\xce", "a body frame without its method on channel 1");
    BREAKS("\2\0\1\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\1\0\0\xce",
           "a header frame without its method on channel 1");
}

/* A delivery of a body of three bytes begins, then come these bytes. */
static void breaks_after_header(struct probe *p, const char *bytes, size_t len, const char *why)
{
    amqp_basic_properties_t properties = {._flags = 0};

    buf_clear(&out);
    assert_int_equal(codec_method(&out, 1, AMQP_BASIC_DELIVER_METHOD, &deliver, &err), OK);
    assert_int_equal(codec_header(&out, 1, &properties, 3, &err), OK);
    buf_append(&out, bytes, len);
    breaks(p, out.data, out.len, why);
}

TEST_ON(struct probe, begin, end, contents_that_contradict_themselves_end_the_connection)
{
    breaks_after_header(f, "\3\0\1\0\0\0\4four\xce", 12,
                        "a body longer than the 3 bytes that were announced");
    breaks_after_header(f, "\2\0\1\0\0\0\x0e\0\x3c\0\0\0\0\0\0\0\0\0\3\0\0\xce", 22,
                        "a second header for one content");
    breaks_after_header(f, "\1\0\1\0\0\0\4\0\x3c\0\x0b\xce", 12,
                        "AMQP_BASIC_QOS_OK_METHOD in the middle of a content");
    breaks_after_header(f, "\2\0\1\0\0\0\x0d\0\x3c\0\0\0\0\0\0\0\0\0\3\0\xce", 21,
                        "a content header that is none (13 bytes)");
}

TEST_ON(struct probe, begin, end, a_channel_close_takes_its_unfinished_content_with_it)
{
    amqp_channel_close_t close = {.reply_code = 404, .reply_text = amqp_cstring_bytes("gone")};
    amqp_basic_properties_t properties = {._flags = 0};

    probe_up(f);
    codec_method(&out, 1, AMQP_BASIC_DELIVER_METHOD, &deliver, &err);
    codec_header(&out, 1, &properties, 3, &err);
    codec_method(&out, 1, AMQP_CHANNEL_CLOSE_METHOD, &close, &err);
    fake_raw(fake_conn(f->broker, NULL), out.data, out.len);
    probe_until(f, "up 1:CHANNEL_CLOSE_METHOD");
    fake_content(fake_conn(f->broker, NULL), 1, AMQP_BASIC_DELIVER_METHOD, &deliver, &properties,
                 slice_of("abc"), 0);
    probe_until(f, "1:content(abc)");
}

TEST_ON(struct probe, begin, end, contents_of_several_channels_may_interleave)
{
    amqp_basic_properties_t properties = {._flags = 0};

    probe_up(f);
    for (uint16_t channel = 1; channel <= 3; channel++)
        codec_method(&out, channel, AMQP_BASIC_DELIVER_METHOD, &deliver, &err);
    for (uint16_t channel = 3; channel >= 1; channel--)
        codec_header(&out, channel, &properties, 4, &err);
    for (uint16_t channel = 1; channel <= 3; channel++)
        codec_body(&out, channel, slice_of("ab"), 8192, &err);
    codec_body(&out, 2, slice_of("2!"), 8192, &err);
    codec_body(&out, 3, slice_of("3!"), 8192, &err);
    codec_body(&out, 1, slice_of("1!"), 8192, &err);
    fake_raw(fake_conn(f->broker, NULL), out.data, out.len);
    probe_until(f, "up 2:content(ab2!) 3:content(ab3!) 1:content(ab1!)");
}

TEST_ON(struct probe, begin, end, there_is_a_limit_to_unfinished_contents)
{
    probe_up(f);
    for (uint16_t channel = 1; channel <= 300; channel++)
        fake_send(fake_conn(f->broker, NULL), channel, AMQP_BASIC_DELIVER_METHOD, &deliver);
    probe_until(f, "up down(fake:5672 broke the protocol: more than 256 unfinished contents) up");
}

/* A header frame whose table is nested so deep that it fills the frame. */
TEST_ON(struct probe, begin, end, deep_headers_are_one_messages_trouble_only)
{
    const size_t levels = 18000, table = levels * 7;
    amqp_basic_properties_t properties = {._flags = 0};
    char *frame = malloc(table + 64), *at = frame;

    assert_non_null(frame);
    at = put32(put16(put8(at, FRAME_HEADER), 1), (uint32_t)(12 + 2 + 4 + table + 3));
    at = put64(put16(put16(at, AMQP_BASIC_CLASS), 0), 0);
    at = put16(at, AMQP_BASIC_HEADERS_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG);
    at = put32(at, (uint32_t)table);
    for (size_t i = 0; i < levels; i++)
        at = put32(put_bytes(at, "\1aF", 3), (uint32_t)((levels - i - 1) * 7));
    at = put8(put_bytes(at, "\2id", 3), FRAME_END);
    probe_up(f);
    fake_send(fake_conn(f->broker, NULL), 1, AMQP_BASIC_DELIVER_METHOD, &deliver);
    fake_raw(fake_conn(f->broker, NULL), frame, (size_t)(at - frame));
    fake_content(fake_conn(f->broker, NULL), 1, AMQP_BASIC_DELIVER_METHOD, &deliver, &properties,
                 slice_of("next"), 0);
    probe_until(f, "up 1:fault(headers nested deeper than 64) 1:content(next)");
    free(frame);
}

TEST_ON(struct probe, begin, end, a_deep_table_in_the_first_method_ends_the_connection)
{
    const size_t levels = 18000, table = levels * 7;
    char *frame = malloc(table + 64), *at = frame;

    assert_non_null(frame);
    at = put32(put16(put8(at, FRAME_METHOD), 0), (uint32_t)(4 + 2 + 4 + table + 8));
    at = put32(put16(put32(at, AMQP_CONNECTION_START_METHOD), 9), (uint32_t)table);
    for (size_t i = 0; i < levels; i++)
        at = put32(put_bytes(at, "\1aF", 3), (uint32_t)((levels - i - 1) * 7));
    at = put8(put64(at, 0), FRAME_END);
    fake_plan(f->broker)->silent = true;
    probe_open(f);
    while (fake_conn(f->broker, NULL) == NULL || fake_heard(f->broker) == NULL)
        uv_run(&f->loop, UV_RUN_ONCE);
    fake_raw(fake_conn(f->broker, NULL), frame, (size_t)(at - frame));
    probe_until_error(f, "connection.start: headers nested deeper than 64");
    fake_plan(f->broker)->silent = false;
    probe_up(f);
    free(frame);
}

/* Once the link is up, a session's worth of all kinds of frames. */
static void send_session(struct fake_conn *c)
{
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("memory")};
    amqp_connection_unblocked_t unblocked = {0};
    amqp_basic_ack_t ack = {.delivery_tag = 7, .multiple = 1};
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_MESSAGE_ID_FLAG,
        .message_id = amqp_cstring_bytes("id"),
    };

    fake_send(c, 0, AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    fake_content(c, 1, AMQP_BASIC_DELIVER_METHOD, &deliver, &properties, slice_of("abcdef"), 12);
    fake_send(c, 2, AMQP_BASIC_ACK_METHOD, &ack);
    fake_send(c, 0, AMQP_CONNECTION_UNBLOCKED_METHOD, &unblocked);
}

static bool send_after_open(void *arg, struct fake_conn *c, uint16_t channel,
                            const amqp_method_t *m)
{
    amqp_connection_open_ok_t ok = {.known_hosts = amqp_empty_bytes};

    (void)arg, (void)channel;
    if (m->id != AMQP_CONNECTION_OPEN_METHOD)
        return false;
    fake_send(c, 0, AMQP_CONNECTION_OPEN_OK_METHOD, &ok);
    send_session(c);
    return true;
}

TEST_ON(struct probe, begin, end, a_stream_cut_at_any_byte_leads_to_a_new_connection)
{
    size_t whole;

    fake_plan(f->broker)->hooks.method = send_after_open;
    probe_open(f);
    probe_until(f, "unblocked");
    whole = fake_given(f->broker);
    assert_true(whole > 200);
    for (size_t cut = 1; cut <= whole; cut++) {
        probe_teardown(f);
        probe_setup(f);
        fake_plan(f->broker)->hooks.method = send_after_open;
        fake_plan(f->broker)->cut_after = cut;
        probe_open(f);
        while (fake_connects(f->broker) < 2)
            uv_run(&f->loop, UV_RUN_ONCE);
        fake_plan(f->broker)->cut_after = 0;
        probe_until(f, "up blocked(memory) 1:content(abcdef) 2:BASIC_ACK_METHOD unblocked");
    }
}

/* Whatever bit is wrong, the link either goes on or drops the connection; it never
 * crashes, hangs, or stays away. */
TEST_ON(struct probe, begin, end, a_stream_bent_at_any_byte_does_no_harm)
{
    amqp_basic_properties_t properties = {
        ._flags = AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_HEADERS_FLAG,
        .message_id = amqp_cstring_bytes("id"),
    };
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes("a")};

    entry.value.kind = AMQP_FIELD_KIND_I32;
    properties.headers = (amqp_table_t){1, &entry};
    codec_method(&out, 1, AMQP_BASIC_DELIVER_METHOD, &deliver, &err);
    codec_header(&out, 1, &properties, 6, &err);
    codec_body(&out, 1, slice_of("abcdef"), 12, &err);
    probe_open(f);
    for (size_t at = 0; at < out.len; at++) {
        for (int bit = 0; bit < 8; bit++) {
            size_t connects;

            probe_up(f);
            connects = fake_connects(f->broker);
            out.data[at] = (char)(out.data[at] ^ 1 << bit);
            fake_raw(fake_conn(f->broker, NULL), out.data, out.len);
            fake_cut(fake_conn(f->broker, NULL));
            while (fake_connects(f->broker) == connects)
                uv_run(&f->loop, UV_RUN_ONCE);
            out.data[at] = (char)(out.data[at] ^ 1 << bit);
            f->story[0] = '\0';
        }
    }
    probe_up(f);
}

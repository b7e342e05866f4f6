/* Frames out of a stream of bytes, however it is cut. */
#include "check.h"
#include "wire/bytes.h"
#include "wire/frame.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frames as text: "1/7:abc 8/0:". */
struct story {
    char text[1024];
    int stop_at; /* the frame at which the callback says stop; 0: never */
    int frames;
};

static int note(void *arg, const struct frame *f, struct err *err)
{
    struct story *s = arg;
    size_t used = strlen(s->text);

    snprintf(s->text + used, sizeof s->text - used, "%s%d/%u:%.*s", used > 0 ? " " : "",
             (int)f->type, (unsigned)f->channel, (int)f->payload.len, f->payload.data);
    return ++s->frames == s->stop_at ? err_set(err, ERR_CLOSED, "stop") : OK;
}

static size_t put_frame(char *at, uint8_t type, uint16_t channel, const char *payload)
{
    char *p = put32(put16(put8(at, type), channel), (uint32_t)strlen(payload));

    p = put8(put_bytes(p, payload, strlen(payload)), FRAME_END);
    return (size_t)(p - at);
}

/* Each piece lies in memory of its own, so that the sanitizer sees every slip. */
static int feed(struct frame_reader *r, struct story *s, const char *bytes, size_t len,
                size_t piece, struct err *err)
{
    int rc = OK;

    for (size_t at = 0; rc == OK && at < len; at += piece) {
        size_t n = len - at < piece ? len - at : piece;
        char *copy = malloc(n);

        assert_non_null(copy);
        memcpy(copy, bytes + at, n);
        rc = frame_reader_feed(r, copy, n, note, s, err);
        free(copy);
    }
    return rc;
}

TEST(frames_are_found_however_the_bytes_come)
{
    char bytes[256];
    size_t len = put_frame(bytes, FRAME_METHOD, 7, "abc");
    struct frame_reader r;
    struct err err;

    len += put_frame(bytes + len, FRAME_HEARTBEAT, 0, "");
    len += put_frame(bytes + len, FRAME_HEADER, 65535, "header");
    len += put_frame(bytes + len, FRAME_BODY, 1, "a longer body than the others");
    for (size_t piece = 1; piece <= len; piece++) {
        struct story s = {.text = ""};

        frame_reader_init(&r);
        assert_int_equal(feed(&r, &s, bytes, len, piece, &err), OK);
        assert_string_equal(s.text,
                            "1/7:abc 8/0: 2/65535:header 3/1:a longer body than the others");
        frame_reader_free(&r);
    }
}

static void broken(const char *bytes, size_t len, const char *want)
{
    struct frame_reader r;
    struct err err;

    for (size_t piece = 1; piece <= len; piece++) {
        struct story s = {.text = ""};

        frame_reader_init(&r);
        assert_int_equal(feed(&r, &s, bytes, len, piece, &err), ERR_INPUT);
        assert_string_equal(err.text, want);
        assert_string_equal(s.text, "");
        frame_reader_free(&r);
    }
}

TEST(what_is_no_frame_is_never_handed_over)
{
    broken("HTTP/1.1 400 Bad Request", 24,
           "bytes that are no AMQP frame (type 72); is it an AMQP port?");
    broken("AMQP\0\1\0\0", 8, "the server does not speak AMQP 0-9-1");
    broken("\1\0\0\0\0\0\1x\xcd", 9, "a frame of 9 bytes ends in 0xcd, not in 0xce");
    broken("\1\0\0\0\2\0\0", 7, "a frame of 131072 bytes is over the limit of 131072");
    broken("\3\0\0\xff\xff\xff\xff", 7, "a frame of 4294967295 bytes is over the limit of 131072");
}

TEST(the_agreed_limit_counts_all_of_a_frame)
{
    char *bytes = calloc(1, 8193);
    struct story s = {.text = ""};
    struct frame_reader r;
    struct err err;

    assert_non_null(bytes);
    frame_reader_init(&r);
    r.frame_max = 8192;
    put32(put16(put8(bytes, FRAME_BODY), 1), 8192 - FRAME_OVERHEAD);
    put8(bytes + 8191, FRAME_END);
    assert_int_equal(feed(&r, &s, bytes, 8192, 5000, &err), OK);
    assert_int_equal(s.frames, 1);
    put32(bytes + 3, 8193 - FRAME_OVERHEAD);
    assert_int_equal(feed(&r, &s, bytes, 8193, 8193, &err), ERR_INPUT);
    frame_reader_reset(&r); /* a new connection starts over */
    assert_int_equal(r.frame_max, FRAME_MAX_START);
    frame_reader_free(&r);
    free(bytes);
}

TEST(who_says_stop_sees_no_more_frames)
{
    char bytes[64];
    size_t len = put_frame(bytes, FRAME_METHOD, 1, "a");
    struct story s = {.text = "", .stop_at = 1};
    struct frame_reader r;
    struct err err;

    len += put_frame(bytes + len, FRAME_METHOD, 1, "b");
    frame_reader_init(&r);
    assert_int_equal(feed(&r, &s, bytes, len, len, &err), ERR_CLOSED);
    assert_string_equal(s.text, "1/1:a");
    frame_reader_free(&r);
}

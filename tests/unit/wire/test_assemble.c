/* Contents out of their frames: what is lent, what is copied, what is let go. */
#include "check.h"
#include "wire/assemble.h"
#include "wire/bytes.h"
#include "wire/codec.h"

#include <string.h>

static struct frame frame(enum frame_type type, uint16_t channel, const char *bytes, size_t len)
{
    return (struct frame){.type = type, .channel = channel, .payload = {bytes, len}};
}

static struct frame header(uint16_t channel, uint64_t size)
{
    static char payload[14];

    put16(put64(put16(put16(payload, AMQP_BASIC_CLASS), 0), size), 0);
    return frame(FRAME_HEADER, channel, payload, sizeof payload);
}

static struct assemble a;
static struct assembled out;
static struct err err;
static bool whole;

static void init(void)
{
    assemble_init(&a, 100);
    whole = false;
}

static void end(void)
{
    assemble_free(&a);
}

/* A content that has its method and its header. */
static void begin(uint16_t channel, uint64_t size)
{
    struct frame method = frame(FRAME_METHOD, channel, "\0\x3c\0\x3c", 4),
                 head = header(channel, size);

    assert_int_equal(assemble_method(&a, &method, &err), OK);
    assert_int_equal(assemble_frame(&a, &head, &out, &whole, &err), OK);
    assert_false(whole);
}

TEST_BETWEEN(init, end, a_body_in_one_frame_is_lent_as_it_is)
{
    struct frame body = frame(FRAME_BODY, 1, "abc", 3);

    begin(1, 3);
    assert_int_equal(assemble_frame(&a, &body, &out, &whole, &err), OK);
    assert_true(whole);
    assert_ptr_equal(out.body.data, body.payload.data);
    assert_int_equal(out.method.len, 4);
    assert_int_equal(out.header.len, 14);
    assert_true(assemble_is_busy(&a, 1));
    assemble_done(&a, 1);
    assert_false(assemble_is_busy(&a, 1));
}

TEST_BETWEEN(init, end, an_empty_body_is_whole_with_its_header)
{
    struct frame method = frame(FRAME_METHOD, 1, "\0\x3c\0\x3c", 4), head = header(1, 0);

    assert_int_equal(assemble_method(&a, &method, &err), OK);
    assert_int_equal(assemble_frame(&a, &head, &out, &whole, &err), OK);
    assert_true(whole);
    assert_non_null(out.body.data); /* empty, not absent */
    assert_int_equal(out.body.len, 0);
}

/* The announced size is only believed as far as bytes come. */
TEST_BETWEEN(init, end, a_huge_announcement_takes_no_memory)
{
    struct frame body = frame(FRAME_BODY, 1, "abc", 3);

    assemble_init(&a, SIZE_MAX / 4);
    begin(1, SIZE_MAX / 4);
    assert_int_equal(assemble_frame(&a, &body, &out, &whole, &err), OK);
    assert_false(whole);
}

/* Nobody can ack what was not delivered. */
TEST_BETWEEN(init, end, what_could_not_be_kept_is_refused_before_it_comes)
{
    const char header[] = "\0\x3c\0\0\0\0\0\0\0\0\0\x0c\0\0";
    struct frame method = frame(FRAME_METHOD, 1, "\0\x3c\0\x3c", 4);
    struct frame large = frame(FRAME_HEADER, 1, header, sizeof header - 1);

    assemble_init(&a, 11);
    assert_int_equal(assemble_method(&a, &method, &err), OK);
    assert_int_equal(assemble_frame(&a, &large, &out, &whole, &err), ERR_LIMIT);
    assert_false(whole);
    assert_string_equal(err.text,
                        "a body of 12 bytes, but 11 can be kept at most: nothing is taken "
                        "as long as it is delivered, so move it to another queue");
}

TEST_BETWEEN(init, end, a_dropped_content_leaves_the_others_alone)
{
    struct frame first = frame(FRAME_BODY, 1, "ab", 2), last = frame(FRAME_BODY, 1, "cd", 2);
    struct frame gone = frame(FRAME_BODY, 2, "xx", 2);

    begin(2, 4);
    begin(1, 4);
    assert_int_equal(assemble_frame(&a, &first, &out, &whole, &err), OK);
    assemble_drop(&a, 2);
    assemble_drop(&a, 9); /* nothing there */
    assert_int_equal(assemble_frame(&a, &gone, &out, &whole, &err), ERR_INPUT);
    assert_int_equal(assemble_frame(&a, &last, &out, &whole, &err), OK);
    assert_true(whole);
    assert_memory_equal(out.body.data, "abcd", 4);
    assemble_reset(&a);
    assert_false(assemble_is_busy(&a, 1));
}

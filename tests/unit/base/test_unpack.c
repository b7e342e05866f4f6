/* Compressed bodies: what they say, what they are, and how much may come of them. */
#include "base/unpack.h"

#include "check.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

enum { MAX = 1000 };

struct unpacking {
    struct buf packed, out;
    struct err err;
};

static void unpacking_setup(struct unpacking *u)
{
    buf_init(&u->packed, 1 << 20);
    buf_init(&u->out, MAX);
}

static void unpacking_teardown(struct unpacking *u)
{
    buf_free(&u->packed);
    buf_free(&u->out);
}

/* window: 15 zlib, 31 gzip, -15 raw */
static struct slice pack(struct unpacking *u, const char *text, size_t len, int window)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)text, .avail_in = (uInt)len};
    char *room;

    buf_clear(&u->packed);
    room = buf_reserve(&u->packed, 1 << 16);
    assert_non_null(room);
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = (Bytef *)room;
    z.avail_out = 1 << 16;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    u->packed.len = z.total_out;
    assert_int_equal(deflateEnd(&z), Z_OK);
    return (struct slice){u->packed.data, u->packed.len};
}

TEST_WITH(unpacking, each_form_comes_out_as_it_went_in)
{
    static const int windows[] = {15, 31, -15};

    for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
        struct slice body = pack(f, "{\"a\":1}", 7, windows[i]);

        assert_int_equal(unpack_body(&f->out, body, MAX, &f->err), OK);
        assert_true(slice_is((struct slice){f->out.data, f->out.len}, "{\"a\":1}"));
        body.len--;
        assert_int_equal(unpack_body(&f->out, body, MAX, &f->err), ERR_INPUT);
    }
}

TEST_WITH(unpacking, no_more_than_the_limit_is_unpacked)
{
    char *big = calloc(1, 1 << 22);

    assert_non_null(big);
    assert_int_equal(unpack_body(&f->out, pack(f, big, MAX, 15), MAX, &f->err), OK);
    assert_int_equal(f->out.len, MAX);
    assert_int_equal(unpack_body(&f->out, pack(f, big, MAX + 1, 15), MAX, &f->err), ERR_INPUT);
    assert_non_null(strstr(f->err.text, "unpacks to more than 1000 bytes (message_max)"));
    assert_int_equal(unpack_body(&f->out, pack(f, big, 1 << 22, 31), MAX, &f->err), ERR_INPUT);
    assert_true(f->out.cap <= MAX);
    free(big);
}

TEST_WITH(unpacking, what_is_not_what_it_says_is_told)
{
    struct slice body = pack(f, "{\"a\":1}", 7, 31);

    assert_int_equal(unpack_body(&f->out, slice_of("{\"a\":1}"), MAX, &f->err), ERR_INPUT);
    assert_non_null(strstr(f->err.text, "neither gzip nor zlib"));
    assert_int_equal(unpack_body(&f->out, slice_of(""), MAX, &f->err), ERR_INPUT);
    assert_string_equal(f->err.text, "the compressed body ends early");
    assert_int_equal(buf_append(&f->packed, "more", 4), OK);
    body.data = f->packed.data;
    body.len += 4;
    assert_int_equal(unpack_body(&f->out, body, MAX, &f->err), ERR_INPUT);
}

TEST(a_message_says_it_by_its_encoding_or_by_a_header)
{
    static const struct {
        const char *properties, *headers;
        bool due;
    } cases[] = {
        {"{\"content_encoding\":\"gzip\"}", NULL, true},
        {"{\"content_encoding\":\"GZip\"}", NULL, true},
        {"{\"priority\":1,\"content_encoding\":\"deflate\"}", NULL, true},
        {"{\"content_encoding\":\"utf-8\"}", NULL, false},
        {"{\"content_encoding\":\"utf-8\"}", "{\"compression\":\"application/x-gzip\"}", true},
        {NULL, "{\"compression\":\"application/x-bz2\"}", false},
        {NULL, "{\"compression\":7}", false},
        {NULL, "{\"note\":\"compression\"}", false},
        {"{\"app_id\":\"gzip\"}", "{\"gzip\":\"gzip\"}", false},
        {NULL, NULL, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct message m = {.properties = slice_of(cases[i].properties),
                                  .headers = slice_of(cases[i].headers)};

        assert_int_equal(unpack_is_due(&m), cases[i].due);
    }
}

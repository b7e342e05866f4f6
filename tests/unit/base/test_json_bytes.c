/* Byte arrays in JSON text. */
#include "base/json_bytes.h"
#include "check.h"

#include <string.h>

/* The digits of the text, decoded; NULL: it is no byte array. */
static const char *bytes_of(const char *text)
{
    static char out[64];
    struct slice digits;
    struct json j;
    struct buf tape;
    bool is;

    buf_init(&tape, JSON_TAPE_MAX);
    assert_int_equal(json_parse(&j, &tape, text, strlen(text), NULL), OK);
    is = json_bytes(&j, j.tape, &digits);
    if (is) {
        assert_true(json_bytes_size(digits) < sizeof out);
        json_bytes_get(digits, out);
        out[json_bytes_size(digits)] = '\0';
    }
    buf_free(&tape);
    return is ? out : NULL;
}

TEST(what_was_written_is_read)
{
    static const char all[] = "\x01\xff\x80 abcdef";
    struct buf b;

    for (size_t len = 0; len < sizeof all; len++) {
        buf_init(&b, 1024);
        assert_int_equal(json_put_bytes(&b, all, len), OK);
        buf_append(&b, "", 1);
        assert_memory_equal(bytes_of(b.data), all, len);
        assert_int_equal(strlen(bytes_of(b.data)), len);
        buf_free(&b);
    }
}

TEST(another_object_is_no_byte_array)
{
    static const char *const others[] = {
        "{}",
        "[]",
        "\"YQ==\"",
        "{\"base64\":1}",
        "{\"base64\":\"YQ==\",\"b\":1}",
        "{\"base64\":\"YQ=\"}",
        "{\"base64\":\"Y===\"}",
        "{\"base64\":\"Y*==\"}",
        "{\"base64\":\"YQ\\u0000=\"}",
        "{\"BASE64\":\"YQ==\"}",
    };

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_null(bytes_of(others[i]));
    assert_string_equal(bytes_of("{\"base64\":\"\"}"), "");
}

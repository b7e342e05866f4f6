/* Header tables: from JSON to AMQP and back, and the hostile ones. */
#include "check.h"
#include "wire/bytes.h"
#include "wire/rabbitmq.h"
#include "wire/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char text[65536];

/* A table's bytes, whose first four are for its size, through the library's own decoder to JSON, or
 * what is wrong with them. Frees them. */
static const char *json_of(struct buf *bytes)
{
    struct buf json;
    struct err err = {.code = OK};
    amqp_pool_t pool;
    amqp_table_t table;
    size_t offset = 0, size;

    buf_init(&json, 1 << 20);
    init_amqp_pool(&pool, 4096);
    put32(bytes->data, (uint32_t)bytes->len - 4);
    if (table_check(bytes->data, bytes->len, &size, &err) != OK) {
        snprintf(text, sizeof text, "%s", err.text);
    } else {
        assert_int_equal(size, bytes->len);
        assert_int_equal(
            amqp_decode_table((amqp_bytes_t){bytes->len, bytes->data}, &pool, &table, &offset),
            AMQP_STATUS_OK);
        assert_int_equal(table_to_json(&json, &table, NULL, NULL), OK);
        snprintf(text, sizeof text, "%.*s", (int)json.len, json.data);
    }
    buf_free(bytes);
    buf_free(&json);
    empty_amqp_pool(&pool);
    return text;
}

/* JSON to a table's bytes and back. */
static const char *round_trip(const char *json)
{
    struct buf bytes;
    struct err err = {.code = OK};

    buf_init(&bytes, 1 << 20);
    buf_append(&bytes, "\0\0\0\0", 4);
    if (table_from_json(&bytes, slice_of(json), NULL, NULL, &err) == OK)
        return json_of(&bytes);
    snprintf(text, sizeof text, "%s", err.text);
    buf_free(&bytes);
    return text;
}

static void unchanged(const char *json)
{
    assert_string_equal(round_trip(json), json);
}

TEST(values_come_back_as_they_went)
{
    unchanged("{}");
    unchanged("{\"\":\"\"}");
    unchanged("{\"a\":\"text \\\"quoted\\\" \\u0000 \xc3\xa4\"}");
    unchanged("{\"a\":0,\"b\":-1,\"c\":2147483647,\"d\":-2147483648}");
    unchanged("{\"a\":2147483648,\"b\":9223372036854775807,\"c\":-9223372036854775808}");
    unchanged("{\"a\":true,\"b\":false,\"c\":null}");
    unchanged("{\"a\":99.9,\"b\":-0.5,\"c\":1.0,\"d\":1e+300,\"e\":0.1}");
    unchanged(
        "{\"a\":{\"base64\":\"Yf8i\"},\"b\":[{\"base64\":\"\"}],\"c\":{\"base64\":\"w6k=\"}}");
    unchanged("{\"a\":{\"base64\":\"Yf8\"},\"base64\":\"Yf8i\"}"); /* no byte arrays */
    unchanged("{\"a\":{\"b\":{\"c\":[]}},\"d\":[1,[2,[\"x\",null]],{\"e\":{}}]}");
}

TEST(an_integer_beyond_64_bits_becomes_text)
{
    assert_string_equal(round_trip("{\"a\":9223372036854775808}"),
                        "{\"a\":\"9223372036854775808\"}");
    assert_string_equal(round_trip("{\"a\":-99999999999999999999}"),
                        "{\"a\":\"-99999999999999999999\"}");
}

static const char *nested(int depth, const char *open, const char *inner, const char *close)
{
    static char out[4096];
    size_t n = 0;

    for (int i = 0; i < depth; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s", open);
    n += (size_t)snprintf(out + n, sizeof out - n, "%s", inner);
    for (int i = 0; i < depth; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "%s", close);
    return out;
}

TEST(headers_that_cannot_go_out_are_refused_in_words)
{
    char *many = malloc(32768), *at = many;
    char name[400];

    assert_string_equal(round_trip("[1]"), "headers: not a JSON object");
    assert_string_equal(round_trip("1"), "headers: not a JSON object");
    assert_string_equal(round_trip("null"), "headers: not a JSON object");
    assert_string_equal(round_trip("{\"a\":1e999}"),
                        "headers: a number beyond the range of a double");
    assert_non_null(strstr(round_trip("{\"a\":1"), "headers: bad JSON"));
    assert_non_null(strstr(round_trip("{\"a\":1,\"a\":2}"), "duplicate key"));
    snprintf(name, sizeof name, "{\"%0300d\":1}", 0);
    assert_string_equal(round_trip(name), "headers: a name of more than 255 bytes");
    unchanged(nested(64, "{\"a\":", "1", "}"));
    assert_string_equal(round_trip(nested(65, "{\"a\":", "1", "}")),
                        "headers: nested deeper than 64");
    assert_non_null(many);
    at += snprintf(at, 16, "{\"a\":[0");
    for (int i = 0; i < 1023; i++)
        at += snprintf(at, 4, ",1");
    memcpy(at, "]}", 3);
    assert_string_equal(round_trip(many), "headers: more than 1024 fields");
    free(many);
}

/* One field "a" of raw bytes. */
static const char *read_value(const char *value, size_t len)
{
    struct buf bytes;

    buf_init(&bytes, 1 << 20);
    buf_append(&bytes, "\0\0\0\0\1a", 6);
    buf_append(&bytes, value, len);
    return json_of(&bytes);
}

#define VALUE(bytes) read_value(bytes, sizeof(bytes) - 1)

TEST(every_kind_of_value_has_a_json_form)
{
    assert_string_equal(VALUE("t\x02"), "{\"a\":true}");
    assert_string_equal(VALUE("b\xff"), "{\"a\":-1}");
    assert_string_equal(VALUE("B\xff"), "{\"a\":255}");
    assert_string_equal(VALUE("s\xff\xfe"), "{\"a\":-2}");
    assert_string_equal(VALUE("u\xff\xfe"), "{\"a\":65534}");
    assert_string_equal(VALUE("I\xff\xff\xff\xfd"), "{\"a\":-3}");
    assert_string_equal(VALUE("i\xff\xff\xff\xfd"), "{\"a\":4294967293}");
    assert_string_equal(VALUE("l\x80\0\0\0\0\0\0\0"), "{\"a\":-9223372036854775808}");
    assert_string_equal(VALUE("L\xff\xff\xff\xff\xff\xff\xff\xff"), "{\"a\":18446744073709551615}");
    assert_string_equal(VALUE("T\0\0\0\0\x65\x53\xf1\0"), "{\"a\":1700000000}");
    assert_string_equal(VALUE("f\x3d\xcc\xcc\xcd"), "{\"a\":0.1}");
    assert_string_equal(VALUE("d\x7f\xf8\0\0\0\0\0\0"), "{\"a\":\"nan\"}");
    assert_string_equal(VALUE("d\xff\xf0\0\0\0\0\0\0"), "{\"a\":\"-inf\"}");
    assert_string_equal(VALUE("D\2\0\0\x30\x39"), "{\"a\":123.45}");
    assert_string_equal(VALUE("D\2\xff\xff\xff\xff"), "{\"a\":-0.01}");
    assert_string_equal(VALUE("D\0\0\0\0\7"), "{\"a\":7}");
    assert_string_equal(VALUE("x\0\0\0\3a\xff\""), "{\"a\":{\"base64\":\"Yf8i\"}}");
    assert_string_equal(VALUE("S\0\0\0\2\xff\xfe"), "{\"a\":{\"base64\":\"//4=\"}}");
    assert_string_equal(VALUE("S\0\0\0\1\xff"), "{\"a\":{\"base64\":\"/w==\"}}");
    assert_string_equal(VALUE("x\0\0\0\2\xc3\xa9"), "{\"a\":{\"base64\":\"w6k=\"}}");
    assert_string_equal(VALUE("V"), "{\"a\":null}");
}

TEST(of_two_fields_of_one_name_the_last_counts)
{
    assert_string_equal(VALUE("B\1\1aB\2\1bB\3\1aB\4"), "{\"b\":3,\"a\":4}");
    /* as they can be told apart in JSON */
    assert_string_equal(VALUE("B\1\1\xffT1234567\0\1\xfe"
                              "B\3"),
                        "{\"a\":1,\"\xef\xbf\xbd\":3}");
}

TEST(damaged_tables_are_found_before_they_are_decoded)
{
    static const char beyond[] = "damaged header table: a value ends beyond its table";

    assert_string_equal(VALUE("Z"), "damaged header table: a value of unknown kind 0x5a");
    assert_string_equal(VALUE(""), beyond);
    assert_string_equal(VALUE("I\0\0\0"), beyond);
    assert_string_equal(VALUE("S\0\0\0\1"), beyond);
    assert_string_equal(VALUE("S\xff\xff\xff\xff"), beyond);
    assert_string_equal(VALUE("F\0\0\0\2\1b"), beyond);
    assert_string_equal(VALUE("A\0\0\0\1I\0\0\0\0"), beyond);
    assert_string_equal(VALUE("V\xff"), beyond);
}

TEST(a_table_of_any_depth_is_refused_without_recursion)
{
    const size_t levels = 18000;
    char *bytes = malloc(4 + levels * 7), *at = bytes;
    struct err err;
    size_t size;

    assert_non_null(bytes);
    at = put32(at, (uint32_t)(levels * 7));
    for (size_t i = 0; i < levels; i++) {
        at = put_bytes(at, "\1aF", 3);
        at = put32(at, (uint32_t)((levels - i - 1) * 7));
    }
    assert_int_equal(table_check(bytes, (size_t)(at - bytes), &size, &err), ERR_LIMIT);
    assert_string_equal(err.text, "headers nested deeper than 64");
    assert_int_equal(size, at - bytes); /* so that it can be cut out */
    free(bytes);
}

TEST(what_lies_too_deep_becomes_bytes_and_the_rest_stays)
{
    const size_t levels = 100;
    char bytes[4 + 100 * 7 + 8], *at = bytes;
    amqp_pool_t pool;
    amqp_table_t table;
    struct buf back;
    struct err err;
    size_t size, offset = 0;

    at = put32(at, (uint32_t)(levels * 7 + 4));
    for (size_t i = 0; i < levels; i++) {
        at = put_bytes(at, "\1aF", 3);
        at = put32(at, (uint32_t)((levels - i - 1) * 7));
    }
    at = put_bytes(at, "\1zB\7", 4);
    assert_int_equal(table_check(bytes, (size_t)(at - bytes), &size, &err), ERR_LIMIT);
    table_flatten(bytes, size);
    assert_int_equal(table_check(bytes, (size_t)(at - bytes), &size, &err), OK);
    init_amqp_pool(&pool, 4096);
    buf_init(&back, 1 << 20);
    assert_int_equal(amqp_decode_table((amqp_bytes_t){size, bytes}, &pool, &table, &offset),
                     AMQP_STATUS_OK);
    assert_int_equal(table_to_json(&back, &table, NULL, NULL), OK);
    buf_append(&back, "", 1);
    assert_non_null(strstr(back.data, ",\"z\":7}"));
    assert_non_null(strstr(back.data, "{\"a\":{\"base64\":\"AWFG"));
    buf_free(&back);
    empty_amqp_pool(&pool);
}

/* As many as fit into a frame, with names that come again. */
TEST(a_table_of_very_many_fields_is_read)
{
    enum { FIELDS = 20000 };
    char *bytes = malloc(4 + FIELDS * 6), *at;
    amqp_pool_t pool;
    amqp_table_t table;
    struct buf back;
    struct err err;
    size_t size, offset = 0, fields = 0;

    assert_non_null(bytes);
    at = put32(bytes, FIELDS * 6);
    for (size_t i = 0; i < FIELDS; i++) {
        char name[5];

        snprintf(name, sizeof name, "%04x", (unsigned)(i % (FIELDS / 2)));
        at = put8(put_bytes(put8(at, 4), name, 4), AMQP_FIELD_KIND_VOID);
    }
    assert_int_equal(table_check(bytes, (size_t)(at - bytes), &size, &err), OK);
    init_amqp_pool(&pool, 4096);
    buf_init(&back, 1 << 20);
    assert_int_equal(amqp_decode_table((amqp_bytes_t){size, bytes}, &pool, &table, &offset),
                     AMQP_STATUS_OK);
    assert_int_equal(table_to_json(&back, &table, NULL, NULL), OK);
    for (size_t i = 0; i < back.len; i++)
        fields += back.data[i] == ':';
    assert_int_equal(fields, FIELDS / 2);
    buf_free(&back);
    empty_amqp_pool(&pool);
    free(bytes);
}

TEST(a_table_cut_anywhere_or_bent_anywhere_does_no_harm)
{
    static const char whole[] = "\0\0\0\x30\1aF\0\0\0\x0a\1bI\0\0\0\1\1cV\1dA\0\0\0\7S\0\0\0\2xyt"
                                "\1eD\1\0\0\0\2\1fl\0\0\0\0";
    struct err err;
    size_t size;

    for (size_t len = 0; len < sizeof whole; len++) {
        char *copy = malloc(len + 1);

        assert_non_null(copy);
        memcpy(copy, whole, len);
        (void)table_check(copy, len, &size, &err); /* the sanitizer watches */
        for (size_t i = 0; i < len; i++) {
            for (int bit = 0; bit < 8; bit++) {
                copy[i] = (char)(whole[i] ^ 1 << bit);
                (void)table_check(copy, len, &size, &err);
            }
            copy[i] = whole[i];
        }
        free(copy);
    }
}

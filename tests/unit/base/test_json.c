/* What json_parse lets through, what it refuses and in which words; what it writes. */
#include "base/json.h"

#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The tape as text: {k"a"#1#"x"} and so on. */
struct story {
    char text[256];
};

static void tell(struct story *s, const char *before, struct slice text, const char *after)
{
    size_t used = strlen(s->text);

    snprintf(s->text + used, sizeof s->text - used, "%s%.*s%s", before, (int)text.len, text.data,
             after);
}

static const struct json_token *tell_value(struct story *s, const struct json *j,
                                           const struct json_token *t);

static void tell_content(struct story *s, const struct json *j, const struct json_token *t)
{
    const struct json_token *next = t + 1;

    for (size_t left = t->len; left > 0; left--) {
        if (t->kind == JSON_OBJECT) {
            tell(s, "", json_text(j, next), ":");
            next = json_next(j, next);
        }
        next = tell_value(s, j, next);
    }
    assert_ptr_equal(next, json_next(j, t));
}

static const struct json_token *tell_value(struct story *s, const struct json *j,
                                           const struct json_token *t)
{
    static const char *const words[] = {"null ", "false ", "true "};
    struct slice none = {"", 0};

    switch ((enum json_kind)t->kind) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE:
        tell(s, words[t->kind], none, "");
        break;
    case JSON_INTEGER:
    case JSON_REAL:
        tell(s, "#", json_text(j, t), " ");
        break;
    case JSON_STRING:
        tell(s, "\"", json_text(j, t), "\" ");
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        tell(s, t->kind == JSON_ARRAY ? "[ " : "{ ", none, "");
        tell_content(s, j, t);
        tell(s, t->kind == JSON_ARRAY ? "] " : "} ", none, "");
        break;
    }
    return json_next(j, t);
}

/* The text lies in memory of its own size, so that nobody reads behind it unseen. */
static int parse(const char *text, size_t len, struct story *s, struct err *err)
{
    char *copy = malloc(len + (len == 0));
    struct buf tape;
    struct json j;
    int rc;

    assert_non_null(copy);
    memcpy(copy, text, len);
    buf_init(&tape, 1 << 20);
    rc = json_parse(&j, &tape, copy, len, err);
    if (rc == OK)
        tell_value(s, &j, j.tape);
    buf_free(&tape);
    free(copy);
    return rc;
}

static void assert_tape(const char *json, const char *want)
{
    struct story s = {""};
    struct err err = {0};

    assert_int_equal(parse(json, strlen(json), &s, &err), OK);
    assert_string_equal(s.text, want);
}

static void assert_refused(const char *json, size_t len, const char *want)
{
    struct story s = {""};
    struct err err = {0};

    assert_int_equal(parse(json, len, &s, &err), ERR_INPUT);
    if (strstr(err.text, want) == NULL)
        fail_msg("%s: wanted \"%s\" in \"%s\"", json, want, err.text);
}

TEST(numbers_keep_their_own_text)
{
    assert_tape("[1624350000000000001,99.90,1e400,-0,18446744073709551616]",
                "[ #1624350000000000001 #99.90 #1e400 #-0 #18446744073709551616 ] ");
}

TEST(values_come_in_order)
{
    assert_tape("{\"a\":null,\"b\":[true,false,\"x\"],\"c\":{\"a\":1}}",
                "{ a:null b:[ true false \"x\" ] c:{ a:#1 } } ");
    assert_tape(" \"alone\" ", "\"alone\" ");
    assert_tape("\"\\u652f\\ud83d\\ude00\"", "\"支\xf0\x9f\x98\x80\" ");
}

TEST(what_is_no_json_is_refused_with_a_place)
{
    static const char *const bad[] = {"",      "{",      "nul",  "{\"a\":}",  "[1,]", "1 2",
                                      "{a:1}", "\"\t\"", "[1}",  "{\"a\" 1}", "01",   "+1",
                                      "NaN",   "'a'",    "{} x", "\"\\x\"",   "-"};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused(bad[i], strlen(bad[i]), "bad JSON at byte ");
}

TEST(duplicate_keys_are_refused)
{
    assert_refused("{\"a\":1,\"b\":2,\"a\":3}", 19, "duplicate key \"a\"");
    assert_refused("{\"x\":{\"a\":1,\"\\u0061\":2}}", 24, "duplicate key \"a\"");
    assert_tape("[{\"a\":1},{\"a\":2}]", "[ { a:#1 } { a:#2 } ] ");
}

TEST(many_keys_are_no_duplicates)
{
    char json[4096] = "{";
    struct story s = {""};
    struct err err = {0};

    for (int i = 0; i < 200; i++) {
        size_t used = strlen(json);

        snprintf(json + used, sizeof json - used, "%s\"key%d\":%d", i ? "," : "", i, i);
    }
    strncat(json, "}", sizeof json - strlen(json) - 1);
    assert_int_equal(parse(json, strlen(json), &s, &err), OK);
}

TEST(bad_utf8_is_refused)
{
    assert_refused("\"ab\xff\"", 5, "bad UTF-8 at byte 3");
}

TEST(half_a_surrogate_pair_is_refused)
{
    assert_refused("\"\\ud83d\"", 8, "surrogate");
    assert_refused("\"\\ude00\"", 8, "surrogate");
    assert_refused("\"\\ud83d\\u0041\"", 14, "surrogate");
    assert_tape("\"\\\\ud83d\"", "\"\\ud83d\" ");
}

TEST(deep_nesting_is_refused)
{
    char json[2 * 300 + 1];
    struct story s = {""};
    struct err err = {0};

    memset(json, '[', JSON_DEPTH_MAX);
    memset(json + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_int_equal(parse(json, 2 * JSON_DEPTH_MAX, &s, &err), OK);
    memset(json, '[', 300);
    assert_refused(json, 300, "nested too deeply");
}

TEST(members_are_found_by_name)
{
    static const char text[] = "{\"a\":{\"b\":1},\"\\u0062\":[],\"c\":-9223372036854775808}";
    const struct json_token *t;
    struct buf tape;
    struct json j;
    int64_t value;

    buf_init(&tape, 1024);
    assert_int_equal(json_parse(&j, &tape, text, sizeof text - 1, NULL), OK);
    assert_int_equal(j.tape->len, 3);
    t = json_member(&j, j.tape, "b");
    assert_non_null(t);
    assert_int_equal(t->kind, JSON_ARRAY);
    assert_null(json_member(&j, t, "b"));
    assert_null(json_member(&j, j.tape, "d"));
    t = json_member(&j, j.tape, "c");
    assert_non_null(t);
    assert_true(json_integer(json_text(&j, t), &value) && value == INT64_MIN);
    buf_free(&tape);
}

TEST(a_tape_has_a_ceiling)
{
    char json[] = "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]";
    struct err err = {0};
    struct buf tape;
    struct json j;

    buf_init(&tape, 32 * sizeof(struct json_token));
    assert_int_equal(json_parse(&j, &tape, json, sizeof json - 1, &err), ERR_INPUT);
    assert_string_equal(err.text, "bad JSON at byte 64: too many values");
    memcpy(json + sizeof json - 4, "] ", 2);
    json[sizeof json - 2] = ' ';
    assert_int_equal(json_parse(&j, &tape, json, sizeof json - 1, &err), OK);
    assert_int_equal(j.tape->len, 31);
    buf_free(&tape);
}

static void assert_written(const char *text, size_t len, const char *want)
{
    struct buf b;

    buf_init(&b, 1024);
    assert_int_equal(json_put_string(&b, text, len), OK);
    assert_int_equal(b.len, strlen(want));
    assert_memory_equal(b.data, want, b.len);
    buf_free(&b);
}

TEST(written_strings_are_always_json)
{
    assert_written("", 0, "\"\"");
    assert_written("支付 \"x\" \\ \n\x01", 15, "\"支付 \\\"x\\\" \\\\ \\n\\u0001\"");
    assert_written("a\0b", 3, "\"a\\u0000b\"");
    assert_written("a\xff\xfeg", 4, "\"a\xef\xbf\xbd\xef\xbf\xbdg\"");
}

TEST(reals_are_as_short_as_they_can_be_and_look_real)
{
    const double values[] = {2, 0.1, 1e300, -0.5, 1.0 / 3};
    struct buf b;

    buf_init(&b, 128);
    json_add_array(&b, NULL);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        json_add_real(&b, NULL, values[i]);
    json_end(&b, "]");
    buf_append(&b, "", 1);
    assert_string_equal(b.data, "[2.0,0.1,1e+300,-0.5,0.3333333333333333]");
    buf_free(&b);
}

TEST(lines_are_written_whole_or_not_at_all)
{
    struct buf b;

    buf_init(&b, 80);
    for (int i = 0; i < 2; i++) {
        size_t from = b.len;

        json_add_object(&b, NULL);
        json_add_string(&b, "a\"b", "{");
        json_add_array(&b, "list");
        json_add_int(&b, NULL, -1);
        json_add_bool(&b, NULL, true);
        json_add_object(&b, NULL);
        json_end(&b, "}]");
        json_add_bool(&b, "c", false);
        json_end_line(&b, from, "}");
    }
    assert_false(b.failed);
    buf_append(&b, "", 1);
    assert_string_equal(b.data, "{\"a\\\"b\":\"{\",\"list\":[-1,true,{}],\"c\":false}\n");
    buf_free(&b);
}

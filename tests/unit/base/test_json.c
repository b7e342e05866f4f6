/* What json_parse lets through, what it refuses and in which words; what it writes. */
#include "base/json.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

/* The events as text: {k"a"#1#"x"} and so on. */
struct story {
    char text[256];
};

static bool add(struct story *s, const char *before, const char *text, size_t len,
                const char *after)
{
    size_t used = strlen(s->text);

    snprintf(s->text + used, sizeof s->text - used, "%s%.*s%s", before, (int)len, text, after);
    return true;
}

static bool on_null(void *arg)
{
    return add(arg, "", "null", 4, " ");
}

static bool on_boolean(void *arg, bool value)
{
    return add(arg, "", value ? "true" : "false", value ? 4 : 5, " ");
}

static bool on_number(void *arg, const char *text, size_t len)
{
    return add(arg, "#", text, len, " ");
}

static bool on_string(void *arg, const char *text, size_t len)
{
    return add(arg, "\"", text, len, "\" ");
}

static bool on_key(void *arg, const char *text, size_t len)
{
    return add(arg, "", text, len, ":");
}

static bool on_begin(void *arg, bool array)
{
    return add(arg, "", array ? "[" : "{", 1, " ");
}

static bool on_end(void *arg, bool array)
{
    return add(arg, "", array ? "]" : "}", 1, " ");
}

static const struct json_events events = {on_null, on_boolean, on_number, on_string,
                                          on_key,  on_begin,   on_end};

static void assert_events(const char *json, const char *want)
{
    struct story s = {""};
    struct err err = {0};

    assert_int_equal(json_parse(json, strlen(json), &events, &s, &err), OK);
    assert_string_equal(s.text, want);
}

static void assert_refused(const char *json, size_t len, const char *want)
{
    struct story s = {""};
    struct err err = {0};

    assert_int_equal(json_parse(json, len, &events, &s, &err), ERR_INPUT);
    if (strstr(err.text, want) == NULL)
        fail_msg("%s: wanted \"%s\" in \"%s\"", json, want, err.text);
}

static void numbers_keep_their_own_text(void **state)
{
    (void)state;
    assert_events("[1624350000000000001,99.90,1e400,-0,18446744073709551616]",
                  "[ #1624350000000000001 #99.90 #1e400 #-0 #18446744073709551616 ] ");
}

static void values_come_in_order(void **state)
{
    (void)state;
    assert_events("{\"a\":null,\"b\":[true,false,\"x\"],\"c\":{\"a\":1}}",
                  "{ a:null b:[ true false \"x\" ] c:{ a:#1 } } ");
    assert_events(" \"alone\" ", "\"alone\" ");
    assert_events("\"\\u652f\\ud83d\\ude00\"", "\"支\xf0\x9f\x98\x80\" ");
}

static void what_is_no_json_is_refused_with_a_place(void **state)
{
    static const char *const bad[] = {"",      "{",      "nul",  "{\"a\":}",  "[1,]", "1 2",
                                      "{a:1}", "\"\t\"", "[1}",  "{\"a\" 1}", "01",   "+1",
                                      "NaN",   "'a'",    "{} x", "\"\\x\"",   "-"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_refused(bad[i], strlen(bad[i]), "bad JSON at byte ");
}

static void duplicate_keys_are_refused(void **state)
{
    (void)state;
    assert_refused("{\"a\":1,\"b\":2,\"a\":3}", 19, "duplicate key \"a\"");
    assert_refused("{\"x\":{\"a\":1,\"\\u0061\":2}}", 24, "duplicate key \"a\"");
    assert_events("[{\"a\":1},{\"a\":2}]", "[ { a:#1 } { a:#2 } ] ");
}

static void many_keys_are_no_duplicates(void **state)
{
    char json[4096] = "{";
    struct story s = {""};
    struct err err = {0};

    (void)state;
    for (int i = 0; i < 200; i++) {
        size_t used = strlen(json);

        snprintf(json + used, sizeof json - used, "%s\"key%d\":%d", i ? "," : "", i, i);
    }
    strncat(json, "}", sizeof json - strlen(json) - 1);
    assert_int_equal(json_parse(json, strlen(json), &events, &s, &err), OK);
}

static void bad_utf8_is_refused(void **state)
{
    (void)state;
    assert_refused("\"ab\xff\"", 5, "bad UTF-8 at byte 3");
}

static void half_a_surrogate_pair_is_refused(void **state)
{
    (void)state;
    assert_refused("\"\\ud83d\"", 8, "surrogate");
    assert_refused("\"\\ude00\"", 8, "surrogate");
    assert_refused("\"\\ud83d\\u0041\"", 14, "surrogate");
    assert_events("\"\\\\ud83d\"", "\"\\ud83d\" ");
}

static void deep_nesting_is_refused(void **state)
{
    char json[2 * 300 + 1];
    struct story s = {""};
    struct err err = {0};

    (void)state;
    memset(json, '[', JSON_DEPTH_MAX);
    memset(json + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_int_equal(json_parse(json, 2 * JSON_DEPTH_MAX, &events, &s, &err), OK);
    memset(json, '[', 300);
    assert_refused(json, 300, "nested too deeply");
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

static void written_strings_are_always_json(void **state)
{
    (void)state;
    assert_written("", 0, "\"\"");
    assert_written("支付 \"x\" \\ \n\x01", 15, "\"支付 \\\"x\\\" \\\\ \\n\\u0001\"");
    assert_written("a\0b", 3, "\"a\\u0000b\"");
    assert_written("a\xff\xfeg", 4, "\"a\xef\xbf\xbd\xef\xbf\xbdg\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_keep_their_own_text),
        cmocka_unit_test(values_come_in_order),
        cmocka_unit_test(what_is_no_json_is_refused_with_a_place),
        cmocka_unit_test(duplicate_keys_are_refused),
        cmocka_unit_test(many_keys_are_no_duplicates),
        cmocka_unit_test(bad_utf8_is_refused),
        cmocka_unit_test(half_a_surrogate_pair_is_refused),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(written_strings_are_always_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* UTF-8, secrets in URLs, durations. */
#include "base/text.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

TEST(good_utf8_is_good)
{
    static const char *const good[] = {"",
                                       "a",
                                       "Grüße",
                                       "支付课程",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "eight.. and more 支付 mixed in the rest"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    assert_true(text_is_utf8("a\0b", 3));
}

TEST(bad_utf8_is_found_at_its_place)
{
    static const struct {
        const char *text;
        size_t at;
    } bad[] = {
        {"\x80", 0},
        {"ab\xff", 2},
        {"\xc0\x80", 0},            /* overlong */
        {"\xe0\x80\x80", 0},        /* overlong */
        {"\xed\xa0\x80", 0},        /* surrogate */
        {"\xf4\x90\x80\x80", 0},    /* above U+10FFFF */
        {"0123456789\xe6\x94", 10}, /* cut off */
        {"\xe6\x94\xaf\xe6\x94\x2f", 3},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(text_utf8_prefix(bad[i].text, strlen(bad[i].text)), bad[i].at);
}

static void assert_redacted(const char *url, const char *want)
{
    char out[80];

    text_redact_url(url, out, sizeof out);
    assert_string_equal(out, want);
}

TEST(a_password_never_shows)
{
    assert_redacted("amqp://bob:secret@host:5672/v", "amqp://bob:***@host:5672/v");
    assert_redacted("amqp://bob:se@cret@host/v", "amqp://bob:***@host/v");
    assert_redacted("amqp://bob@host/v", "amqp://bob@host/v");
    assert_redacted("amqp://host:5672/a:b@c", "amqp://host:5672/a:b@c");
    assert_redacted("bob:secret@host", "bob:***@host");
    assert_redacted("embedded", "embedded");
    assert_redacted("amqp://a:b c@h/ amqps://d:e@i amqp://j",
                    "amqp://a:***@h/ amqps://d:***@i amqp://j");
}

TEST(a_long_url_is_cut)
{
    char out[12];

    text_redact_url("amqp://bob:secret@a-very-long-host-name/", out, sizeof out);
    assert_true(strlen(out) < sizeof out);
    assert_null(strstr(out, "sec"));
}

TEST(durations_have_units)
{
    int64_t ms = 0;

    assert_int_equal(text_duration_ms(slice_of("250ms"), &ms), 0);
    assert_int_equal(ms, 250);
    assert_int_equal(text_duration_ms(slice_of("30s"), &ms), 0);
    assert_int_equal(ms, 30000);
    assert_int_equal(text_duration_ms(slice_of("7d"), &ms), 0);
    assert_int_equal(ms, INT64_C(604800000));
    assert_int_equal(text_duration_ms(slice_of("0s"), &ms), 0);
    assert_int_equal(ms, 0);
}

TEST(a_malformed_duration_is_refused)
{
    static const char *const bad[] = {"",
                                      "s",
                                      "1",
                                      "-1s",
                                      "1.5s",
                                      "1 s",
                                      "1w",
                                      "1s2m",
                                      "9999999999999d",
                                      "99999999999999999999s"};
    int64_t ms;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(text_duration_ms(slice_of(bad[i]), &ms), -1);
}

TEST(a_time_is_read_with_its_fraction_and_offset)
{
    static const char *const bad[] = {
        "",
        "2026-01-31",
        "2026-01-31T12:00:00",
        "2026-01-31 12:00:00Z",
        "2026-1-31T12:00:00ZZ",
        "1969-12-31T23:59:59Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:60Z",
        "2026-01-01T00:00:00",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00.1234567890Z",
        "2026-01-01T00:00:00+8:00",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+08:60",
        "2026-01-01T00:00:00+08",
        "2026-01-01T00:00:00Z ",
        "1970-01-01T00:00:00+00:01",
    };
    static const char *const same[] = {
        "2026-01-31T12:00:00.123Z",
        "2026-01-31T12:00:00.1234567Z",
        "2026-01-31T20:00:00.123999999+08:00",
        "2026-01-31T08:30:00.123-03:30",
        "2026-01-31T20:00:00.123+0800",
    };
    int64_t ms = -1;

    assert_int_equal(text_utc_ms(slice_of("1970-01-01T00:00:00Z"), &ms), 0);
    assert_int_equal(ms, 0);
    assert_int_equal(text_utc_ms(slice_of("2024-02-29T23:59:59Z"), &ms), 0);
    assert_int_equal(ms, INT64_C(1709251199000));
    assert_int_equal(text_utc_ms(slice_of("9999-12-31T23:59:59Z"), &ms), 0);
    assert_int_equal(ms, TEXT_TIME_MAX - 999);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_int_equal(text_utc_ms(slice_of(same[i]), &ms), 0);
        assert_int_equal(ms, INT64_C(1769860800123));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(text_utc_ms(slice_of(bad[i]), &ms), -1);
}

TEST(a_number_is_written_as_printf_writes_it)
{
    static const int64_t numbers[] = {0, 7, -7, 10, 99, 100, 1234567890123, INT64_MAX, INT64_MIN};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        char own[TEXT_INT_MAX], want[TEXT_INT_MAX + 1];
        int n = snprintf(want, sizeof want, "%lld", (long long)numbers[i]);

        assert_int_equal(text_int(own, numbers[i]), n);
        assert_memory_equal(own, want, (size_t)n);
    }
}

TEST(the_hash_is_the_same_for_ever)
{
    /* Kept in stores: a change here would turn old messages into strangers. */
    assert_true(text_hash(TEXT_HASH_START, "payresult_notify", 16) == UINT64_C(0x239bc93d6b3e86f4));
    assert_true(text_hash(TEXT_HASH_START, "ab", 2) != text_hash(TEXT_HASH_START, "ab\0", 3));
}

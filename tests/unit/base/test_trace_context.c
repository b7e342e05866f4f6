/* Trace contexts: what is read, what is malformed, what is made, and where one is put. */
#include "base/trace_context.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"
#define PARENT "00-" TRACE "-" SPAN "-01"

static struct trace_context context;

static bool read_parent(const char *parent)
{
    char headers[600];

    snprintf(headers, sizeof headers, "{\"a\":1,\"traceparent\":\"%s\"}", parent);
    return trace_context_read(&context, slice_of(headers));
}

static const char *read_state(const char *state)
{
    char headers[2000];

    snprintf(headers, sizeof headers, "{\"traceparent\":\"" PARENT "\",\"tracestate\":\"%s\"}",
             state);
    assert_true(trace_context_read(&context, slice_of(headers)));
    return context.state;
}

TEST(a_context_is_read)
{
    assert_true(read_parent(PARENT));
    assert_string_equal(context.trace, TRACE);
    assert_string_equal(context.span, SPAN);
    assert_int_equal(context.flags, TRACE_SAMPLED);
    assert_string_equal(context.state, "");
    assert_true(read_parent("00-" TRACE "-" SPAN "-00"));
    assert_int_equal(context.flags, 0);
    assert_true(read_parent("00-" TRACE "-" SPAN "-ff")); /* of the flags those that are known */
    assert_int_equal(context.flags, 3);
}

TEST(a_later_version_may_say_more)
{
    assert_true(read_parent("01-" TRACE "-" SPAN "-01"));
    assert_true(read_parent("cc-" TRACE "-" SPAN "-01-what-will-be"));
    assert_false(read_parent("cc-" TRACE "-" SPAN "-01.what"));
    assert_false(read_parent("00-" TRACE "-" SPAN "-01-more"));
}

TEST(what_is_malformed_is_none)
{
    static const char *const bad[] = {
        "",
        "00",
        "ff-" TRACE "-" SPAN "-01",
        "0X-" TRACE "-" SPAN "-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-" TRACE "-" SPAN "-0g",
        "00-" TRACE "-" SPAN "-1",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
        " " PARENT,
        PARENT " ",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(read_parent(bad[i]));
        assert_false(trace_context_is(&context));
    }
    assert_false(trace_context_read(&context, slice_of("{\"traceparent\":1}")));
    assert_false(trace_context_read(&context, slice_of("[\"traceparent\",\"" PARENT "\"]")));
    assert_false(trace_context_read(&context, slice_of("{\"traceparent\":\"" PARENT "\"")));
    assert_false(trace_context_read(&context, slice_of("{\"Traceparent\":\"" PARENT "\"}")));
    assert_false(
        trace_context_read(&context, slice_of("{\"n\":{\"traceparent\":\"" PARENT "\"}}")));
    assert_false(trace_context_read(&context, slice_of("{}")));
    assert_false(trace_context_read(&context, slice_of(NULL)));
}

TEST(a_state_is_taken_as_it_is_or_not_at_all)
{
    static const char *const good[] = {"rojo=1", "a=1,b=2", "a=1 ,\\tb=2", "t@v/x*_-=a b!",
                                       "a=1,,b=2"};
    static const char *const bad[] = {"",      ",",         "a",   "=1",      "a=",  "A=1",
                                      "a=1=2", "a=\\u0001", "a=ä", "a=1,a=2", "-a=1"};
    char long_one[600];

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(strlen(read_state(good[i])) > 0);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_string_equal(read_state(bad[i]), "");
        assert_string_equal(context.trace, TRACE); /* which says nothing of the trace */
    }
    memset(long_one, 'x', sizeof long_one);
    memcpy(long_one, "k=", 2);
    long_one[258] = '\0';
    assert_int_equal(strlen(read_state(long_one)), 258);
    long_one[258] = 'x';
    long_one[259] = '\0';
    assert_string_equal(read_state(long_one), "");
}

TEST(a_state_has_32_members_at_most)
{
    char state[600] = "";

    for (int i = 0; i < 32; i++)
        snprintf(state + strlen(state), sizeof state - strlen(state), "k%d=v,", i);
    assert_string_equal(read_state(state), state);
    strncat(state, "one=more", sizeof state - strlen(state) - 1);
    assert_string_equal(read_state(state), "");
}

TEST(what_is_made_is_of_what_it_names)
{
    const struct slice one[] = {slice_of("store"), slice_of("1")};
    const struct slice two[] = {slice_of("stor"), slice_of("e1")};
    struct trace_context a, b, c;
    char parent[TRACE_PARENT_LEN + 1], span[TRACE_SPAN_LEN + 1];

    trace_context_make(&a, one, 2);
    trace_context_make(&b, one, 2);
    trace_context_make(&c, two, 2);
    assert_string_equal(a.trace, b.trace);
    assert_string_not_equal(a.trace, c.trace);
    assert_memory_not_equal(a.trace, a.trace + 16, 16);
    trace_context_parent(&a, parent);
    assert_true(read_parent(parent));
    assert_string_equal(context.trace, a.trace);
    assert_string_equal(context.span, a.span);
    assert_int_equal(context.flags, TRACE_SAMPLED);
    trace_context_make_span(span, &a, two, 2);
    assert_string_not_equal(span, a.span);
    assert_int_equal(strlen(span), TRACE_SPAN_LEN);
}

/* What the headers of a message become; NULL: they stay. */
static const char *given(struct buf *room, const char *headers, const char *state)
{
    struct message m = {.headers = slice_of(headers)};

    assert_true(read_parent(PARENT));
    snprintf(context.state, sizeof context.state, "%s", state);
    buf_clear(room);
    if (!trace_context_give(room, &m, &context))
        return NULL;
    assert_int_equal(buf_append(room, "", 1), 0);
    return room->data;
}

TEST(headers_get_one)
{
    struct buf room;

    buf_init(&room, 2 * TRACE_HEADERS_MAX);
    assert_string_equal(given(&room, NULL, ""), "{\"traceparent\":\"" PARENT "\"}");
    assert_string_equal(given(&room, "{ }\n", ""), "{\"traceparent\":\"" PARENT "\"}");
    assert_string_equal(given(&room, " {\"a\":{}} ", "k=v"),
                        "{\"a\":{},\"traceparent\":\"" PARENT "\",\"tracestate\":\"k=v\"}");
    buf_free(&room);
}

TEST(what_the_author_says_stays)
{
    struct buf room;

    buf_init(&room, 2 * TRACE_HEADERS_MAX);
    assert_null(given(&room, "{\"traceparent\":\"mine\"}", ""));
    assert_null(given(&room, "{\"traceparent\":null}", ""));
    assert_null(given(&room, "{\"tracestate\":\"k=v\"}", ""));
    assert_null(given(&room, "[1]", ""));
    assert_null(given(&room, "{\"a\":1", ""));
    buf_free(&room);
}

TEST(one_without_room_gets_none)
{
    static char large[TRACE_HEADERS_MAX + 1];
    struct message m = {.body = {large, MESSAGE_BODY_MAX - 100}};
    struct buf room;

    memset(large, ' ', TRACE_HEADERS_MAX);
    memcpy(large, "{}", 2);
    buf_init(&room, 2 * TRACE_HEADERS_MAX);
    assert_non_null(given(&room, large, ""));
    assert_false(trace_context_give(&room, &m, &context));
    buf_free(&room);
    buf_init(&room, 20);
    assert_null(given(&room, "{\"a\":1}", ""));
    buf_free(&room);
}

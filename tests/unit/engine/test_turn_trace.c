/* Traces of messages and rows: carried on, made where the setting says so, and fixed before the
 * first send. */
#include "scene.h"

#include "check.h"
#include "engine/turn_int.h"

#include <stdio.h>
#include <string.h>

#define TRACE "4bf92f3577b34da6a3ce929d0e0e4736"
#define PARENT "00-" TRACE "-00f067aa0ba902b7-01"
#define CONTEXT "{\"traceparent\":\"" PARENT "\",\"tracestate\":\"k=v\"}"
#define HEAD                                                                                       \
    "local herald = require 'herald'\nherald.subscribe { queue = 'q', retry = { delay = '0s' } "   \
    "}\n"
#define OUT "herald.route { type = 'out', to = herald.fanout 'y'"
#define RULES                                                                                      \
    HEAD OUT " }\nherald.on('in', '*', function(msg, tx)\n"                                        \
             "  herald.log.info('seen', { trace = msg.trace and msg.trace.trace_id or 'none' })\n" \
             "  tx:emit { type = 'out', headers = { a = 1 } }\n"                                   \
             "end)\n"
#define TWO HEAD "herald.route { type = 'out', to = { herald.fanout 'y', herald.fanout 'z' } }\n"
#define FAILING HEAD OUT " }\nherald.on('in', '*', function(msg) error('no') end)\n"
#define HEADERS "select group_concat(ifnull(headers, '-'), ' ') from herald_outbox"
#define MADE                                                                                       \
    "select headers glob '*\"traceparent\":\"00-*-01\"*' from herald_outbox order by id limit 1"
#define ADD "insert into herald_outbox(type) values ('out')"

static void begin(struct scene *s, const char *rules, enum trace_mode mode)
{
    scene_setup(s);
    scene_begin(s, rules, "select 1;");
    s->settings.trace_context = mode;
}

static void keep(struct scene *s)
{
    begin(s, RULES, TRACE_KEEP);
}

static void make(struct scene *s)
{
    begin(s, RULES, TRACE_MAKE);
}

static void off(struct scene *s)
{
    begin(s, RULES, TRACE_OFF);
}

static void make_two(struct scene *s)
{
    begin(s, TWO, TRACE_MAKE);
}

static void failing(struct scene *s)
{
    begin(s, FAILING, TRACE_KEEP);
}

static void deliver(struct scene *s, const char *id, const char *headers)
{
    scene_deliver(s, id, "in", "{}");
    s->deliveries[s->n_deliveries - 1].delivery.message.headers = slice_of(headers);
}

/* The headers of the first row, in memory of the test's. */
static void copy_headers(struct scene *s, char out[1000])
{
    snprintf(out, 1000, "%s",
             scene_sql(s, "select headers from herald_outbox order by id limit 1"));
}

TEST_FROM(scene, keep, an_emit_is_of_the_trace_of_its_message)
{
    char headers[1000];

    deliver(f, "m-1", CONTEXT);
    scene_run(f);
    copy_headers(f, headers);
    assert_non_null(strstr(headers, "{\"a\":1,\"traceparent\":\"00-" TRACE "-"));
    assert_null(strstr(headers, "00f067aa0ba902b7")); /* but of a span of its own */
    assert_non_null(strstr(headers, "-01\",\"tracestate\":\"k=v\"}"));
    assert_non_null(strstr(f->headers, headers));
    assert_non_null(strstr(scene_log(f), " trace=" TRACE));
    assert_non_null(strstr(scene_log(f), "trace_id=" TRACE));
}

TEST_FROM(scene, keep, nothing_is_made)
{
    deliver(f, "m-1", "{\"traceparent\":\"no\"}");
    scene_sql(f, ADD);
    scene_run(f);
    assert_sql(f, HEADERS, "- {\"a\":1}");
    assert_string_equal(f->headers, "- {\"a\":1} ");
    assert_null(strstr(scene_log(f), "trace_id="));
    assert_non_null(strstr(scene_log(f), "trace=none"));
}

TEST_FROM(scene, off, nothing_is_looked_at)
{
    deliver(f, "m-1", CONTEXT);
    scene_run(f);
    assert_sql(f, HEADERS, "{\"a\":1}");
    assert_null(strstr(scene_log(f), "trace_id="));
}

TEST_FROM(scene, make, a_row_gets_one_before_its_first_send)
{
    char headers[1000];

    scene_sql(f, "insert into herald_outbox(type, headers) values ('out', '{\"a\":1}')");
    scene_run(f);
    assert_sql(f, MADE, "1");
    copy_headers(f, headers);
    assert_memory_equal(f->headers, headers, strlen(headers)); /* which went out */
    assert_string_equal(f->published, "1>y ");
    scene_answer(f, 1, PUBLISH_UNKNOWN, "the connection is gone");
    scene_run(f);
    f->settings.trace_context = TRACE_KEEP;
    scene_restart(f);
    scene_run(f);
    assert_sql(f, "select headers from herald_outbox", headers);
    assert_non_null(strstr(scene_log(f), "trace_id="));
}

TEST_FROM(scene, make, a_message_gets_one)
{
    char headers[1000];

    deliver(f, "m-1", NULL);
    scene_run(f);
    assert_sql(f, MADE, "1");
    copy_headers(f, headers);
    assert_non_null(strstr(scene_log(f), "trace_id="));
    assert_null(strstr(scene_log(f), "trace=none"));
}

TEST_FROM(scene, make, what_has_one_keeps_it)
{
    scene_sql(f, "insert into herald_outbox(type, headers) values ('out', '" CONTEXT "')");
    scene_run(f);
    assert_sql(f, HEADERS, CONTEXT);
}

TEST_FROM(scene, keep, what_may_have_been_sent_gets_none_later)
{
    scene_sql(f, ADD);
    scene_run(f);
    f->settings.trace_context = TRACE_MAKE;
    scene_answer(f, 1, PUBLISH_UNKNOWN, "the connection is gone");
    scene_run(f);
    assert_sql(f, HEADERS, "-");
    scene_restart(f);
    scene_run(f);
    assert_sql(f, HEADERS, "-");
}

/* It was in flight when the process died. */
TEST_FROM(scene, keep, what_was_in_flight_before_gets_none)
{
    scene_sql(f, ADD);
    scene_run(f);
    scene_restart(f);
    f->settings.trace_context = TRACE_MAKE;
    scene_run(f);
    assert_string_equal(f->headers, "- - ");
    assert_sql(f, HEADERS, "-");
}

TEST_FROM(scene, make, a_row_that_has_no_room_gets_one_when_it_goes)
{
    snprintf(f->full, sizeof f->full, "y");
    scene_sql(f, ADD);
    scene_run(f);
    assert_sql(f, HEADERS, "-");
    f->full[0] = '\0';
    scene_run(f);
    assert_sql(f, MADE, "1");
}

TEST_FROM(scene, make_two, all_legs_are_of_one_trace)
{
    scene_sql(f, ADD);
    scene_run(f);
    assert_sql(f, MADE, "1");
    assert_sql(f, "select count(distinct headers) || count(*) from herald_outbox", "12");
}

TEST_FROM(scene, make, a_row_is_traced_with_its_format)
{
    scene_swap(f, scene_load(f, HEAD OUT ", format = 'cap' }\n"), 2);
    scene_sql(f, ADD);
    scene_run(f);
    assert_sql(f, MADE, "1");
    assert_sql(f, "select headers glob '*cap-msg-id*' from herald_outbox", "1");
}

/* docs/design.md#trace-context */
TEST_FROM(scene, make, headers_that_cannot_be_read_are_no_reason_to_fail)
{
    scene_sql(f, "insert into herald_outbox(type, headers) values ('out', '[1')");
    scene_run(f);
    assert_sql(f, HEADERS, "[1");
}

TEST_FROM(scene, failing, a_retry_and_a_letter_keep_it)
{
    deliver(f, "m-1", CONTEXT);
    f->settings.retry.attempts = 2;
    scene_run(f);
    f->now_ms += 3600000;
    for (int i = 0; i < 12; i++, f->now_ms += 3600000)
        scene_run(f);
    assert_sql(f, "select headers from herald_dead", CONTEXT);
    assert_non_null(strstr(scene_log(f), "message.retry"));
    assert_non_null(strstr(strstr(scene_log(f), "message.dead"), "trace_id=" TRACE));
}

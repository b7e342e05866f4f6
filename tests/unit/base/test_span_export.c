/* Spans on their way out: all that a sink takes, what it does not take, and what finds no room. */
#include "base/span_export.h"

#include "base/buf.h"
#include "base/json.h"
#include "base/span.h"
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A sink that answers as it is told, and waits until it may. */
struct sink {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    int code;
    bool held;
    int tries, closed;
    char last[4096];
    struct span_export *export;
};

static int take(void *arg, const char *line, size_t len, atomic_bool *hurry, struct err *err)
{
    struct sink *s = arg;
    int code;

    (void)hurry;
    pthread_mutex_lock(&s->mutex);
    s->tries++;
    pthread_cond_broadcast(&s->changed);
    while (s->held)
        pthread_cond_wait(&s->changed, &s->mutex);
    snprintf(s->last, sizeof s->last, "%.*s", (int)len, line);
    code = s->code;
    pthread_mutex_unlock(&s->mutex);
    return code == OK ? OK : err_set(err, code, "not now");
}

static void close_sink(void *arg)
{
    ((struct sink *)arg)->closed++;
}

static void sink_setup(struct sink *s)
{
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->changed, NULL);
    s->export = span_export_start(&(struct span_sink){take, close_sink, s}, "shop");
    assert_non_null(s->export);
}

static void sink_teardown(struct sink *s)
{
    span_export_stop(&s->export, 1000);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->mutex);
}

static void hold(struct sink *s, bool held)
{
    pthread_mutex_lock(&s->mutex);
    s->held = held;
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
}

static void wait_for_try(struct sink *s)
{
    pthread_mutex_lock(&s->mutex);
    while (s->tries == 0)
        pthread_cond_wait(&s->changed, &s->mutex);
    pthread_mutex_unlock(&s->mutex);
}

TEST_WITH(sink, a_stop_sends_what_waits_in_one_request)
{
    span_export_put(f->export, "{\"a\":1}", 7, 1);
    span_export_put(f->export, "{\"b\":2},{\"c\":3}", 15, 2);
    span_export_stop(&f->export, 10000);
    assert_int_equal(f->tries, 1);
    assert_int_equal(f->closed, 1);
    assert_non_null(strstr(f->last, "\"stringValue\":\"shop\""));
    assert_non_null(strstr(f->last, "\"spans\":[{\"a\":1},{\"b\":2},{\"c\":3}]}]}]}\n"));
}

TEST_WITH(sink, what_it_never_takes_is_dropped)
{
    f->code = ERR_INPUT;
    span_export_put(f->export, "{}", 2, 3);
    while (span_export_dropped(f->export) == 0)
        usleep(1000);
    assert_int_equal(span_export_dropped(f->export), 3);
    assert_int_equal(span_export_sent(f->export), 0);
    assert_int_equal(f->tries, 1);
}

TEST_WITH(sink, what_finds_no_room_is_dropped_and_nobody_waits)
{
    char *much = malloc(SPAN_EXPORT_MAX);

    assert_non_null(much);
    memset(much, ' ', SPAN_EXPORT_MAX);
    hold(f, true);
    span_export_put(f->export, "{}", 2, 1);
    wait_for_try(f);
    span_export_put(f->export, much, SPAN_EXPORT_MAX - 10, 5);
    span_export_put(f->export, much, 20, 7);
    assert_int_equal(span_export_dropped(f->export), 7);
    span_export_drop(f->export, 1);
    assert_int_equal(span_export_dropped(f->export), 8);
    hold(f, false);
    while (span_export_sent(f->export) < 6)
        usleep(1000);
    free(much);
}

TEST_WITH(sink, a_stop_does_not_try_for_ever)
{
    f->code = ERR_IO;
    span_export_put(f->export, "{}", 2, 1);
    wait_for_try(f);
    span_export_stop(&f->export, 10000);
    assert_int_equal(f->tries, 1);
}

TEST(none_is_fine)
{
    struct span_export *none = NULL;

    assert_int_equal(span_export_sent(none), 0);
    assert_int_equal(span_export_dropped(none), 0);
    span_export_tell(none, NULL);
    span_export_stop(&none, 0);
}

TEST(a_file_has_a_line_for_each_request)
{
    char path[] = "/tmp/herald-spans-XXXXXX", read_back[64] = "";
    int fd = mkstemp(path);
    struct span_sink sink;
    atomic_bool hurry = false;
    struct err err = {0};

    assert_true(fd >= 0);
    assert_int_equal(span_file_open(&sink, path, &err), OK);
    assert_int_equal(sink.send(sink.arg, "one\n", 4, &hurry, &err), OK);
    assert_int_equal(sink.send(sink.arg, "two\n", 4, &hurry, &err), OK);
    sink.close(sink.arg);
    assert_int_equal(read(fd, read_back, sizeof read_back - 1), 8);
    assert_string_equal(read_back, "one\ntwo\n");
    close(fd);
    unlink(path);
    assert_int_equal(span_file_open(&sink, "/nowhere/at/all", &err), ERR_CONFIG);
    assert_int_equal(span_file_open(&sink, "/dev/full", &err), OK);
    assert_int_equal(sink.send(sink.arg, "one\n", 4, &hurry, &err), ERR_IO);
    sink.close(sink.arg);
}

TEST(a_span_is_json_with_the_words_of_the_conventions)
{
    struct trace_context c;
    struct buf b, tape;
    struct json j;
    struct err err = {0};

    assert_true(trace_context_read(
        &c,
        slice_of("{\"traceparent\":\"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\"}")));
    buf_init(&b, 4096);
    buf_init(&tape, 65536);
    span_begin(&b, &(struct span){.operation = SPAN_PROCESS,
                                  .context = &c,
                                  .id = "0123456789abcdef",
                                  .system = "rabbitmq",
                                  .exchange = slice_of("x"),
                                  .routing_key = slice_of("q"),
                                  .queue = slice_of("q"),
                                  .message_id = slice_of("m\"1"),
                                  .start_us = 1700000000000001});
    span_end(&b, 1700000000000002, "it \"failed\"");
    assert_int_equal(json_parse(&j, &tape, b.data, b.len, &err), OK);
    assert_true(slice_is(json_member_text(&j, "traceId"), "4bf92f3577b34da6a3ce929d0e0e4736"));
    assert_true(slice_is(json_member_text(&j, "parentSpanId"), "00f067aa0ba902b7"));
    assert_true(slice_is(json_member_text(&j, "name"), "process x:q"));
    assert_true(slice_is(json_member_text(&j, "startTimeUnixNano"), "1700000000000001000"));
    assert_true(slice_is(json_member_text(&j, "endTimeUnixNano"), "1700000000000002000"));
    assert_non_null(memmem(b.data, b.len, "\"kind\":5", 8));
    assert_non_null(memmem(b.data, b.len, "\"code\":2", 8));
    buf_free(&b);
    buf_free(&tape);
}

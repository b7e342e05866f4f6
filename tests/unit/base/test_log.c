/* Log lines as they come out: quoting, levels, held lines. */
#include "base/log.h"

#include "check.h"

#include <string.h>
#include <unistd.h>

static int64_t some_time(void *arg)
{
    (void)arg;
    return INT64_C(1700000000123);
}

struct scene {
    int pipe[2];
    struct log *log;
    char text[4096];
};

static void begin(struct scene *s, enum log_level level, enum log_format format)
{
    struct clock clock = {.wall_ms = some_time, .mono_ms = some_time};

    assert_int_equal(pipe(s->pipe), 0);
    s->log = log_new(s->pipe[1], level, format, clock);
    assert_non_null(s->log);
}

static void end(struct scene *s, const char *want)
{
    ssize_t n;

    log_free(&s->log);
    close(s->pipe[1]);
    n = read(s->pipe[0], s->text, sizeof s->text - 1);
    s->text[n > 0 ? n : 0] = '\0';
    close(s->pipe[0]);
    assert_string_equal(s->text, want);
}

TEST(values_are_quoted_where_a_line_would_break)
{
    struct scene s;

    begin(&s, LOG_INFO, LOG_LOGFMT);
    log_event(s.log, LOG_INFO, "link.up",
              LOG_FIELDS(log_text("host", "127.0.0.1"), log_int("port", 5672),
                         log_text("why", "a \"b\"\nc"), log_text("none", NULL)));
    log_event(s.log, LOG_DEBUG, "not.seen", LOG_NO_FIELDS);
    end(&s, "2023-11-14T22:13:20.123Z info  link.up host=127.0.0.1 port=5672 "
            "why=\"a \\\"b\\\"\\nc\" none=\"\"\n");
}

TEST(json_lines_are_json)
{
    struct scene s;

    begin(&s, LOG_DEBUG, LOG_JSON);
    log_event(s.log, LOG_ERROR, "x", LOG_FIELDS(log_text("name", "支付"), log_int("n", -1)));
    end(&s, "{\"at\":\"2023-11-14T22:13:20.123Z\",\"level\":\"error\",\"event\":\"x\","
            "\"name\":\"支付\",\"n\":-1}\n");
}

TEST(held_lines_wait_for_the_commit_or_go_with_the_rollback)
{
    struct scene s;

    begin(&s, LOG_INFO, LOG_LOGFMT);
    log_buffer(s.log);
    log_event(s.log, LOG_INFO, "rolled.back", LOG_NO_FIELDS);
    log_drop(s.log);
    log_buffer(s.log);
    log_event(s.log, LOG_INFO, "committed", LOG_NO_FIELDS);
    log_release(s.log);
    end(&s, "2023-11-14T22:13:20.123Z info  committed\n");
}

TEST(a_line_has_a_ceiling_and_stays_a_line)
{
    static char big[40000];
    struct scene s;

    memset(big, 'x', sizeof big - 1);
    begin(&s, LOG_INFO, LOG_LOGFMT);
    log_event(s.log, LOG_INFO, "x", LOG_FIELDS(log_text("a", "1"), log_text("big", big)));
    end(&s, "2023-11-14T22:13:20.123Z info  x a=1\n");
}

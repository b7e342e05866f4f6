/* A log that serves a router: nobody waits for who reads it, and floods are counted, not written.
 */
#include "base/log.h"

#include "check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FLOOD = 40000, TEXT_MAX_BYTES = 4 * 1024 * 1024 };

struct scene {
    int pipe[2];
    int64_t mono_ms;
    struct log *log;
    char *text; /* all that came out */
};

static int64_t some_time(void *arg)
{
    (void)arg;
    return INT64_C(1700000000123);
}

static int64_t mono_of(void *arg)
{
    return ((struct scene *)arg)->mono_ms;
}

static void begin(struct scene *s, int fd)
{
    struct clock clock = {.wall_ms = some_time, .mono_ms = mono_of, .arg = s};

    assert_int_equal(pipe(s->pipe), 0);
    s->mono_ms = 1000;
    s->text = calloc(1, TEXT_MAX_BYTES);
    s->log = log_new(fd >= 0 ? fd : s->pipe[1], LOG_INFO, LOG_LOGFMT, clock);
    assert_non_null(s->text);
    assert_non_null(s->log);
    assert_int_equal(log_serve(s->log), 0);
}

/* Reads what is in the pipe while something may still come. */
static void end(struct scene *s)
{
    size_t len = strlen(s->text);
    ssize_t n;

    log_free(&s->log);
    close(s->pipe[1]);
    while ((n = read(s->pipe[0], s->text + len, TEXT_MAX_BYTES - 1 - len)) > 0)
        len += (size_t)n;
    close(s->pipe[0]);
}

static void scene_setup(struct scene *s)
{
    begin(s, -1);
}

static void scene_teardown(struct scene *s)
{
    if (s->log != NULL)
        end(s);
    free(s->text);
}

static size_t count(const char *text, const char *word)
{
    size_t n = 0;

    for (const char *p = strstr(text, word); p != NULL; p = strstr(p + 1, word))
        n++;
    return n;
}

TEST_WITH(scene, a_pipe_that_nobody_reads_holds_nobody)
{
    for (int i = 0; i < FLOOD; i++)
        log_always(f->log, LOG_INFO, "script.log", LOG_FIELDS(log_int("n", i)));
    assert_true(log_dropped(f->log) > 0);
    end(f); /* gives up on the pipe, which holds 64 KiB of whole lines */
    assert_true(count(f->text, "script.log n=") > 100);
    assert_int_equal(f->text[strlen(f->text) - 1], '\n');
}

static void read_until(struct scene *s, const char *word)
{
    size_t len = strlen(s->text);

    while (strstr(s->text, word) == NULL) {
        ssize_t n = read(s->pipe[0], s->text + len, TEXT_MAX_BYTES - 1 - len);

        assert_true(n > 0);
        len += (size_t)n;
    }
}

/* The sum of all counts that are told by lines with this field. */
static long long told(const char *text, const char *field)
{
    long long sum = 0;

    for (const char *p = strstr(text, field); p != NULL; p = strstr(p + 1, field))
        sum += atoll(p + strlen(field));
    return sum;
}

TEST_WITH(scene, lines_that_were_dropped_are_counted_and_said)
{
    for (int i = 0; i < FLOOD; i++)
        log_always(f->log, LOG_INFO, "script.log", LOG_FIELDS(log_int("n", i)));
    read_until(f, "log.dropped"); /* somebody reads at last */
    log_always(f->log, LOG_INFO, "the.end", LOG_NO_FIELDS);
    read_until(f, "the.end\n");
    assert_int_equal((long long)count(f->text, "script.log") + told(f->text, "log.dropped lines="),
                     FLOOD);
    assert_int_equal(told(f->text, "log.dropped lines="), log_dropped(f->log));
    end(f);
}

TEST_WITH(scene, a_full_disk_under_the_log_is_no_reason_to_stop)
{
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    scene_teardown(f);
    begin(f, fd);
    log_event(f->log, LOG_ERROR, "one", LOG_NO_FIELDS);
    log_flush(f->log);
    assert_int_equal(log_dropped(f->log), 1);
    end(f);
    close(fd);
}

static void say_failure(struct scene *s, int message, const char *queue, const char *reason)
{
    char id[40];

    snprintf(id, sizeof id, "m%d", message);
    log_event(s->log, LOG_WARN, "message.retry",
              LOG_FIELDS(log_text("message_id", id), log_text("queue", queue),
                         log_text("reason", reason)));
}

TEST_WITH(scene, a_flood_of_one_kind_is_written_a_few_times_a_second)
{
    char reason[80];

    for (int i = 0; i < 1000; i++) {
        snprintf(reason, sizeof reason, "rules/a.lua:3: no choice '%d'", i);
        say_failure(f, i, "orders", reason);
    }
    say_failure(f, 1, "orders", "something else");
    say_failure(f, 2, "mails", "rules/a.lua:3: no choice '1'");
    f->mono_ms += 1000;
    log_tell(f->log);
    say_failure(f, 3, "orders", "rules/a.lua:3: no choice '7'");
    end(f);
    assert_int_equal(count(f->text, "no choice"), 5 + 1 + 1 + 1); /* once in the count */
    assert_int_equal(count(f->text, "something else"), 1);
    assert_non_null(strstr(f->text, "warn  log.left_out of=message.retry about=\"queue=orders"));
    assert_non_null(strstr(f->text, "lines=995\n"));
}

TEST_WITH(scene, a_stop_tells_what_was_left_out)
{
    for (int i = 0; i < 7; i++)
        say_failure(f, i, "orders", "no");
    end(f);
    assert_int_equal(count(f->text, "message.retry message_id"), 5);
    assert_non_null(strstr(f->text, "lines=2\n"));
}

/* More kinds than there is room for: each line is written or told of. */
TEST_WITH(scene, many_kinds_are_all_accounted_for)
{
    char queue[40];

    for (int i = 0; i < 4000; i++) {
        snprintf(queue, sizeof queue, "q%d", i % 500);
        say_failure(f, i, queue, "no");
        if (i % 100 == 99) { /* keep the pipe from filling up */
            snprintf(queue, sizeof queue, "round.%d", i);
            log_always(f->log, LOG_INFO, queue, LOG_NO_FIELDS);
            read_until(f, queue);
        }
    }
    end(f);
    assert_int_equal(
        (long long)count(f->text, "message.retry message_id") + told(f->text, " lines="), 4000);
}

TEST_WITH(scene, a_turn_that_is_rolled_back_uses_up_no_share)
{
    log_buffer(f->log);
    for (int i = 0; i < 5; i++)
        say_failure(f, i, "orders", "no");
    log_drop(f->log);
    log_buffer(f->log);
    say_failure(f, 9, "orders", "no");
    log_release(f->log);
    end(f);
    assert_int_equal(count(f->text, "message.retry message_id=m9"), 1);
}

/* A turn that says more than there is room for does not write inside its transaction. */
TEST_WITH(scene, what_a_turn_says_beyond_its_room_is_counted)
{
    static char big[8000];
    char part[4096];
    int64_t held = 0;

    memset(big, 'x', sizeof big - 1);
    fcntl(f->pipe[0], F_SETFL, O_NONBLOCK);
    log_buffer(f->log);
    for (; held < 2 * LOG_BUFFERED_MAX; held += (int64_t)sizeof big)
        log_always(f->log, LOG_INFO, "script.log", LOG_FIELDS(log_text("text", big)));
    log_flush(f->log);
    assert_int_equal(read(f->pipe[0], part, sizeof part), -1); /* nothing yet */
    log_drop(f->log);
    fcntl(f->pipe[0], F_SETFL, 0);
    end(f);
    assert_string_equal(f->text, "");
}

/* running - see running.h. */
#include "running.h"
#include "beside.h"
#include "usual.h"

#include "check.h"
#include "folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PATIENCE_MS = 60000, STEP_MS = 5 };

static void in_folder(struct running *r, const char *name, char path[128])
{
    assert_true(snprintf(path, 128, "%s/%s", r->folder, name) < 128);
}

void running_write(struct running *r, const char *name, const char *text)
{
    folder_write(r->folder, name, text);
}

void running_remove(struct running *r, const char *name)
{
    char path[128];

    in_folder(r, name, path);
    assert_int_equal(remove(path), 0);
}

static void on_closed(void *arg)
{
    ((struct running *)arg)->closed = true;
}

static void on_edited(void *arg)
{
    struct running *r = arg;
    struct buf answer;
    struct err err = {0};

    r->edited++;
    if (!r->follows)
        return;
    buf_init(&answer, 256 * 1024);
    (void)engine_reload(r->engine, &r->request, &answer, &err); /* the engine logs it */
    buf_free(&answer);
}

static int64_t wall_of(void *arg)
{
    const struct clock real = clock_real();

    return clock_wall(&real) + ((struct running *)arg)->ahead_ms +
           ((struct running *)arg)->passed_ms;
}

static int64_t mono_of(void *arg)
{
    const struct clock real = clock_real();

    return clock_mono(&real) + ((struct running *)arg)->passed_ms;
}

static void make_engine(struct running *r)
{
    struct err err = {0};

    r->lent = (struct script_folder){r->folder, ""};
    in_folder(r, "herald.db", r->store);
    r->settings.store = r->store;
    require_ok(engine_new(&r->engine,
                          &(struct engine_host){
                              .loop = &r->loop,
                              .log = r->log,
                              .clock = {.wall_ms = wall_of, .mono_ms = mono_of, .arg = r},
                              .folders = &r->lent,
                              .n_folders = 1,
                              .closed = on_closed,
                              .edited = on_edited,
                              .arg = r,
                          },
                          &r->settings, &err),
               &err);
    require_ok(engine_start(r->engine, &err), &err);
}

void running_begin(struct running *r, const char *rules)
{
    char log[128];

    memset(r, 0, sizeof *r);
    folder_make(r->folder);
    folder_add(r->folder, "lib");
    running_write(r, "migrations/001.sql", "create table t (id text, mark text);");
    running_write(r, "rules/rules.lua", rules);
    in_folder(r, "log", log);
    r->log_fd = open(log, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(r->log_fd >= 0);
    r->log = log_new(r->log_fd, LOG_INFO, LOG_LOGFMT, clock_real());
    assert_non_null(r->log);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    r->settings = usual_settings();
    r->settings.recent_max = 10;
    r->settings.log_level = LOG_INFO;
    r->request = (struct engine_reload){.settings = &r->settings};
    make_engine(r);
}

void running_stop(struct running *r)
{
    engine_stop(r->engine);
    uv_run(&r->loop, UV_RUN_DEFAULT);
    assert_true(r->closed);
    engine_free(&r->engine);
}

void running_start(struct running *r)
{
    r->closed = false;
    make_engine(r);
}

void running_teardown(struct running *r)
{
    if (r->engine == NULL)
        return;
    running_stop(r);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    log_free(&r->log);
    assert_int_equal(close(r->log_fd), 0);
    folder_remove(r->folder);
}

static void on_time(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

void running_for(struct running *r, uint64_t ms)
{
    uv_timer_t timer;
    bool over = false;

    assert_int_equal(uv_timer_init(&r->loop, &timer), 0);
    timer.data = &over;
    assert_int_equal(uv_timer_start(&timer, on_time, ms, 0), 0);
    while (!over)
        uv_run(&r->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&r->loop, UV_RUN_NOWAIT);
}

void running_until(struct running *r, const char *sql, const char *wanted)
{
    for (int waited = 0; strcmp(running_sql(r, sql), wanted) != 0; waited += STEP_MS) {
        if (waited > PATIENCE_MS)
            fail_msg("%s: it is \"%s\" instead of \"%s\"", sql, running_sql(r, sql), wanted);
        running_for(r, STEP_MS);
    }
}

const char *running_sql(struct running *r, const char *sql)
{
    return beside_sql(r->folder, sql);
}

const char *running_reload(struct running *r, int wanted_code)
{
    static char out[256 * 1024]; /* a trial keeps some of it for what follows */
    struct buf answer;
    struct err err = {0};
    int rc;

    buf_init(&answer, sizeof out - 1);
    rc = engine_reload(r->engine, &r->request, &answer, &err);
    snprintf(out, sizeof out, "%.*s", (int)answer.len, answer.data ? answer.data : "");
    buf_free(&answer);
    if (rc != wanted_code)
        fail_msg("%s instead of %s: %s", err_word(rc), err_word(wanted_code), err.text);
    if (rc != OK)
        snprintf(out, sizeof out, "%s", err.text);
    return out;
}

const char *running_log(struct running *r)
{
    static char out[65536];
    ssize_t n = pread(r->log_fd, out, sizeof out - 1, 0);

    assert_true(n >= 0);
    out[n] = '\0';
    return out;
}

void assert_has(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no \"%s\" in: %s", part, text);
}

void assert_no(const char *text, const char *part)
{
    if (strstr(text, part) != NULL)
        fail_msg("\"%s\" stands in: %s", part, text);
}

/* rules_watch: whatever editors and tools do to the files is told, once. */
#include "check.h"
#include "engine/rules_watch.h"
#include "folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SETTLED_MS = 450, STEPS_MAX = 6000, LOOKED_MS = 2700 };

struct scene {
    char folder[64];
    uv_loop_t loop;
    struct log *log;
    FILE *said; /* what was logged */
    struct rules_watch *watch;
    int told;
};

static void on_change(void *arg)
{
    ((struct scene *)arg)->told++;
}

static void shell(struct scene *s, const char *command)
{
    char line[512];

    snprintf(line, sizeof line, "cd '%s' && %s", s->folder, command);
    assert_int_equal(system(line), 0);
}

static void scene_setup(struct scene *s)
{
    folder_make(s->folder);
    shell(s, "mkdir -p rules lib/deep && echo 1 > rules/a.lua && echo 1 > lib/deep/b.lua");
    s->said = tmpfile();
    assert_non_null(s->said);
    s->log = log_new(fileno(s->said), LOG_INFO, LOG_LOGFMT, clock_real());
    assert_non_null(s->log);
    assert_int_equal(uv_loop_init(&s->loop), 0);
}

static void start(struct scene *s)
{
    const char *folders[] = {s->folder};
    struct err err = {0};

    assert_int_equal(rules_watch_start(&s->watch, &s->loop, s->log, folders, 1, on_change, s, &err),
                     OK);
}

static void scene_teardown(struct scene *s)
{
    rules_watch_stop(&s->watch);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s->loop), 0);
    log_free(&s->log);
    assert_int_equal(fclose(s->said), 0);
    folder_remove(s->folder);
}

static void on_time(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
    uv_stop(timer->loop);
}

static void wait_ms(struct scene *s, uint64_t ms)
{
    uv_timer_t timer;

    uv_update_time(&s->loop);
    assert_int_equal(uv_timer_init(&s->loop, &timer), 0);
    assert_int_equal(uv_timer_start(&timer, on_time, ms, 0), 0);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    uv_run(&s->loop, UV_RUN_NOWAIT);
}

/* Does it, waits until it was told as often as that, and for as long as it may take to be told
 * once too often. */
static void after(struct scene *s, const char *command, uint64_t ms, int wanted)
{
    s->told = 0;
    shell(s, command);
    for (int step = 0; s->told < wanted && step < STEPS_MAX; step++)
        wait_ms(s, 10);
    wait_ms(s, ms);
    if (s->told != wanted)
        fail_msg("told %d times instead of %d: %s", s->told, wanted, command);
}

TEST_WITH(scene, every_kind_of_change_is_told)
{
    start(f);
    after(f, "true", LOOKED_MS, 0);
    after(f, "echo 2 > rules/a.lua", SETTLED_MS, 1);
    after(f, "echo 3 > rules/.a.lua.swp && mv rules/.a.lua.swp rules/a.lua", SETTLED_MS, 1);
    after(f, "mv rules/a.lua rules/c.lua", SETTLED_MS, 1);
    after(f, "rm rules/c.lua", SETTLED_MS, 1);
    after(f, "echo 2 > lib/deep/b.lua", SETTLED_MS, 1);
    after(f, "cat rules/* lib/deep/b.lua > all 2>&1 || true", SETTLED_MS, 0); /* only read */
}

TEST_WITH(scene, many_changes_are_told_once)
{
    start(f);
    after(f, "for i in 1 2 3 4 5 6 7 8 9; do echo $i > rules/$i.lua; sleep 0.02; done", SETTLED_MS,
          1);
}

TEST_WITH(scene, folders_come_and_go)
{
    start(f);
    after(f, "mkdir lib/new", SETTLED_MS, 1);
    after(f, "echo 1 > lib/new/x.lua", SETTLED_MS, 1);
    after(f, "rm -r rules lib", SETTLED_MS, 1);
    after(f, "mkdir rules lib", LOOKED_MS, 1);
    after(f, "echo 1 > rules/a.lua", SETTLED_MS, 1);
    /* another folder under the same name, as a deployment makes it */
    after(f, "mkdir next && echo 1 > next/a.lua && mv rules old && mv next rules", SETTLED_MS, 1);
    after(f, "echo 2 > rules/a.lua", SETTLED_MS, 1);
    after(f, "echo 2 > old/a.lua", SETTLED_MS, 0);
}

TEST_WITH(scene, change_while_told_is_told_again)
{
    start(f);
    after(f, "echo 2 > rules/a.lua && (sleep 0.3; echo 3 > rules/a.lua) &", 1000, 2);
}

TEST_WITH(scene, machine_that_cannot_watch_is_a_warning)
{
    struct rlimit limit, none;
    char text[1024];
    size_t n;

    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = limit;
    none.rlim_cur = 3; /* for inotify's own descriptor there is no room */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    start(f);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    rewind(f->said);
    n = fread(text, 1, sizeof text - 1, f->said);
    text[n] = '\0';
    assert_non_null(strstr(text, "warn  rules.unwatched folder="));
    assert_non_null(strstr(text, "herald reload"));
    /* it watches as soon as it can, and takes it that something has changed */
    after(f, "true", LOOKED_MS, 1);
    after(f, "echo 2 > rules/a.lua", SETTLED_MS, 1);
}

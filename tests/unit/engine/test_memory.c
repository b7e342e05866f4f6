/* docs/faults.md#f27: the nth request for memory fails, in SQLite, in Lua and in herald itself,
 * alone or with all that follow: the turn is undone and tried again, nothing counts as an attempt,
 * see ordeal.h for what must hold. HERALD_LONG=1 takes more of them. */
#include "ordeal.h"

#include "check.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

enum whose { OF_SQLITE, OF_LUA, OF_HERALD };

/* The allocators know no argument, so there is one plan. */
static struct {
    bool on;
    enum whose whose;
    bool stays; /* until it is healed */
    long nth;   /* 0: none */
    long passed;
    long failed;
} plan;

static bool fails(enum whose whose)
{
    if (!plan.on || plan.whose != whose)
        return false;
    plan.passed++;
    if (plan.nth == 0 || plan.passed < plan.nth || (plan.passed > plan.nth && !plan.stays))
        return false;
    plan.failed++;
    return true;
}

static void arm(bool on)
{
    plan.on = on;
}

static void heal(void)
{
    plan.nth = 0;
}

/* --- the allocators --- */

static sqlite3_mem_methods sqlite_below;

static void *sqlite_malloc(int size)
{
    return fails(OF_SQLITE) ? NULL : sqlite_below.xMalloc(size);
}

static void *sqlite_realloc(void *p, int size)
{
    return fails(OF_SQLITE) ? NULL : sqlite_below.xRealloc(p, size);
}

static void wrap_sqlite(void)
{
    sqlite3_mem_methods wrapped;

    assert_int_equal(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_below), SQLITE_OK);
    wrapped = sqlite_below;
    wrapped.xMalloc = sqlite_malloc;
    wrapped.xRealloc = sqlite_realloc;
    assert_int_equal(sqlite3_config(SQLITE_CONFIG_MALLOC, &wrapped), SQLITE_OK);
}

static void *lua_memory(void *arg, void *p, size_t size)
{
    (void)arg;
    if (size > 0)
        return fails(OF_LUA) ? NULL : realloc(p, size);
    free(p);
    return NULL;
}

/* What herald's own objects call instead (ld --wrap, see CMakeLists.txt). */
void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
    return fails(OF_HERALD) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails(OF_HERALD) ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t size)
{
    return fails(OF_HERALD) ? NULL : __real_realloc(p, size);
}

/* --- the tests --- */

/* Before SQLite is opened for the first time. */
static void begin(struct ordeal *o)
{
    if (sqlite_below.xMalloc == NULL)
        wrap_sqlite();
    ordeal_setup(o);
}

static void run(struct ordeal *o, long nth)
{
    plan.nth = nth;
    plan.passed = plan.failed = 0;
    ordeal_run(o);
    assert_int_equal(o->lost, 0);
}

/* Some tens of requests, evenly over a run, alone and with all that follow. */
static void fail_everywhere(struct ordeal *o, enum whose whose, const char *name)
{
    long total, stride, runs = 0, pauses = 0, starts = 0;

    o->arm = arm;
    o->heal = heal;
    o->scene.memory = lua_memory;
    ordeal_start(o);
    plan.whose = whose;
    run(o, 0); /* the first run needs most of all */
    total = plan.passed;
    assert_true(total > 0);
    stride = 1 + total / (getenv("HERALD_LONG") != NULL ? 1000 : 30);
    for (int way = 0; way < 4; way++) {
        plan.stays = way & 1;
        o->dies_at_pause = way & 2;
        for (long nth = 1 + way * stride / 4; nth <= total; nth += stride) {
            run(o, nth);
            runs++;
            pauses += o->pauses;
            starts += o->starts;
        }
    }
    print_message("%s: %ld requests a run, %ld runs, %ld pauses, %ld starts\n", name, total, runs,
                  pauses, starts);
    assert_true(pauses > 0);
}

/* Opens the store, and closes it. Answers how many requests that took. */
static long try_open(const struct ordeal *o, long nth, int *code_out)
{
    char path[128];
    struct db_settings settings = {
        .path = path, .exclusive = true, .log = o->scene.log, .clock = clock_real()};
    struct err err = {0};
    struct db *db;

    snprintf(path, sizeof path, "%s/herald.db", o->scene.folder);
    plan.nth = nth;
    plan.passed = plan.failed = 0;
    plan.on = true;
    *code_out = db_open(&db, &settings, &err);
    plan.on = false;
    assert_true((db == NULL) == (*code_out != OK));
    if (*code_out != OK && *code_out != ERR_NOMEM)
        fail_msg("%s: %s", err_word(*code_out), err.text);
    db_close(&db);
    return plan.passed;
}

TEST_ON(struct ordeal, begin, ordeal_teardown, faults_27_a_store_opens_or_does_not)
{
    int code;

    ordeal_run(f);
    scene_stop(&f->scene); /* the reader stays: what follows is no recovery */
    for (int way = 0; way < 4; way++) {
        long total, stride, refused = 0;

        plan.whose = way & 1 ? OF_HERALD : OF_SQLITE;
        plan.stays = way & 2;
        total = try_open(f, 0, &code);
        assert_int_equal(code, OK);
        stride = 1 + total / (getenv("HERALD_LONG") != NULL ? 1000 : 40);
        for (long nth = 1; nth <= total; nth += stride) {
            try_open(f, nth, &code);
            refused += code == ERR_NOMEM;
        }
        assert_true(refused > 0);
    }
    scene_start(&f->scene);
    ordeal_run(f);
}

TEST_ON(struct ordeal, begin, ordeal_teardown, faults_27_sqlite_gets_no_memory)
{
    fail_everywhere(f, OF_SQLITE, "SQLite");
}

TEST_ON(struct ordeal, begin, ordeal_teardown, faults_27_lua_gets_no_memory)
{
    fail_everywhere(f, OF_LUA, "Lua");
}

TEST_ON(struct ordeal, begin, ordeal_teardown, faults_27_herald_gets_no_memory)
{
    fail_everywhere(f, OF_HERALD, "herald");
}

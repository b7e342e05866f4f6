/* The inbox costs the same however many ids it knows: what a turn does with it is timed
 * with few and with many. HERALD_LONG=1 makes it ten million. */
#include "store.h"

#include "store/inbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { FEW = 10000, MANY = 300000, MANY_LONG = 10000000, TURN = 200, TURNS = 50 };

#define WINDOW INT64_C(604800000)

static int64_t now_us(void)
{
    struct timespec t = {0};

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* Rows 1..n as if entered evenly over two windows before `end_ms`; every 1000th is dead.
 * The keys come in no order, as ids of many producers do. */
static void fill(struct store *s, int from, int n, int64_t end_ms)
{
    char sql[640];

    snprintf(sql, sizeof sql,
             "with recursive c(i) as (select %d union all select i + 1 from c where i < %d) "
             "insert into herald_inbox(seq, queue, message_id, state, fingerprint, at) "
             "select i, 'q', printf('%%08x-%%d', (i * 2654435761) & 4294967295, i), "
             "case when i %% 1000 = 0 then 2 else 0 end, i, %lld - (%d - i) * (%lld / %d) from c",
             from, n, (long long)end_ms, n, (long long)(2 * WINDOW), n);
    other_exec(s, sql);
}

struct costs {
    double enter_us, repeat_us, care_us; /* of one call */
    double worst_care_us;
};

static void enter(struct store *s, const char *prefix, int i, int64_t now_ms, bool known)
{
    struct inbox_seen seen;
    char id[64];

    snprintf(id, sizeof id, "%08x-%s%d", (unsigned)i * 2654435761U, prefix, i);
    assert_ok(s, inbox_enter(s->db, slice_of("q"), slice_of(id), (struct fingerprint){1, 2}, now_ms,
                             &seen, &s->err));
    assert_int_equal(seen.known, known);
}

/* As in turns: some messages, some repeats, a little care; one bucket is being removed. */
static struct costs measure(struct store *s, const char *prefix, int64_t now_ms)
{
    struct inbox_care care = {.window_ms = WINDOW, .now_ms = now_ms};
    struct costs c = {0};
    bool more;

    assert_ok(s, db_begin(s->db, &s->err)); /* its time has run, for a bucket */
    care.passed_ms = inbox_bucket_ms(WINDOW);
    assert_ok(s, inbox_care(s->db, &care, 1, &more, &s->err));
    assert_true(more);
    assert_ok(s, db_commit(s->db, &s->err));
    care.passed_ms = 0;
    for (int turn = 0; turn < TURNS; turn++) {
        int64_t a, b, d, e;

        assert_ok(s, db_begin(s->db, &s->err));
        a = now_us();
        for (int i = 0; i < TURN; i++)
            enter(s, prefix, turn * TURN + i, now_ms, false);
        b = now_us();
        for (int i = 0; i < TURN; i++)
            enter(s, prefix, turn * TURN + i, now_ms, true);
        d = now_us();
        assert_ok(s, inbox_care(s->db, &care, 3 * TURN, &more, &s->err));
        e = now_us();
        assert_ok(s, db_commit(s->db, &s->err));
        c.enter_us += (double)(b - a) / (TURN * TURNS);
        c.repeat_us += (double)(d - b) / (TURN * TURNS);
        c.care_us += (double)(e - d) / (double)TURNS;
        if ((double)(e - d) > c.worst_care_us)
            c.worst_care_us = (double)(e - d);
    }
    return c;
}

static void show(int rows, const struct costs *c)
{
    print_message("%d ids: enter %.1f us, repeat %.1f us, care %.0f us a turn, %.0f at worst\n",
                  rows, c->enter_us, c->repeat_us, c->care_us, c->worst_care_us);
}

TEST_OPENED(the_cost_is_flat)
{
    const int many = getenv("HERALD_LONG") != NULL ? MANY_LONG : MANY;
    const int64_t now_ms = INT64_C(1800000000000);
    struct costs with_few, with_many;

    fill(f, 1, FEW, now_ms);
    with_few = measure(f, "few", now_ms);
    show(FEW, &with_few);
    other_exec(f, "delete from herald_inbox");
    other_exec(f, "update herald_meta set value = 0 where key = 'inbox_pruned'");
    other_exec(f, "delete from herald_meta where key in ('inbox_floor', 'inbox_ran')");
    fill(f, 1, many, now_ms);
    with_many = measure(f, "many", now_ms);
    show(many, &with_many);
    /* A tree that is a level or two deeper, and pages that are not in memory: not more. */
    assert_true(with_many.enter_us < 20 * with_few.enter_us + 50);
    assert_true(with_many.repeat_us < 20 * with_few.repeat_us + 50);
    assert_true(with_many.worst_care_us < 500000);
}

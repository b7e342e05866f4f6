/* Rows whose outlet takes nothing wait apart, and nobody waits for them. */
#include "check.h"
#include "scene.h"
#include "store/outbox.h"

#include <stdio.h>
#include <string.h>

#define TWO                                                                                        \
    "local herald = require 'herald'\n"                                                            \
    "herald.route { type = 'a', to = herald.fanout 'x' }\n"                                        \
    "herald.route { type = 'b', to = herald.queue 'y' }\n"
#define ONE                                                                                        \
    "local herald = require 'herald'\n"                                                            \
    "herald.route { type = 'a', to = herald.fanout 'x' }\n"

#define WAITING "select count(*) from herald_outbox where due_at = 9223372036854775806"

/* Adds `n` rows of a type. */
static void emit(struct scene *s, const char *type, int n)
{
    struct message m = {.type = slice_of(type), .body = slice_of("{}")};
    struct err err = {0};

    for (int i = 0; i < n; i++)
        assert_int_equal(outbox_add(s->db, &m, 0, NULL, &err), OK);
}

static void emit_due(struct scene *s, const char *type, int64_t due_at)
{
    struct message m = {.type = slice_of(type), .body = slice_of("{}")};
    struct err err = {0};

    assert_int_equal(outbox_add(s->db, &m, due_at, NULL, &err), OK);
}

/* Time passes in steps; each a turn or several. */
static void live(struct scene *s, int64_t ms)
{
    for (int64_t passed = 0; passed <= ms; passed += 50) {
        scene_run(s);
        s->now_ms += 50;
    }
}

static void fill(struct scene *s, const char *name)
{
    snprintf(s->full, sizeof s->full, "%s", name);
}

/* What was published since the last call. */
static void assert_sent(struct scene *s, const char *want)
{
    assert_string_equal(s->published, want);
    s->published[0] = '\0';
}

static void choked(struct scene *s)
{
    scene_setup(s);
    scene_begin(s, TWO, "select 1;");
    fill(s, "x");
}

TEST_FROM(scene, choked, an_outlet_without_room_holds_nobody_else)
{
    emit(f, "a", 3);
    emit(f, "b", 2);
    live(f, 1000);
    assert_sent(f, "4>y 5>y ");
    assert_sql(f, WAITING, "3");
    assert_sql(f, "select group_concat(distinct outlet) from herald_outbox", "exchange x");
}

TEST_FROM(scene, choked, due_rows_hold_nobody_else)
{
    for (int i = 0; i < 3; i++)
        emit_due(f, "a", f->now_ms + 1);
    emit_due(f, "b", f->now_ms + 2);
    live(f, 1000);
    assert_sent(f, "4>y ");
}

TEST_FROM(scene, choked, what_waits_goes_first_and_in_order)
{
    emit(f, "a", 3);
    emit(f, "b", 1);
    live(f, 1000);
    emit(f, "a", 2); /* later ones, which find a backlog */
    fill(f, "");
    live(f, 100);
    assert_sent(f, "4>y 1>x 2>x 3>x 5>x 6>x ");
    assert_sql(f, WAITING, "0");
}

TEST_FROM(scene, choked, nothing_is_written_while_room_comes_soon)
{
    emit(f, "a", 2);
    emit(f, "b", 1);
    live(f, 100);
    assert_sent(f, "");
    fill(f, "");
    live(f, 100);
    assert_sent(f, "1>x 2>x 3>y ");
    assert_sql(f, "select count(*) from herald_outbox where outlet is not null", "0");
}

TEST_WITH(scene, nothing_is_written_where_all_goes_to_one_outlet)
{
    scene_begin(f, ONE, "select 1;");
    fill(f, "x");
    emit(f, "a", 3);
    live(f, 5000);
    assert_sql(f, "select count(*) from herald_outbox where outlet is not null", "0");
    fill(f, "");
    live(f, 100);
    assert_sent(f, "1>x 2>x 3>x ");
}

/* Ahead of the cursor, too, where it comes by later. */
TEST_FROM(scene, choked, a_row_goes_out_once)
{
    emit(f, "a", 3);
    live(f, 1000);
    fill(f, "");
    live(f, 1000);
    assert_sent(f, "1>x 2>x 3>x ");
    assert_sql(f, "select count(*) from herald_outbox where due_at = 0", "3");
    for (int64_t row = 1; row <= 3; row++)
        scene_answer(f, row, PUBLISH_CONFIRMED, NULL);
    live(f, 100);
    assert_sql(f, "select count(*) from herald_outbox", "0");
}

TEST_FROM(scene, choked, a_restart_finds_what_waits_and_what_was_sent)
{
    emit(f, "a", 3);
    emit(f, "b", 1);
    live(f, 1000);
    fill(f, "");
    f->room = 1;
    scene_run(f); /* one of them */
    f->room = 100;
    f->published[0] = '\0';
    scene_restart(f);
    live(f, 100);
    assert_sent(f, "1>x 2>x 3>x 4>y ");
}

/* A row whose place changes while it waits goes where the rules say by then. */
TEST_FROM(scene, choked, other_rules_move_what_waits)
{
    emit(f, "a", 2);
    live(f, 1000);
    scene_swap(f,
               scene_load(f, "local herald = require 'herald'\n"
                             "herald.route { type = 'a', to = herald.fanout 'z' }\n"
                             "herald.route { type = 'b', to = herald.queue 'y' }\n"),
               2);
    live(f, 100);
    assert_sent(f, "1>z 2>z ");
}

TEST_FROM(scene, choked, what_waits_can_be_cancelled_and_replaced)
{
    struct message m = {.type = slice_of("a"), .body = slice_of("{}")};
    enum cancelled was;
    struct err err = {0};

    assert_int_equal(outbox_add_keyed(f->db, &m, 0, slice_of("k"), NULL, &err), OK);
    emit(f, "a", 1);
    live(f, 1000);
    assert_sql(f, WAITING, "2");
    assert_int_equal(outbox_add_keyed(f->db, &m, 0, slice_of("k"), NULL, &err), OK);
    live(f, 1000);
    assert_sql(f, "select group_concat(id) from herald_outbox", "2,3");
    assert_int_equal(outbox_cancel(f->db, slice_of("k"), 100, &was, &err), OK);
    assert_int_equal(was, CANCEL_DONE); /* it waited, so nobody has it */
    fill(f, "");
    live(f, 100);
    assert_sent(f, "2>x ");
}

TEST_FROM(scene, choked, what_went_ahead_may_have_been_sent)
{
    struct message m = {.type = slice_of("a"), .body = slice_of("{}")};
    enum cancelled was;
    struct err err = {0};

    assert_int_equal(outbox_add_keyed(f->db, &m, 0, slice_of("k"), NULL, &err), OK);
    live(f, 1000);
    fill(f, "");
    live(f, 100);
    assert_int_equal(outbox_cancel(f->db, slice_of("k"), 0, &was, &err), OK);
    assert_int_equal(was, CANCEL_SENT);
}

/* A crowd that was refused comes again and again; what is new goes out between them. */
TEST_WITH(scene, what_was_refused_keeps_out_nothing_new)
{
    scene_begin(f, TWO, "select 1;");
    emit(f, "a", 6);
    live(f, 100);
    for (int64_t row = 1; row <= 6; row++)
        scene_answer(f, row, PUBLISH_NACKED, NULL);
    scene_run(f);
    f->published[0] = '\0';
    f->now_ms += 5000;
    f->room = 2;
    emit(f, "b", 1);
    assert_int_not_equal(scene_turn(f, &(struct err){0}), TURN_OUTAGE);
    assert_non_null(strstr(f->published, ">x "));
    assert_non_null(strstr(f->published, "7>y "));
}

TEST_WITH(scene, a_lane_keeps_its_order_while_its_first_waits)
{
    struct message m = {.type = slice_of("a"), .body = slice_of("{}")};
    struct err err = {0};

    scene_begin(f,
                "local herald = require 'herald'\n"
                "herald.route { type = 'a', to = herald.fanout 'x', order_by = 'business_key1' }\n"
                "herald.route { type = 'b', to = herald.queue 'y' }\n",
                "select 1;");
    fill(f, "x");
    m.key[0] = slice_of("16");
    for (int i = 0; i < 3; i++)
        assert_int_equal(outbox_add(f->db, &m, 0, NULL, &err), OK);
    emit(f, "b", 1);
    live(f, 1000);
    assert_sent(f, "4>y ");
    assert_sql(f, WAITING, "1"); /* the others are behind it */
    fill(f, "");
    for (int64_t row = 1; row <= 3; row++) {
        live(f, 100);
        scene_answer(f, row, PUBLISH_CONFIRMED, NULL);
    }
    live(f, 100);
    assert_sent(f, "1>x 2>x 3>x ");
}

/* A row behind a flood is found long before the flood is worked off, or in the backlog. */
TEST_FROM(scene, choked, a_row_behind_a_flood_is_found_by_reading_ahead)
{
    struct err err = {0};
    int turns = 0;

    assert_int_equal(db_begin(f->db, &err), OK);
    emit(f, "a", 9000);
    emit(f, "b", 1);
    assert_int_equal(db_commit(f->db, &err), OK);
    assert_int_not_equal(scene_turn(f, &err), TURN_OUTAGE);
    f->now_ms += 300; /* it is not patient any more */
    for (; f->published[0] == '\0' && turns < 20; turns++)
        assert_int_not_equal(scene_turn(f, &err), TURN_OUTAGE);
    assert_sent(f, "9001>y ");
    assert_true(turns <= 5);
    for (int i = 0; i < 3; i++) { /* and so are later ones */
        emit(f, "b", 1);
        assert_int_not_equal(scene_turn(f, &err), TURN_OUTAGE);
        assert_int_not_equal(scene_turn(f, &err), TURN_OUTAGE);
    }
    assert_sent(f, "9002>y 9003>y 9004>y ");
    live(f, 2000);
    assert_sent(f, ""); /* once */
}

/* More outlets wait than one turn serves: each has its turn. */
TEST_WITH(scene, many_backlogs_are_served_in_turn)
{
    char type[16], want[16];

    scene_begin(f,
                "local herald = require 'herald'\n"
                "for i = 10, 89 do\n"
                "  herald.route { type = 't' .. i, to = herald.queue('x' .. i) }\n"
                "end\n",
                "select 1;");
    f->publish_code = ERR_BUSY;
    for (int i = 10; i < 90; i++) {
        snprintf(type, sizeof type, "t%d", i);
        emit(f, type, 1);
    }
    live(f, 1000);
    assert_sql(f, "select count(distinct outlet) from herald_outbox", "80");
    f->publish_code = OK;
    live(f, 100);
    for (int i = 10; i < 90; i++) {
        snprintf(want, sizeof want, ">x%d ", i);
        assert_non_null(strstr(f->published, want));
    }
}

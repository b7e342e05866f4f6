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

static void an_outlet_without_room_holds_nobody_else(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    fill(&s, "x");
    emit(&s, "a", 3);
    emit(&s, "b", 2);
    live(&s, 1000);
    assert_sent(&s, "4>y 5>y ");
    assert_sql(&s, WAITING, "3");
    assert_sql(&s, "select group_concat(distinct outlet) from herald_outbox", "exchange x");
    scene_end(&s);
}

static void due_rows_hold_nobody_else(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    fill(&s, "x");
    for (int i = 0; i < 3; i++)
        emit_due(&s, "a", s.now_ms + 1);
    emit_due(&s, "b", s.now_ms + 2);
    live(&s, 1000);
    assert_sent(&s, "4>y ");
    scene_end(&s);
}

static void what_waits_goes_first_and_in_order(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    fill(&s, "x");
    emit(&s, "a", 3);
    emit(&s, "b", 1);
    live(&s, 1000);
    emit(&s, "a", 2); /* later ones, which find a line */
    fill(&s, "");
    live(&s, 100);
    assert_sent(&s, "4>y 1>x 2>x 3>x 5>x 6>x ");
    assert_sql(&s, WAITING, "0");
    scene_end(&s);
}

static void nothing_is_written_while_room_comes_soon(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    fill(&s, "x");
    emit(&s, "a", 2);
    emit(&s, "b", 1);
    live(&s, 100);
    assert_sent(&s, "");
    fill(&s, "");
    live(&s, 100);
    assert_sent(&s, "1>x 2>x 3>y ");
    assert_sql(&s, "select count(*) from herald_outbox where outlet is not null", "0");
    scene_end(&s);
}

static void nothing_is_written_where_all_goes_to_one_outlet(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, ONE, "select 1;");
    fill(&s, "x");
    emit(&s, "a", 3);
    live(&s, 5000);
    assert_sql(&s, "select count(*) from herald_outbox where outlet is not null", "0");
    fill(&s, "");
    live(&s, 100);
    assert_sent(&s, "1>x 2>x 3>x ");
    scene_end(&s);
}

/* Ahead of the cursor, too, where it comes by later. */
static void a_row_goes_out_once(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    fill(&s, "x");
    emit(&s, "a", 3);
    live(&s, 1000);
    fill(&s, "");
    live(&s, 1000);
    assert_sent(&s, "1>x 2>x 3>x ");
    assert_sql(&s, "select count(*) from herald_outbox where due_at = 0", "3");
    for (int64_t row = 1; row <= 3; row++)
        scene_answer(&s, row, PUBLISH_CONFIRMED, NULL);
    live(&s, 100);
    assert_sql(&s, "select count(*) from herald_outbox", "0");
    scene_end(&s);
}

static void a_restart_finds_what_waits_and_what_was_sent(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    fill(&s, "x");
    emit(&s, "a", 3);
    emit(&s, "b", 1);
    live(&s, 1000);
    fill(&s, "");
    s.room = 1;
    scene_run(&s); /* one of them */
    s.room = 100;
    s.published[0] = '\0';
    scene_restart(&s);
    live(&s, 100);
    assert_sent(&s, "1>x 2>x 3>x 4>y ");
    scene_end(&s);
}

/* A row whose place changes while it waits goes where the rules say by then. */
static void other_rules_move_what_waits(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    fill(&s, "x");
    emit(&s, "a", 2);
    live(&s, 1000);
    scene_swap(&s,
               scene_load(&s, "local herald = require 'herald'\n"
                              "herald.route { type = 'a', to = herald.fanout 'z' }\n"
                              "herald.route { type = 'b', to = herald.queue 'y' }\n"),
               2);
    live(&s, 100);
    assert_sent(&s, "1>z 2>z ");
    scene_end(&s);
}

static void what_waits_can_be_cancelled_and_replaced(void **state)
{
    struct message m = {.type = slice_of("a"), .body = slice_of("{}")};
    enum cancelled was;
    struct scene s;
    struct err err = {0};

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    fill(&s, "x");
    assert_int_equal(outbox_add_named(s.db, &m, 0, slice_of("k"), NULL, &err), OK);
    emit(&s, "a", 1);
    live(&s, 1000);
    assert_sql(&s, WAITING, "2");
    assert_int_equal(outbox_add_named(s.db, &m, 0, slice_of("k"), NULL, &err), OK);
    live(&s, 1000);
    assert_sql(&s, "select group_concat(id) from herald_outbox", "2,3");
    assert_int_equal(outbox_cancel(s.db, slice_of("k"), 100, &was, &err), OK);
    assert_int_equal(was, CANCEL_DONE); /* it waited, so nobody has it */
    fill(&s, "");
    live(&s, 100);
    assert_sent(&s, "2>x ");
    scene_end(&s);
}

static void what_went_ahead_may_have_been_sent(void **state)
{
    struct message m = {.type = slice_of("a"), .body = slice_of("{}")};
    enum cancelled was;
    struct scene s;
    struct err err = {0};

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    fill(&s, "x");
    assert_int_equal(outbox_add_named(s.db, &m, 0, slice_of("k"), NULL, &err), OK);
    live(&s, 1000);
    fill(&s, "");
    live(&s, 100);
    assert_int_equal(outbox_cancel(s.db, slice_of("k"), 0, &was, &err), OK);
    assert_int_equal(was, CANCEL_SENT);
    scene_end(&s);
}

/* A crowd that was refused comes again and again; what is new goes out between them. */
static void what_was_refused_keeps_out_nothing_new(void **state)
{
    struct scene s;

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    emit(&s, "a", 6);
    live(&s, 100);
    for (int64_t row = 1; row <= 6; row++)
        scene_answer(&s, row, PUBLISH_NACKED, NULL);
    scene_run(&s);
    s.published[0] = '\0';
    s.now_ms += 5000;
    s.room = 2;
    emit(&s, "b", 1);
    assert_int_not_equal(scene_turn(&s, &(struct err){0}), TURN_PAUSED);
    assert_non_null(strstr(s.published, ">x "));
    assert_non_null(strstr(s.published, "7>y "));
    scene_end(&s);
}

static void a_lane_keeps_its_order_while_its_first_waits(void **state)
{
    struct message m = {.type = slice_of("a"), .body = slice_of("{}")};
    struct scene s;
    struct err err = {0};

    (void)state;
    scene_begin(&s,
                "local herald = require 'herald'\n"
                "herald.route { type = 'a', to = herald.fanout 'x', order_by = 'business_key1' }\n"
                "herald.route { type = 'b', to = herald.queue 'y' }\n",
                "select 1;");
    fill(&s, "x");
    m.key[0] = slice_of("16");
    for (int i = 0; i < 3; i++)
        assert_int_equal(outbox_add(s.db, &m, 0, NULL, &err), OK);
    emit(&s, "b", 1);
    live(&s, 1000);
    assert_sent(&s, "4>y ");
    assert_sql(&s, WAITING, "1"); /* the others are behind it */
    fill(&s, "");
    for (int64_t row = 1; row <= 3; row++) {
        live(&s, 100);
        scene_answer(&s, row, PUBLISH_CONFIRMED, NULL);
    }
    live(&s, 100);
    assert_sent(&s, "1>x 2>x 3>x ");
    scene_end(&s);
}

/* A row behind a flood is found long before the flood is worked off, or set aside. */
static void a_row_behind_a_flood_is_found_by_reading_ahead(void **state)
{
    struct scene s;
    struct err err = {0};
    int turns = 0;

    (void)state;
    scene_begin(&s, TWO, "select 1;");
    fill(&s, "x");
    assert_int_equal(db_begin(s.db, &err), OK);
    emit(&s, "a", 9000);
    emit(&s, "b", 1);
    assert_int_equal(db_commit(s.db, &err), OK);
    assert_int_not_equal(scene_turn(&s, &err), TURN_PAUSED);
    s.now_ms += 300; /* it is not patient any more */
    for (; s.published[0] == '\0' && turns < 20; turns++)
        assert_int_not_equal(scene_turn(&s, &err), TURN_PAUSED);
    assert_sent(&s, "9001>y ");
    assert_true(turns <= 5);
    for (int i = 0; i < 3; i++) { /* and so are later ones */
        emit(&s, "b", 1);
        assert_int_not_equal(scene_turn(&s, &err), TURN_PAUSED);
        assert_int_not_equal(scene_turn(&s, &err), TURN_PAUSED);
    }
    assert_sent(&s, "9002>y 9003>y 9004>y ");
    live(&s, 2000);
    assert_sent(&s, ""); /* once */
    scene_end(&s);
}

/* More outlets wait than one turn serves: each has its turn. */
static void many_lines_are_served_in_turn(void **state)
{
    struct scene s;
    char type[8], want[16];

    (void)state;
    scene_begin(&s,
                "local herald = require 'herald'\n"
                "for i = 10, 89 do\n"
                "  herald.route { type = 't' .. i, to = herald.queue('x' .. i) }\n"
                "end\n",
                "select 1;");
    s.publish_code = ERR_BUSY;
    for (int i = 10; i < 90; i++) {
        snprintf(type, sizeof type, "t%d", i);
        emit(&s, type, 1);
    }
    live(&s, 1000);
    assert_sql(&s, "select count(distinct outlet) from herald_outbox", "80");
    s.publish_code = OK;
    live(&s, 100);
    for (int i = 10; i < 90; i++) {
        snprintf(want, sizeof want, ">x%d ", i);
        assert_non_null(strstr(s.published, want));
    }
    scene_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_outlet_without_room_holds_nobody_else),
        cmocka_unit_test(due_rows_hold_nobody_else),
        cmocka_unit_test(what_waits_goes_first_and_in_order),
        cmocka_unit_test(nothing_is_written_while_room_comes_soon),
        cmocka_unit_test(nothing_is_written_where_all_goes_to_one_outlet),
        cmocka_unit_test(a_row_goes_out_once),
        cmocka_unit_test(a_restart_finds_what_waits_and_what_was_sent),
        cmocka_unit_test(other_rules_move_what_waits),
        cmocka_unit_test(what_waits_can_be_cancelled_and_replaced),
        cmocka_unit_test(what_went_ahead_may_have_been_sent),
        cmocka_unit_test(what_was_refused_keeps_out_nothing_new),
        cmocka_unit_test(a_lane_keeps_its_order_while_its_first_waits),
        cmocka_unit_test(a_row_behind_a_flood_is_found_by_reading_ahead),
        cmocka_unit_test(many_lines_are_served_in_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

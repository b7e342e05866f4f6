/* What a lane is called, and how the lanes that wait are listed. */
#include "store.h"

#include "store/lane.h"
#include "store/letter.h"
#include "store/outbox.h"
#include "store/retry.h"

#include <stdio.h>
#include <string.h>

static const char *name_of(int order_by, const struct message *m)
{
    static char text[LANE_MAX + 1];
    char room[LANE_MAX];
    struct slice lane = lane_of(room, order_by, m);

    if (lane.data == NULL)
        return NULL;
    memcpy(text, lane.data, lane.len);
    text[lane.len] = '\0';
    return text;
}

TEST(a_lane_is_named_by_field_and_value)
{
    const struct message m = {.key = {slice_of("16"), {NULL, 0}, slice_of("")}};

    assert_string_equal(name_of(1, &m), "business_key1=16");
    assert_null(name_of(2, &m));
    assert_string_equal(name_of(3, &m), "business_key3=");
    assert_null(name_of(0, &m));
}

/* Two keys of 10 KiB that differ at their ends are two lanes, and each name is text. */
TEST(a_long_key_is_cut_and_told_apart)
{
    static char first[10240], second[10240];
    struct message m = {.key = {{first, sizeof first}}};
    char name[LANE_MAX + 1];

    for (size_t i = 0; i + 1 < sizeof first; i += 2)
        memcpy(first + i, "\xc3\xa9", 2); /* e with an acute accent */
    memcpy(second, first, sizeof first);
    second[sizeof second - 1] = '\xa8';
    snprintf(name, sizeof name, "%s", name_of(1, &m));
    assert_true(strlen(name) < LANE_MAX && text_is_utf8(name, strlen(name)));
    assert_string_equal(name_of(1, &m), name);
    m.key[0].data = second;
    assert_string_not_equal(name_of(1, &m), name);
    m.key[0].len =
        LANE_MAX - strlen("business_key1=") - 1; /* the longest that is whole, and even */
    m.key[0].len -= m.key[0].len % 2;
    assert_int_equal(strlen(name_of(1, &m)), strlen("business_key1=") + m.key[0].len);
}

static void add_retry(struct store *s, const char *queue, const char *lane, int64_t due_at)
{
    const struct retry_row row = {.queue = slice_of(queue),
                                  .message = {.body = slice_of("b")},
                                  .attempts = due_at == LANE_BEHIND ? 0 : 2,
                                  .due_at = due_at,
                                  .error = "no",
                                  .lane = slice_of(lane)};

    assert_ok(s, retry_add(s->db, &row, &s->err));
}

static const char *lanes(struct store *s, size_t limit)
{
    const struct list_of all = {.view = LIST_LANES, .limit = limit};

    return store_listed(s, &all, "head id queue lane waiting due_at attempts error");
}

TEST_OPENED(lanes_are_listed_with_what_they_wait_for)
{
    const struct letter holder = {.queue = slice_of("q"),
                                  .identity = slice_of("h"),
                                  .message = {.body = slice_of("b")},
                                  .error = "no",
                                  .lane = slice_of("3"),
                                  .holds = true};

    assert_string_equal(lanes(f, 10), "");
    add_retry(f, "q", NULL, 5);
    add_retry(f, "q", "1", 7);
    add_retry(f, "q", "1", LANE_BEHIND);
    add_retry(f, "q", "1", LANE_BEHIND);
    add_retry(f, "r", "1", 9);
    add_retry(f, "q", "3", LANE_BEHIND);
    assert_ok(f, letter_add(f->db, &holder, NULL, NULL, &f->err));
    other_exec(f,
               "insert into herald_outbox(type, lane, due_at) values ('t', '4', 0),"
               " ('t', '4', 9223372036854775807), ('t', '5', 0), ('t', null, 0);"
               "insert into herald_outbox(type, lane, due_at, reason) values ('t', '6', 1, 'no')");
    assert_string_equal(lanes(f, 10),
                        "retry|2|q|1|2|7|2|no, retry|5|r|1|0|9|2|no, dead|1|q|3|1|0|0|no, "
                        "outbox|1|-|4|1|0|0|-, outbox|5|-|6|0|1|0|no");
    assert_string_equal(lanes(f, 1),
                        "retry|2|q|1|2|7|2|no, dead|1|q|3|1|0|0|no, outbox|1|-|4|1|0|0|-");
}

TEST_OPENED(a_lane_is_busy_with_its_first_row_or_a_holding_letter)
{
    const struct letter holder = {.queue = slice_of("q"),
                                  .identity = slice_of("h"),
                                  .message = {.body = slice_of("b")},
                                  .error = "no",
                                  .lane = slice_of("3"),
                                  .holds = true};
    bool busy;

    add_retry(f, "q", "1", 7);
    assert_ok(f, letter_add(f->db, &holder, NULL, NULL, &f->err));
    assert_ok(f, lane_is_busy(f->db, slice_of("q"), slice_of("1"), 1, &busy, &f->err));
    assert_true(busy);
    assert_ok(f, lane_is_busy(f->db, slice_of("r"), slice_of("1"), INT64_MAX, &busy, &f->err));
    assert_false(busy);
    assert_ok(f, lane_is_busy(f->db, slice_of("q"), slice_of("3"), INT64_MAX, &busy, &f->err));
    assert_true(busy);
    assert_ok(f, lane_is_busy(f->db, slice_of("q"), slice_of("3"), 1, &busy, &f->err));
    assert_false(busy); /* its own letter does not stand in its way */
}

TEST(a_leg_has_a_lane_of_its_own)
{
    char room[LANE_LEG_MAX], exchange[400], key[] = "a.b";
    const struct destination to = {
        .kind = EXCHANGE_TOPIC, .exchange = exchange, .routing_key = key};
    struct slice lane;

    snprintf(exchange, sizeof exchange, "y");
    lane = lane_of_leg(room, slice_of("business_key1=16"), &to);
    assert_true(slice_is(lane, "business_key1=16 > y:a.b"));
    assert_null(lane_of_leg(room, (struct slice){NULL, 0}, &to).data);
    memset(exchange, 'x', sizeof exchange - 1); /* more than a broker takes */
    exchange[sizeof exchange - 1] = '\0';
    lane = lane_of_leg(room, slice_of("business_key1=16"), &to);
    assert_in_range(lane.len, 256, LANE_LEG_MAX);
}

TEST_OPENED(the_first_row_of_a_lane_is_due_and_the_others_are_held)
{
    bool used;

    other_exec(f, "insert into herald_outbox(type) values ('t'), ('t'), ('t')");
    assert_ok(f, db_begin(f->db, &f->err));
    assert_ok(f, lane_has_rows(f->db, slice_of("4"), &used, &f->err));
    assert_false(used);
    assert_ok(f, lane_join(f->db, 2, slice_of("4"), &f->err));
    assert_ok(f, lane_join(f->db, 3, slice_of("4"), &f->err));
    assert_ok(f, lane_join(f->db, 1, slice_of("5"), &f->err));
    assert_ok(f, lane_has_rows(f->db, slice_of("4"), &used, &f->err));
    assert_true(used);
    assert_ok(f, db_commit(f->db, &f->err));
    assert_string_equal(other_rows(f, "select id, lane, due_at from herald_outbox"),
                        "1|5|1, 2|4|1, 3|4|9223372036854775807");
}

TEST_OPENED(a_row_of_the_outbox_wakes_the_next_of_its_lane)
{
    other_exec(f, "insert into herald_outbox(type, lane, due_at) values ('t', '4', 0),"
                  " ('t', '4', 9223372036854775807), ('t', '4', 9223372036854775807);"
                  "delete from herald_outbox where id = 2");
    assert_string_equal(other_rows(f, "select id, due_at from herald_outbox order by id"),
                        "1|0, 3|9223372036854775807");
    other_exec(f, "delete from herald_outbox where id = 1");
    assert_string_equal(other_rows(f, "select id, due_at from herald_outbox"), "3|1");
}

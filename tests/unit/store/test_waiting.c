/* What waits in the store, told apart, and since when it is late. */
#include "store.h"

#include "store/due.h"
#include "store/lane.h"
#include "store/outbox.h"
#include "store/outbox_backlog.h"
#include "store/retry.h"
#include "store/waiting.h"

#include <stdio.h>
#include <string.h>

static int64_t add(struct store *s, int64_t due_at)
{
    const struct message m = {.type = slice_of("paid")};
    int64_t id = 0;

    assert_ok(s, outbox_add(s->db, &m, due_at, &id, &s->err));
    return id;
}

static void look(struct store *s, int64_t cursor, struct waiting_outbox *out)
{
    assert_ok(s, waiting_outbox(s->db, cursor, s->now_ms, out, &s->err));
}

/* "fresh 2, refused 1" */
static const char *told(struct store *s, int64_t cursor)
{
    struct waiting_outbox w;
    size_t used = 0;

    look(s, cursor, &w);
    s->text[0] = '\0';
    for (int c = 0; c < WAITING_CLASSES; c++)
        if (w.rows[c].n > 0)
            used += (size_t)snprintf(s->text + used, sizeof s->text - used, "%s%s %lld%s",
                                     used > 0 ? ", " : "", waiting_word((enum waiting_class)c),
                                     (long long)w.rows[c].n, w.rows[c].more ? " or more" : "");
    return s->text;
}

TEST_OPENED(nothing_waits_in_an_empty_store)
{
    assert_string_equal(told(f, 0), "");
}

TEST_OPENED(each_row_has_one_reason_to_wait)
{
    int64_t refused, unheard, aside, first, second;

    (void)add(f, 0);
    (void)add(f, f->now_ms + 60000);
    (void)add(f, f->now_ms - 1000);
    refused = add(f, 0);
    unheard = add(f, 0);
    aside = add(f, 0);
    first = add(f, 0);
    second = add(f, 0);
    assert_ok(f, outbox_postpone(f->db, refused, OUTBOX_REFUSED, "no", f->now_ms + 5000, &f->err));
    assert_ok(f, outbox_postpone(f->db, unheard, OUTBOX_UNHEARD, "?", f->now_ms + 5000, &f->err));
    assert_ok(f, backlog_set(f->db, aside, slice_of("exchange x"), &f->err));
    assert_ok(f, lane_join(f->db, first, slice_of("k"), &f->err));
    assert_ok(f, lane_join(f->db, second, slice_of("k"), &f->err));
    assert_string_equal(told(f, 0), "fresh 1, due 2, scheduled 1, refused 1, unheard 1, outlet 1, "
                                    "behind 1");
}

TEST_OPENED(what_is_up_to_the_cursor_is_not_fresh)
{
    int64_t first = add(f, 0);

    (void)add(f, 0);
    assert_string_equal(told(f, 0), "fresh 2");
    assert_string_equal(told(f, first), "fresh 1");
}

TEST_OPENED(what_is_scheduled_is_never_late_and_what_was_refused_is_from_the_first_time_on)
{
    struct waiting_outbox w;
    int64_t refused_ms, row = add(f, f->now_ms + 86400000);

    (void)add(f, f->now_ms + 50000);
    look(f, 0, &w);
    assert_int_equal(w.rows[WAITING_SCHEDULED].since, 0);
    assert_true(w.rows[WAITING_SCHEDULED].next < f->now_ms + 50001);
    refused_ms = f->now_ms;
    for (int i = 0; i < 3; i++) {
        assert_ok(f, outbox_postpone(f->db, row, OUTBOX_REFUSED, "no", f->now_ms + 5000, &f->err));
        f->now_ms += 6000;
    }
    look(f, 0, &w);
    assert_int_equal(w.rows[WAITING_REFUSED].attempts, 3);
    assert_true(w.rows[WAITING_REFUSED].since >= refused_ms);
    assert_true(w.rows[WAITING_REFUSED].since < refused_ms + 1000);
    assert_int_equal(w.rows[WAITING_REFUSED].next, 0); /* it is due */
}

TEST_OPENED(behind_more_rows_than_are_counted_the_fresh_ones_are_reckoned)
{
    other_exec(f, "with recursive n(i) as (select 1 union all select i + 1 from n where i < 10500) "
                  "insert into herald_outbox(type) select 'paid' from n");
    assert_string_equal(told(f, 0), "fresh 10500");
    other_exec(f, "update herald_outbox set due_at = 9000000000000 where id > 9000");
    assert_string_equal(told(f, 0), "fresh 9000, scheduled 1500");
    other_exec(f, "update herald_outbox set due_at = 9000000000000 where id > 100");
    assert_string_equal(told(f, 0), "fresh 100 or more, scheduled 10000 or more");
}

static void retry(struct store *s, const char *queue, const char *lane, int64_t due_at,
                  const char *error)
{
    char id[32];
    static int n;
    struct retry_row row = {.due_at = due_at,
                            .queue = slice_of(queue),
                            .attempts = 2,
                            .error = error,
                            .lane = slice_of(lane),
                            .message = {.type = slice_of("paid")}};

    snprintf(id, sizeof id, "m%d", n++);
    row.identity = slice_of(id);
    assert_ok(s, retry_add(s->db, &row, &s->err));
}

static void note_queue(void *arg, const struct waiting_queue *q)
{
    struct store *s = arg;
    size_t used = strlen(s->text);

    snprintf(s->text + used, sizeof s->text - used,
             "%.*s: %lld due%s, %lld later, %lld behind, %.*s;", (int)q->queue.len, q->queue.data,
             (long long)q->due, q->since > 0 ? " late" : "", (long long)q->later,
             (long long)q->behind, (int)q->error.len, q->error.data);
}

TEST_OPENED(retries_are_told_by_queue)
{
    f->text[0] = '\0';
    retry(f, "b", NULL, f->now_ms + 90000, "timeout");
    retry(f, "b", "k", LANE_BEHIND, "");
    retry(f, "a", NULL, f->now_ms - 5, "no such course");
    retry(f, "a", NULL, f->now_ms + 90000, "timeout");
    assert_ok(f, waiting_queues(f->db, f->now_ms, note_queue, f, &f->err));
    assert_string_equal(f->text, "a: 1 due late, 1 later, 0 behind, no such course;"
                                 "b: 0 due, 1 later, 1 behind, timeout;");
}

/* The driver without a server, and what a change of the rules does to it. */
#include "broker/embedded.h"
#include "check.h"
#include "folder.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char folder[64];
static struct db *db;
static struct broker *broker;
static size_t wakes;

/* A topology on the heap, so that a pointer into a former one shows. */
struct rules {
    struct topology topology;
    struct subscription subscription;
    struct destination from;
    char queue[8], exchange[8], key[8], origin[16];
};

static struct rules *in_force; /* the broker lends them */

static void on_wake(void *arg)
{
    (void)arg;
    wakes++;
}

/* One subscription to `queue` bound to the exchange; queue "": none. */
static struct rules *make_rules(const char *queue, enum exchange_kind kind, const char *exchange)
{
    struct rules *r = calloc(1, sizeof *r);

    assert_non_null(r);
    snprintf(r->queue, sizeof r->queue, "%s", queue);
    snprintf(r->exchange, sizeof r->exchange, "%s", exchange);
    snprintf(r->origin, sizeof r->origin, "rules/%s.lua:1", queue);
    r->from = (struct destination){kind, r->exchange, r->key};
    r->subscription = (struct subscription){
        .queue = r->queue, .from = &r->from, .n_from = 1, .prefetch = 10, .origin = r->origin};
    r->topology.subscriptions = &r->subscription;
    r->topology.n_subscriptions = queue[0] != '\0';
    return r;
}

static int take_up(int (*how)(struct broker *b, const struct topology *t, struct err *err),
                   struct rules *next, struct err *err)
{
    int rc;

    *err = (struct err){.code = OK};
    rc = how(broker, &next->topology, err);
    if (rc == OK) {
        free(in_force);
        in_force = next;
    } else {
        free(next);
    }
    return rc;
}

static void change_to(const char *queue, const char *exchange)
{
    struct err err;

    if (take_up(broker->ops->change, make_rules(queue, EXCHANGE_FANOUT, exchange), &err) != OK)
        fail_msg("%s", err.text);
}

static void begin(void)
{
    char path[96];
    struct db_settings settings = {
        .path = path, .create = true, .exclusive = true, .clock = clock_real()};
    struct err err = {.code = OK};

    folder_make(folder);
    snprintf(path, sizeof path, "%s/herald.db", folder);
    if (db_open(&db, &settings, &err) != OK || embedded_new(&broker, db, on_wake, NULL, &err) != OK)
        fail_msg("%s", err.text);
    in_force = NULL;
    assert_int_equal(take_up(broker->ops->start, make_rules("q", EXCHANGE_FANOUT, "x"), &err), OK);
    wakes = 0;
}

static void end(void)
{
    broker->ops->free(&broker);
    db_close(&db);
    free(in_force);
    folder_remove(folder);
}

static void turn_begins(void)
{
    struct err err = {.code = OK};

    assert_int_equal(db_begin(db, &err), OK);
}

static void turn_ends(void)
{
    struct err err = {.code = OK};

    assert_int_equal(db_commit(db, &err), OK);
    broker->ops->tell(broker);
}

/* One row to the exchange, in a turn of its own. Returns what became of it. */
static enum publish_outcome publish(int64_t row, char *exchange, const char *body)
{
    static char key[] = "";
    const struct destination to = {EXCHANGE_FANOUT, exchange, key};
    const struct message m = {.id = slice_of("s:1"), .type = slice_of("t"), .body = slice_of(body)};
    struct settlement out = {.row = 0};
    struct err err = {.code = OK};

    turn_begins();
    if (broker->ops->publish(broker, row, &to, &m, &err) != OK)
        fail_msg("%s", err.text);
    assert_int_equal(broker->ops->settled(broker, &out, 1), 1);
    turn_ends();
    return out.outcome;
}

/* The next turn takes these bodies ("a b") of this queue, and accepts them. */
static void takes(const char *want, const char *queue)
{
    struct delivery *out[16];
    struct err err = {.code = OK};
    char text[128] = "";
    size_t n;

    turn_begins();
    assert_int_equal(broker->ops->take(broker, out, 16, &n, &err), OK);
    for (size_t i = 0; i < n; i++) {
        size_t used = strlen(text);

        snprintf(text + used, sizeof text - used, "%s%.*s", used > 0 ? " " : "",
                 (int)out[i]->message.body.len, out[i]->message.body.data);
        assert_ptr_equal(out[i]->subscription, &in_force->subscription);
        assert_string_equal(out[i]->subscription->queue, queue);
        assert_int_equal(broker->ops->accept(broker, out[i], &err), OK);
    }
    turn_ends();
    assert_string_equal(text, want);
}

static char x[] = "x", y[] = "y";

TEST_BETWEEN(begin, end, a_queue_that_stays_belongs_to_the_new_rules)
{
    assert_int_equal(publish(1, x, "a"), PUBLISH_CONFIRMED);
    change_to("q", "x");
    assert_true(wakes > 0);
    assert_true(broker->ops->pending(broker));
    takes("a", "q");
}

TEST_BETWEEN(begin, end, a_queue_that_goes_keeps_what_is_in_it)
{
    struct broker_state now;

    assert_int_equal(publish(1, x, "a"), PUBLISH_CONFIRMED);
    change_to("", "");
    takes("", "");
    assert_int_equal(publish(2, x, "b"), PUBLISH_CONFIRMED); /* it is still bound */
    broker->ops->state(broker, &now);
    assert_true(now.ready);
    change_to("q", "x");
    takes("a b", "q");
}

TEST_BETWEEN(begin, end, a_new_queue_and_exchange_are_made)
{
    change_to("r", "y");
    assert_int_equal(publish(1, y, "a"), PUBLISH_CONFIRMED);
    assert_int_equal(publish(2, x, "b"), PUBLISH_CONFIRMED); /* into q, which nobody takes */
    takes("a", "r");
    change_to("q", "y"); /* and bound to x as before */
    assert_int_equal(publish(3, y, "c"), PUBLISH_CONFIRMED);
    takes("b c", "q");
}

/* As RabbitMQ's driver does: a route's function may name what no rule declares. */
TEST_BETWEEN(begin, end, an_exchange_that_only_a_row_names_is_made)
{
    assert_int_equal(publish(1, y, "a"), PUBLISH_RETURNED);
    change_to("q", "y");
    assert_int_equal(publish(2, y, "b"), PUBLISH_CONFIRMED);
    takes("b", "q");
}

/* What no queue takes is bounded in a turn, so that a crowd of it leaves the turn to others. */
TEST_BETWEEN(begin, end, a_crowd_that_no_queue_takes_leaves_room)
{
    static char nothing[] = "";
    const struct destination nowhere = {EXCHANGE_FANOUT, y, nothing};
    struct settlement out[256];
    const struct message m = {.type = slice_of("t"), .body = slice_of("{}")};
    struct err err = {0};
    int64_t row = 1;

    turn_begins();
    while (broker->ops->publish(broker, row, &nowhere, &m, &err) == OK)
        row++;
    assert_true((size_t)row < broker->ops->room(broker) / 2);
    assert_int_equal(broker->ops->settled(broker, out, 256), row - 1);
    turn_ends();
    assert_true(broker->ops->pending(broker));
    assert_int_equal(publish(row, y, "a"), PUBLISH_RETURNED); /* the next turn takes more */
    assert_int_equal(publish(row + 1, x, "a"), PUBLISH_CONFIRMED);
}

TEST_BETWEEN(begin, end, what_cannot_be_taken_up_changes_nothing)
{
    struct err err;

    assert_int_equal(publish(1, x, "a"), PUBLISH_CONFIRMED);
    assert_int_equal(take_up(broker->ops->change, make_rules("r", EXCHANGE_TOPIC, "x"), &err),
                     ERR_BROKER);
    assert_non_null(strstr(err.text, "fanout, not topic"));
    assert_int_equal(take_up(broker->ops->change, make_rules("r", EXCHANGE_HEADERS, "h"), &err),
                     ERR_BROKER);
    assert_non_null(strstr(err.text, "it needs RabbitMQ"));
    takes("a", "q");
    turn_begins(); /* no transaction was left open */
    turn_ends();
}

static void pace(const char *queue, enum broker_pace how)
{
    broker->ops->pace(broker, queue, how);
}

TEST_BETWEEN(begin, end, a_stopped_queue_keeps_what_is_in_it)
{
    assert_int_equal(publish(1, x, "a"), PUBLISH_CONFIRMED);
    pace("q", PACE_STOP);
    takes("", "q");
    assert_false(broker->ops->pending(broker)); /* nobody spins */
    assert_int_equal(publish(2, x, "b"), PUBLISH_CONFIRMED);
    takes("", "q");
    wakes = 0;
    pace("q", PACE_ONE);
    assert_int_equal(wakes, 1);
    assert_true(broker->ops->pending(broker));
    takes("a", "q");
    assert_int_equal(publish(3, x, "c"), PUBLISH_CONFIRMED);
    pace("q", PACE_FLOW);
    takes("b c", "q");
}

TEST_BETWEEN(begin, end, all_stop_and_each_goes_on_at_its_own_pace)
{
    assert_int_equal(publish(1, x, "a"), PUBLISH_CONFIRMED);
    pace("q", PACE_STOP);
    pace(NULL, PACE_STOP);
    pace("nobody's", PACE_STOP);
    pace("q", PACE_FLOW);
    takes("", "q");
    pace(NULL, PACE_FLOW);
    takes("a", "q");
}

TEST_BETWEEN(begin, end, a_pace_stays_with_a_queue_that_stays)
{
    assert_int_equal(publish(1, x, "a"), PUBLISH_CONFIRMED);
    pace("q", PACE_STOP);
    change_to("q", "y");
    takes("", "q");
    change_to("r", "y");
    change_to("q", "x"); /* it was left */
    takes("a", "q");
}

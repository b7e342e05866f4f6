/* The staged broker notes publishes, and fails as it was told. The broker behind it is a
 * dummy that counts. */
#include "check.h"
#include "spec/spec_broker.h"

#include <stdlib.h>
#include <string.h>

struct dummy {
    struct broker broker;
    int published, accepted, told, forgotten, freed;
    enum broker_pace paced;
};

static struct dummy *made; /* the last one; lives until the test frees it */

static size_t room(struct broker *b)
{
    (void)b;
    return 500;
}

static int accept(struct broker *b, struct delivery *d, struct err *err)
{
    (void)d, (void)err;
    ((struct dummy *)b)->accepted++;
    return OK;
}

static int publish(struct broker *b, int64_t row, const struct destination *to,
                   const struct message *m, struct err *err)
{
    (void)row, (void)to, (void)m, (void)err;
    ((struct dummy *)b)->published++;
    return OK;
}

static size_t settled(struct broker *b, struct settlement *out, size_t max)
{
    (void)b, (void)out, (void)max;
    return 0;
}

static void tell(struct broker *b)
{
    ((struct dummy *)b)->told++;
}

static void forget(struct broker *b)
{
    ((struct dummy *)b)->forgotten++;
}

static void pace(struct broker *b, const char *queue, enum broker_pace how)
{
    assert_string_equal(queue, "q");
    ((struct dummy *)b)->paced = how;
}

static bool pending(struct broker *b)
{
    (void)b;
    return false;
}

static void free_dummy(struct broker **b)
{
    ((struct dummy *)*b)->freed++;
    *b = NULL;
}

static const struct broker_ops ops = {.room = room,
                                      .accept = accept,
                                      .publish = publish,
                                      .settled = settled,
                                      .tell = tell,
                                      .forget = forget,
                                      .pace = pace,
                                      .pending = pending,
                                      .free = free_dummy};

static struct broker *stage(bool loopback)
{
    struct broker *b;

    made = calloc(1, sizeof *made);
    assert_non_null(made);
    made->broker.ops = &ops;
    b = staged_new(&made->broker, loopback);
    assert_non_null(b);
    return b;
}

static void end(struct broker *b)
{
    b->ops->free(&b);
    assert_int_equal(made->freed, 1);
    free(made);
}

static void put(struct broker *b, int64_t row, const char *type)
{
    char exchange[] = "x", key[] = "k";
    const struct destination to = {EXCHANGE_TOPIC, exchange, key};
    const struct message m = {.type = slice_of(type), .body = slice_of("{}")};
    struct err err = {0};

    assert_int_equal(b->ops->publish(b, row, &to, &m, &err), OK);
    exchange[0] = key[0] = '-'; /* they were lent */
}

TEST(notes_every_publish)
{
    struct broker *b = stage(true);
    const struct staged_publish *p;

    put(b, 1, "a");
    put(b, 2, "b");
    p = staged_published(b, 0);
    assert_string_equal(p->to.exchange, "x");
    assert_string_equal(p->to.routing_key, "k");
    assert_int_equal(p->to.kind, EXCHANGE_TOPIC);
    assert_true(slice_is(p->message.type, "a"));
    assert_true(slice_is(staged_published(b, 1)->message.type, "b"));
    assert_null(staged_published(b, 2));
    assert_int_equal(made->published, 2);
    end(b);
}

TEST(without_loopback_all_is_confirmed_and_goes_nowhere)
{
    struct broker *b = stage(false);
    struct settlement out[4];

    put(b, 7, "a");
    assert_true(b->ops->pending(b));
    assert_int_equal(b->ops->settled(b, out, 4), 1);
    assert_int_equal(out[0].row, 7);
    assert_int_equal(out[0].outcome, PUBLISH_CONFIRMED);
    b->ops->tell(b);
    assert_false(b->ops->pending(b));
    assert_int_equal(made->published, 0);
    end(b);
}

TEST(a_fault_hits_the_next_publish_of_its_type_once)
{
    struct broker *b = stage(true);
    struct settlement out[4];
    struct err err = {0};

    assert_int_equal(staged_fail_next(b, "a", STAGED_NACK, &err), OK);
    assert_int_equal(staged_fail_next(b, "a", STAGED_RETURN, &err), OK);
    put(b, 1, "b");
    put(b, 2, "a");
    put(b, 3, "a");
    put(b, 4, "a");
    assert_int_equal(made->published, 2); /* rows 1 and 4 */
    assert_int_equal(b->ops->settled(b, out, 4), 2);
    assert_int_equal(out[0].row, 2);
    assert_int_equal(out[0].outcome, PUBLISH_NACKED);
    assert_int_equal(out[1].row, 3);
    assert_int_equal(out[1].outcome, PUBLISH_RETURNED);
    assert_non_null(out[1].why);
    end(b);
}

TEST(what_a_rolled_back_turn_settled_is_gone)
{
    struct broker *b = stage(false);
    struct settlement out[4];

    put(b, 1, "a");
    b->ops->forget(b);
    assert_int_equal(made->forgotten, 1);
    assert_int_equal(b->ops->settled(b, out, 4), 0);
    end(b);
}

TEST(lost_acks_last_for_one_turn_with_deliveries)
{
    struct broker *b = stage(true);
    struct delivery d = {.tag = 1};
    struct err err = {0};

    staged_lose_acks(b);
    b->ops->tell(b); /* a turn without any */
    assert_int_equal(b->ops->accept(b, &d, &err), OK);
    assert_int_equal(b->ops->accept(b, &d, &err), OK);
    assert_int_equal(made->accepted, 0);
    b->ops->tell(b);
    assert_int_equal(b->ops->accept(b, &d, &err), OK);
    assert_int_equal(made->accepted, 1);
    end(b);
}

TEST(a_crash_fails_one_turn)
{
    struct broker *b = stage(true);
    struct delivery d = {.tag = 1};
    struct err err = {0};

    staged_crash(b);
    assert_int_equal(b->ops->accept(b, &d, &err), ERR_FAILED);
    assert_true(staged_crashed(b));
    assert_false(staged_crashed(b));
    assert_int_equal(b->ops->accept(b, &d, &err), OK);
    end(b);
}

TEST(the_next_one_knows_what_the_former_noted)
{
    struct broker *former = stage(true), *next;
    struct dummy *first = made;
    struct err err = {0};

    put(former, 1, "a");
    assert_int_equal(staged_fail_next(former, "b", STAGED_NACK, &err), OK);
    next = stage(true);
    staged_inherit(next, former);
    assert_null(staged_published(former, 0));
    former->ops->free(&former);
    free(first);
    put(next, 2, "b");
    assert_true(slice_is(staged_published(next, 0)->message.type, "a"));
    assert_true(slice_is(staged_published(next, 1)->message.type, "b"));
    assert_int_equal(made->published, 0);
    end(next);
}

TEST(a_pace_is_passed_on)
{
    struct broker *b = stage(true);

    b->ops->pace(b, "q", PACE_ONE);
    assert_int_equal(made->paced, PACE_ONE);
    end(b);
}

TEST(faults_have_a_ceiling)
{
    struct broker *b = stage(true);
    struct err err = {0};
    int rc = OK;

    for (int i = 0; i < 1000 && rc == OK; i++)
        rc = staged_fail_next(b, "a", STAGED_NACK, &err);
    assert_int_equal(rc, ERR_LIMIT);
    end(b);
}

/* The broker of specs notes publishes, and fails as it was told. The broker behind it is a
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

static struct broker *b; /* the one in front of it */

static void begin(bool loopback)
{
    made = calloc(1, sizeof *made);
    assert_non_null(made);
    made->broker.ops = &ops;
    b = spec_broker_new(&made->broker, loopback);
    assert_non_null(b);
}

static void looped(void)
{
    begin(true);
}

static void confirming(void)
{
    begin(false);
}

static void end(void)
{
    b->ops->free(&b);
    assert_int_equal(made->freed, 1);
    free(made);
}

static void put(int64_t row, const char *type)
{
    char exchange[] = "x", key[] = "k";
    const struct destination to = {EXCHANGE_TOPIC, exchange, key};
    const struct message m = {.type = slice_of(type), .body = slice_of("{}")};
    struct err err = {0};

    assert_int_equal(b->ops->publish(b, row, &to, &m, &err), OK);
    exchange[0] = key[0] = '-'; /* they were lent */
}

TEST_BETWEEN(looped, end, notes_every_publish)
{
    const struct spec_publish *p;

    put(1, "a");
    put(2, "b");
    p = spec_broker_published(b, 0);
    assert_string_equal(p->to.exchange, "x");
    assert_string_equal(p->to.routing_key, "k");
    assert_int_equal(p->to.kind, EXCHANGE_TOPIC);
    assert_true(slice_is(p->message.type, "a"));
    assert_true(slice_is(spec_broker_published(b, 1)->message.type, "b"));
    assert_null(spec_broker_published(b, 2));
    assert_int_equal(made->published, 2);
}

TEST_BETWEEN(confirming, end, without_loopback_all_is_confirmed_and_goes_nowhere)
{
    struct settlement out[4];

    put(7, "a");
    assert_true(b->ops->pending(b));
    assert_int_equal(b->ops->settled(b, out, 4), 1);
    assert_int_equal(out[0].row, 7);
    assert_int_equal(out[0].outcome, PUBLISH_CONFIRMED);
    b->ops->tell(b);
    assert_false(b->ops->pending(b));
    assert_int_equal(made->published, 0);
}

TEST_BETWEEN(looped, end, a_fault_hits_the_next_publish_of_its_type_once)
{
    struct settlement out[4];
    struct err err = {0};

    assert_int_equal(spec_broker_fail_next(b, "a", SPEC_FAULT_NACK, &err), OK);
    assert_int_equal(spec_broker_fail_next(b, "a", SPEC_FAULT_RETURN, &err), OK);
    put(1, "b");
    put(2, "a");
    put(3, "a");
    put(4, "a");
    assert_int_equal(made->published, 2); /* rows 1 and 4 */
    assert_int_equal(b->ops->settled(b, out, 4), 2);
    assert_int_equal(out[0].row, 2);
    assert_int_equal(out[0].outcome, PUBLISH_NACKED);
    assert_int_equal(out[1].row, 3);
    assert_int_equal(out[1].outcome, PUBLISH_RETURNED);
    assert_non_null(out[1].why);
}

TEST_BETWEEN(confirming, end, what_a_rolled_back_turn_settled_is_gone)
{
    struct settlement out[4];

    put(1, "a");
    b->ops->forget(b);
    assert_int_equal(made->forgotten, 1);
    assert_int_equal(b->ops->settled(b, out, 4), 0);
}

TEST_BETWEEN(looped, end, lost_acks_last_for_one_turn_with_deliveries)
{
    struct delivery d = {.tag = 1};
    struct err err = {0};

    spec_broker_lose_acks(b);
    b->ops->tell(b); /* a turn without any */
    assert_int_equal(b->ops->accept(b, &d, &err), OK);
    assert_int_equal(b->ops->accept(b, &d, &err), OK);
    assert_int_equal(made->accepted, 0);
    b->ops->tell(b);
    assert_int_equal(b->ops->accept(b, &d, &err), OK);
    assert_int_equal(made->accepted, 1);
}

TEST_BETWEEN(looped, end, a_crash_fails_one_turn)
{
    struct delivery d = {.tag = 1};
    struct err err = {0};

    spec_broker_crash(b);
    assert_int_equal(b->ops->accept(b, &d, &err), ERR_FAILED);
    assert_true(spec_broker_crashed(b));
    assert_false(spec_broker_crashed(b));
    assert_int_equal(b->ops->accept(b, &d, &err), OK);
}

TEST_BETWEEN(looped, end, the_next_one_knows_what_the_former_noted)
{
    struct broker *former = b;
    struct dummy *first = made;
    struct err err = {0};

    put(1, "a");
    assert_int_equal(spec_broker_fail_next(former, "b", SPEC_FAULT_NACK, &err), OK);
    begin(true);
    spec_broker_inherit(b, former);
    assert_null(spec_broker_published(former, 0));
    former->ops->free(&former);
    free(first);
    put(2, "b");
    assert_true(slice_is(spec_broker_published(b, 0)->message.type, "a"));
    assert_true(slice_is(spec_broker_published(b, 1)->message.type, "b"));
    assert_int_equal(made->published, 0);
}

TEST_BETWEEN(looped, end, a_pace_is_passed_on)
{
    b->ops->pace(b, "q", PACE_ONE);
    assert_int_equal(made->paced, PACE_ONE);
}

TEST_BETWEEN(looped, end, faults_have_a_ceiling)
{
    struct err err = {0};
    int rc = OK;

    for (int i = 0; i < 1000 && rc == OK; i++)
        rc = spec_broker_fail_next(b, "a", SPEC_FAULT_NACK, &err);
    assert_int_equal(rc, ERR_LIMIT);
}

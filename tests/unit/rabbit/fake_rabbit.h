/*
 * fake_rabbit - the whole rabbit driver on a fake broker, and exact books of its rows
 *
 * Routes to the fanout exchanges x and y, a subscription to queue q. Each row's
 * settlements are counted, so that none is missing and none comes twice.
 */
#ifndef HERALD_TESTS_FAKE_RABBIT_H
#define HERALD_TESTS_FAKE_RABBIT_H

#include "check.h"
#include "rabbit/rabbit.h"
#include "wire/fake_queue.h"

enum { FAKE_ROWS = 4096, FAKE_WINDOW = 16, FAKE_PATIENCE = 60000 };

struct fake_row {
    bool told;                    /* its publish is the driver's affair */
    int settled;                  /* how often an outcome came; told ones: exactly once */
    enum publish_outcome outcome; /* the last one */
    char why[160];                /* of the last one, cut off */
};

struct fake_rabbit {
    uv_loop_t loop;
    struct fake_broker *fake;
    struct broker *broker;
    struct rabbit_settings settings; /* may be changed before fake_rabbit_start */
    struct topology topology;
    struct subscription subscription;
    struct fake_row rows[FAKE_ROWS];
    int64_t pending[FAKE_WINDOW]; /* published, not told */
    size_t n_pending;
    size_t outstanding; /* told and not settled */
    bool stopped;
};

/* A broker that confirms each publish, times in milliseconds, "amqp://guest:guest@fake". */
struct fake_rabbit *fake_rabbit_new(void);
void fake_rabbit_start(struct fake_rabbit *r); /* until it is ready and both channels are open */
void fake_rabbit_free(struct fake_rabbit **r); /* stops; fails for a handle that is left */

/* Runs the loop until it holds, or fails the test with what the driver and the broker said. */
void fake_rabbit_until(struct fake_rabbit *r, fake_condition *condition, void *arg,
                       const char *what);
bool fake_rabbit_is_ready(void *r); /* conditions */
bool fake_rabbit_is_not_ready(void *r);
bool fake_rabbit_is_pending(void *r);
bool fake_rabbit_is_settled(void *r); /* all told rows; takes their settlements */

struct broker_state fake_rabbit_state(struct fake_rabbit *r);

/* One row to exchange "x" or "y", with id "s:ROW". What the driver's publish says. */
int fake_rabbit_publish(struct fake_rabbit *r, int64_t row, const char *exchange);
void fake_rabbit_tell(struct fake_rabbit *r);
void fake_rabbit_forget(struct fake_rabbit *r);

/* Takes at most `max` settlements and writes them into the books; keeps them (tell), or
 * gives them back first (forget) as a turn does that is undone. */
size_t fake_rabbit_settle(struct fake_rabbit *r, size_t max, bool keep);

/* Publishes rows from..to one after the other, whatever room there is, and tells. */
void fake_rabbit_send(struct fake_rabbit *r, int64_t from, int64_t to, const char *exchange);

/* "5+ 6r": confirmed, returned (r), nacked (-), refused (x), timed out (t), unknown (?), unsent
 * (u), none yet (.). Valid until the next call. */
const char *fake_rabbit_books(const struct fake_rabbit *r, int64_t from, int64_t to);

#endif

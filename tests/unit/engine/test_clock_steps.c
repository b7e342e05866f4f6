/* A wall clock that is set forward while the router sleeps (docs/faults.md#f68). */
#include "check.h"
#include "running.h"

#include <stdio.h>

enum { MINUTE_MS = 60000, RESTED_MS = 700, LOOKS_MAX = 4000 };

static const char rules[] = "local herald = require 'herald'\n"
                            "herald.route { type = 'note', to = herald.queue 'q' }\n"
                            "herald.subscribe { queue = 'q' }\n"
                            "herald.on('note', '*', function(msg, tx)\n"
                            "  if msg.attempt == 1 and msg.business_key1 == 'late' then\n"
                            "    herald.retry('30m')\n"
                            "  end\n"
                            "  tx:exec(\"insert into t values (?, 'done')\", msg.id)\n"
                            "end)\n";

/* Nobody touches the store between the step and its effect, which would wake the router. */
static void step_forward(struct running *r, int64_t ms)
{
    int64_t handled_before;
    struct engine_status s;

    running_for(r, RESTED_MS);
    engine_status(r->engine, &s);
    handled_before = s.counters->handled;
    r->ahead_ms += ms;
    for (int looks = 0; s.counters->handled == handled_before; looks++) {
        if (looks == LOOKS_MAX)
            fail_msg("the router sleeps on");
        running_for(r, 5);
    }
}

static void begin(struct running *r)
{
    running_begin(r, rules);
}

TEST_FROM(running, begin, a_row_that_becomes_due_by_a_step_of_the_clock_is_sent)
{
    char insert[160];
    struct clock clock = clock_real();

    snprintf(insert, sizeof insert,
             "insert into herald_outbox (type, due_at) values ('note', %lld)",
             (long long)clock_wall(&clock) + 30 * MINUTE_MS);
    running_sql(f, insert);
    step_forward(f, 31 * MINUTE_MS);
    running_until(f, "select mark from t", "done");
}

TEST_FROM(running, begin, a_retry_that_becomes_due_by_a_step_of_the_clock_is_tried)
{
    running_sql(f, "insert into herald_outbox (type, business_key1) values ('note', 'late')");
    running_until(f, "select count(*) from herald_retry", "1");
    step_forward(f, 31 * MINUTE_MS);
    running_until(f, "select mark from t", "done");
}

/* engine_look - what lies in the store, for whoever watches (engine.h) */
#include "engine/engine_int.h"

#include "store/letter.h"
#include "store/outbox.h"
#include "store/retry.h"

int engine_look(struct engine *e, struct engine_backlog *out, waiting_queue_fn *fn, void *arg,
                struct err *err)
{
    int64_t now_ms = clock_wall(&e->host.clock);
    struct outbox_counts counts = {0};
    int rc = waiting_outbox(e->db, turn_cursor(e->turn), now_ms, &out->outbox, err);

    if (rc == OK)
        rc = outbox_count(e->db, &counts, err);
    if (rc == OK)
        rc = retry_count(e->db, &out->retries, err);
    if (rc == OK)
        rc = letter_count(e->db, &out->dead, err);
    if (rc == OK)
        rc = waiting_queues(e->db, now_ms, fn, arg, err);
    out->pending = counts.pending;
    out->wal_bytes = db_wal_bytes(e->db);
    return rc;
}

/* inbox - see inbox.h
 *
 * Rows stand in order of the time they were written, so the old ones are at one end
 * and pruning needs no index on the time. It keeps a cursor, in the store and so part
 * of the transaction: behind it only rows with a retry or a dead letter are left, and
 * those are never looked at again. When such a row changes state it moves to the young
 * end, in front of the cursor, and its time starts anew. The youngest row is never
 * pruned: an empty table would number from 1 again, behind the cursor.
 *
 * What may go is decided by the floor alone, which moves by one bucket of time at most,
 * and only as fast as monotonic time (herald_meta's inbox_ran, which counts on over a
 * restart) passes: so neither a clock that jumps nor a long sleep empties the inbox. It
 * moves before the first row goes, never after: an identity that is gone is below the floor.
 *
 * Each queue has a floor of its own, which follows that one only when a row of the queue goes:
 * what waits on a queue that was not listened to for long has not been forgotten. */
#include "store/inbox.h"

#include "store/sqlite/db_int.h"

enum { BUCKETS = 7, BUCKET_MIN_MS = 60000, START_MIN_MS = 60000, LATE_MS = 10000 };

int inbox_look(struct db *db, struct slice queue, struct slice id, struct inbox_seen *out,
               struct err *err)
{
    struct query q = query_start(db, STATEMENT_INBOX_GET);
    int rc;

    *out = (struct inbox_seen){.known = false};
    query_slice(&q, queue);
    query_slice(&q, id);
    rc = query_row(&q, err);
    if (rc == 1) {
        out->known = true;
        out->state = (enum inbox_state)sqlite3_column_int(q.stmt, 0);
        out->fingerprint = column_fingerprint(q.stmt, 1);
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

int inbox_enter(struct db *db, struct slice queue, struct slice id, struct fingerprint fingerprint,
                int64_t now_ms, struct inbox_seen *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_INBOX_ENTER);
    int rc;

    *out = (struct inbox_seen){.known = false};
    query_slice(&q, queue);
    query_slice(&q, id);
    query_fingerprint(&q, fingerprint);
    query_int(&q, now_ms);
    rc = query_run(&q, err);
    if (rc != OK || sqlite3_changes64(db->work) > 0)
        return rc;
    return inbox_look(db, queue, id, out, err); /* known: the rare case pays the second look */
}

int inbox_set(struct db *db, struct slice queue, struct slice id, struct fingerprint fingerprint,
              enum inbox_state state, int64_t now_ms, struct err *err)
{
    struct query q = query_start(db, STATEMENT_INBOX_SET);

    query_slice(&q, queue);
    query_slice(&q, id);
    query_int(&q, state);
    query_fingerprint(&q, fingerprint);
    query_int(&q, now_ms);
    return query_run(&q, err);
}

static int read_cursor(struct db *db, int64_t *cursor, int64_t *youngest, struct err *err)
{
    struct query q = query_start(db, STATEMENT_INBOX_CURSOR);
    int rc = query_row(&q, err);

    *cursor = *youngest = 0;
    if (rc == 1) {
        *cursor = sqlite3_column_int64(q.stmt, 0);
        *youngest = sqlite3_column_int64(q.stmt, 1);
    }
    query_end(&q);
    if (*cursor > *youngest) /* somebody emptied the table by hand */
        *cursor = 0;
    return rc < 0 ? rc : OK;
}

/* The last of at most `limit` old rows behind the cursor; *more: the limit ended it. */
static int find_end(struct db *db, int64_t cursor, int64_t youngest, int64_t before_ms,
                    size_t limit, int64_t *end, bool *more, struct err *err)
{
    struct query q = query_start(db, STATEMENT_INBOX_OLD);
    size_t seen = 0;
    int rc;

    *end = cursor;
    query_int(&q, cursor);
    query_int(&q, youngest);
    query_int(&q, (int64_t)limit);
    while ((rc = query_row(&q, err)) == 1 && sqlite3_column_int64(q.stmt, 1) < before_ms) {
        *end = sqlite3_column_int64(q.stmt, 0);
        seen++;
    }
    query_end(&q);
    *more = rc == 0 && seen == limit;
    return rc < 0 ? rc : OK;
}

static int run(struct db *db, enum statement which, int64_t a, int64_t b, int n, struct err *err)
{
    struct query q = query_start(db, which);

    query_int(&q, a);
    if (n > 1)
        query_int(&q, b);
    return query_run(&q, err);
}

/* Of the queues whose rows behind the cursor go. */
static int raise_floors(struct db *db, int64_t floor, int64_t cursor, int64_t end, struct err *err)
{
    struct query q = query_start(db, STATEMENT_INBOX_RAISE_FLOORS);

    query_int(&q, floor);
    query_int(&q, cursor);
    query_int(&q, end);
    return query_run(&q, err);
}

int inbox_prune(struct db *db, int64_t before_ms, size_t limit, bool *more_out, struct err *err)
{
    int64_t cursor, youngest, end;
    int rc = read_cursor(db, &cursor, &youngest, err);

    *more_out = false;
    if (rc == OK)
        rc = find_end(db, cursor, youngest, before_ms, limit, &end, more_out, err);
    if (rc != OK || end == cursor)
        return rc;
    rc = raise_floors(db, before_ms, cursor, end, err);
    if (rc == OK)
        rc = run(db, STATEMENT_INBOX_DELETE, cursor, end, 2, err);
    return rc == OK ? run(db, STATEMENT_INBOX_MOVE_CURSOR, end, 0, 1, err) : rc;
}

static int read_number(struct db *db, enum statement which, int64_t *out, struct err *err)
{
    struct query q = query_start(db, which);

    *out = 0;
    return query_get_int(&q, out, err);
}

int inbox_floor(struct db *db, int64_t *floor_out, struct err *err)
{
    return read_number(db, STATEMENT_INBOX_FLOOR, floor_out, err);
}

int inbox_floor_of(struct db *db, struct slice queue, int64_t *floor_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_INBOX_FLOOR_OF);

    *floor_out = 0;
    query_slice(&q, queue);
    return query_get_int(&q, floor_out, err);
}

int inbox_inherited(struct db *db, int64_t *floor_out, struct err *err)
{
    return read_number(db, STATEMENT_INBOX_INHERITED, floor_out, err);
}

int inbox_inherit(struct db *db, struct slice queue, int64_t floor, struct err *err)
{
    struct query q = query_start(db, STATEMENT_INBOX_INHERIT);

    query_slice(&q, queue);
    query_int(&q, floor);
    return query_run(&q, err);
}

int inbox_bequeath(struct db *db, struct err *err)
{
    struct query q = query_start(db, STATEMENT_INBOX_BEQUEATHED);

    return query_run(&q, err);
}

int inbox_has_old(struct db *db, bool *any_out, struct err *err)
{
    int64_t any = 0;
    int rc = read_number(db, STATEMENT_INBOX_HAS_OLD, &any, err);

    *any_out = any != 0;
    return rc;
}

int64_t inbox_bucket_ms(int64_t window_ms)
{
    return window_ms / BUCKETS > BUCKET_MIN_MS ? window_ms / BUCKETS : BUCKET_MIN_MS;
}

/* The time of the oldest row that may go one day; *any false: there is none. */
static int oldest(struct db *db, bool *any, int64_t *at_out, struct err *err)
{
    int64_t cursor, youngest;
    struct query q;
    int rc = read_cursor(db, &cursor, &youngest, err);

    *any = false;
    if (rc != OK)
        return rc;
    q = query_start(db, STATEMENT_INBOX_OLD);
    query_int(&q, cursor);
    query_int(&q, youngest);
    query_int(&q, 1);
    rc = query_row(&q, err);
    if (rc == 1) {
        *any = true;
        *at_out = sqlite3_column_int64(q.stmt, 1);
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

/* How much time has run for the next bucket, with what passed since the last call. A start
 * brings no time of its own, and never enough to remove anything at once. What the last
 * bucket was late counts for the next one; no more than that is saved up. */
static int count_time(struct db *db, const struct inbox_care *c, int64_t *ran, struct err *err)
{
    int64_t bucket = inbox_bucket_ms(c->window_ms), most = bucket + LATE_MS;
    int rc = read_number(db, STATEMENT_INBOX_RAN, ran, err);

    if (c->starting && *ran > bucket - START_MIN_MS)
        *ran = bucket - START_MIN_MS;
    *ran = *ran > 0 ? *ran : 0;
    *ran = c->passed_ms > most - *ran ? most : *ran + c->passed_ms;
    return rc;
}

/* Moves the floor to the end of the oldest row's bucket, where all of it is old. */
static int move_floor(struct db *db, const struct inbox_care *c, int64_t at, int64_t *floor,
                      int64_t *ran, struct err *err)
{
    int64_t bucket = inbox_bucket_ms(c->window_ms);
    int64_t end = at - at % bucket + bucket;

    if (*ran < bucket || end > c->now_ms - c->window_ms)
        return OK;
    *ran -= bucket;
    *floor = end;
    return run(db, STATEMENT_INBOX_SET_FLOOR, end, 0, 1, err);
}

int inbox_care(struct db *db, const struct inbox_care *c, size_t limit, bool *more_out,
               struct err *err)
{
    int64_t floor = 0, ran = 0, at = 0;
    bool any = false;
    int rc = inbox_floor(db, &floor, err);

    *more_out = false;
    if (rc == OK)
        rc = count_time(db, c, &ran, err);
    if (rc == OK)
        rc = oldest(db, &any, &at, err);
    if (rc == OK && any && at >= floor)
        rc = move_floor(db, c, at, &floor, &ran, err);
    if (rc == OK && (c->passed_ms > 0 || c->starting)) /* else nothing about it is new */
        rc = run(db, STATEMENT_INBOX_SET_RAN, ran, 0, 1, err);
    if (rc == OK && any && at < floor)
        rc = inbox_prune(db, floor, limit, more_out, err);
    return rc;
}

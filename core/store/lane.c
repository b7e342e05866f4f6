/* lane - see lane.h. */
#include "store/lane.h"

#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <string.h>

enum { HASH_ROOM = 24 };

struct slice lane_of(char room[LANE_MAX], int order_by, const struct message *m)
{
    struct slice value = {NULL, 0};
    size_t kept;
    int n;

    if (order_by > 0)
        value = m->key[order_by - 1];
    if (value.data == NULL)
        return value;
    n = snprintf(room, LANE_MAX, "business_key%d=", order_by);
    kept = LANE_MAX - (size_t)n;
    if (value.len <= kept) {
        memcpy(room + n, value.data, value.len);
        return (struct slice){room, (size_t)n + value.len};
    }
    kept = text_utf8_prefix(value.data, kept - HASH_ROOM);
    memcpy(room + n, value.data, kept);
    n += (int)kept;
    n += snprintf(room + n, HASH_ROOM, "...%016llx",
                  (unsigned long long)text_hash(TEXT_HASH_START, value.data, value.len));
    return (struct slice){room, (size_t)n};
}

struct slice lane_of_leg(char room[LANE_LEG_MAX], struct slice lane, const struct destination *to)
{
    int n;

    if (lane.data == NULL || lane.len > LANE_MAX) /* no name of herald's */
        return (struct slice){NULL, 0};
    memcpy(room, lane.data, lane.len);
    n = snprintf(room + lane.len, LANE_LEG_MAX - lane.len, " > %s:%s", to->exchange,
                 to->routing_key);
    if ((size_t)n >= LANE_LEG_MAX - lane.len) /* over AMQP's limits: it will be parked */
        n = (int)(LANE_LEG_MAX - lane.len) - 1;
    return (struct slice){room, lane.len + (size_t)n};
}

int lane_join(struct db *db, int64_t row, struct slice lane, struct err *err)
{
    struct query q = query_start(db, STATEMENT_LANE_JOIN);

    query_slice(&q, lane);
    query_int(&q, row);
    return query_run(&q, err);
}

int lane_has_rows(struct db *db, struct slice lane, bool *out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_LANE_HAS_ROWS);
    int64_t found = 0;
    int rc;

    query_slice(&q, lane);
    rc = query_get_int(&q, &found, err);
    *out = found != 0;
    return rc;
}

int lane_is_busy(struct db *db, struct slice queue, struct slice lane, int64_t letter, bool *out,
                 struct err *err)
{
    struct query q = query_start(db, STATEMENT_LANE_BUSY);
    int64_t busy = 0;
    int rc;

    query_slice(&q, queue);
    query_slice(&q, lane);
    query_int(&q, letter);
    rc = query_get_int(&q, &busy, err);
    *out = busy != 0;
    return rc;
}

static int release(struct db *db, enum statement which, int64_t id, struct picked *done,
                   struct err *err)
{
    struct query q = query_start(db, which);
    int rc;

    query_int(&q, id);
    rc = query_run(&q, err);
    if (rc == OK && sqlite3_changes64(db->work) > 0)
        done->changed++;
    return rc;
}

int lane_release_retry(struct db *db, int64_t id, int64_t now_ms, struct picked *done,
                       struct err *err)
{
    (void)now_ms;
    return release(db, STATEMENT_LANE_RELEASE_RETRY, id, done, err);
}

int lane_release_letter(struct db *db, int64_t id, int64_t now_ms, struct picked *done,
                        struct err *err)
{
    (void)now_ms;
    return release(db, STATEMENT_LANE_RELEASE_LETTER, id, done, err);
}

int lane_release_row(struct db *db, int64_t id, int64_t now_ms, struct picked *done,
                     struct err *err)
{
    (void)now_ms;
    return release(db, STATEMENT_LANE_RELEASE_ROW, id, done, err);
}

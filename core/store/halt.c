/* halt - see halt.h. A row of herald_meta each: "halt" is publishing, "halt:NAME" a queue. */
#include "store/halt.h"

#include "base/buf.h"
#include "store/sqlite/db_int.h"

#include <string.h>

#define PUBLISHING "halt"
#define OF_QUEUE "halt:"

enum { OF_QUEUE_LEN = sizeof OF_QUEUE - 1, NAME_MAX_BYTES = OF_QUEUE_LEN + HALT_NAME_MAX };

int halt_list(struct db *db, halt_fn *fn, void *arg, struct err *err)
{
    struct query q = query_start(db, STATEMENT_HALTS);
    bool go_on = true;
    int rc = OK;

    while (go_on && (rc = query_row(&q, err)) == 1) {
        struct slice name = column_slice(q.stmt, 0);

        if (name.len >= OF_QUEUE_LEN)
            name = (struct slice){name.data + OF_QUEUE_LEN, name.len - OF_QUEUE_LEN};
        else
            name = (struct slice){NULL, 0};
        go_on = fn(arg, name, sqlite3_column_int64(q.stmt, 1));
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

static struct slice name_of(char room[NAME_MAX_BYTES], struct slice queue)
{
    if (queue.data == NULL)
        return slice_of(PUBLISHING);
    memcpy(room, OF_QUEUE, OF_QUEUE_LEN);
    memcpy(room + OF_QUEUE_LEN, queue.data, queue.len);
    return (struct slice){room, OF_QUEUE_LEN + queue.len};
}

/* What is to be written, and whether that changed anything. */
struct wanted {
    struct slice name;
    int64_t since_ms; /* below 0: it ends */
    bool changed;
};

static int write(struct db *db, void *arg, struct err *err)
{
    struct wanted *w = arg;
    bool ends = w->since_ms < 0;
    struct query q = query_start(db, ends ? STATEMENT_HALT_END : STATEMENT_HALT_BEGIN);
    int rc;

    query_slice(&q, w->name);
    if (!ends)
        query_int(&q, w->since_ms);
    rc = query_run(&q, err);
    w->changed = rc == OK && sqlite3_changes64(db->work) > 0;
    return rc;
}

static int change(struct db *db, struct slice queue, int64_t since_ms, bool *changed_out,
                  struct err *err)
{
    char room[NAME_MAX_BYTES];
    struct wanted w = {.since_ms = since_ms};
    int rc;

    *changed_out = false;
    if (queue.data != NULL && (queue.len == 0 || queue.len > HALT_NAME_MAX))
        return err_set(err, ERR_INPUT, "a queue's name has 1 to %d bytes", HALT_NAME_MAX);
    w.name = name_of(room, queue);
    rc = db_change(db, since_ms < 0 ? "resume" : "pause", write, &w, err);
    *changed_out = rc == OK && w.changed;
    return rc;
}

int halt_begin(struct db *db, struct slice queue, int64_t now_ms, bool *changed_out,
               struct err *err)
{
    return change(db, queue, now_ms, changed_out, err);
}

int halt_end(struct db *db, struct slice queue, bool *changed_out, struct err *err)
{
    return change(db, queue, -1, changed_out, err);
}

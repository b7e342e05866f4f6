/* sql - see sql.h. Statements are found by their text in a hash table; idle ones are
 * also in a list, the one used longest ago first, and leave when there are too many. */
#include "store/sql.h"

#include "store/db_int.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct sql_stmt {
    struct sql *sql;       /* lent */
    sqlite3_stmt *stmt;    /* owned */
    struct sql_stmt *next; /* in the bucket */
    struct sql_stmt *prev_idle, *next_idle; /* in the ring of idle ones, while idle */
    uint64_t hash;         /* of the text */
    bool idle;             /* may be given out */
    bool over;             /* its handler has returned: it gives no more rows */
    size_t len;            /* of the text */
    char text[];           /* the key; not terminated */
};

struct sql {
    struct db *db;            /* lent */
    size_t cache;             /* idle statements kept at most */
    size_t n_idle;            /* of them now */
    struct sql_stmt idle;     /* head of the ring: next is the oldest, prev the youngest */
    size_t n_buckets;         /* a power of two */
    struct sql_stmt **bucket; /* all statements, idle or not */
};

int sql_new(struct sql **out, struct db *db, size_t cache, struct err *err)
{
    struct sql *sql = calloc(1, sizeof *sql);
    size_t buckets = 16;

    while (buckets < cache && buckets < 65536)
        buckets *= 2;
    *out = NULL;
    if (sql != NULL)
        sql->bucket = calloc(buckets, sizeof *sql->bucket);
    if (sql == NULL || sql->bucket == NULL) {
        free(sql);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    sql->db = db;
    sql->cache = cache;
    sql->n_buckets = buckets;
    sql->idle.prev_idle = sql->idle.next_idle = &sql->idle;
    *out = sql;
    return OK;
}

static struct sql_stmt **bucket_of(struct sql *sql, uint64_t hash)
{
    return &sql->bucket[hash & (sql->n_buckets - 1)];
}

static void enter_ring(struct sql_stmt *s)
{
    struct sql_stmt *head = &s->sql->idle;

    s->prev_idle = head->prev_idle;
    s->next_idle = head;
    head->prev_idle->next_idle = s;
    head->prev_idle = s;
    s->idle = true;
    s->sql->n_idle++;
}

static void leave_ring(struct sql_stmt *s)
{
    s->prev_idle->next_idle = s->next_idle;
    s->next_idle->prev_idle = s->prev_idle;
    s->idle = false;
    s->sql->n_idle--;
}

static void destroy(struct sql_stmt *s)
{
    struct sql_stmt **p = bucket_of(s->sql, s->hash);

    while (*p != s)
        p = &(*p)->next;
    *p = s->next;
    if (s->idle)
        leave_ring(s);
    (void)sqlite3_finalize(s->stmt); /* repeats what its last step said */
    free(s);
}

void sql_free(struct sql **out)
{
    struct sql *sql = *out;

    if (sql == NULL)
        return;
    for (size_t i = 0; i < sql->n_buckets; i++)
        while (sql->bucket[i] != NULL)
            destroy(sql->bucket[i]);
    free(sql->bucket);
    free(sql);
    *out = NULL;
}

void sql_enter(struct sql *sql)
{
    sql_leave(sql);
}

/* Only statements in use can be open, and a handler leaves few of those behind; but
 * they are in no list of their own, so all buckets are walked when there are any. */
void sql_leave(struct sql *sql)
{
    if (sql->n_used == 0)
        return;
    for (size_t i = 0; i < sql->n_buckets; i++)
        for (struct sql_stmt *s = sql->bucket[i]; s != NULL; s = s->next)
            if (!s->idle) {
                (void)sqlite3_reset(s->stmt); /* repeats what its last step said */
                s->over = true;
            }
}

/* queue - see queue.h. Routing follows AMQP 0-9-1, 3.1.3. */
#include "store/queue.h"

#include "store/sqlite/db_int.h"

#include <stdlib.h>
#include <string.h>

int queue_declare(struct db *db, const char *queue, struct err *err)
{
    struct query q = query_start(db, STATEMENT_QUEUE_ADD);

    query_text(&q, queue);
    return query_run(&q, err);
}

/* *kind_out: EXCHANGE_DEFAULT stands for "no such exchange", which is never kept. */
static int find_exchange(struct db *db, const char *exchange, enum exchange_kind *kind_out,
                         struct err *err)
{
    static const enum exchange_kind kinds[] = {EXCHANGE_FANOUT, EXCHANGE_DIRECT, EXCHANGE_TOPIC};
    struct query q = query_start(db, STATEMENT_EXCHANGE_FIND);
    int rc;

    *kind_out = EXCHANGE_DEFAULT;
    query_text(&q, exchange);
    rc = query_row(&q, err);
    for (size_t i = 0; rc == 1 && i < sizeof kinds / sizeof kinds[0]; i++)
        if (slice_is(column_slice(q.stmt, 0), exchange_kind_word(kinds[i])))
            *kind_out = kinds[i];
    query_end(&q);
    return rc < 0 ? rc : OK;
}

static int add_exchange(struct db *db, const char *exchange, enum exchange_kind kind,
                        struct err *err)
{
    struct query q = query_start(db, STATEMENT_EXCHANGE_ADD);

    query_text(&q, exchange);
    query_text(&q, exchange_kind_word(kind));
    return query_run(&q, err);
}

/* Looked for first: many routes lead to one exchange. */
int queue_declare_exchange(struct db *db, const char *exchange, enum exchange_kind kind,
                           struct err *err)
{
    enum exchange_kind there;
    int rc;

    if (kind == EXCHANGE_DEFAULT) /* is always there */
        return OK;
    if (kind == EXCHANGE_HEADERS)
        return err_set(err, ERR_BROKER,
                       "exchange %s is a headers exchange, which the embedded broker has not: it "
                       "needs RabbitMQ (the setting broker), or a topic exchange",
                       exchange);
    rc = find_exchange(db, exchange, &there, err);
    if (rc != OK)
        return rc;
    if (there == EXCHANGE_DEFAULT)
        return add_exchange(db, exchange, kind, err);
    if (there != kind)
        return err_set(err, ERR_BROKER, "exchange %s is there and is %s, not %s", exchange,
                       exchange_kind_word(there), exchange_kind_word(kind));
    return OK;
}

static int queue_exists(struct db *db, struct slice queue, bool *is_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_QUEUE_FIND);
    int64_t found = 0;
    int rc;

    query_slice(&q, queue);
    rc = query_get_int(&q, &found, err);
    *is_out = found == 1;
    return rc;
}

/* Every queue is bound to the default exchange by its own name, and cannot be
 * otherwise. */
static int bind_default(const char *queue, const struct destination *from, struct err *err)
{
    if (strcmp(from->routing_key, queue) == 0)
        return OK;
    return err_set(err, ERR_BROKER, "queue %s cannot be bound to the default exchange as %s", queue,
                   from->routing_key);
}

int queue_bind(struct db *db, const char *queue, const struct destination *from, struct err *err)
{
    enum exchange_kind kind;
    struct query q;
    bool exists;
    int rc = queue_exists(db, slice_of(queue), &exists, err);

    if (rc == OK && !exists)
        return err_set(err, ERR_BROKER, "no queue %s", queue);
    if (rc != OK || from->kind == EXCHANGE_DEFAULT)
        return rc != OK ? rc : bind_default(queue, from, err);
    rc = find_exchange(db, from->exchange, &kind, err);
    if (rc == OK && kind == EXCHANGE_DEFAULT)
        return err_set(err, ERR_BROKER, "no exchange %s", from->exchange);
    if (rc != OK)
        return rc;
    q = query_start(db, STATEMENT_BINDING_ADD);
    query_text(&q, from->exchange);
    query_text(&q, queue);
    query_text(&q, from->routing_key);
    return query_run(&q, err);
}

int queue_bind_exchange(struct db *db, const char *exchange, const struct destination *from,
                        struct err *err)
{
    struct query q = query_start(db, STATEMENT_EXCHANGE_BIND);

    query_text(&q, from->exchange);
    query_text(&q, exchange);
    query_text(&q, from->routing_key);
    return query_run(&q, err);
}

/* Takes the next word off *s: up to a dot or the end. False: there is none left. */
static bool next_word(struct slice *s, struct slice *word)
{
    const char *dot;

    if (s->data == NULL)
        return false;
    dot = s->len > 0 ? memchr(s->data, '.', s->len) : NULL;
    word->data = s->data;
    word->len = dot != NULL ? (size_t)(dot - s->data) : s->len;
    if (dot == NULL)
        *s = (struct slice){NULL, 0};
    else
        *s = (struct slice){dot + 1, s->len - word->len - 1};
    return true;
}

/* "*" stands for one word, "#" for any number of them. As with file name patterns,
 * going back to the last "#" alone is enough, so it takes no longer than the product
 * of both lengths. */
static bool topic_matches(struct slice pattern, struct slice key)
{
    struct slice after_hash = {NULL, 0}, key_then = {NULL, 0};
    struct slice p, k;
    bool hash_seen = false;

    for (;;) {
        struct slice rest = pattern;
        bool have_p = next_word(&rest, &p);

        if (have_p && slice_is(p, "#")) {
            pattern = after_hash = rest;
            key_then = key;
            hash_seen = true;
            continue;
        }
        if (key.data == NULL && !have_p)
            return true;
        if (key.data != NULL && have_p) {
            struct slice key_rest = key;

            (void)next_word(&key_rest, &k); /* there is one */
            if (slice_is(p, "*") || slice_equal(p, k)) {
                pattern = rest;
                key = key_rest;
                continue;
            }
        }
        /* No match so: the last "#" takes one word more, while there is one. */
        if (!hash_seen || !next_word(&key_then, &k))
            return false;
        pattern = after_hash;
        key = key_then;
    }
}

static bool binding_matches(enum exchange_kind kind, struct slice bound, struct slice key)
{
    if (kind == EXCHANGE_FANOUT)
        return true;
    /* An empty key has no words. */
    return kind == EXCHANGE_TOPIC ? topic_matches(bound.len > 0 ? bound : (struct slice){NULL, 0},
                                                  key.len > 0 ? key : (struct slice){NULL, 0})
                                  : slice_equal(bound, key);
}

static int put(struct db *db, struct slice queue, const struct destination *to,
               const struct message *m, struct err *err)
{
    struct query q = query_start(db, STATEMENT_ITEM_ADD);

    query_slice(&q, queue);
    query_message(&q, m, slice_of(to->exchange), slice_of(to->routing_key));
    return query_run(&q, err);
}

static int publish_default(struct db *db, const struct destination *to, const struct message *m,
                           size_t *n_out, struct err *err)
{
    struct slice queue = slice_of(to->routing_key);
    bool exists;
    int rc = queue_exists(db, queue, &exists, err);

    if (rc != OK || !exists)
        return rc;
    *n_out = 1;
    return put(db, queue, to, m, err);
}

/* Names, in the order in which they were found. */
struct name {
    struct name *next;
    char text[];
};

struct names {
    struct name *first, *last; /* owned */
};

static void free_names(struct names *names)
{
    while (names->first != NULL) {
        struct name *next = names->first->next;

        free(names->first);
        names->first = next;
    }
}

static bool has_name(const struct names *names, struct slice name)
{
    for (const struct name *n = names->first; n != NULL; n = n->next)
        if (slice_is(name, n->text))
            return true;
    return false;
}

static int add_name(struct names *names, struct slice text, struct err *err)
{
    struct name *n = malloc(sizeof *n + text.len + 1);

    if (n == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    n->next = NULL;
    memcpy(n->text, text.data, text.len);
    n->text[text.len] = '\0';
    *(names->last != NULL ? &names->last->next : &names->first) = n;
    names->last = n;
    return OK;
}

/* Adds the exchanges that take this key from one of them. */
static int add_takers(struct db *db, enum exchange_kind kind, const char *exchange,
                      struct names *names, struct slice key, struct err *err)
{
    struct query q = query_start(db, STATEMENT_EXCHANGE_BOUND);
    int rc;

    query_text(&q, exchange);
    while ((rc = query_row(&q, err)) == 1) {
        struct slice taker = column_slice(q.stmt, 0);

        if (!binding_matches(kind, column_slice(q.stmt, 1), key) || has_name(names, taker))
            continue;
        rc = add_name(names, taker, err);
        if (rc != OK)
            break;
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

enum { QUEUE_MAX = 1024 * 1024 }; /* whatever somebody may have written there */

/* Called for each queue that a message comes to, once. Returns OK to go on. */
typedef int reached_fn(void *arg, struct slice queue, struct err *err);

/* A message, on its way from exchange to exchange. */
struct way {
    struct db *db;
    struct slice key;
    struct names exchanges; /* that have it, each once: circles do no harm */
    struct names queues;    /* where it came to, if several have it: each may lead there */
    reached_fn *fn;
    void *arg;
};

static int reach(struct way *w, struct slice queue, struct buf *last, struct err *err)
{
    int rc = OK;

    buf_clear(last);
    if (buf_append(last, queue.data, queue.len) != OK)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (has_name(&w->queues, queue))
        return OK;
    if (w->exchanges.first != w->exchanges.last)
        rc = add_name(&w->queues, queue, err);
    return rc == OK ? w->fn(w->arg, queue, err) : rc;
}

/* Bindings come in order of queue: one that has the message already is passed over until the name
 * changes. */
static int walk_queues(struct way *w, enum exchange_kind kind, const char *exchange,
                       struct err *err)
{
    struct query q = query_start(w->db, STATEMENT_BINDING_LIST);
    struct buf last;
    int rc;

    buf_init(&last, QUEUE_MAX);
    query_text(&q, exchange);
    while ((rc = query_row(&q, err)) == 1) {
        struct slice queue = column_slice(q.stmt, 0);

        if ((last.len > 0 && slice_equal(queue, (struct slice){last.data, last.len})) ||
            !binding_matches(kind, column_slice(q.stmt, 1), w->key))
            continue;
        rc = reach(w, queue, &last, err);
        if (rc != OK)
            break;
    }
    query_end(&q);
    buf_free(&last);
    return rc < 0 ? rc : OK;
}

/* `exchange` is there, and of this kind. */
static int walk(struct way *w, enum exchange_kind kind, const char *exchange, struct err *err)
{
    int rc = add_name(&w->exchanges, slice_of(exchange), err);

    for (const struct name *n = w->exchanges.first; rc == OK && n != NULL; n = n->next) {
        if (n != w->exchanges.first)
            rc = find_exchange(w->db, n->text, &kind, err);
        if (rc == OK)
            rc = add_takers(w->db, kind, n->text, &w->exchanges, w->key, err);
        if (rc == OK)
            rc = walk_queues(w, kind, n->text, err);
    }
    free_names(&w->exchanges);
    free_names(&w->queues);
    return rc;
}

struct publish {
    struct db *db;
    const struct destination *to;
    const struct message *m;
    size_t n;
};

static int put_into(void *arg, struct slice queue, struct err *err)
{
    struct publish *p = arg;

    p->n++;
    return put(p->db, queue, p->to, p->m, err);
}

int queue_publish(struct db *db, const struct destination *to, const struct message *m,
                  size_t *n_out, struct err *err)
{
    struct publish p = {.db = db, .to = to, .m = m};
    struct way w = {.db = db, .key = slice_of(to->routing_key), .fn = put_into, .arg = &p};
    enum exchange_kind kind;
    int rc;

    *n_out = 0;
    if (to->kind == EXCHANGE_DEFAULT)
        return publish_default(db, to, m, n_out, err);
    rc = find_exchange(db, to->exchange, &kind, err);
    if (rc == OK && kind == EXCHANGE_DEFAULT)
        return err_set(err, ERR_BROKER, "no exchange %s", to->exchange);
    if (rc == OK)
        rc = walk(&w, kind, to->exchange, err);
    *n_out = p.n;
    return rc;
}

static int note_reached(void *arg, struct slice queue, struct err *err)
{
    (void)queue, (void)err;
    *(bool *)arg = true;
    return OK;
}

int queue_reaches(struct db *db, const struct destination *to, bool *reaches_out, struct err *err)
{
    struct way w = {
        .db = db, .key = slice_of(to->routing_key), .fn = note_reached, .arg = reaches_out};
    enum exchange_kind kind;
    int rc;

    *reaches_out = false;
    if (to->kind == EXCHANGE_DEFAULT)
        return queue_exists(db, slice_of(to->routing_key), reaches_out, err);
    rc = find_exchange(db, to->exchange, &kind, err);
    return rc == OK && kind != EXCHANGE_DEFAULT ? walk(&w, kind, to->exchange, err) : rc;
}

int queue_peek(struct db *db, const char *queue, int64_t after, size_t limit, queue_item_fn *fn,
               void *arg, struct err *err)
{
    struct query q = query_start(db, STATEMENT_ITEM_LIST);
    struct queue_item item = {.id = 0};
    int rc;

    query_text(&q, queue);
    query_int(&q, after);
    query_int(&q, (int64_t)limit);
    while ((rc = query_row(&q, err)) == 1) {
        item.id = sqlite3_column_int64(q.stmt, 0);
        (void)column_message(q.stmt, 1, &item.message, &item.exchange, &item.routing_key);
        if (!fn(arg, &item))
            break;
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

int queue_remove(struct db *db, int64_t id, struct err *err)
{
    struct query q = query_start(db, STATEMENT_ITEM_REMOVE);

    query_int(&q, id);
    return query_run(&q, err);
}

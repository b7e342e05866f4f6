/* list - see list.h. */
#include "store/list.h"

#include "base/message.h"
#include "store/retry.h"
#include "store/sqlite/db_int.h"

#include <stdlib.h>
#include <string.h>

/* In all views ?1 is an id, the limit, or a text, and ?2 is 1 where the row is shown whole. */
#define KEYS "business_key1 as key1, business_key2 as key2, business_key3 as key3"
/* As message_seconds has it. */
#define SECONDS "nullif(iif(timestamp_s < 100000000000, timestamp_s, timestamp_s / 1000), 0)"

#define BEHIND "due_at = 9223372036854775807" /* LANE_BEHIND */

static const char dead[] =
    "select id, at, side, nullif(queue, '') as queue, attempts, generation, error, traceback,"
    " printf('%08x', error_group) as \"group\","
    " coalesce(message_id, identity) as message_id, type, " KEYS ","
    " body, headers, content_type, properties, " SECONDS " as timestamp,"
    " exchange, routing_key, nullif(format, '') as format,"
    " tries as \"tries[]\""
    " from herald_dead where id = ?1";

/* Stored as it was received: see_inside looks for type and keys. "orphaned:" is what the engine
 * writes when it finds no subscription (engine/turn_handle.c). */
static const char retries[] =
    "select id, due_at, first_at, attempts, generation, queue, lane, error,"
    " " BEHIND " as \"behind?\","
    " error glob 'orphaned:*' as \"orphaned?\","
    " coalesce(message_id, identity) as message_id, " RETRY_READ " as \"read?\","
    " " RETRY_TYPE " as type, " RETRY_KEY1 " as key1, " RETRY_KEY2 " as key2,"
    " " RETRY_KEY3 " as key3, body, content_type, iif(?2, headers, null) as headers,"
    " iif(?2, properties, null) as properties, iif(?2, " SECONDS ", null) as timestamp,"
    " iif(?2, exchange, null) as exchange, iif(?2, routing_key, null) as routing_key,"
    " tries as \"tries[]\""
    " from herald_retry where id = ?1";

/* A producer may have written a time of another type. The store does not know what is in flight: a
 * fresh row may be, and one that was postponed and is due again is, or waits for its turn. */
static const char outbox[] =
    "select id, due_at, cast(created_at as integer) as created_at,"
    " attempts, reason, lane, outlet, key as name,"
    " case when " BEHIND " then 'behind' when due_at = " BACKLOG_TEXT " then 'waiting'"
    "  when reason is not null then iif(due_at > 0, 'postponed', 'again')"
    "  else iif(due_at > 0, 'scheduled', 'fresh') end as state,"
    " coalesce(message_id, (select store_id from herald_epoch where above < o.id"
    "  order by above desc limit 1) || ':' || id) as message_id, type, " KEYS ","
    " leg_exchange as exchange, leg_routing_key as routing_key,"
    " iif(?2, body, null) as body, iif(?2, headers, null) as headers,"
    " iif(?2, properties, null) as properties, nullif(format, '') as format,"
    " iif(?2, cast(iif(dated_at > 0, dated_at, created_at) as integer) / 1000, null) as timestamp"
    " from herald_outbox o where id = ?1";

static const char history[] =
    "select id, at, side, outcome, queue, attempts, generation, message_id, type, " KEYS ","
    " iif(?2, body, null) as body, headers, content_type, properties, " SECONDS " as timestamp,"
    " exchange, routing_key"
    " from herald_history where id = ?1";

static const char groups[] =
    "select printf('%08x', id) as \"group\", n as count, first_at, last_at, side,"
    " nullif(queue, '') as queue, error"
    " from herald_dead_group order by n desc, id limit ?1";

#define BEHIND_RETRY                                                                               \
    "(select count(*) from herald_retry f where f.queue = h.queue and f.lane = h.lane "            \
    "and f." BEHIND ")"
#define BEHIND_ROW "(select count(*) from herald_outbox f where f.lane = h.lane and f." BEHIND ")"

/* What keeps a lane waiting is its head; due_at 0: in flight; of a letter: when it died. */
static const char lanes[] =
    "select * from (select 'retry' as head, id, queue, lane, " BEHIND_RETRY " as waiting, due_at,"
    "  attempts, error from herald_retry h"
    "  where id > 0 and lane is not null and " LANE_FIRST " order by id limit ?1)"
    " union all select * from (select 'dead', id, queue, lane, " BEHIND_RETRY ", at,"
    "  attempts, error from herald_dead h"
    "  where queue > '' and holds order by queue, lane limit ?1)"
    " union all select * from (select 'outbox', id, null, lane, " BEHIND_ROW ","
    "  iif(outlet is null, due_at, 0), attempts, reason from herald_outbox h"
    "  where id > 0 and lane is not null and " LANE_FIRST
    "  and (reason is not null or exists (select 1 from herald_outbox f"
    "   where f.lane = h.lane and f." BEHIND "))"
    "  order by id limit ?1)";

/* As many lines as there may be (TRIES_KEPT); what is none of herald's is passed over. */
static const char tries[] =
    "with line(text, rest) as (select null, ?1 || char(10) union all"
    "  select substr(rest, 1, instr(rest, char(10)) - 1), substr(rest, instr(rest, char(10)) + 1)"
    "  from line where rest <> '')"
    " select coalesce(text ->> 'at', 0) as at, coalesce(text ->> 'attempt', 0) as attempt,"
    " coalesce(text ->> 'generation', 0) as generation, text ->> 'error' as error,"
    " text ->> 'traceback' as traceback,"
    " iif(json_type(text, '$.took_ms') = 'integer', text ->> 'took_ms', null) as took_ms"
    " from line where iif(json_valid(text), json_type(text, '$.error') = 'text'"
    "  and typeof(coalesce(text ->> 'at', 0)) = 'integer'"
    "  and typeof(coalesce(text ->> 'attempt', 0)) = 'integer'"
    "  and typeof(coalesce(text ->> 'generation', 0)) = 'integer', 0) limit 20";

/* Queue after queue, since there are few and the index begins with them. */
static const char inbox[] =
    "with recursive queues(name) as (select min(queue) from herald_inbox union all"
    "  select (select min(queue) from herald_inbox where queue > name) from queues"
    "  where name is not null)"
    " select at, queue, message_id,"
    " case state when 0 then 'done' when 1 then 'waiting' else 'dead' end as state"
    " from queues join herald_inbox on queue = name and message_id = ?1";

typedef int complete_fn(struct list *l, struct err *err);

static complete_fn see_inside, make_body;

static const struct view {
    const char *doing; /* for messages */
    const char *sql;
    bool named;            /* ?1 is pick.message_id */
    bool picked;           /* row by row, by ids of `table` */
    enum pick_table table; /* and */
    complete_fn *complete; /* what SQL cannot say; NULL: nothing */
} views[LIST_VIEWS] = {
    [LIST_LETTERS] = {"list dead letters", dead, false, true, PICK_LETTERS, NULL},
    [LIST_RETRIES] = {"list retries", retries, false, true, PICK_RETRY, see_inside},
    [LIST_OUTBOX] = {"list outbox rows", outbox, false, true, PICK_OUTBOX, make_body},
    [LIST_HISTORY] = {"list the history", history, false, true, PICK_HISTORY, NULL},
    [LIST_LETTER_GROUPS] = {.doing = "list groups of dead letters", .sql = groups},
    [LIST_INBOX] = {.doing = "look into the inbox", .sql = inbox, .named = true},
    [LIST_LANES] = {.doing = "list lanes", .sql = lanes},
    [LIST_TRIES] = {.doing = "list tries", .sql = tries},
};

enum { COLUMNS_MAX = 32 };

/* A run of the query has one row where rows are picked, else all of them. */
struct list {
    const struct view *view;
    struct query query; /* its statement is owned */
    bool whole;
    bool running;                     /* the run may have a further row */
    int64_t one;                      /* ?1 of the only run, */
    int64_t *ids;                     /* or of each; owned, NULL: none */
    size_t n, at;                     /* runs, and the next of them */
    size_t bytes;                     /* of the rows so far */
    struct value values[COLUMNS_MAX]; /* of the row at hand */
    struct envelope envelope;         /* lends what its body says, */
    struct buf body;                  /* and the one that it is sent with; or the name of a view */
    struct list *inner;               /* for list_inner; owned, NULL: not yet */
};

const char *list_sql(enum list_view view)
{
    return views[view].sql;
}

int list_columns(const struct list *l)
{
    return sqlite3_column_count(l->query.stmt);
}

const char *list_name(const struct list *l, int column)
{
    const char *name = sqlite3_column_name(l->query.stmt, column);

    return name != NULL ? name : ""; /* out of memory */
}

const struct value *list_value(const struct list *l, int column)
{
    return &l->values[column];
}

/* The view has it. */
static struct value *find(struct list *l, const char *name)
{
    int i = 0;

    while (strcmp(list_name(l, i), name) != 0)
        REQUIRE(++i < list_columns(l));
    return &l->values[i];
}

static void put(struct list *l, const char *name, struct slice bytes)
{
    *find(l, name) =
        (struct value){.kind = bytes.data != NULL ? VALUE_TEXT : VALUE_NULL, .bytes = bytes};
}

static const char *const key_names[MESSAGE_KEYS] = {"key1", "key2", "key3"};

static struct message message_of(struct list *l)
{
    struct message m = {.type = find(l, "type")->bytes, .body = find(l, "body")->bytes};

    for (int i = 0; i < MESSAGE_KEYS; i++)
        m.key[i] = find(l, key_names[i])->bytes;
    return m;
}

/* What a body says comes first, unless rules have read it. */
static int see_inside(struct list *l, struct err *err)
{
    struct message m = message_of(l);
    int rc;

    m.content_type = find(l, "content_type")->bytes;
    rc = find(l, "read?")->integer ? OK : retry_resolve(&m, &l->envelope, err);
    put(l, "type", m.type);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        put(l, key_names[i], m.key[i]);
    if (!l->whole) {
        *find(l, "body") = (struct value){.kind = VALUE_NULL};
        *find(l, "content_type") = (struct value){.kind = VALUE_NULL};
    }
    return rc;
}

/* Of a row without one (docs/design.md#the-outbox). */
static int make_body(struct list *l, struct err *err)
{
    struct message m;

    if (!l->whole || find(l, "body")->kind != VALUE_NULL)
        return OK;
    m = message_of(l);
    buf_clear(&l->body);
    if (message_default_body(&l->body, &m, find(l, "id")->integer) != OK)
        return err_set(err, ERR_NOMEM, "out of memory");
    put(l, "body", (struct slice){l->body.data, l->body.len});
    return OK;
}

static int make(struct list **list, struct db *db, enum list_view view, struct err *err)
{
    struct list *l = calloc(1, sizeof *l);

    *list = l;
    if (l == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->view = &views[view];
    envelope_init(&l->envelope);
    buf_init(&l->body, (size_t)8 * MESSAGE_BODY_MAX); /* as in outbox.c */
    return query_prepare(&l->query, db, slice_of(l->view->sql), l->view->doing, err);
}

int list_open(struct list **list, struct db *db, const struct list_of *of, struct err *err)
{
    int rc = make(list, db, of->view, err);
    struct list *l = *list;

    if (rc != OK)
        return rc;
    REQUIRE(list_columns(l) <= COLUMNS_MAX);
    l->whole = of->id != 0;
    if (l->view->picked && !l->whole)
        return pick_ids(db, l->view->table, &of->pick, of->after, of->limit, &l->ids, &l->n, err);
    if (l->view->named &&
        buf_append(&l->body, of->pick.message_id.data, of->pick.message_id.len) != OK)
        return err_set(err, ERR_NOMEM, "out of memory");
    l->one = l->whole ? of->id : (int64_t)of->limit;
    l->n = 1;
    return OK;
}

void list_close(struct list **list)
{
    struct list *l = *list;

    if (l == NULL)
        return;
    list_close(&l->inner);
    (void)sqlite3_finalize(l->query.stmt); /* repeats what query_row said */
    envelope_free(&l->envelope);
    buf_free(&l->body);
    free(l->ids);
    free(l);
    *list = NULL;
}

/* What was lent to it may go. */
static void stop(struct list *l)
{
    query_end(&l->query);
    l->query.at = 0;
    l->running = false;
}

static void begin_run(struct list *l)
{
    stop(l);
    if (l->view->named)
        query_slice(&l->query, (struct slice){l->body.data, l->body.len});
    else
        query_int(&l->query, l->ids != NULL ? l->ids[l->at] : l->one);
    if (sqlite3_bind_parameter_count(l->query.stmt) > 1)
        query_int(&l->query, l->whole);
    l->running = true;
    l->at++;
}

static int take_row(struct list *l, struct err *err)
{
    bool first = l->bytes == 0;
    int rc;

    for (int i = 0; i < list_columns(l); i++)
        column_value(l->query.stmt, i, &l->values[i]);
    rc = l->view->complete != NULL ? l->view->complete(l, err) : OK;
    for (int i = 0; i < list_columns(l); i++)
        l->bytes += l->values[i].bytes.len;
    if (rc == OK && !first && l->bytes > LIST_BYTES_MAX)
        rc = err_set(err, ERR_LIMIT, "these rows take over 512 MiB: use a smaller --limit");
    return rc == OK ? 1 : rc;
}

int list_next(struct list *l, struct err *err)
{
    int rc = 0;

    if (l->inner != NULL)
        stop(l->inner);
    while (rc == 0 && (l->running || l->at < l->n)) {
        if (!l->running)
            begin_run(l);
        rc = query_row(&l->query, err);
        l->running = rc == 1;
    }
    return rc == 1 ? take_row(l, err) : rc;
}

struct list *list_inner(struct list *l, int column, struct err *err)
{
    if (l->inner == NULL && make(&l->inner, l->query.db, LIST_TRIES, err) != OK)
        return NULL;
    stop(l->inner);
    query_slice(&l->inner->query, l->values[column].bytes);
    l->inner->running = true;
    return l->inner;
}

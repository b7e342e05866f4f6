/* schema - herald's own tables, and how older stores become newer ones
 *
 * Later versions append a step; a step that has been released never changes. All
 * tables are made so that more columns and tables can join them by later steps. */
#include "base/error_group.h"
#include "store/sqlite/db_int.h"

#include <stdio.h>

/* Conditions on herald_outbox refuse what would never be sent, where its producer
 * still sees it: ids stay exact in JSON readers that use doubles and above the cursor
 * that starts at 0; a due time that is text would compare as later than every number;
 * a body that is too large could not even be read to be parked. */
static const char version_1[] =
    "create table herald_outbox ("
    "  id            integer primary key autoincrement,"
    "  type          text not null,"
    "  business_key1 text,"
    "  business_key2 text,"
    "  business_key3 text,"
    "  body          blob,"
    "  headers       text,"
    "  message_id    text,"
    "  due_at        integer not null default 0,"
    "  key           text,"
    "  created_at    integer not null"
    "    default (cast((julianday('now') - 2440587.5) * 86400000 as integer)),"
    /* herald's own: producers leave them alone */
    "  attempts      integer not null default 0,"
    "  reason        text,"
    "  first_sent_at integer,"
    "  check (id > 0 and id < 9007199254740992),"
    "  check (typeof(due_at) = 'integer' and due_at >= 0),"
    "  check (ifnull(length(cast(body as blob)), 0) + ifnull(length(cast(headers as blob)), 0)"
    "    + ifnull(length(cast(message_id as blob)), 0) + length(cast(type as blob))"
    "    + ifnull(length(cast(business_key1 as blob)), 0)"
    "    + ifnull(length(cast(business_key2 as blob)), 0)"
    "    + ifnull(length(cast(business_key3 as blob)), 0) <= 16777216)" /* MESSAGE_BODY_MAX */
    ");"
    "create index herald_outbox_due on herald_outbox(due_at) where due_at > 0;"
    "create index herald_outbox_key on herald_outbox(key) where key is not null;"

    /* seq is the order in which rows were written, so the oldest are at one end */
    "create table herald_inbox ("
    "  seq         integer primary key,"
    "  queue       text not null,"
    "  message_id  text not null,"
    "  state       integer not null,"
    "  fingerprint integer not null,"
    "  at          integer not null"
    ");"
    "create unique index herald_inbox_key on herald_inbox(queue, message_id);"

    "create table herald_retry ("
    "  id            integer primary key autoincrement,"
    "  due_at        integer not null,"
    "  queue         text not null,"
    "  identity      text,"
    "  fingerprint   integer not null,"
    "  attempts      integer not null,"
    "  first_at      integer not null,"
    "  error         text not null,"
    "  message_id    text,"
    "  type          text,"
    "  business_key1 text,"
    "  business_key2 text,"
    "  business_key3 text,"
    "  body          blob,"
    "  headers       text,"
    "  content_type  text,"
    "  timestamp_s   integer not null,"
    "  exchange      text,"
    "  routing_key   text"
    ");"
    "create index herald_retry_due on herald_retry(due_at);"

    "create table herald_dead ("
    "  id            integer primary key autoincrement,"
    "  side          text not null check (side in ('inbox', 'outbox')),"
    "  queue         text not null," /* '' on side outbox: nulls would never be equal */
    "  identity      text,"
    "  fingerprint   integer not null,"
    "  attempts      integer not null,"
    "  error         text not null,"
    "  traceback     text,"
    "  generation    integer not null,"
    "  at            integer not null,"
    "  message_id    text,"
    "  type          text,"
    "  business_key1 text,"
    "  business_key2 text,"
    "  business_key3 text,"
    "  body          blob,"
    "  headers       text,"
    "  content_type  text,"
    "  timestamp_s   integer not null,"
    "  exchange      text,"
    "  routing_key   text"
    ");"
    "create unique index herald_dead_once on herald_dead(side, queue, identity, fingerprint)"
    "  where identity is not null;"

    /* Retries and dead letters are rare, so triggers may count them. */
    "create table herald_count (name text primary key, n integer not null) without rowid;"
    "insert into herald_count values ('retry', 0), ('dead', 0);"
    "create trigger herald_retry_added after insert on herald_retry"
    "  begin update herald_count set n = n + 1 where name = 'retry'; end;"
    "create trigger herald_retry_removed after delete on herald_retry"
    "  begin update herald_count set n = n - 1 where name = 'retry'; end;"
    "create trigger herald_dead_added after insert on herald_dead"
    "  begin update herald_count set n = n + 1 where name = 'dead'; end;"
    "create trigger herald_dead_removed after delete on herald_dead"
    "  begin update herald_count set n = n - 1 where name = 'dead'; end;"

    /* the embedded broker */
    "create table herald_exchange (name text primary key, kind text not null) without rowid;"
    "create table herald_queue (name text primary key) without rowid;"
    "create table herald_binding (exchange text not null, queue text not null,"
    "  routing_key text not null, primary key (exchange, queue, routing_key)) without rowid;"
    "create table herald_queue_item ("
    "  id            integer primary key autoincrement,"
    "  queue         text not null,"
    "  message_id    text,"
    "  type          text,"
    "  business_key1 text,"
    "  business_key2 text,"
    "  business_key3 text,"
    "  body          blob,"
    "  headers       text,"
    "  content_type  text,"
    "  timestamp_s   integer not null,"
    "  exchange      text,"
    "  routing_key   text"
    ");"
    "create index herald_queue_item_queue on herald_queue_item(queue);"

    "create table herald_migration ("
    "  namespace  text not null,"
    "  name       text not null,"
    "  hash       text not null,"
    "  applied_at integer not null,"
    "  primary key (namespace, name)"
    ") without rowid;"

    "create table herald_epoch (above integer primary key, store_id text not null);"
    "insert into herald_meta values"
    "  ('outbox_removed', 0)," /* rows that left the outbox: outbox.c */
    "  ('inbox_pruned', 0),"   /* the pruning cursor: inbox.c */
    "  ('opened', 0);";        /* times a router opened the store: epoch.c */

/* A leg is a row whose destination is written down, one of several of what was one row.
 * The last handled messages are kept for trials of new rules. */
static const char version_2[] =
    "alter table herald_outbox add column leg_kind text;"
    "alter table herald_outbox add column leg_exchange text;"
    "alter table herald_outbox add column leg_routing_key text;"
    "alter table herald_retry add column generation integer not null default 0;"
    "create table herald_recent ("
    "  seq           integer primary key,"
    "  at            integer not null,"
    "  queue         text not null,"
    "  message_id    text,"
    "  type          text,"
    "  business_key1 text,"
    "  business_key2 text,"
    "  business_key3 text,"
    "  body          blob,"
    "  headers       text,"
    "  content_type  text,"
    "  timestamp_s   integer not null,"
    "  exchange      text,"
    "  routing_key   text"
    ");";

/* Letters whose errors differ only in what varies are one group (error_group.h), counted by
 * triggers, so that a million letters are read as fast as their few groups. A leg that was parked
 * keeps its destination. */
static const char version_3[] =
    "alter table herald_dead add column error_group integer not null default 0;"
    "alter table herald_dead add column leg_kind text;"
    "create table herald_dead_group ("
    "  id       integer primary key," /* error_group */
    "  n        integer not null,"
    "  first_at integer not null,"
    "  last_at  integer not null,"
    "  side     text not null,"
    "  queue    text not null,"
    "  error    text not null" /* of the first one */
    ");"
    "update herald_dead set error_group = herald_error_group(side, queue, error);"
    "create index herald_dead_by_group on herald_dead(error_group);"
    "insert into herald_dead_group select error_group, count(*), min(at), max(at), side, queue,"
    "  (select error from herald_dead f where f.error_group = d.error_group order by id limit 1)"
    "  from herald_dead d group by error_group;"
    "create trigger herald_dead_grouped after insert on herald_dead begin"
    "  insert into herald_dead_group values (new.error_group, 1, new.at, new.at, new.side,"
    "    new.queue, new.error) on conflict(id) do update set n = n + 1,"
    "    first_at = min(first_at, excluded.first_at), last_at = max(last_at, excluded.last_at);"
    "  end;"
    "create trigger herald_dead_ungrouped after delete on herald_dead begin"
    "  update herald_dead_group set n = n - 1 where id = old.error_group;"
    "  delete from herald_dead_group where id = old.error_group and n <= 0;"
    "  end;";

/* A row with a key takes the place of the older ones of that key, legs and all; legs of one
 * row share theirs, so adding a leg replaces nothing. */
static const char version_4[] =
    "create trigger herald_outbox_replaces before insert on herald_outbox"
    "  when new.key is not null and new.leg_kind is null begin"
    "  select raise(abort, 'herald_outbox.key must be text of 1 to 255 bytes')"
    "    where typeof(new.key) = 'blob' or length(cast(new.key as blob)) not between 1 and 255;"
    "  delete from herald_outbox where key = new.key;"
    "  update herald_meta set value = value + changes()"
    "    where key = 'outbox_removed' and changes() > 0;"
    "  end;";

/* Lanes (lane.h): the first row of a lane is at work, in flight or waiting for its time; the ones
 * behind it have no time (the largest there is) until it leaves. Triggers wake the next one, so
 * that whoever takes a row away, a program of somebody else's too, keeps the lane moving.
 * `tries` is what each attempt came to (tries.h). What first_sent_at held before was no time of
 * a send, and attempts counted more than refusals. */
#define BEHIND "9223372036854775807" /* LANE_BEHIND */

#define WAKE_OUTBOX_LANE                                                                           \
    " begin update herald_outbox set due_at = 1 where id = (select id from herald_outbox"          \
    "   where lane = old.lane and due_at = " BEHIND " order by id limit 1)"                        \
    "   and not exists (select 1 from herald_outbox where lane = old.lane"                         \
    "     and due_at < " BEHIND "); end;"

#define WAKE_RETRY_LANE                                                                            \
    " begin update herald_retry set due_at = 1 where id = (select id from herald_retry"            \
    "   where queue = old.queue and lane = old.lane and due_at = " BEHIND                          \
    "   order by id limit 1)"                                                                      \
    "   and not exists (select 1 from herald_retry where queue = old.queue"                        \
    "     and lane = old.lane and due_at < " BEHIND ")"                                            \
    "   and not exists (select 1 from herald_dead where queue = old.queue"                         \
    "     and lane = old.lane and holds); end;"

static const char version_5[] =
    "alter table herald_outbox add column lane text;"
    "alter table herald_outbox add column refused_at integer;"
    "alter table herald_retry add column lane text;"
    "alter table herald_retry add column tries text;"
    "alter table herald_dead add column lane text;"
    "alter table herald_dead add column holds integer not null default 0;" /* its lane waits */
    "alter table herald_dead add column tries text;"
    "update herald_outbox set first_sent_at = null, attempts = 0 where first_sent_at is not null;"
    "create index herald_outbox_lane on herald_outbox(lane, due_at) where lane is not null;"
    "create index herald_outbox_first on herald_outbox(id)"
    "  where lane is not null and due_at < " BEHIND ";"
    "create index herald_retry_lane on herald_retry(queue, lane, due_at) where lane is not null;"
    "create index herald_retry_first on herald_retry(id)"
    "  where lane is not null and due_at < " BEHIND ";"
    "create index herald_dead_holds on herald_dead(queue, lane) where holds;"
    "create trigger herald_outbox_leaves_lane after delete on herald_outbox"
    "  when old.lane is not null" WAKE_OUTBOX_LANE
    "create trigger herald_outbox_released after update of lane on herald_outbox"
    "  when old.lane is not null and new.lane is null" WAKE_OUTBOX_LANE
    "create trigger herald_retry_leaves_lane after delete on herald_retry"
    "  when old.lane is not null" WAKE_RETRY_LANE
    "create trigger herald_retry_released after update of lane on herald_retry"
    "  when old.lane is not null and new.lane is null" WAKE_RETRY_LANE
    "create trigger herald_dead_leaves_lane after delete on herald_dead"
    "  when old.holds" WAKE_RETRY_LANE
    "create trigger herald_dead_released after update of holds on herald_dead"
    "  when old.holds and not new.holds" WAKE_RETRY_LANE;

/* Copies of what was finished (history.h), in order of the time they were written. The index is
 * for people who look for a time. */
static const char version_6[] = "create table herald_history ("
                                "  id            integer primary key,"
                                "  at            integer not null,"
                                "  side          text not null check (side in ('inbox', 'outbox')),"
                                "  outcome       text not null,"
                                "  queue         text,"
                                "  attempts      integer not null,"
                                "  generation    integer not null,"
                                "  message_id    text,"
                                "  type          text,"
                                "  business_key1 text,"
                                "  business_key2 text,"
                                "  business_key3 text,"
                                "  body          blob,"
                                "  headers       text,"
                                "  content_type  text,"
                                "  timestamp_s   integer not null,"
                                "  exchange      text,"
                                "  routing_key   text"
                                ");"
                                "create index herald_history_at on herald_history(at);";

/* Rows that wait for their outlet (outbox_backlog.h), in order per outlet. */
static const char version_7[] = "alter table herald_outbox add column outlet text;"
                                "create index herald_outbox_backlog"
                                "  on herald_outbox(due_at, outlet, id) where outlet is not null;";

/* Properties that herald has no use for itself, as the message came with them: JSON. */
static const char version_8[] = "alter table herald_retry add column properties text;"
                                "alter table herald_dead add column properties text;"
                                "alter table herald_queue_item add column properties text;"
                                "alter table herald_recent add column properties text;"
                                "alter table herald_history add column properties text;";

/* Retries are taken queue by queue. A letter that holds its lane has its place in it. */
static const char version_9[] =
    "alter table herald_dead add column place integer not null default 0;"
    "create index herald_retry_queue on herald_retry(queue, due_at);";

/* What a row sets of AMQP's properties, as the other columns within one limit. Which form of a
 * framework a row has by now (herald.route's format), so that it is given once; '' : none, and none
 * any more. Until when an answer (tx:reply) is wanted, ms; null: the row is none. */
static const char version_11[] =
    "alter table herald_outbox add column properties text check (properties is null"
    "  or length(cast(properties as blob)) + ifnull(length(cast(body as blob)), 0)"
    "    + ifnull(length(cast(headers as blob)), 0) + ifnull(length(cast(message_id as blob)), 0)"
    "    + length(cast(type as blob)) + ifnull(length(cast(business_key1 as blob)), 0)"
    "    + ifnull(length(cast(business_key2 as blob)), 0)"
    "    + ifnull(length(cast(business_key3 as blob)), 0) <= 16777216);" /* MESSAGE_BODY_MAX */
    "alter table herald_outbox add column format text;"
    "alter table herald_outbox add column reply_until integer;"
    "alter table herald_dead add column format text;"
    "alter table herald_dead add column reply_until integer;";

/* Exchanges that take from others, as herald_binding. What rules read of a retry, which is kept as
 * it was received: for people. */
static const char version_12[] =
    "create table herald_exchange_binding (source text not null, exchange text not null,"
    "  routing_key text not null, primary key (source, exchange, routing_key)) without rowid;"
    "alter table herald_retry add column read_type text;"
    "alter table herald_retry add column read_key1 text;"
    "alter table herald_retry add column read_key2 text;"
    "alter table herald_retry add column read_key3 text;";

/* "What became of order 16?", among a million. The outbox has none of these: each row would pay for
 * them twice, and it is walked in a second. */
static const char version_13[] =
    "create index herald_dead_key1 on herald_dead(business_key1) where business_key1 is not null;"
    "create index herald_dead_message on herald_dead(message_id) where message_id is not null;"
    "create index herald_dead_identity on herald_dead(identity) where identity is not null;"
    "create index herald_history_key1 on herald_history(business_key1)"
    "  where business_key1 is not null;"
    "create index herald_history_message on herald_history(message_id)"
    "  where message_id is not null;";

static const struct schema_step steps[] = {
    {version_1},  {version_2},  {version_3}, {version_4}, {version_5},
    {version_6},  {version_7},  {version_8}, {version_9}, {schema_identity},
    {version_11}, {version_12}, {version_13}};

/* 0: herald has never been here. */
static int read_version(struct db *db, int64_t *version_out, struct err *err)
{
    int64_t tables;
    int rc = db_number(db, db->work,
                       "select count(*) from sqlite_schema "
                       "where type = 'table' and name = 'herald_meta'",
                       0, &tables, err);

    *version_out = 0;
    if (rc != OK || tables == 0)
        return rc;
    rc = db_number(db, db->work, "select value from herald_meta where key = 'schema_version'", -1,
                   version_out, err);
    if (rc == OK && *version_out < 1)
        return err_set(err, ERR_CORRUPT,
                       "%s: herald_meta has no schema version: the store is damaged, restore a "
                       "backup",
                       db->path);
    return rc;
}

/* "0.4.0", or "another version" where nobody wrote it down. */
static void read_writer(struct db *db, char *out, size_t size)
{
    sqlite3_stmt *stmt = NULL;

    snprintf(out, size, "another version");
    if (sqlite3_prepare_v2(db->work, "select value from herald_meta where key = 'herald'", -1,
                           &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW && column_text(stmt, 0) != NULL)
        snprintf(out, size, "herald %s", column_text(stmt, 0));
    (void)sqlite3_finalize(stmt); /* reading words for a message: failing is no news */
}

static int refuse_newer(struct db *db, int64_t version, int known, struct err *err)
{
    char writer[64];

    read_writer(db, writer, sizeof writer);
    return err_set(err, ERR_CONFIG,
                   "%s has schema version %lld, made by %s; this is herald %s, which knows "
                   "versions up to %d: use the newer herald",
                   db->path, (long long)version, writer, HERALD_VERSION, known);
}

static int write_version(struct db *db, int version, struct err *err)
{
    char sql[256];

    snprintf(sql, sizeof sql,
             "insert or replace into herald_meta values ('schema_version', %d), ('herald', '%s')",
             version, HERALD_VERSION);
    return db_exec(db, db->work, sql, "write the schema version", err);
}

/* A new store needs a store id before its first row. */
static int write_first_epoch(struct db *db, struct err *err)
{
    char sql[128], id[STORE_ID_LEN + 1];

    epoch_new_id(id);
    snprintf(sql, sizeof sql, "insert into herald_epoch values (0, '%s')", id);
    return db_exec(db, db->work, sql, "write the store id", err);
}

static int run_steps(struct db *db, const struct schema_step *all, int64_t from, int n,
                     struct err *err)
{
    int rc = OK;

    if (from == 0)
        rc = db_exec(db, db->work,
                     "create table herald_meta (key text primary key, value) without rowid",
                     "make the schema", err);
    for (int64_t i = from; rc == OK && i < n; i++)
        rc = db_exec(db, db->work, all[i].sql, "upgrade the schema", err);
    if (rc == OK && from == 0)
        rc = write_first_epoch(db, err);
    db->made = rc == OK && from == 0;
    return rc == OK ? write_version(db, n, err) : rc;
}

struct upgrade {
    const struct schema_step *all;
    int n;
    int64_t from; /* the version that was found */
};

/* The version is read again under the write lock: two programs may open a new store
 * at the same moment. */
static int upgrade(struct db *db, void *arg, struct err *err)
{
    struct upgrade *u = arg;
    int rc = read_version(db, &u->from, err);

    return rc == OK && u->from < u->n ? run_steps(db, u->all, u->from, u->n, err) : rc;
}

static int upgrade_locked(struct db *db, const struct schema_step *all, int n, struct err *err)
{
    struct upgrade u = {.all = all, .n = n};
    int rc = db_change(db, "upgrade the schema", upgrade, &u, err);

    db->made = db->made && rc == OK;
    if (rc == OK && u.from > 0 && u.from < n)
        log_event(db->log, LOG_WARN, "store.upgraded",
                  LOG_FIELDS(log_int("from", u.from), log_int("to", n),
                             log_text("note", "an older herald cannot use this store any more")));
    return rc;
}

int schema_upgrade(struct db *db, const struct schema_step *all, int n, bool create,
                   struct err *err)
{
    int64_t version;
    int rc = read_version(db, &version, err);

    if (rc != OK)
        return rc;
    if (version > n)
        return refuse_newer(db, version, n, err);
    if (version == n)
        return OK;
    if (version == 0 && !create)
        return err_set(err, ERR_NOT_FOUND, "%s is not a store of herald's", db->path);
    if (version > 0 && !db->exclusive) /* a running router of that version works on it */
        return err_set(err, ERR_CONFIG,
                       "%s has schema version %lld and this herald needs %d: `herald run` of this "
                       "herald upgrades it when it starts; older ones cannot use it then",
                       db->path, (long long)version, n);
    return upgrade_locked(db, all, n, err);
}

static struct slice text_value(sqlite3_value *value)
{
    const void *text = sqlite3_value_blob(value);

    return (struct slice){text, text ? (size_t)sqlite3_value_bytes(value) : 0};
}

/* herald_error_group(side, queue, error), for the step that needs it: the group that
 * letter_add would write. */
static void give_group(sqlite3_context *context, int n, sqlite3_value **values)
{
    const char *side = slice_is(text_value(values[0]), "inbox") ? "inbox" : "outbox";

    (void)n;
    sqlite3_result_int64(context, error_group(side, text_value(values[1]), text_value(values[2])));
}

static int set_group_function(struct db *db, bool on, struct err *err)
{
    int rc = sqlite3_create_function_v2(db->work, "herald_error_group", 3,
                                        SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
                                        NULL, on ? give_group : NULL, NULL, NULL, NULL);

    return rc == SQLITE_OK ? OK : db_fail(db, db->work, rc, "upgrade the schema", err);
}

int schema_open(struct db *db, bool create, struct err *err)
{
    int rc = set_group_function(db, true, err);

    if (rc == OK)
        rc = schema_upgrade(db, steps, (int)(sizeof steps / sizeof steps[0]), create, err);
    return rc == OK ? set_group_function(db, false, err) : rc; /* not for handlers' SQL */
}

int db_schema_newest(void)
{
    return (int)(sizeof steps / sizeof steps[0]);
}

/*
 * statements - every statement of herald's own, prepared once per store
 *
 * The hot path goes by rowid; everything else has its index. A test asks SQLite for
 * the plan of each and refuses scans and sorts.
 */
#ifndef HERALD_STORE_STATEMENTS_H
#define HERALD_STORE_STATEMENTS_H

#define MESSAGE_COLUMNS                                                                            \
    "message_id, type, business_key1, business_key2, business_key3, body, headers, "               \
    "content_type, timestamp_s, properties, exchange, routing_key"
#define MESSAGE_MARKS "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?"

#define OUTBOX_COLUMNS                                                                             \
    "id, due_at, outlet, type, business_key1, business_key2, business_key3, body, headers, "       \
    "message_id, created_at, attempts, reason, first_sent_at, dated_at, lane, properties, "        \
    "format, reply_until, leg_kind, leg_exchange, leg_routing_key"

#define BACKLOG_TEXT "9223372036854775806" /* BACKLOG_DUE */
#define BEHIND_TEXT "9223372036854775807"  /* LANE_BEHIND */

#define RETRY_COLUMNS                                                                              \
    "id, due_at, queue, identity, fingerprint, fingerprint_version, unnamed, attempts, first_at, " \
    "error, generation, lane, " MESSAGE_COLUMNS

/* Type and keys for people: as rules have read them, else as the message came with them, and its
 * body may say otherwise. */
#define RETRY_READ "read_type is not null"
#define RETRY_TYPE "coalesce(read_type, type)"
#define RETRY_KEY1 "iif(read_type is null, business_key1, read_key1)"
#define RETRY_KEY2 "iif(read_type is null, business_key2, read_key2)"
#define RETRY_KEY3 "iif(read_type is null, business_key3, read_key3)"

/* Why a lane waits. */
#define LANE_FIRST "due_at < 9223372036854775807"

#define LETTER_COLUMNS                                                                             \
    "id, side, queue, identity, fingerprint, fingerprint_version, attempts, error, traceback, "    \
    "generation, "                                                                                 \
    "at, " MESSAGE_COLUMNS ", leg_kind, lane, holds, place, format, reply_until, tries"

/* A clock that went back must not enter rows that count as old already. */
#define INBOX_AT "max(?, coalesce((select value from herald_meta where key = 'inbox_floor'), 0))"

/* name, what it does (for messages), SQL */
#define STATEMENT_MAP(X)                                                                           \
    X(BEGIN, "begin", "begin immediate")                                                           \
    X(COMMIT, "commit", "commit")                                                                  \
    X(ROLLBACK, "roll back", "rollback")                                                           \
    X(SAVEPOINT, "set a savepoint", "savepoint herald")                                            \
    X(RELEASE, "release a savepoint", "release herald")                                            \
    X(ROLLBACK_TO, "roll back to a savepoint", "rollback to herald")                               \
    X(ROOM, "look for room in the store",                                                          \
      "insert or replace into herald_meta values ('room', zeroblob(?))")                           \
    X(DATA_VERSION, "look for foreign commits", "pragma data_version")                             \
    /* outbox */                                                                                   \
    X(OUTBOX_ADD, "add an outbox row",                                                             \
      "insert into herald_outbox(type, business_key1, business_key2, business_key3, body, "        \
      "headers, message_id, due_at, created_at, key, properties) values (?, ?, ?, ?, ?, ?, ?, ?, " \
      "?, ?, ?)")                                                                                  \
    X(OUTBOX_ADD_LEG, "add a leg of an outbox row",                                                \
      "insert into herald_outbox(type, business_key1, business_key2, business_key3, body, "        \
      "headers, message_id, created_at, dated_at, leg_kind, leg_exchange, leg_routing_key, key, "  \
      "lane, properties, format, reply_until, due_at) values "                                     \
      "(?, ?, ?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, ?, "                                           \
      "(select key from herald_outbox where id = ?), ?14, ?, ?, nullif(?, 0), "                    \
      "iif(exists (select 1 from herald_outbox where lane = ?14), 9223372036854775807, 0))")       \
    X(OUTBOX_ADD_REPLY, "add an answer to the outbox",                                             \
      "insert into herald_outbox(type, body, headers, properties, created_at, leg_kind, "          \
      "leg_exchange, leg_routing_key, reply_until) values (?, ?, ?, ?, ?, 'queue', '', ?, ?)")     \
    X(OUTBOX_LAST, "look for the last outbox row",                                                 \
      "select id from herald_outbox where id > 0 order by id desc limit 1")                        \
    X(OUTBOX_KEY_SENT, "look for a key in the outbox",                                             \
      "select max(first_sent_at is not null "                                                      \
      "or (due_at = 0 and (id <= ? or outlet is not null))) "                                      \
      "from herald_outbox where key = ?")                                                          \
    X(OUTBOX_KEY_DELETE, "cancel outbox rows", "delete from herald_outbox where key = ?")          \
    X(OUTBOX_CLAIM, "claim outbox rows",                                                           \
      "select " OUTBOX_COLUMNS " from herald_outbox where id > ? order by id limit ?")             \
    X(BACKLOG_GLANCE, "look ahead in the outbox",                                                  \
      "select id, due_at, outlet, type, business_key2, attempts, leg_kind, leg_exchange, "         \
      "leg_routing_key from herald_outbox where id > ? order by id limit ?")                       \
    X(OUTBOX_DUE, "look for outbox rows that are due",                                             \
      "select " OUTBOX_COLUMNS " from herald_outbox "                                              \
      "where due_at > 0 and due_at <= ? order by due_at, id limit ?")                              \
    X(OUTBOX_WAKE, "claim an outbox row that is due",                                              \
      "update herald_outbox set due_at = 0 where id = ?")                                          \
    X(OUTBOX_DATE, "date an outbox row",                                                           \
      "update herald_outbox set dated_at = ? where id = ? and dated_at is null")                   \
    X(OUTBOX_NEXT_DUE, "look for the next outbox row that is due",                                 \
      "select due_at from herald_outbox where due_at > 0 order by due_at limit 1")                 \
    X(OUTBOX_GET, "read an outbox row",                                                            \
      "select " OUTBOX_COLUMNS " from herald_outbox where id = ?")                                 \
    X(OUTBOX_DELETE, "delete outbox rows", "delete from herald_outbox where id between ? and ?")   \
    X(OUTBOX_REMOVED, "count outbox rows",                                                         \
      "update herald_meta set value = case "                                                       \
      "when exists (select 1 from herald_outbox) then value + ? "                                  \
      "else coalesce((select seq from sqlite_sequence where name = 'herald_outbox'), 0) end "      \
      "where key = 'outbox_removed'")                                                              \
    X(OUTBOX_RECORD, "read an outbox row",                                                         \
      "select attempts, refused_at, first_sent_at from herald_outbox where id = ?")                \
    X(OUTBOX_POSTPONE, "postpone an outbox row",                                                   \
      "update herald_outbox set reason = ?1, due_at = ?2, outlet = null, "                         \
      "attempts = attempts + ?3, "                                                                 \
      "refused_at = iif(?3, coalesce(refused_at, ?5), refused_at), "                               \
      "first_sent_at = iif(?4, coalesce(first_sent_at, ?5), first_sent_at), "                      \
      "dated_at = iif(?7, coalesce(dated_at, created_at), dated_at) where id = ?6")                \
    X(OUTBOX_FEW, "count outbox rows",                                                             \
      "select count(*) from (select 1 from herald_outbox limit ?)")                                \
    X(OUTBOX_MANY, "count outbox rows",                                                            \
      "select (select seq from sqlite_sequence where name = 'herald_outbox') - value "             \
      "from herald_meta where key = 'outbox_removed'")                                             \
    X(OUTBOX_OLDEST, "look for the oldest outbox row",                                             \
      "select created_at from herald_outbox order by id limit 1")                                  \
    /* backlogs: outbox_backlog.c */                                                               \
    X(BACKLOG_SET, "put a row into a backlog",                                                     \
      "update herald_outbox set due_at = " BACKLOG_TEXT ", outlet = ? where id = ?")               \
    X(BACKLOG_HAS_ROWS, "look for rows in a backlog",                                              \
      "select 1 from herald_outbox where due_at = " BACKLOG_TEXT " and outlet = ? limit 1")        \
    X(BACKLOG_NEXT, "look for rows in a backlog",                                                  \
      "select outlet from herald_outbox where due_at = " BACKLOG_TEXT " and outlet > ? "           \
      "order by outlet limit 1")                                                                   \
    X(BACKLOG_CLAIM, "claim rows of a backlog",                                                    \
      "select " OUTBOX_COLUMNS " from herald_outbox "                                              \
      "where due_at = " BACKLOG_TEXT " and outlet = ? order by id limit ?")                        \
    X(BACKLOG_AGAIN, "find rows of backlogs",                                                      \
      "update herald_outbox set due_at = " BACKLOG_TEXT                                            \
      ", dated_at = coalesce(dated_at, created_at)"                                                \
      " where due_at = 0 and outlet is not null")                                                  \
    /* what waits and why: waiting.c */                                                            \
    X(WAITING_FRESH, "look at what waits",                                                         \
      "select count(*), sum(due_at = 0), min(iif(due_at = 0, created_at, null)) from ("            \
      "select due_at, created_at from herald_outbox where id > ? order by id limit ?)")            \
    X(WAITING_DUE, "look at what waits",                                                           \
      "select due_at, attempts, refused_at, first_sent_at from herald_outbox "                     \
      "where due_at > 0 and due_at < " BACKLOG_TEXT " order by due_at limit ?")                    \
    X(WAITING_OUTLET, "look at what waits",                                                        \
      "select (select count(*) from (select 1 from herald_outbox indexed by herald_outbox_due "    \
      "where due_at > 0 and due_at = " BACKLOG_TEXT " limit ?)), "                                 \
      "(select created_at from herald_outbox indexed by herald_outbox_due "                        \
      "where due_at > 0 and due_at = " BACKLOG_TEXT " order by id limit 1)")                       \
    X(WAITING_BEHIND, "look at what waits",                                                        \
      "select count(*) from (select 1 from herald_outbox indexed by herald_outbox_due "            \
      "where due_at > 0 and due_at = " BEHIND_TEXT " limit ?)")                                    \
    X(WAITING_RETRIES, "look at what waits",                                                       \
      "select (select count(*) from (select 1 from herald_retry where queue = ?1 "                 \
      "and due_at <= ?2 limit ?3)), "                                                              \
      "(select count(*) from (select 1 from herald_retry where queue = ?1 and due_at > ?2 "        \
      "and due_at < " BEHIND_TEXT " limit ?3)), "                                                  \
      "(select count(*) from (select 1 from herald_retry where queue = ?1 "                        \
      "and due_at = " BEHIND_TEXT " limit ?3)), "                                                  \
      "(select due_at from herald_retry where queue = ?1 and due_at > ?2 "                         \
      "and due_at < " BEHIND_TEXT " order by due_at limit 1)")                                     \
    X(WAITING_FIRST, "look at what waits",                                                         \
      "select attempts, error from herald_retry where queue = ? order by due_at limit 1")          \
    /* inbox */                                                                                    \
    X(INBOX_ENTER, "enter an inbox row",                                                           \
      "insert into herald_inbox(queue, message_id, state, fingerprint, fingerprint_version, at) "  \
      "values (?, ?, 0, ?, ?, " INBOX_AT ") on conflict(queue, message_id) do nothing")            \
    X(INBOX_GET, "read an inbox row",                                                              \
      "select state, fingerprint, fingerprint_version from herald_inbox where queue = ? and "      \
      "message_id = ?")                                                                            \
    X(INBOX_SET, "write an inbox row",                                                             \
      "insert into herald_inbox(queue, message_id, state, fingerprint, fingerprint_version, at) "  \
      "values (?, ?, ?, ?, ?, " INBOX_AT ") on conflict(queue, message_id) do update set "         \
      "seq = (select max(seq) + 1 from herald_inbox), state = excluded.state, "                    \
      "fingerprint = excluded.fingerprint, fingerprint_version = excluded.fingerprint_version, "   \
      "at = excluded.at")                                                                          \
    X(INBOX_CURSOR, "prune the inbox",                                                             \
      "select value, (select max(seq) from herald_inbox) from herald_meta "                        \
      "where key = 'inbox_pruned'")                                                                \
    X(INBOX_OLD, "prune the inbox",                                                                \
      "select seq, at from herald_inbox where seq > ? and seq < ? order by seq limit ?")           \
    X(INBOX_DELETE, "prune the inbox",                                                             \
      "delete from herald_inbox where seq > ? and seq <= ? and state = 0")                         \
    X(INBOX_MOVE_CURSOR, "prune the inbox",                                                        \
      "update herald_meta set value = ? where key = 'inbox_pruned'")                               \
    X(INBOX_FLOOR, "read the inbox's floor",                                                       \
      "select value from herald_meta where key = 'inbox_floor'")                                   \
    X(INBOX_SET_FLOOR, "move the inbox's floor",                                                   \
      "insert or replace into herald_meta values ('inbox_floor', ?)")                              \
    X(INBOX_RAISE_FLOORS, "raise the floors of the inbox",                                         \
      "insert into herald_inbox_floor select queue, ?1 from herald_inbox "                         \
      "where seq > ?2 and seq <= ?3 and state = 0 "                                                \
      "on conflict(queue) do update set floor = max(floor, excluded.floor)")                       \
    X(INBOX_FLOOR_OF, "read a queue's floor",                                                      \
      "select floor from herald_inbox_floor where queue = ?")                                      \
    X(INBOX_INHERITED, "read the floor of all queues",                                             \
      "select value from herald_meta where key = 'inbox_floor_inherited'")                         \
    X(INBOX_INHERIT, "write a queue's floor",                                                      \
      "insert into herald_inbox_floor values (?, ?) on conflict(queue) do nothing")                \
    X(INBOX_BEQUEATHED, "forget the floor of all queues",                                          \
      "delete from herald_meta where key = 'inbox_floor_inherited'")                               \
    X(INBOX_HAS_OLD, "look for inbox rows of an older version",                                    \
      "select 1 from herald_inbox where fingerprint_version = 1 and seq > 0 limit 1")              \
    X(INBOX_RAN, "read how long the inbox was kept",                                               \
      "select value from herald_meta where key = 'inbox_ran'")                                     \
    X(INBOX_SET_RAN, "write how long the inbox was kept",                                          \
      "insert or replace into herald_meta values ('inbox_ran', ?)")                                \
    /* retry */                                                                                    \
    X(RETRY_ADD, "add a retry",                                                                    \
      "insert into herald_retry(" RETRY_COLUMNS                                                    \
      ", tries, read_type, read_key1, read_key2, read_key3) values "                               \
      "(nullif(?, 0), ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " MESSAGE_MARKS ", ?, ?, ?, ?, ?)")         \
    X(RETRY_SET_READ, "note what a retry is",                                                      \
      "update herald_retry set read_type = ?, read_key1 = ?, read_key2 = ?, read_key3 = ? "        \
      "where id = ?")                                                                              \
    X(RETRY_PLACE, "reserve a place in a lane",                                                    \
      "update sqlite_sequence set seq = seq + 1 where name = 'herald_retry' returning seq")        \
    X(RETRY_FIRST_PLACE, "reserve a place in a lane",                                              \
      "insert into sqlite_sequence(name, seq) values ('herald_retry', 1)")                         \
    X(RETRY_DUE, "look for retries that are due",                                                  \
      "select id, due_at from herald_retry where queue = ?1 and due_at <= ?2 "                     \
      "and (due_at, id) > (?3, ?4) order by due_at, id limit ?5")                                  \
    X(RETRY_QUEUE, "look for queues with retries",                                                 \
      "select queue from herald_retry where queue > ? order by queue limit 1")                     \
    X(RETRY_GET, "read a retry", "select " RETRY_COLUMNS " from herald_retry where id = ?")        \
    X(RETRY_NEXT_DUE, "look for the next retry that is due",                                       \
      "select due_at from herald_retry order by due_at limit 1")                                   \
    X(RETRY_AGAIN, "put off a retry",                                                              \
      "update herald_retry set first_at = iif(attempts = 0, ?, first_at), attempts = ?, "          \
      "due_at = ?, error = ?, generation = ?, tries = coalesce(?, tries) where id = ?")            \
    X(RETRY_TRIES, "read what tries came to", "select tries from herald_retry where id = ?")       \
    X(RETRY_DEFER, "put off a retry", "update herald_retry set due_at = ? where id = ?")           \
    X(RETRY_DEFER_ALL, "put off retries",                                                          \
      "update herald_retry set due_at = ? where due_at = ? and queue = ?")                         \
    X(RETRY_REMOVE, "remove a retry", "delete from herald_retry where id = ?")                     \
    X(RETRY_ADOPT, "make orphaned retries due",                                                    \
      "update herald_retry set due_at = ?1 where id in (select id from herald_retry "              \
      "where due_at > ?1 and due_at <= ?2 and error glob 'orphaned:*' order by due_at limit ?3)")  \
    X(COUNT_GET, "read a count", "select n from herald_count where name = ?")                      \
    /* dead letters */                                                                             \
    X(LETTER_ADD, "add a dead letter",                                                             \
      "insert into herald_dead(side, queue, identity, fingerprint, fingerprint_version, "          \
      "attempts, "                                                                                 \
      "error, traceback, generation, at, " MESSAGE_COLUMNS                                         \
      ", error_group, leg_kind, lane, holds, place, format, reply_until, tries) values "           \
      "(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, " MESSAGE_MARKS                                              \
      ", ?, ?, ?, ?, ?, ?, nullif(?, 0), ?) on conflict(side, queue, identity, fingerprint) "      \
      "where identity is not null "                                                                \
      "do nothing")                                                                                \
    X(LETTER_FIND, "look for a dead letter",                                                       \
      "select id from herald_dead "                                                                \
      "where side = ? and queue = ? and identity = ? and fingerprint = ?")                         \
    X(LETTER_GET, "read a dead letter", "select " LETTER_COLUMNS " from herald_dead where id = ?") \
    X(LETTER_NEWEST, "read dead letters",                                                          \
      "select " LETTER_COLUMNS " from herald_dead order by id desc limit ?")                       \
    /* what people do: letter_replay.c, letter_edit.c, rows.c */                                   \
    X(LETTER_REMOVE, "remove a dead letter", "delete from herald_dead where id = ?")               \
    X(LETTER_EDIT, "edit a dead letter",                                                           \
      "update herald_dead set type = ?, business_key1 = ?, business_key2 = ?, "                    \
      "business_key3 = ?, body = ? where id = ?")                                                  \
    X(LETTER_HEADER, "edit a dead letter's headers",                                               \
      "update herald_dead set headers = json_set(coalesce(headers, '{}'), "                        \
      "'$.\"' || ? || '\"', ?) where id = ?")                                                      \
    X(LETTER_NO_HEADER, "edit a dead letter's headers",                                            \
      "update herald_dead set headers = json_remove(coalesce(headers, '{}'), "                     \
      "'$.\"' || ? || '\"') where id = ?")                                                         \
    X(OUTBOX_AGE, "date an outbox row",                                                            \
      "update herald_outbox set created_at = ?1, dated_at = ?1 where id = ?2")                     \
    X(OUTBOX_FORMAT, "bring an outbox row into its format",                                        \
      "update herald_outbox set format = ?, body = ?, headers = ?, properties = ?, due_at = 1, "   \
      "outlet = null where id = ?")                                                                \
    X(OUTBOX_NO_FORMAT, "note that an outbox row has no format",                                   \
      "update herald_outbox set format = '', dated_at = coalesce(dated_at, created_at) "           \
      "where id = ? and format is null")                                                           \
    X(OUTBOX_HEADERS, "write an outbox row's headers",                                             \
      "update herald_outbox set headers = ? where id = ?")                                         \
    X(OUTBOX_KEEP_FORMAT, "write an outbox row's format",                                          \
      "update herald_outbox set format = ? where id = ?")                                          \
    X(OUTBOX_NOW, "make an outbox row due",                                                        \
      "update herald_outbox set due_at = ?, outlet = null where id = ? and due_at > ? "            \
      "and (lane is null or " LANE_FIRST ")")                                                      \
    X(RETRY_NOW, "make a retry due",                                                               \
      "update herald_retry set due_at = ? where id = ? and due_at > ? and " LANE_FIRST)            \
    X(RETRY_KEY, "read a retry",                                                                   \
      "select queue, identity, fingerprint, fingerprint_version from herald_retry where id = ?")   \
    /* lanes */                                                                                    \
    X(LANE_BUSY, "look whether a lane waits",                                                      \
      "select 1 from herald_retry where queue = ?1 and lane = ?2 and " LANE_FIRST                  \
      " union all select 1 from herald_dead where queue = ?1 and lane = ?2 and holds "             \
      "and id < ?3 limit 1")                                                                       \
    X(LANE_RELEASE_RETRY, "release a lane",                                                        \
      "update herald_retry set lane = null where id = ? and lane is not null and " LANE_FIRST)     \
    X(LANE_RELEASE_LETTER, "release a lane",                                                       \
      "update herald_dead set holds = 0 where id = ? and holds")                                   \
    X(LANE_RELEASE_ROW, "release a lane",                                                          \
      "update herald_outbox set lane = null, reason = coalesce(reason, 'released from its lane') " \
      "where id = ? and lane is not null and " LANE_FIRST)                                         \
    X(LANE_HAS_ROWS, "look into a lane", "select 1 from herald_outbox where lane = ? limit 1")     \
    X(LANE_JOIN, "put an outbox row into a lane",                                                  \
      "update herald_outbox set lane = ?1, outlet = null, due_at = iif(exists "                    \
      "(select 1 from herald_outbox f where f.lane = ?1), 9223372036854775807, 1) where id = ?2")  \
    /* recent */                                                                                   \
    X(RECENT_ADD, "keep a handled message",                                                        \
      "insert into herald_recent(at, queue, " MESSAGE_COLUMNS ") values (?, ?, " MESSAGE_MARKS     \
      ")")                                                                                         \
    X(RECENT_TRIM, "keep few handled messages",                                                    \
      "delete from herald_recent where seq <= (select max(seq) from herald_recent) - ?")           \
    X(RECENT_LIST, "read handled messages",                                                        \
      "select at, queue, " MESSAGE_COLUMNS " from herald_recent order by seq desc limit ?")        \
    /* marks */                                                                                    \
    X(MARK_READ, "read a mark", "select value from herald_meta where key = ?")                     \
    X(MARK_WRITE, "write a mark", "insert or replace into herald_meta values (?, ?)")              \
    /* taken */                                                                                    \
    X(TAKEN_READ, "read which rules were taken last",                                              \
      "select value from herald_meta where key = 'rules_taken'")                                   \
    X(TAKEN_WRITE, "write which rules were taken",                                                 \
      "insert or replace into herald_meta values ('rules_taken', ?)")                              \
    X(HALTS, "read what is paused by hand",                                                        \
      "select key, value from herald_meta where key >= 'halt' and key < 'halu' order by key")      \
    X(HALT_BEGIN, "pause", "insert or ignore into herald_meta values (?, ?)")                      \
    X(HALT_END, "resume", "delete from herald_meta where key = ?")                                 \
    X(TAKEN_TYPES, "read the types of rows without a destination",                                 \
      "select distinct type from herald_outbox where leg_kind is null")                            \
    /* history */                                                                                  \
    X(HISTORY_ADD, "add to the history",                                                           \
      "insert into herald_history(at, side, outcome, queue, attempts, "                            \
      "generation, " MESSAGE_COLUMNS ") values (?, ?, ?, ?, ?, ?, " MESSAGE_MARKS ")")             \
    X(HISTORY_OLD, "prune the history",                                                            \
      "select id, at, ifnull(length(body), 0) from herald_history where id > 0 order by id")       \
    X(HISTORY_DELETE, "prune the history", "delete from herald_history where id <= ?")             \
    /* queue */                                                                                    \
    X(QUEUE_ADD, "declare a queue",                                                                \
      "insert into herald_queue(name) values (?) on conflict(name) do nothing")                    \
    X(QUEUE_FIND, "look for a queue", "select 1 from herald_queue where name = ?")                 \
    X(EXCHANGE_ADD, "declare an exchange",                                                         \
      "insert into herald_exchange(name, kind) values (?, ?) on conflict(name) do nothing")        \
    X(EXCHANGE_FIND, "look for an exchange", "select kind from herald_exchange where name = ?")    \
    X(BINDING_ADD, "bind a queue",                                                                 \
      "insert into herald_binding(exchange, queue, routing_key) values (?, ?, ?) "                 \
      "on conflict(exchange, queue, routing_key) do nothing")                                      \
    X(BINDING_LIST, "look for bindings",                                                           \
      "select queue, routing_key from herald_binding where exchange = ? order by queue")           \
    X(EXCHANGE_BIND, "bind an exchange",                                                           \
      "insert into herald_exchange_binding(source, exchange, routing_key) values (?, ?, ?) "       \
      "on conflict(source, exchange, routing_key) do nothing")                                     \
    X(EXCHANGE_BOUND, "look for bound exchanges",                                                  \
      "select exchange, routing_key from herald_exchange_binding where source = ?")                \
    X(ITEM_ADD, "put a message into a queue",                                                      \
      "insert into herald_queue_item(queue, " MESSAGE_COLUMNS ") values (?, " MESSAGE_MARKS ")")   \
    X(ITEM_LIST, "look into a queue",                                                              \
      "select id, " MESSAGE_COLUMNS " from herald_queue_item "                                     \
      "where queue = ? and id > ? order by id limit ?")                                            \
    X(ITEM_REMOVE, "remove a message from a queue", "delete from herald_queue_item where id = ?")  \
    /* migrate */                                                                                  \
    X(MIGRATION_GET, "look for a migration",                                                       \
      "select hash, applied_at from herald_migration where namespace = ? and name = ?")            \
    X(MIGRATION_LAST, "look for the last migration",                                               \
      "select max(name) from herald_migration where namespace = ?")                                \
    X(MIGRATION_ADD, "note a migration",                                                           \
      "insert into herald_migration(namespace, name, hash, applied_at) values (?, ?, ?, ?)")

enum statement {
#define X(name, doing, sql) STATEMENT_##name,
    STATEMENT_MAP(X)
#undef X
        STATEMENTS
};

/* The SQL of a statement, for the test of plans. */
const char *statement_sql(enum statement which);

#endif

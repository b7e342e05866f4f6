/* schema_identity - what a message's id means (schema.h): ids that were given are refused, the time
 * that a publish carries is written down, the inbox's floor is a queue's own, and fingerprints have
 * a version.
 *
 * A row with an id that was given before would lie below the cursor, where nobody looks. The two
 * largest due times are words (LANE_BEHIND, BACKLOG_DUE), and no time for anybody else.
 *
 * Whatever has a row here starts at the floor that was common to all queues: of those an id may
 * have been forgotten. So does what the first rules after the upgrade subscribe to, of which the
 * store knows nothing yet ('inbox_floor_inherited', inbox.h). */
#include "store/sqlite/db_int.h"

#define OLD_FLOOR "(select value from herald_meta where key = 'inbox_floor')"

const char schema_identity[] =
    "alter table herald_outbox add column dated_at integer;"
    "update herald_outbox set due_at = 9223372036854775805"
    "  where lane is null and outlet is null and due_at > 9223372036854775805;"
    "create trigger herald_outbox_id_given after insert on herald_outbox"
    "  when new.id <= (select seq from sqlite_sequence where name = 'herald_outbox') begin"
    "  select raise(abort, 'herald_outbox.id is given by the table, and this one was given before: "
    "leave the id out'); end;"
    "create trigger herald_outbox_id_stays before update of id on herald_outbox"
    "  when new.id is not old.id begin"
    "  select raise(abort, 'herald_outbox.id never changes: delete the row and insert another'); "
    "end;"
    "create trigger herald_outbox_never_due before insert on herald_outbox"
    "  when new.due_at > 9223372036854775805 and new.lane is null begin"
    "  select raise(abort, 'herald_outbox.due_at is beyond all time: milliseconds since 1970 are "
    "wanted'); end;"

    "create table herald_inbox_floor (queue text primary key, floor integer not null) without "
    "rowid;"
    "insert into herald_inbox_floor select queue, " OLD_FLOOR
    "  from (select queue from herald_inbox union select queue from herald_retry"
    "    union select queue from herald_dead where side = 'inbox') where " OLD_FLOOR " > 0;"
    "insert into herald_meta select 'inbox_floor_inherited', value from herald_meta"
    "  where key = 'inbox_floor' and value > 0;"

    "alter table herald_inbox add column fingerprint_version integer not null default 1;"
    "alter table herald_retry add column fingerprint_version integer not null default 1;"
    "alter table herald_retry add column unnamed integer not null default 0;"
    "alter table herald_dead add column fingerprint_version integer not null default 1;"
    "create index herald_inbox_old on herald_inbox(seq) where fingerprint_version = 1;";

/* authorizer - who may do what to the store
 *
 * One function for the life of the work handle: setting an authorizer makes SQLite
 * prepare every statement again, so it is switched by db->actor instead. It is
 * asked when a statement is compiled, which also happens again by itself after the
 * schema has changed; that is why a watched statement is watched while it is stepped,
 * too, and why herald's own statements never are.
 *
 * What it cannot see: INSERT OR ROLLBACK and RAISE(ROLLBACK). sql_step looks at
 * sqlite3_get_autocommit for those. */
#include "store/sqlite/db_int.h"

#include <stdio.h>

static bool begins(const char *name, const char *prefix)
{
    return name != NULL && sqlite3_strnicmp(name, prefix, (int)slice_of(prefix).len) == 0;
}

static int deny(struct db *db, const char *what, const char *name)
{
    const char *who = db->actor == ACTOR_MIGRATION ? "a migration" : "a handler";

    snprintf(db->denied, sizeof db->denied, "%s may not %s%s%s", who, what, name ? " " : "",
             name ? name : "");
    return SQLITE_DENY;
}

/* `inner` is the trigger (or view) that does it; NULL: the statement itself. Herald's
 * outbox is open to triggers of business tables, so that an old application that
 * knows nothing of herald can be made to send. */
static int write_to(struct db *db, const char *table, const char *inner)
{
    if (begins(table, "herald_") && begins(inner, "herald_"))
        return SQLITE_OK; /* herald's own trigger: nobody else may make one of that name */
    if (begins(table, "herald_")) {
        bool outbox = sqlite3_stricmp(table, "herald_outbox") == 0;

        return inner != NULL && outbox ? SQLITE_OK : deny(db, "write to", table);
    }
    /* The schema table itself is let through: SQLite guards it (DEFENSIVE), what
     * changes it has actions of its own, and a full-text table touches it when it is
     * first used. */
    if ((begins(table, "sqlite_sequence") || begins(table, "sqlite_stat")) &&
        db->actor == ACTOR_HANDLER)
        return deny(db, "write to", table);
    return SQLITE_OK;
}

/* What nobody who is watched may do; NULL: something else. */
static const char *never(int action)
{
    switch (action) {
    case SQLITE_TRANSACTION:
        return "begin or end a transaction";
    case SQLITE_SAVEPOINT:
        return "use savepoints";
    case SQLITE_ATTACH:
        return "attach a database";
    case SQLITE_DETACH:
        return "detach a database";
    case SQLITE_PRAGMA:
        return "use pragma";
    default:
        return NULL;
    }
}

/* Changes of the schema: the object's name and the table it belongs to, where the
 * authorizer's arguments have them. False: no such action. */
static bool changes_schema(int action, const char *a, const char *b, const char **object,
                           const char **table)
{
    *object = a;
    *table = NULL;
    switch (action) {
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_TEMP_INDEX:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_DROP_TEMP_TRIGGER:
    case SQLITE_ALTER_TABLE: /* a: the database's name */
        *table = b;
        return true;
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_CREATE_VTABLE:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_TEMP_TABLE:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_TEMP_VIEW:
    case SQLITE_DROP_VTABLE:
    case SQLITE_REINDEX:
    case SQLITE_ANALYZE:
        return true;
    default:
        return false;
    }
}

static int change_schema(struct db *db, const char *object, const char *table)
{
    if (db->actor == ACTOR_HANDLER)
        return deny(db, "change the schema", NULL);
    if (begins(object, "herald_"))
        return deny(db, "make or change", object);
    if (begins(table, "herald_"))
        return deny(db, "change", table);
    return SQLITE_OK;
}

/* Full-text and R-tree tables look at these two for themselves when they are used. */
static bool is_harmless_pragma(int action, const char *name, const char *value)
{
    return action == SQLITE_PRAGMA && value == NULL &&
           (sqlite3_stricmp(name, "data_version") == 0 || sqlite3_stricmp(name, "page_size") == 0);
}

static int authorize(void *arg, int action, const char *a, const char *b, const char *database,
                     const char *inner)
{
    struct db *db = arg;
    const char *object, *table;

    (void)database;
    if (db->actor == ACTOR_HERALD)
        return SQLITE_OK;
    if (is_harmless_pragma(action, a, b))
        return SQLITE_OK;
    if (never(action) != NULL)
        return deny(db, never(action), NULL);
    if (action == SQLITE_INSERT || action == SQLITE_UPDATE || action == SQLITE_DELETE)
        return write_to(db, a, inner);
    if (changes_schema(action, a, b, &object, &table))
        return change_schema(db, object, table);
    if (action == SQLITE_FUNCTION && b != NULL && sqlite3_stricmp(b, "load_extension") == 0)
        return deny(db, "load extensions", NULL);
    return SQLITE_OK;
}

int authorizer_open(struct db *db, struct err *err)
{
    int rc = sqlite3_set_authorizer(db->work, authorize, db);

    return rc == SQLITE_OK ? OK : db_fail(db, db->work, rc, "set the authorizer", err);
}

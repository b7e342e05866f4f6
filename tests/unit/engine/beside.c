/* beside - see beside.h. */
#include "beside.h"

#include "check.h"

#include <sqlite3.h>
#include <stdio.h>

struct sqlite3 *beside_open(const char *folder)
{
    char path[128];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/herald.db", folder);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_busy_timeout(db, 2000), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "pragma wal_autocheckpoint=0", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

const char *beside_ask(struct sqlite3 *db, const char *sql)
{
    static char out[4096];
    const unsigned char *text;
    sqlite3_stmt *st;

    if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    text = sqlite3_step(st) == SQLITE_ROW ? sqlite3_column_text(st, 0) : NULL;
    snprintf(out, sizeof out, "%s", text ? (const char *)text : "");
    if (sqlite3_finalize(st) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    return out;
}

const char *beside_sql(const char *folder, const char *sql)
{
    struct sqlite3 *db = beside_open(folder);
    const char *text = beside_ask(db, sql);

    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    return text;
}

#!/bin/sh
# One guesses: a single INSERT outside of any transaction can be refused only while somebody else
# writes, and a busy time-out of five seconds waits for that.
#
# Really: a SELECT on the same connection that gave a row and was not reset keeps its snapshot,
# though sqlite3_get_autocommit() says that no transaction is open. As soon as another connection
# has committed, every write here is refused at once with SQLITE_BUSY_SNAPSHOT: nobody holds a lock,
# the time-out is not used, and trying again never helps. Reads stay old as well. The refusal names
# a lock ("database is locked"), so one looks for the other program.
#
# Seen with SQLite 3.40.1 and 3.46.1 (Debian 12 and 13), journal mode WAL.
#
# So: reset a statement as soon as its last wanted row is read. When a write is refused with the
# extended code 517, look for one's own open statements (sqlite3_next_stmt, sqlite3_stmt_busy);
# sqlite3_txn_state() tells of the snapshot that sqlite3_get_autocommit() does not.
set -eu
LC_ALL=C
export LC_ALL

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work"

# The distribution's library and headers, unpacked here and not installed.
apt-get -qq -o APT::Sandbox::User=root download libsqlite3-0 libsqlite3-dev
for package in *.deb; do dpkg -x "$package" .; done
library=$(dirname "$(find . -name libsqlite3.so)")

cat >probe.c <<'END'
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "the probe itself failed: %s\n", what);
        exit(2);
    }
}

static int busy_asked;

static int on_busy(void *context, int count)
{
    (void)context;
    busy_asked++;
    return count < 20;
}

static sqlite3 *open_one(void)
{
    sqlite3 *db;
    must(sqlite3_open("probe.db", &db) == SQLITE_OK, "open");
    sqlite3_busy_handler(db, on_busy, NULL);
    return db;
}

static int run(sqlite3 *db, const char *sql)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? rc : sqlite3_extended_errcode(db);
}

static int count_rows(sqlite3 *db)
{
    sqlite3_stmt *count;
    must(sqlite3_prepare_v2(db, "select count(*) from t", -1, &count, NULL) == SQLITE_OK, "count");
    must(sqlite3_step(count) == SQLITE_ROW, "count");
    int rows = sqlite3_column_int(count, 0);
    sqlite3_finalize(count);
    return rows;
}

static void try_insert(sqlite3 *mine, const char *when)
{
    busy_asked = 0;
    int rc = run(mine, "insert into t values (0)");
    printf("%s: code %d, busy handler asked %d times\n", when, rc, busy_asked);
}

int main(void)
{
    sqlite3 *mine = open_one(), *theirs = open_one();
    sqlite3_stmt *select;

    must(run(mine, "pragma journal_mode=wal") == SQLITE_OK, "wal");
    must(run(mine, "create table t (x); insert into t values (1), (2)") == SQLITE_OK, "rows");
    must(sqlite3_prepare_v2(mine, "select x from t", -1, &select, NULL) == SQLITE_OK, "select");
    must(sqlite3_step(select) == SQLITE_ROW, "first row");
    must(run(theirs, "insert into t values (3)") == SQLITE_OK, "their insert");

    printf("in a transaction: %s\n", sqlite3_get_autocommit(mine) ? "no" : "yes");
    try_insert(mine, "insert, SELECT open");
    try_insert(mine, "insert, tried again");
    printf("rows: %d here, %d there\n", count_rows(mine), count_rows(theirs));
    sqlite3_reset(select);
    try_insert(mine, "insert, SELECT reset");

    sqlite3_finalize(select);
    sqlite3_close(mine);
    sqlite3_close(theirs);
    return 0;
}
END
cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -I usr/include -o probe probe.c -L "$library" -lsqlite3
LD_LIBRARY_PATH=$library ./probe >seen

echo "version: SQLite $(sed -n 's/^#define SQLITE_VERSION  *"\(.*\)"/\1/p' usr/include/sqlite3.h)"
echo 'guess: no writer is there, so each insert gives 0, and both connections count alike'
cat >recorded <<'END'
in a transaction: no
insert, SELECT open: code 517, busy handler asked 0 times
insert, tried again: code 517, busy handler asked 0 times
rows: 2 here, 3 there
insert, SELECT reset: code 0, busy handler asked 0 times
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

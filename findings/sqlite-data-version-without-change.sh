#!/bin/sh
# One guesses: PRAGMA data_version changes when, and only when, another connection has committed a
# change of the data.
#
# Really: a TRUNCATE checkpoint of another connection changes it, too, each time, even when nothing
# was left to copy; PASSIVE and RESTART do not. And a committed UPDATE that sets a number to itself
# does not change it. So two programs that both wait for data_version, and cut the WAL whenever it
# moves, wake each other for ever.
#
# Seen with SQLite 3.40.1 and 3.46.1 (Debian 12 and 13), journal mode WAL.
#
# So: take it as "look again", never as a count of commits; do not run a TRUNCATE checkpoint because
# of it alone; do not "touch" a row with its own value to wake a reader.
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

static void run(sqlite3 *db, const char *sql)
{
    must(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, sql);
}

static int version(sqlite3 *db)
{
    sqlite3_stmt *ask;
    must(sqlite3_prepare_v2(db, "pragma data_version", -1, &ask, NULL) == SQLITE_OK, "version");
    must(sqlite3_step(ask) == SQLITE_ROW, "version");
    int number = sqlite3_column_int(ask, 0);
    sqlite3_finalize(ask);
    return number;
}

static void act(sqlite3 *other, sqlite3 *watcher, const char *sql)
{
    int before = version(watcher);
    run(other, sql);
    printf("%s: %s\n", sql, version(watcher) == before ? "same" : "changed");
}

int main(void)
{
    sqlite3 *watcher, *other;

    must(sqlite3_open("probe.db", &watcher) == SQLITE_OK, "open");
    must(sqlite3_open("probe.db", &other) == SQLITE_OK, "open");
    run(other, "pragma journal_mode=wal");
    run(other, "pragma wal_autocheckpoint=0");
    run(other, "create table t (x)");

    act(other, watcher, "insert into t values (1)");
    act(other, watcher, "update t set x = x");
    act(other, watcher, "pragma wal_checkpoint(passive)");
    act(other, watcher, "pragma wal_checkpoint(restart)");
    act(other, watcher, "pragma wal_checkpoint(truncate)");
    act(other, watcher, "pragma wal_checkpoint(truncate)");

    sqlite3_close(watcher);
    sqlite3_close(other);
    return 0;
}
END
cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -I usr/include -o probe probe.c -L "$library" -lsqlite3
LD_LIBRARY_PATH=$library ./probe >seen

echo "version: SQLite $(sed -n 's/^#define SQLITE_VERSION  *"\(.*\)"/\1/p' usr/include/sqlite3.h)"
echo 'guess: "changed" after the insert and the update, "same" after each checkpoint'
cat >recorded <<'END'
insert into t values (1): changed
update t set x = x: same
pragma wal_checkpoint(passive): same
pragma wal_checkpoint(restart): same
pragma wal_checkpoint(truncate): changed
pragma wal_checkpoint(truncate): changed
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

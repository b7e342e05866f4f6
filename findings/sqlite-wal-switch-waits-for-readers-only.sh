#!/bin/sh
# One guesses: with a busy handler or time-out, "PRAGMA journal_mode=WAL" waits for whoever is in
# its way, as BEGIN IMMEDIATE does; if it waits for one kind, then rather for a writer.
#
# Really: it waits for a reader, but not for a writer. While another connection has a write
# transaction open, it fails at once with SQLITE_BUSY, and the busy handler is not asked even once.
# So of several programs that set up a new database at the same time, some fail at their very first
# statement, whatever time-out they have set.
#
# Seen with SQLite 3.40.1 and 3.46.1 (Debian 12 and 13), on a database in journal mode DELETE.
#
# So: read the mode first, since it is kept in the file, and switch only if it is another one;
# repeat the switch in a loop of one's own, or let one program make the database before others
# open it.
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

static int asked;

static int on_busy(void *context, int count)
{
    (void)context;
    asked++;
    return count < 3;
}

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static void attempt(sqlite3 *mine, const char *beside, const char *sql)
{
    asked = 0;
    int rc = run(mine, sql);
    printf("beside a %s, %s: code %d, busy handler asked: %s\n", beside, sql, rc,
           asked ? "yes" : "no");
}

int main(void)
{
    sqlite3 *mine, *theirs;

    must(sqlite3_open("probe.db", &mine) == SQLITE_OK, "open");
    must(sqlite3_open("probe.db", &theirs) == SQLITE_OK, "open");
    must(run(mine, "create table t (x); insert into t values (1)") == SQLITE_OK, "row");
    sqlite3_busy_handler(mine, on_busy, NULL);

    must(run(theirs, "begin; select * from t") == SQLITE_OK, "reader");
    attempt(mine, "reader", "pragma journal_mode=wal");
    must(run(theirs, "commit") == SQLITE_OK, "end of reader");

    must(run(theirs, "begin immediate") == SQLITE_OK, "writer");
    attempt(mine, "writer", "begin immediate");
    attempt(mine, "writer", "pragma journal_mode=wal");
    must(run(theirs, "commit") == SQLITE_OK, "end of writer");
    attempt(mine, "silent connection", "pragma journal_mode=wal");

    sqlite3_close(mine);
    sqlite3_close(theirs);
    return 0;
}
END
cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -I usr/include -o probe probe.c -L "$library" -lsqlite3
LD_LIBRARY_PATH=$library ./probe >seen

echo "version: SQLite $(sed -n 's/^#define SQLITE_VERSION  *"\(.*\)"/\1/p' usr/include/sqlite3.h)"
echo 'guess: the handler is asked beside the reader and beside the writer'
cat >recorded <<'END'
beside a reader, pragma journal_mode=wal: code 5, busy handler asked: yes
beside a writer, begin immediate: code 5, busy handler asked: yes
beside a writer, pragma journal_mode=wal: code 5, busy handler asked: no
beside a silent connection, pragma journal_mode=wal: code 0, busy handler asked: no
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

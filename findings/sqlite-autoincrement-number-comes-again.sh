#!/bin/sh
# One guesses: AUTOINCREMENT never gives a number twice. A row that is rolled back leaves a gap, as
# with a sequence or an auto-increment column of a server database.
#
# Really: the counter is a row of the table sqlite_sequence and is rolled back as well, also by
# ROLLBACK TO a savepoint. The next row gets the same number. What was told that number before the
# commit (a log, a cache, a message that went out) now names another row.
# sqlite3_last_insert_rowid() is not rolled back and still names the row that is gone.
#
# Seen with SQLite 3.40.1 and 3.46.1 (Debian 12 and 13).
#
# So: tell nobody a number before its transaction is committed, and in a batch with savepoints not
# before that of the whole batch.
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

static void insert(sqlite3 *db, const char *text)
{
    char sql[80];
    snprintf(sql, sizeof sql, "insert into letter (body) values ('%s')", text);
    run(db, sql);
    printf("%s has number %lld\n", text, (long long)sqlite3_last_insert_rowid(db));
}

int main(void)
{
    sqlite3 *db;

    must(sqlite3_open("probe.db", &db) == SQLITE_OK, "open");
    run(db, "create table letter (id integer primary key autoincrement, body)");
    run(db, "begin");
    insert(db, "first");
    run(db, "savepoint attempt");
    insert(db, "second");
    run(db, "rollback to attempt");
    printf("after the rollback the last number is %lld\n",
           (long long)sqlite3_last_insert_rowid(db));
    insert(db, "third");
    run(db, "commit");
    sqlite3_close(db);
    return 0;
}
END
cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -I usr/include -o probe probe.c -L "$library" -lsqlite3
LD_LIBRARY_PATH=$library ./probe >seen

echo "version: SQLite $(sed -n 's/^#define SQLITE_VERSION  *"\(.*\)"/\1/p' usr/include/sqlite3.h)"
echo 'guess: third has number 3'
cat >recorded <<'END'
first has number 1
second has number 2
after the rollback the last number is 2
third has number 2
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

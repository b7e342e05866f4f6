#!/bin/sh
# One guesses: with autocommit on, "DELETE ... RETURNING" that hands out a row has deleted it, so
# whoever gets a row from a queue table in that way owns it.
#
# Really: the statement has made all its changes when the first row comes, but commits only when it
# is stepped to its end or reset. Until then other connections still see the row and cannot write,
# and sqlite3_get_autocommit() says 1 all the same. A process that works on the row first, and dies,
# has claimed nothing; one that works on it long stops all other writers.
#
# Seen with SQLite 3.40.1 and 3.46.1 (Debian 12 and 13), journal mode WAL.
#
# So: read the rows, step to SQLITE_DONE or reset, look at that result as at one of COMMIT, and only
# then begin to work.
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

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int count_rows(sqlite3 *db)
{
    sqlite3_stmt *count;
    must(sqlite3_prepare_v2(db, "select count(*) from job", -1, &count, NULL) == SQLITE_OK,
         "count");
    must(sqlite3_step(count) == SQLITE_ROW, "count");
    int rows = sqlite3_column_int(count, 0);
    sqlite3_finalize(count);
    return rows;
}

static void look(sqlite3 *worker, sqlite3 *other, const char *when)
{
    printf("%s: autocommit %d, others see %d jobs, others' insert gives %d\n", when,
           sqlite3_get_autocommit(worker), count_rows(other),
           run(other, "begin immediate; insert into job values (9); rollback"));
}

int main(void)
{
    sqlite3 *worker, *other;
    sqlite3_stmt *take;

    must(sqlite3_open("probe.db", &worker) == SQLITE_OK, "open");
    must(sqlite3_open("probe.db", &other) == SQLITE_OK, "open");
    must(run(worker, "pragma journal_mode=wal") == SQLITE_OK, "wal");
    must(run(worker, "create table job (id); insert into job values (1)") == SQLITE_OK, "job");
    must(sqlite3_prepare_v2(worker, "delete from job where id = 1 returning id", -1, &take,
                            NULL) == SQLITE_OK, "delete");

    must(sqlite3_step(take) == SQLITE_ROW, "the row");
    printf("job %d is handed out\n", sqlite3_column_int(take, 0));
    look(worker, other, "before the reset");
    must(sqlite3_reset(take) == SQLITE_OK, "reset");
    look(worker, other, "after the reset");

    sqlite3_finalize(take);
    sqlite3_close(worker);
    sqlite3_close(other);
    return 0;
}
END
cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -I usr/include -o probe probe.c -L "$library" -lsqlite3
LD_LIBRARY_PATH=$library ./probe >seen

echo "version: SQLite $(sed -n 's/^#define SQLITE_VERSION  *"\(.*\)"/\1/p' usr/include/sqlite3.h)"
echo 'guess: with autocommit 1 and the row handed out, others see 0 jobs and may insert (0)'
cat >recorded <<'END'
job 1 is handed out
before the reset: autocommit 1, others see 1 jobs, others' insert gives 5
after the reset: autocommit 1, others see 0 jobs, others' insert gives 0
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

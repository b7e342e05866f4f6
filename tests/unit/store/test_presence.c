/* Whether another process has the store open, asked of the kernel. */
#include "store/sqlite/db.h"

#include "check.h"
#include "folder.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

struct place {
    char folder[64];
    char path[96];
    struct db *db;
    pid_t visitor;
    int to, from; /* him */
};

/* The other process: opens the store when it is told, says so, and goes when it is told. */
static _Noreturn void visit(const char *path, int from, int to)
{
    sqlite3 *db = NULL;
    char word = 'n';

    if (read(from, &word, 1) == 1 &&
        sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_exec(db, "select count(*) from herald_meta", NULL, NULL, NULL) == SQLITE_OK)
        word = 'y';
    if (write(to, &word, 1) != 1 || read(from, &word, 1) != 1)
        word = 'n';
    sqlite3_close(db);
    _exit(word == 'n');
}

/* He is there before SQLite is: what it knows of its locks does not outlive a fork. */
static void invite(struct place *p)
{
    int there[2], back[2];

    assert_int_equal(pipe(there), 0);
    assert_int_equal(pipe(back), 0);
    p->visitor = fork();
    if (p->visitor == 0)
        visit(p->path, there[0], back[1]);
    close(there[0]);
    close(back[1]);
    p->to = there[1];
    p->from = back[0];
}

static void place_setup(struct place *p)
{
    struct err err = {0};

    folder_make(p->folder);
    snprintf(p->path, sizeof p->path, "%s/herald.db", p->folder);
    invite(p);
    assert_int_equal(
        db_open(&p->db,
                &(struct db_settings){
                    .path = p->path, .create = true, .exclusive = true, .clock = clock_real()},
                &err),
        OK);
}

static void place_teardown(struct place *p)
{
    db_close(&p->db);
    folder_remove(p->folder);
    close(p->to);
    close(p->from);
}

static void say(struct place *p)
{
    assert_int_equal(write(p->to, "y", 1), 1);
}

static void wait_for_end(struct place *p)
{
    int status;

    assert_int_equal(waitpid(p->visitor, &status, 0), p->visitor);
    assert_int_equal(status, 0);
}

TEST_WITH(place, a_process_that_only_reads_is_seen_until_it_goes)
{
    char word = '\0';

    assert_false(db_is_shared(f->db));
    say(f);
    assert_int_equal(read(f->from, &word, 1), 1);
    assert_int_equal(word, 'y');
    assert_true(db_is_shared(f->db));
    say(f);
    wait_for_end(f);
    assert_false(db_is_shared(f->db));
}

TEST_WITH(place, connections_of_this_process_are_no_company)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open_v2(f->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "select * from herald_meta", NULL, NULL, NULL), SQLITE_OK);
    assert_false(db_is_shared(f->db));
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    say(f);
    say(f);
    wait_for_end(f);
}

/* docs/faults.md#f33: a WAL whose tail is torn recovers to the last commit that is whole; a page
 * that is damaged is reported as that, whichever it is. */
#include "store.h"

#include "store/inbox.h"
#include "store/outbox.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { COMMITS = 8, PAGE = 4096 };

static void checkpoint(struct store *s)
{
    s->now_ms += 20000;
    db_checkpoint(s->db, true);
    assert_int_equal(db_wal_bytes(s->db), 0);
}

/* Rows of the outbox, one in each commit; ends[i] is the WAL's size after commit i. */
static void commit_some(struct store *s, int64_t ends[COMMITS])
{
    for (int i = 0; i < COMMITS; i++) {
        const struct message m = {.type = slice_of("note"), .body = {s->text, 2000}};

        assert_ok(s, db_begin(s->db, &s->err));
        assert_ok(s, outbox_add(s->db, &m, 0, NULL, &s->err));
        assert_ok(s, db_commit(s->db, &s->err));
        ends[i] = db_wal_bytes(s->db);
    }
}

/* As if the machine had died: the files as they are, under another name. */
static void take_copy(struct store *s)
{
    char from[160];

    store_copy(s->path, store_file(s, "dead.db"));
    snprintf(from, sizeof from, "%s-wal", s->path);
    store_copy(from, store_file(s, "dead.db-wal"));
}

static int commits_within(const int64_t ends[COMMITS], int64_t bytes)
{
    int n = 0;

    while (n < COMMITS && ends[n] <= bytes)
        n++;
    return n;
}

/* The router opens the copy, reads it and writes to it. */
static void expect_rows(struct store *s, int rows)
{
    const struct message m = {.type = slice_of("more")};
    struct outbox_counts counts;
    struct db *db;

    assert_ok(s, store_try(s, store_file(s, "dead.db"), false, true, &db));
    assert_ok(s, outbox_count(db, &counts, &s->err));
    assert_int_equal(counts.pending, rows);
    assert_ok(s, db_begin(db, &s->err));
    assert_ok(s, outbox_add(db, &m, 0, NULL, &s->err));
    assert_ok(s, db_commit(db, &s->err));
    db_close(&db);
}

TEST_OPENED(a_torn_wal_recovers_to_the_last_commit)
{
    int64_t ends[COMMITS];

    checkpoint(f);
    commit_some(f, ends);
    for (int64_t cut = 0; cut <= ends[COMMITS - 1]; cut += 1237) {
        take_copy(f);
        assert_int_equal(truncate(store_file(f, "dead.db-wal"), cut), 0);
        expect_rows(f, commits_within(ends, cut));
    }
}

static void spoil(const char *path, int64_t at, size_t len)
{
    char bytes[PAGE];
    int fd = open(path, O_WRONLY);

    assert_true(fd >= 0 && len <= sizeof bytes);
    memset(bytes, 0xaa, len);
    assert_int_equal(pwrite(fd, bytes, len, at), len);
    assert_int_equal(close(fd), 0);
}

TEST_OPENED(a_wal_with_rubbish_in_it_recovers_to_the_commit_before)
{
    int64_t ends[COMMITS];

    checkpoint(f);
    commit_some(f, ends);
    for (int64_t at = 40; at < ends[COMMITS - 1]; at += 2711) {
        take_copy(f);
        spoil(store_file(f, "dead.db-wal"), at, 8);
        expect_rows(f, commits_within(ends, at));
    }
}

static void expect_damage(struct store *s, int rc, int *seen)
{
    if (rc == OK)
        return;
    assert_refused(s, rc, ERR_CORRUPT, "dead.db");
    assert_contains(s->err.text, "restore a backup");
    ++*seen;
}

/* Answers what of herald's work on the copy was refused. */
static int work_on_damage(struct store *s)
{
    const struct message m = {.type = slice_of("more")};
    struct outbox_counts counts;
    struct inbox_seen seen;
    struct db *db;
    int refused = 0;

    expect_damage(s, store_try(s, store_file(s, "dead.db"), false, true, &db), &refused);
    if (db == NULL)
        return refused;
    expect_damage(s, outbox_count(db, &counts, &s->err), &refused);
    expect_damage(s, db_begin(db, &s->err), &refused);
    if (db_in_transaction(db)) {
        expect_damage(s, outbox_add(db, &m, 0, NULL, &s->err), &refused);
        expect_damage(s,
                      inbox_enter(db, slice_of("q"), slice_of("id"), (struct fingerprint){1, 2},
                                  s->now_ms, &seen, &s->err),
                      &refused);
    }
    db_rollback(db);
    db_close(&db);
    return refused;
}

/* A store with some rows, all of it in the database itself. */
static int64_t make_pages(struct store *s)
{
    int64_t ends[COMMITS];

    store_open(s);
    commit_some(s, ends);
    checkpoint(s);
    return other_int(s, "pragma page_count");
}

/* Each page in turn. The first two are the schema's; many others are not looked at here. */
TEST_WITH(store, a_damaged_page_is_told)
{
    int64_t pages = make_pages(f);
    int refused = 0;

    for (int64_t page = 0; page < pages; page++) {
        take_copy(f);
        spoil(store_file(f, "dead.db"), page * PAGE, PAGE);
        refused += work_on_damage(f) > 0;
    }
    assert_true(refused >= 5);
}

TEST_WITH(store, a_file_that_ends_too_soon_is_told)
{
    int64_t pages = make_pages(f);
    int refused = 0;

    for (int64_t page = 1; page < pages; page += 3) {
        take_copy(f);
        assert_int_equal(truncate(store_file(f, "dead.db"), page * PAGE), 0);
        refused += work_on_damage(f) > 0;
    }
    assert_true(refused >= 3);
}

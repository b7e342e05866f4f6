/* A store that is looked at, and not changed. */
#include "store.h"

#include "store/sqlite/survey.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What was read: "a|b, c". */
struct seen {
    char text[256];
    int rows, enough; /* `enough`: after so many it ends; 0: never */
    int ticks;
};

static bool note_row(void *arg, const struct slice *columns, int n)
{
    struct seen *seen = arg;
    size_t at = strlen(seen->text);

    for (int i = 0; i < n; i++)
        at += (size_t)snprintf(
            seen->text + at, sizeof seen->text - at, "%s%.*s", i > 0 ? "|" : (at > 0 ? ", " : ""),
            columns[i].data ? (int)columns[i].len : 1, columns[i].data ? columns[i].data : "-");
    return ++seen->rows != seen->enough;
}

static void note_tick(void *arg)
{
    ((struct seen *)arg)->ticks++;
}

static struct survey *opened(struct store *s)
{
    struct survey *survey;

    assert_ok(s, survey_open(&survey, s->path, &s->err));
    return survey;
}

TEST_OPENED(it_sees_what_is_committed_beside_a_router)
{
    struct survey *survey = opened(f);
    struct seen seen = {.rows = 0};

    other_exec(f, "insert into herald_outbox(type, business_key1) values ('a', '1'), ('b', null)");
    assert_ok(f, survey_read(survey, "select type, business_key1 from herald_outbox", note_row,
                             NULL, &seen, &f->err));
    assert_string_equal(seen.text, "a|1, b|-");
    survey_close(&survey);
    assert_null(survey);
}

TEST_OPENED(it_ends_when_enough_was_seen_and_says_that_it_works)
{
    struct survey *survey = opened(f);
    struct seen seen = {.enough = 2}, all = {.rows = 0};

    assert_ok(f, survey_read(survey, "values (1), (2), (3)", note_row, NULL, &seen, &f->err));
    assert_string_equal(seen.text, "1, 2");
    assert_ok(f, survey_read(survey,
                             "with recursive n(i) as (select 1 union all select i + 1 from n "
                             "where i < 100000) select count(*) from n",
                             note_row, note_tick, &all, &f->err));
    assert_string_equal(all.text, "100000");
    assert_true(all.ticks > 0);
    survey_close(&survey);
}

TEST_OPENED(it_writes_nothing)
{
    struct survey *survey;
    struct stat before, after;
    struct seen seen = {.rows = 0};

    other_exec(f, "insert into herald_outbox(type) values ('a')");
    survey = opened(f);
    assert_refused(f,
                   survey_read(survey, "delete from herald_outbox", note_row, NULL, &seen, &f->err),
                   ERR_IO, "readonly");
    store_close(f);
    other_close(f);
    assert_int_equal(stat(f->path, &before), 0);
    survey_close(&survey); /* the last one */
    assert_int_equal(stat(f->path, &after), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

TEST_OPENED(it_tells_what_cannot_be_read)
{
    struct survey *survey;
    struct seen seen = {.rows = 0};

    assert_refused(f, survey_open(&survey, store_file(f, "none.db"), &f->err), ERR_NOT_FOUND,
                   "No such file");
    assert_null(survey);
    assert_refused(f, survey_open(&survey, store_file(f, "no/none.db"), &f->err), ERR_NOT_FOUND,
                   "No such file");
    store_write(f, "text.db",
                "this is no database, and long enough to be looked at as one: "
                "SQLite reads a header of a hundred bytes first");
    assert_refused(f, survey_open(&survey, store_file(f, "text.db"), &f->err), ERR_CORRUPT,
                   "not a database");
    survey = opened(f);
    assert_refused(f, survey_read(survey, "select absent", note_row, NULL, &seen, &f->err),
                   ERR_FAILED, "no such column");
    survey_close(&survey);
}

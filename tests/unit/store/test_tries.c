/* What each try came to: kept within bounds, with retries and with dead letters. */
#include "store.h"

#include "store/letter.h"
#include "store/letter_edit.h"
#include "store/letter_replay.h"
#include "store/retry.h"
#include "store/tries.h"

#include "base/arena.h"

#include <stdio.h>
#include <string.h>

static struct buf tries;

static void add(int attempt, struct slice error, struct slice traceback)
{
    const struct tried one = {.at = 1000 + attempt,
                              .attempt = attempt,
                              .generation = 3,
                              .error = error,
                              .traceback = traceback};
    struct err err = {0};

    assert_int_equal(tries_add(&tries, &one, &err), OK);
}

static void add_text(int attempt, const char *error)
{
    add(attempt, slice_of(error), (struct slice){NULL, 0});
}

/* What is read back, as people see it. */
static struct {
    struct arena arena;
    struct tried list[TRIES_KEPT];
    size_t n;
} r;

static const struct value *value_of(const struct list *l, const char *name)
{
    int i = 0;

    while (strcmp(list_name(l, i), name) != 0)
        assert_true(++i < list_columns(l));
    return list_value(l, i);
}

static void read_try(const struct list *l)
{
    struct tried *t = &r.list[r.n++];

    *t = (struct tried){.at = value_of(l, "at")->integer,
                        .attempt = (int)value_of(l, "attempt")->integer,
                        .generation = value_of(l, "generation")->integer,
                        .error = value_of(l, "error")->bytes,
                        .traceback = value_of(l, "traceback")->bytes};
    assert_true(arena_keep(&r.arena, &t->error) && arena_keep(&r.arena, &t->traceback));
}

static void read_back(struct store *s)
{
    const struct retry_row row = {.queue = {"q", 1}, .tries = {tries.data, tries.len}};
    const struct list_of page = {.view = LIST_RETRIES, .pick = {.group = -1}, .limit = 1};
    struct list *l, *inner;
    int column = 0;

    arena_free(&r.arena);
    arena_init(&r.arena, 1024 * 1024);
    r.n = 0;
    other_exec(s, "delete from herald_retry");
    assert_ok(s, retry_add(s->db, &row, &s->err));
    assert_ok(s, list_open(&l, s->db, &page, &s->err));
    assert_int_equal(list_next(l, &s->err), 1);
    while (strcmp(list_name(l, column), "tries[]") != 0)
        column++;
    inner = list_inner(l, column, &s->err);
    assert_non_null(inner);
    while (list_next(inner, &s->err) == 1)
        read_try(inner);
    assert_int_equal(s->err.code, OK);
    list_close(&l);
}

static void begin(const char *before)
{
    struct err err = {0};

    buf_free(&tries);
    assert_int_equal(tries_begin(&tries, slice_of(before), &err), OK);
}

static void clear(void)
{
    buf_free(&tries);
    arena_free(&r.arena);
}

static void end(struct store *s)
{
    clear();
    store_teardown(s);
}

TEST_BETWEEN(check_nothing, clear, one_try_is_a_line)
{
    begin(NULL);
    add(1, slice_of("no \"choice\"\n16"), slice_of("rules/a.lua:5\nrules/b.lua:6"));
    add_text(2, "");
    buf_append(&tries, "", 1);
    assert_string_equal(tries.data,
                        "{\"at\":1001,\"attempt\":1,\"generation\":3,"
                        "\"error\":\"no \\\"choice\\\"\\n16\","
                        "\"traceback\":\"rules/a.lua:5\\nrules/b.lua:6\"}\n"
                        "{\"at\":1002,\"attempt\":2,\"generation\":3,\"error\":\"\"}\n");
}

TEST_ON(struct store, store_setup_open, end, what_was_written_is_read)
{
    begin("{\"at\":5,\"attempt\":1,\"generation\":9,\"error\":\"old\",\"later\":true}");
    add(2, slice_of("a\x01q\x1f"), slice_of("rules/a.lua:5"));
    read_back(f);
    assert_int_equal(r.n, 2);
    assert_int_equal(r.list[0].at, 5);
    assert_int_equal(r.list[0].generation, 9);
    assert_true(slice_is(r.list[0].error, "old"));
    assert_null(r.list[0].traceback.data);
    assert_int_equal(r.list[1].attempt, 2);
    assert_true(slice_equal(r.list[1].error, slice_of("a\x01q\x1f")));
    assert_true(slice_is(r.list[1].traceback, "rules/a.lua:5"));
}

TEST_ON(struct store, store_setup_open, end, bytes_that_are_no_text_are_replaced)
{
    begin(NULL);
    add_text(1, "caf\xe9 \xed\xa0\x80");
    read_back(f);
    assert_int_equal(r.n, 1);
    assert_true(text_is_utf8(r.list[0].error.data, r.list[0].error.len));
    assert_contains(r.list[0].error.data, "caf\xef\xbf\xbd ");
}

TEST_ON(struct store, store_setup_open, end, the_first_and_the_last_ones_are_kept)
{
    begin(NULL);
    for (int i = 1; i <= 50; i++)
        add_text(i, "no");
    read_back(f);
    assert_int_equal(r.n, 20);
    assert_int_equal(r.list[0].attempt, 1);
    for (int i = 1; i < 20; i++)
        assert_int_equal(r.list[i].attempt, 31 + i);
}

/* A control character takes six bytes, so few tries of the worst kind fit. */
TEST_ON(struct store, store_setup_open, end, the_whole_is_bounded)
{
    char worst[5000];

    memset(worst, 1, sizeof worst);
    begin(NULL);
    for (int i = 1; i <= 30; i++) {
        add(i, (struct slice){worst, sizeof worst}, (struct slice){worst, sizeof worst});
        assert_true(tries.len <= TRIES_MAX);
    }
    read_back(f);
    assert_in_range(r.n, 4, 10);
    assert_int_equal(r.list[0].attempt, 1);
    assert_int_equal(r.list[r.n - 1].attempt, 30);
    assert_int_equal(r.list[r.n - 2].attempt, 29);
    assert_int_equal(r.list[0].error.len, TRIES_TEXT_MAX);
    assert_int_equal(r.list[0].traceback.len, TRIES_TEXT_MAX);
}

TEST_ON(struct store, store_setup_open, end, a_cut_spares_a_character)
{
    char text[2000];

    text[0] = 'x';
    for (size_t i = 1; i + 3 <= sizeof text; i += 3)
        memcpy(text + i, "\xe4\xb8\x8d", 3);
    begin(NULL);
    add(1, (struct slice){text, 1999}, (struct slice){NULL, 0});
    read_back(f);
    assert_int_equal(r.list[0].error.len, 1 + 3 * 341);
    assert_memory_equal(r.list[0].error.data, text, 1 + 3 * 341);
}

/* Somebody else's hand in the column costs what it spoilt, and no turn. */
TEST_ON(struct store, store_setup_open, end, what_is_no_line_of_ours_is_passed_over)
{
    static char huge[TRIES_MAX + 1];

    begin("junk\n[1]\n{\"attempt\":1}\n\n{\"at\":1e99999999999999999999999999,"
          "\"error\":\"x\"}\n{\"error\":7}");
    add_text(3, "still");
    read_back(f);
    assert_int_equal(r.n, 1);
    assert_true(slice_is(r.list[0].error, "still"));

    memset(huge, 'x', TRIES_MAX);
    begin(huge); /* one line as long as all may be */
    add_text(4, "new");
    read_back(f);
    assert_int_equal(r.n, 1);
    assert_true(tries.len < 100);
    buf_free(&tries);
    memset(huge, 'x', TRIES_MAX + 1);
    assert_int_equal(tries_begin(&tries, (struct slice){huge, sizeof huge}, NULL), OK);
    assert_int_equal(tries.len, 0);
}

#define TRIES "select tries from "
#define FIRST "{\"at\":1,\"attempt\":1,\"generation\":2,\"error\":\"first\"}\n"

static const struct letter letter = {
    .side = LETTER_INBOX,
    .queue = {"q", 1},
    .identity = {"m", 1},
    .message = {.id = {"m", 1}, .type = {"t", 1}, .body = {"{}", 2}},
    .attempts = 2,
    .error = "second",
    .traceback = "rules/a.lua:5",
    .generation = 3,
    .at = 9,
};

#define LAST                                                                                       \
    "{\"at\":9,\"attempt\":2,\"generation\":3,\"error\":\"second\",\"traceback\":\"rules/a.lua:"   \
    "5\"}\n"

TEST_OPENED(the_last_try_of_a_letter_is_its_death)
{
    struct letter l = letter;

    assert_ok(f, letter_add(f->db, &l, NULL, NULL, &f->err));
    assert_string_equal(other_rows(f, TRIES "herald_dead"), LAST);
    l.identity = slice_of("another");
    l.tries = slice_of(FIRST);
    l.error = "";
    l.traceback = NULL;
    assert_ok(f, letter_add(f->db, &l, NULL, NULL, &f->err));
    assert_string_equal(other_rows(f, TRIES "herald_dead where id = 2"),
                        FIRST "{\"at\":9,\"attempt\":2,\"generation\":3,"
                              "\"error\":\"(no reason given)\"}\n");
}

TEST_OPENED(replay_takes_the_tries_along)
{
    const struct letter_edit edit = {.key[0] = slice_of("16")};
    struct letter l = letter;
    struct picked done = {.changed = 0};

    l.tries = slice_of(FIRST);
    assert_ok(f, letter_add(f->db, &l, NULL, NULL, &f->err));
    assert_ok(f, letter_edit(f->db, 1, &edit, false, &f->err));
    assert_string_equal(other_rows(f, TRIES "herald_dead"), FIRST LAST);
    assert_ok(f, letter_replay(f->db, 1, 50, &done, &f->err));
    assert_string_equal(other_rows(f, TRIES "herald_retry"), FIRST LAST);
}

TEST_ON(struct store, store_setup_open, end, a_retry_goes_on_with_its_tries)
{
    const struct retry_row row = {
        .queue = {"q", 1}, .attempts = 1, .tries = {FIRST, sizeof FIRST - 1}};

    assert_ok(f, retry_add(f->db, &row, &f->err));
    assert_ok(f, retry_tries(f->db, 1, &tries, &f->err));
    add_text(2, "second");
    assert_ok(f, retry_again(f->db, 1, 2, 7, "second", 3, (struct slice){tries.data, tries.len},
                             &f->err));
    buf_free(&tries);
    /* what is no try leaves them as they are */
    assert_ok(f, retry_again(f->db, 1, 2, 8, "orphaned", 3, (struct slice){NULL, 0}, &f->err));
    assert_string_equal(other_rows(f, TRIES "herald_retry"), FIRST
                        "{\"at\":1002,\"attempt\":2,\"generation\":3,\"error\":\"second\"}\n");
    assert_ok(f, retry_tries(f->db, 99, &tries, &f->err));
    assert_int_equal(tries.len, 0);
}

/* Letters nobody will try again by itself. */
#include "store.h"

#include "store/letter.h"

#include <stdio.h>
#include <string.h>

static const struct letter letter = {
    .side = LETTER_INBOX,
    .queue = {"q", 1},
    .identity = {"id", 2},
    .message = {.id = {"m", 1}, .type = {"t", 1}, .body = {"{}", 2}},
    .fingerprint = {7, FINGERPRINT_OF_RECEIVED},
    .attempts = 3,
    .error = "no choice 16",
    .traceback = "rules/orders.lua:12",
    .generation = 4,
    .at = 1234,
};

static int64_t add(struct store *s, const struct letter *d)
{
    int64_t id;

    assert_ok(s, letter_add(s->db, d, &id, NULL, &s->err));
    return id;
}

static bool note(void *arg, const struct letter *d)
{
    char *text = arg;

    snprintf(text + strlen(text), 256, "%s%lld %s", text[0] ? ", " : "", (long long)d->id,
             d->error);
    return true;
}

TEST_OPENED(a_letter_is_kept_whole)
{
    assert_int_equal(add(f, &letter), 1);
    assert_string_equal(other_rows(f, "select side, queue, identity, fingerprint, attempts, error,"
                                      " traceback, generation, at, message_id, type,"
                                      " business_key1, body, exchange from herald_dead"),
                        "inbox|q|id|7|3|no choice 16|rules/orders.lua:12|4|1234|m|t|-|{}|-");
}

static int64_t count(struct store *s)
{
    int64_t n;

    assert_ok(s, letter_count(s->db, &n, &s->err));
    return n;
}

TEST_OPENED(the_same_letter_is_kept_once)
{
    struct letter d = letter;

    assert_int_equal(add(f, &letter), 1);
    d.error = "told again after a crash";
    assert_int_equal(add(f, &d), 1);
    assert_int_equal(count(f), 1);
    assert_string_equal(other_rows(f, "select error from herald_dead"), "no choice 16");
}

TEST_OPENED(letters_that_differ_are_kept_apart)
{
    struct letter d = letter;
    int64_t outbox;

    (void)add(f, &letter);
    d.fingerprint.bits = 8; /* another message with its id */
    assert_int_not_equal(add(f, &d), 1);
    d.queue = slice_of("r");
    (void)add(f, &d);
    assert_int_equal(count(f), 3);
    d.side = LETTER_OUTBOX;
    d.queue = (struct slice){NULL, 0};
    outbox = add(f, &d);
    assert_int_equal(add(f, &d), outbox);
    assert_int_equal(count(f), 4);
    d.identity = (struct slice){NULL, 0}; /* nobody can tell these apart */
    (void)add(f, &d);
    (void)add(f, &d);
    assert_int_equal(count(f), 6);
}

TEST_OPENED(letters_are_listed_page_by_page)
{
    const struct list_of page = {
        .view = LIST_LETTERS, .pick = {.group = -1}, .after = 1, .limit = 2};
    struct letter d = letter;

    d.identity = (struct slice){NULL, 0};
    for (int i = 0; i < 5; i++)
        (void)add(f, &d);
    assert_string_equal(store_listed(f, &page, "id error"), "2|no choice 16, 3|no choice 16");
}

static bool without_queue(void *arg, const struct letter *d)
{
    *(bool *)arg = d->queue.data == NULL && d->side == LETTER_OUTBOX && d->traceback == NULL;
    return true;
}

TEST_OPENED(one_letter_is_found_or_not)
{
    const struct letter d = {.side = LETTER_OUTBOX, .identity = {"i", 1}, .error = ""};
    char text[256] = "";
    bool as_put = false;

    (void)add(f, &letter);
    (void)add(f, &d);
    assert_ok(f, letter_get(f->db, 1, note, text, &f->err));
    assert_string_equal(text, "1 no choice 16");
    assert_ok(f, letter_get(f->db, 2, note, text, &f->err));
    assert_contains(text, "2 (no reason given)");
    assert_ok(f, letter_get(f->db, 2, without_queue, &as_put, &f->err));
    assert_true(as_put);
    other_exec(f, "delete from herald_dead where id = 1");
    assert_refused(f, letter_get(f->db, 1, note, text, &f->err), ERR_NOT_FOUND, "no dead letter 1");
    assert_int_equal(letter_get(f->db, 3, note, text, &f->err), ERR_NOT_FOUND);
    assert_int_equal(letter_get(f->db, -1, note, text, &f->err), ERR_NOT_FOUND);
}

TEST_OPENED(numbers_are_never_given_twice)
{
    assert_int_equal(add(f, &letter), 1);
    other_exec(f, "delete from herald_dead");
    assert_int_equal(add(f, &letter), 2);
}

/* What an operator has paused, as the store keeps it. */
#include "store.h"

#include "store/halt.h"

#include <stdio.h>
#include <string.h>

struct list {
    char text[1024];
};

static bool note(void *arg, struct slice queue, int64_t since_ms)
{
    struct list *l = arg;
    size_t n = strlen(l->text);

    (void)snprintf(l->text + n, sizeof l->text - n, "%.*s@%lld ", (int)queue.len,
                   queue.data != NULL ? queue.data : "", (long long)since_ms);
    return true;
}

static const char *all(struct store *s, struct list *l)
{
    l->text[0] = '\0';
    assert_ok(s, halt_list(s->db, note, l, &s->err));
    return l->text;
}

static bool begin(struct store *s, struct slice queue, int64_t now_ms)
{
    bool changed;

    assert_ok(s, halt_begin(s->db, queue, now_ms, &changed, &s->err));
    return changed;
}

static bool end(struct store *s, struct slice queue)
{
    bool changed;

    assert_ok(s, halt_end(s->db, queue, &changed, &s->err));
    return changed;
}

static const struct slice publishing = {NULL, 0};

TEST_OPENED(what_is_paused_stays_so_until_it_is_resumed)
{
    struct list l;

    assert_string_equal(all(f, &l), "");
    assert_true(begin(f, slice_of("b"), 7));
    assert_true(begin(f, publishing, 8));
    assert_true(begin(f, slice_of("a:b"), 9));
    assert_string_equal(all(f, &l), "@8 a:b@9 b@7 ");
    store_close(f);
    store_open(f);
    assert_true(end(f, publishing));
    assert_string_equal(all(f, &l), "a:b@9 b@7 ");
}

TEST_OPENED(pausing_twice_keeps_the_first_time_and_resuming_twice_changes_nothing)
{
    struct list l;

    assert_true(begin(f, slice_of("q"), 7));
    assert_false(begin(f, slice_of("q"), 8));
    assert_string_equal(all(f, &l), "q@7 ");
    assert_true(end(f, slice_of("q")));
    assert_false(end(f, slice_of("q")));
    assert_string_equal(all(f, &l), "");
}

TEST_OPENED(a_name_that_no_queue_can_have_is_refused)
{
    char name[HALT_NAME_MAX + 1];
    bool changed = true;

    memset(name, 'q', sizeof name);
    assert_int_equal(halt_begin(f->db, (struct slice){name, sizeof name}, 7, &changed, &f->err),
                     ERR_INPUT);
    assert_false(changed);
    assert_true(begin(f, (struct slice){name, HALT_NAME_MAX}, 7));
    assert_int_equal(halt_begin(f->db, slice_of(""), 7, &changed, &f->err), ERR_INPUT);
}

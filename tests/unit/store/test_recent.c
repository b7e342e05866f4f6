/* The last handled messages, kept for trials. */
#include "store.h"

#include "store/recent.h"

#include <stdio.h>
#include <string.h>

static void add(struct store *s, int n)
{
    char id[16];
    const struct recent r = {
        .at = 1000 + n,
        .queue = slice_of("q"),
        .message = {.id = (struct slice){id, (size_t)snprintf(id, sizeof id, "%d", n)},
                    .type = slice_of("t"),
                    .key = {{NULL, 0}, slice_of("60201"), {NULL, 0}},
                    .body = {"a\0b", 3},
                    .headers = slice_of("{}"),
                    .content_type = slice_of("text/plain"),
                    .timestamp_s = 7},
        .exchange = slice_of("x"),
        .routing_key = slice_of("k"),
    };

    assert_ok(s, recent_add(s->db, &r, &s->err));
}

static bool note(void *arg, const struct recent *r)
{
    char *text = arg;

    snprintf(text + strlen(text), 100, "%.*s ", (int)r->message.id.len, r->message.id.data);
    return strchr(text, '!') == NULL;
}

static void list(struct store *s, size_t limit, const char *want)
{
    char text[200] = "";

    assert_ok(s, recent_list(s->db, limit, note, text, &s->err));
    assert_string_equal(text, want);
}

TEST_OPENED(the_newest_come_first_and_the_oldest_go)
{
    for (int n = 1; n <= 5; n++)
        add(f, n);
    list(f, 10, "5 4 3 2 1 ");
    assert_ok(f, recent_trim(f->db, 3, &f->err));
    list(f, 10, "5 4 3 ");
    list(f, 2, "5 4 ");
    add(f, 6);
    assert_ok(f, recent_trim(f->db, 3, &f->err));
    list(f, 10, "6 5 4 ");
    store_close(f);
    store_open(f);
    list(f, 10, "6 5 4 ");
    assert_ok(f, recent_trim(f->db, 0, &f->err));
    list(f, 10, "");
    assert_ok(f, recent_trim(f->db, 3, &f->err)); /* of nothing */
}

static bool check(void *arg, const struct recent *r)
{
    (void)arg;
    assert_int_equal(r->at, 1001);
    assert_true(slice_is(r->queue, "q"));
    assert_true(slice_is(r->message.type, "t"));
    assert_null(r->message.key[0].data);
    assert_true(slice_is(r->message.key[1], "60201"));
    assert_int_equal(r->message.body.len, 3);
    assert_memory_equal(r->message.body.data, "a\0b", 3);
    assert_true(slice_is(r->message.headers, "{}"));
    assert_true(slice_is(r->message.content_type, "text/plain"));
    assert_int_equal(r->message.timestamp_s, 7);
    assert_true(slice_is(r->exchange, "x"));
    assert_true(slice_is(r->routing_key, "k"));
    return false;
}

TEST_OPENED(a_message_is_kept_whole)
{
    add(f, 1);
    assert_ok(f, recent_list(f->db, 1, check, NULL, &f->err));
}

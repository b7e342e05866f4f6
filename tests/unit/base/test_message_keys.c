/* Business keys by their paths. */
#include "base/message_keys.h"

#include "base/json.h"
#include "check.h"

#include <stdio.h>
#include <string.h>

struct search {
    struct buf tapes[2];
    struct message m;
    struct err err;
};

static void search_setup(struct search *s)
{
    *s = (struct search){.m = {.key = {slice_of("old")}}};
    buf_init(&s->tapes[0], JSON_TAPE_MAX);
    buf_init(&s->tapes[1], JSON_TAPE_MAX);
}

static void search_teardown(struct search *s)
{
    buf_free(&s->tapes[0]);
    buf_free(&s->tapes[1]);
}

static int find(struct search *s, const char *path)
{
    const char *const paths[MESSAGE_KEYS] = {path, NULL, "headers.tenant"};

    s->m.key[0] = slice_of("old");
    return message_keys_find(&s->m, paths, s->tapes, &s->err);
}

TEST_WITH(search, a_path_leads_to_a_text_or_an_integer)
{
    static const struct {
        const char *path, *found;
    } cases[] = {
        {"body.kind", "a"},
        {"body.order.id", "7"},
        {"body.order.deep.x", "\"y\""},
        {"body.nothing", "old"},
        {"body.kind.deeper", "old"},
        {"body.order.none.x", "old"},
        {"body.null", "old"},
        {"headers.tenant", "shop"},
        {NULL, "old"},
        {"body.big", "18446744073709551616"},
    };

    f->m.body = slice_of("{\"kind\":\"a\",\"null\":null,\"big\":18446744073709551616,"
                         "\"order\":{\"id\":7,\"deep\":{\"x\":\"\\\"y\\\"\"}}}");
    f->m.headers = slice_of("{\"tenant\":\"shop\"}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(find(f, cases[i].path), OK);
        if (!slice_is(f->m.key[0], cases[i].found))
            fail_msg("%s: %.*s", cases[i].path, (int)f->m.key[0].len, f->m.key[0].data);
        assert_true(slice_is(f->m.key[2], "shop"));
    }
}

TEST_WITH(search, what_can_be_no_key_is_told)
{
    f->m.body = slice_of("{\"list\":[1],\"real\":1.5,\"flag\":true}");
    assert_int_equal(find(f, "body.list"), ERR_INPUT);
    assert_string_equal(f->err.text, "body.list is neither a string nor an integer: it cannot be a "
                                     "business key");
    assert_int_equal(find(f, "body.real"), ERR_INPUT);
    assert_int_equal(find(f, "body.flag"), ERR_INPUT);
}

TEST_WITH(search, a_body_that_is_no_object_has_no_keys)
{
    static const char *const bodies[] = {"", "plain", "[1]", "7"};

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        f->m.body = slice_of(bodies[i]);
        assert_int_equal(find(f, "body.kind"), OK);
        assert_true(slice_is(f->m.key[0], "old"));
    }
    f->m.content_type = slice_of("application/json");
    f->m.body = slice_of("{");
    assert_int_equal(find(f, "body.kind"), ERR_INPUT);
}

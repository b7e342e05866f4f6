/* Mending a dead letter. */
#include "store.h"

#include "store/letter_edit.h"
#include "store/letter_replay.h"

#include <stdlib.h>
#include <string.h>

static const struct letter letter = {
    .side = LETTER_INBOX,
    .queue = {"q", 1},
    .identity = {"m", 1},
    .message = {.id = {"m", 1},
                .type = {"t", 1},
                .key = {{"16", 2}, {NULL, 0}, {NULL, 0}},
                .body = {"{\"businessKey1\":\"16\"}", 21},
                .headers = {"{\"n\":12345678901234567890,\"s\":\"x\"}", 34}},
    .fingerprint = {7, FINGERPRINT_OF_RECEIVED},
    .error = "no choice '16'",
};

static void add(struct store *s, const struct letter *l)
{
    assert_ok(s, letter_add(s->db, l, NULL, NULL, &s->err));
}

static void with_letter(struct store *s)
{
    store_setup_open(s);
    add(s, &letter);
}

static const char *as_is(struct store *s)
{
    return other_rows(s, "select type, business_key1, business_key2, body, headers, message_id, "
                         "identity, fingerprint from herald_dead");
}

#define UNCHANGED "t|16|-|{\"businessKey1\":\"16\"}|{\"n\":12345678901234567890,\"s\":\"x\"}|m|m|7"

TEST_FROM(store, with_letter, a_new_body_brings_its_keys)
{
    const struct letter_edit edit = {
        .body = slice_of("{\"businessKey1\":17,\"businessKey2\":\"b\",\"messageType\":\"u\"}")};

    assert_ok(f, letter_edit(f->db, 1, &edit, false, &f->err));
    assert_string_equal(as_is(f),
                        "u|17|b|{\"businessKey1\":17,\"businessKey2\":\"b\",\"messageType\":"
                        "\"u\"}|{\"n\":12345678901234567890,\"s\":\"x\"}|m|m|7");
}

TEST_FROM(store, with_letter, headers_are_set_and_taken_and_the_others_stay)
{
    const struct header_edit headers[] = {{slice_of("a.b c"), slice_of("王\"1\"")},
                                          {slice_of("s"), {NULL, 0}},
                                          {slice_of("none"), {NULL, 0}}};
    const struct letter_edit edit = {.headers = headers, .n_headers = 3};

    assert_ok(f, letter_edit(f->db, 1, &edit, false, &f->err));
    assert_string_equal(other_rows(f, "select headers from herald_dead"),
                        "{\"n\":12345678901234567890,\"a.b c\":\"王\\\"1\\\"\"}");
}

TEST_FROM(store, with_letter, type_and_keys_are_set_where_the_body_says_nothing)
{
    const struct letter_edit edit = {.type = slice_of("u"),
                                     .key = {{NULL, 0}, {"60202", 5}, {"", 0}}};

    assert_ok(f, letter_edit(f->db, 1, &edit, false, &f->err));
    assert_string_equal(other_rows(f, "select type, business_key1, business_key2, business_key3 "
                                      "from herald_dead"),
                        "u|16|60202|");
}

TEST_FROM(store, with_letter, a_dry_run_changes_nothing)
{
    const struct letter_edit edit = {.type = slice_of("u")};

    assert_ok(f, letter_edit(f->db, 1, &edit, true, &f->err));
    assert_string_equal(as_is(f), UNCHANGED);
}

TEST_OPENED(what_is_invalid_changes_nothing)
{
    static char large[MESSAGE_BODY_MAX + 2], name[300];
    const struct header_edit good = {slice_of("a"), slice_of("b")};
    const struct header_edit bad_headers[] = {{{name, 256}, {"v", 1}},
                                              {{"", 0}, {"v", 1}},
                                              {{"a\"b", 3}, {"v", 1}},
                                              {{"a", 1}, {"\xff", 1}},
                                              {{"\xff", 1}, {"v", 1}}};
    struct {
        struct letter_edit edit;
        const char *words;
    } cases[] = {
        {{.body = slice_of("{\"a\":1")}, "--body: bad JSON"},
        {{.body = slice_of("")}, "--body: it is empty"},
        {{.body = slice_of("{\"a\":\"\xff\"}")}, "--body: "},
        {{.body = slice_of("{\"a\":1,\"a\":2}")}, "duplicate key"},
        {{.body = {large, sizeof large - 1}}, "over the limit"},
        {{.body = {large, MESSAGE_BODY_MAX}}, "together are over the limit"},
        {{.type = {"", 0}}, "--type must have 1 to 255 bytes"},
        {{.type = {large, 256}}, "--type must have 1 to 255 bytes"},
        {{.type = {"\xff", 1}}, "--type is not UTF-8"},
        {{.key = {{NULL, 0}, {NULL, 0}, {"\xc3", 1}}}, "--key3 is not UTF-8"},
        {{.key = {{"17", 2}, {NULL, 0}, {NULL, 0}}}, "the body says \"businessKey1\":\"16\""},
        {{.body = slice_of("{\"messageType\":\"v\"}"), .type = slice_of("u")}, "the body says"},
    };

    memset(large, ' ', sizeof large);
    large[0] = '1';
    memset(name, 'n', sizeof name);
    add(f, &letter);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        cases[i].edit.headers = &good; /* undone, too */
        cases[i].edit.n_headers = 1;
        assert_refused(f, letter_edit(f->db, 1, &cases[i].edit, false, &f->err), ERR_INPUT,
                       cases[i].words);
        assert_string_equal(as_is(f), UNCHANGED);
    }
    for (size_t i = 0; i < sizeof bad_headers / sizeof bad_headers[0]; i++) {
        const struct letter_edit edit = {.headers = &bad_headers[i], .n_headers = 1};

        assert_refused(f, letter_edit(f->db, 1, &edit, false, &f->err), ERR_INPUT, "--header");
        assert_string_equal(as_is(f), UNCHANGED);
    }
}

TEST_OPENED(a_letter_that_is_not_there_is_said_so)
{
    const struct letter_edit edit = {.type = slice_of("u")};

    assert_refused(f, letter_edit(f->db, 5, &edit, false, &f->err), ERR_NOT_FOUND,
                   "no dead letter 5");
}

TEST_OPENED(a_body_that_is_no_json_may_stay_so)
{
    struct letter binary = letter;
    const struct letter_edit edit = {.body = {"\xff\0\xfe", 3}};

    binary.message.content_type = slice_of("application/octet-stream");
    add(f, &binary);
    assert_ok(f, letter_edit(f->db, 1, &edit, false, &f->err));
    assert_string_equal(other_rows(f, "select hex(body), type from herald_dead"), "FF00FE|t");
}

/* The message nobody could read is the one that needs mending most. */
TEST_OPENED(an_unreadable_letter_is_mended_by_a_body)
{
    struct letter broken = letter;
    struct letter_edit edit = {.key = {{"1", 1}, {NULL, 0}, {NULL, 0}}};
    const int64_t first = 1;
    struct picked done;
    size_t passed;

    broken.message.body = slice_of("{");
    add(f, &broken);
    assert_refused(f, letter_edit(f->db, 1, &edit, false, &f->err), ERR_INPUT, "bad JSON");
    edit.body = slice_of("{\"course\":1}");
    assert_ok(f, letter_edit(f->db, 1, &edit, false, &f->err));
    assert_ok(f, pick_batch(f->db, &first, 1, letter_replay, &passed, &done, &f->err));
    assert_string_equal(other_rows(f, "select body, business_key1, identity, fingerprint "
                                      "from herald_retry"),
                        "{\"course\":1}|1|m|7");
}

/* Who may come in through the admin door. */
#include "check.h"
#include "face/guard.h"
#include "folder.h"

#include <stdio.h>
#include <string.h>

struct door {
    char folder[64], full[80], look[80];
    struct admin_settings settings;
    struct guard *guard;
};

static void begin(struct door *f)
{
    folder_make(f->folder);
    folder_write(f->folder, "full", "a-token-of-some-length\n");
    folder_write(f->folder, "look", "another-token-to-look");
    snprintf(f->full, sizeof f->full, "%s/full", f->folder);
    snprintf(f->look, sizeof f->look, "%s/look", f->folder);
    f->settings = (struct admin_settings){
        .listen = "127.0.0.1:0", .hosts = "herald.example.com other", .rate = 10};
}

static void end(struct door *f)
{
    guard_free(&f->guard);
    assert_null(f->guard);
    guard_free(&f->guard);
    folder_remove(f->folder);
}

static void open_door(struct door *f)
{
    struct err err = {0};

    guard_free(&f->guard);
    assert_int_equal(guard_new(&f->guard, &f->settings, &err), OK);
}

#define TEST_AT_DOOR(name) TEST_ON(struct door, begin, end, name)

TEST_AT_DOOR(without_tokens_everybody_may)
{
    open_door(f);
    assert_int_equal(guard_right(f->guard, NULL), GUARD_ALL);
    assert_int_equal(guard_right(f->guard, "Bearer whatever"), GUARD_ALL);
}

TEST_AT_DOOR(a_token_is_good_for_what_its_file_is_for)
{
    static const char *const none[] = {
        NULL,
        "",
        "Bearer",
        "Bearer ",
        "Bearer a-token-of-some-lengt",
        "Bearer a-token-of-some-length ",
        "Bearer A-token-of-some-length",
        "Bearer  a-token-of-some-length",
        "Basic a-token-of-some-length",
        "a-token-of-some-length",
        "Bearer a-token-of-some-length\n",
    };

    f->settings.token_file = f->full;
    f->settings.read_token_file = f->look;
    open_door(f);
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_int_equal(guard_right(f->guard, none[i]), GUARD_NONE);
    assert_int_equal(guard_right(f->guard, "Bearer a-token-of-some-length"), GUARD_ALL);
    assert_int_equal(guard_right(f->guard, "bearer a-token-of-some-length"), GUARD_ALL);
    assert_int_equal(guard_right(f->guard, "Bearer another-token-to-look"), GUARD_LOOK);
    f->settings.token_file = NULL;
    open_door(f);
    assert_int_equal(guard_right(f->guard, NULL), GUARD_NONE);
    assert_int_equal(guard_right(f->guard, "Bearer a-token-of-some-length"), GUARD_NONE);
    assert_int_equal(guard_right(f->guard, "Bearer another-token-to-look"), GUARD_LOOK);
}

TEST_AT_DOOR(a_file_that_was_replaced_is_read_again)
{
    f->settings.token_file = f->full;
    open_door(f);
    folder_write(f->folder, "full", "a-new-token-of-another-length");
    assert_int_equal(guard_right(f->guard, "Bearer a-token-of-some-length"), GUARD_NONE);
    assert_int_equal(guard_right(f->guard, "Bearer a-new-token-of-another-length"), GUARD_ALL);
    folder_write(f->folder, "full", "short");
    assert_int_equal(guard_right(f->guard, "Bearer short"), GUARD_NONE);
    assert_int_equal(guard_right(f->guard, "Bearer a-new-token-of-another-length"), GUARD_NONE);
    assert_int_equal(remove(f->full), 0);
    assert_int_equal(guard_right(f->guard, "Bearer "), GUARD_NONE);
}

TEST_AT_DOOR(a_token_that_is_of_no_use_is_told_at_the_start)
{
    static const struct {
        const char *text, *words;
    } cases[] = {{"fifteen-bytes-x", "has 15 bytes: a token has 16 at least"}, {"\n", "is empty"}};
    struct err err = {0};

    f->settings.token_file = f->full;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        folder_write(f->folder, "full", cases[i].text);
        assert_int_equal(guard_new(&f->guard, &f->settings, &err), ERR_CONFIG);
        assert_non_null(strstr(err.text, cases[i].words));
        guard_free(&f->guard);
    }
    assert_int_equal(remove(f->full), 0);
    assert_int_equal(guard_new(&f->guard, &f->settings, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "admin.token_file"));
}

TEST_AT_DOOR(a_name_is_known_or_not)
{
    static const char *const known[] = {
        "127.0.0.1", "127.0.0.1:1",        "10.9.8.7:9120",           "[::1]",   "[::1]:1",
        "localhost", "LocalHost:1",        "herald.example.com",      "other:1", "OTHER",
        "[fe80::1]", "[whatever it is]:1", "HERALD.example.com:65535"};
    static const char *const unknown[] = {NULL,
                                          "",
                                          ":1",
                                          "evil.example",
                                          "herald",
                                          "othe",
                                          "others",
                                          "herald.example.com.evil",
                                          "127.1",
                                          "[::1",
                                          "herald.example.com other",
                                          "127.0.0.1.x"};

    open_door(f);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_true(guard_knows_host(f->guard, known[i]));
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_false(guard_knows_host(f->guard, unknown[i]));
    f->settings.listen = "unix:a.sock"; /* where no browser comes */
    open_door(f);
    assert_true(guard_knows_host(f->guard, "evil.example"));
    assert_true(guard_knows_host(f->guard, NULL));
}

TEST(an_origin_is_our_own_or_not)
{
    assert_true(guard_knows_origin(NULL, NULL));
    assert_true(guard_knows_origin(NULL, "a:1"));
    assert_true(guard_knows_origin("http://a:1", "a:1"));
    assert_true(guard_knows_origin("https://A:1", "a:1"));
    assert_false(guard_knows_origin("http://a:1", NULL));
    assert_false(guard_knows_origin("http://a:2", "a:1"));
    assert_false(guard_knows_origin("http://a:1.evil.example", "a:1"));
    assert_false(guard_knows_origin("ftp://a:1", "a:1"));
    assert_false(guard_knows_origin("a:1", "a:1"));
    assert_false(guard_knows_origin("null", "null"));
    assert_false(guard_knows_origin("", "a:1"));
}

TEST_AT_DOOR(a_second_has_so_many_requests)
{
    int let_in = 0;

    open_door(f);
    while (guard_admits(f->guard, 1000))
        let_in++;
    assert_int_equal(let_in, 20);
    assert_false(guard_admits(f->guard, 1099));
    assert_true(guard_admits(f->guard, 1100));
    assert_false(guard_admits(f->guard, 1100));
    for (let_in = 0; guard_admits(f->guard, 9000000); let_in++)
        continue;
    assert_int_equal(let_in, 20);
}

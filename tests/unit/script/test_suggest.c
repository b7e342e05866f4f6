/* The known word that somebody probably meant. */
#include "fake_host.h"

TEST_WITH(scene, a_slip_of_the_pen_finds_its_word)
{
    static const struct {
        const char *wrong, *right;
    } slips[] = {
        {"bdoy", "body"},
        {"boddy", "body"},
        {"bod", "body"},
        {"BODY", "body"},
        {"typ", "type"},
        {"attempts", "attempt"},
        {"orderType", "order_type"},
        {"businessKey3", "business_key3"},
        {"bussines_key1", "business_key1"},
        {"time_stamp", "timestamp"},
        {"routingkey", "routing_key"},
        {"exchagne", "exchange"},
        {"header", "headers"},
    };

    for (size_t i = 0; i < sizeof slips / sizeof slips[0]; i++) {
        char body[128], words[128];

        snprintf(body, sizeof body, "return msg.%s", slips[i].wrong);
        snprintf(words, sizeof words,
                 "rules/a.lua:3: a message has no field '%s': did you mean '%s'?", slips[i].wrong,
                 slips[i].right);
        FAILS(f, body, words);
    }
}

TEST_WITH(scene, a_word_like_no_other_gets_the_whole_list)
{
    static const char *const words[] = {"x", "payload", "sequence", "['']", "destination"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        char body[128];

        snprintf(body, sizeof body, "return msg%s%s", words[i][0] == '[' ? "" : ".", words[i]);
        assert_int_equal(run(f, body), SCRIPT_FAILED);
        assert_non_null(strstr(f->out.error, "(known: id, type, order_type, "));
    }
    assert_int_equal(run(f, "return msg[('x'):rep(100000)]"), SCRIPT_FAILED);
}

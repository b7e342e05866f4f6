/* Errors that differ only in what varies. */
#include "check.h"

#include "base/error_group.h"

#include <string.h>

static void assert_text(const char *error, const char *want)
{
    char text[ERROR_GROUP_TEXT];

    error_group_text(slice_of(error), text);
    assert_string_equal(text, want);
}

TEST(numbers_quotations_and_ids_are_taken_out)
{
    assert_text("rules/orders.lua:12: no choice '16' of 60201",
                "rules/orders.lua:#: no choice ? of #");
    assert_text("type \"lost\" and `key'", "type ? and ?");
    assert_text("id 550e8400-e29b-41d4-a716-446655440000 again", "id # again");
    assert_text("ID 550E8400-E29B-41D4-A716-446655440000.", "ID #.");
    assert_text("at 0x55d1aF, hash f6ed004ae300, message sfsqi0ernr98:17",
                "at #, hash #, message #:#");
    assert_text("10.0.0.1:5672 at 12:30:01 took 3.5 s", "# at # took # s");
    assert_text("first line 1\nstack traceback:\n\tx.lua:7", "first line #");
    assert_text("", "");
}

TEST(words_stay)
{
    assert_text("don't know what's here", "don't know what's here");
    assert_text("an 'open quotation", "an 'open quotation");
    assert_text("deadbeef cafebabe", "deadbeef cafebabe"); /* no digit: may be words */
    assert_text("utf8 column_2 sha256", "utf# column_# sha#");
    assert_text("选课 16 失败", "选课 # 失败");
    assert_text("a \"b \\\" c\" d", "a ? d");
    assert_text("550e8400-e29b-41d4-a716-44665544000", "#-e#b-#d#-a#-#"); /* one too short */
}

TEST(what_is_long_is_cut)
{
    char error[4096], text[ERROR_GROUP_TEXT];

    memset(error, 'x', sizeof error);
    error_group_text((struct slice){error, sizeof error}, text);
    assert_int_equal(strlen(text), ERROR_GROUP_TEXT - 1);
    error_group_text((struct slice){NULL, 0}, text);
    assert_string_equal(text, "");
}

static int64_t group(const char *side, const char *queue, const char *error)
{
    return error_group(side, slice_of(queue), slice_of(error));
}

TEST(side_and_queue_part_groups)
{
    int64_t one = group("inbox", "q", "no choice '16'");

    assert_int_equal(group("inbox", "q", "no choice '17'\nand more"), one);
    assert_int_not_equal(group("inbox", "r", "no choice '16'"), one);
    assert_int_not_equal(group("outbox", "q", "no choice '16'"), one);
    assert_int_not_equal(group("inbox", "q", "no course '16'"), one);
    assert_int_equal(group("outbox", NULL, "x"), group("outbox", "", "x"));
    assert_true(one >= 0 && one <= UINT32_MAX);
}

/* Stores keep these numbers: another formula would need a step of the schema. */
TEST(the_number_never_changes)
{
    assert_int_equal(group("inbox", "q", "rules/a.lua:4: it broke"), 0xea8bc44f);
}

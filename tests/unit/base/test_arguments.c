/* Arguments of queues and bindings: copies of their own, and words. */
#include "base/arguments.h"
#include "check.h"

#include <string.h>

TEST(a_copy_has_its_own_texts)
{
    char name[] = "x-overflow", text[] = "drop-head";
    struct argument list[] = {{"x-max-length", ARGUMENT_INTEGER, "", 10},
                              {name, ARGUMENT_TEXT, text, 0},
                              {"x-single-active-consumer", ARGUMENT_FLAG, "", 1}};
    struct arguments from = {list, 3}, copy, none = {.n = 0}, empty;
    char words[ARGUMENT_WORDS_MAX];

    assert_int_equal(arguments_copy(&from, &copy), 0);
    assert_true(arguments_same(&from, &copy));
    memset(name, '#', sizeof name - 1);
    memset(text, '#', sizeof text - 1);
    assert_false(arguments_same(&from, &copy));
    assert_string_equal(arguments_find(&copy, "x-overflow")->text, "drop-head");
    assert_null(arguments_find(&copy, "x-expires"));
    assert_string_equal(arguments_words(&copy, words, sizeof words),
                        "x-max-length = 10, x-overflow = \"drop-head\", "
                        "x-single-active-consumer = true");
    assert_string_equal(arguments_words(&copy, words, 20), "x-max-length = 10, ");
    arguments_free(&copy);
    assert_int_equal(arguments_copy(&none, &empty), 0);
    assert_true(arguments_same(&none, &empty));
    assert_string_equal(arguments_words(&empty, words, sizeof words), "");
    arguments_free(&empty);
}

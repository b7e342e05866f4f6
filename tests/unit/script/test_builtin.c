/* The Lua that ships inside the binary. */
#include "script/builtin.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void files_are_found_by_module_name(void **state)
{
    static const char *const names[] = {"herald.rules", "herald.nearest", "argparse"};

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct embedded *e = embedded_find(names[i]);

        assert_non_null(e);
        assert_string_equal(e->name, names[i]);
        assert_true(e->len > 100);
        assert_int_equal(strlen(e->bytes), e->len); /* text, and a NUL behind it */
    }
    assert_non_null(strstr(embedded_find("herald.nearest")->bytes, "return nearest"));
}

static void other_names_are_not_there(void **state)
{
    (void)state;
    assert_null(embedded_find(""));
    assert_null(embedded_find("herald"));
    assert_null(embedded_find("herald.rules.lua"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_are_found_by_module_name),
        cmocka_unit_test(other_names_are_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The Lua that ships inside the binary. */
#include "check.h"
#include "script/builtin.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

TEST(files_are_found_by_module_name)
{
    static const char *const names[] = {"herald.rules", "herald.nearest", "argparse"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct embedded *e = embedded_find(names[i]);

        assert_non_null(e);
        assert_string_equal(e->name, names[i]);
        assert_true(e->len > 100);
        assert_int_equal(strlen(e->bytes), e->len); /* text, and a NUL behind it */
    }
    assert_non_null(strstr(embedded_find("herald.nearest")->bytes, "return nearest"));
}

TEST(other_names_are_not_there)
{
    assert_null(embedded_find(""));
    assert_null(embedded_find("herald"));
    assert_null(embedded_find("herald.rules.lua"));
}

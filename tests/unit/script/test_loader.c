/* Files that are run, and what is said of those that cannot be. */
#include "fake_host.h"

HELPER void write_text(const struct scene *s, const char *name, const char *text)
{
    write_rules(s, name, text, strlen(text));
}

static void an_included_folder_puts_its_name_in_front(void **state)
{
    struct scene s;
    struct script_folder folders[2];

    (void)state;
    begin(&s);
    write_text(&s, "a.lua", "x = 1\nerror 'here'");
    folders[0] = (struct script_folder){s.dir, "learning"};
    s.settings.folders = folders;
    assert_int_equal(script_load(&s.script, &s.settings, &s.err), ERR_CONFIG);
    assert_string_equal(s.err.text, "learning/rules/a.lua:2: here");
    end(&s);
}

static void a_byte_order_mark_and_carriage_returns_are_fine(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, "\xef\xbb\xbf-- rules\r\nlocal x = 1\r\nassert(x == 1)\r\n"), "");
    assert_string_equal(load(&s, "\xef\xbb\xbf\r\nerror 'two'\r\n"), "rules/a.lua:2: two");
    end(&s);
}

static void a_file_that_cannot_be_used_is_named(void **state)
{
    char path[256];
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, "local x ="), "rules/a.lua:1: unexpected symbol near <eof>");
    assert_string_equal(
        load(&s, "error({})"),
        "rules/a.lua:1: the error is a table without words: raise a string, or a table with "
        "a field message or a __tostring that works");
    assert_string_equal(load(&s, "error('bare', 0)"), "rules/a.lua:1: bare");
    snprintf(path, sizeof path, "%s/rules/broken.lua", s.dir);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    write_text(&s, "a.lua", "");
    assert_int_equal(script_load(&s.script, &s.settings, &s.err), ERR_CONFIG);
    assert_non_null(strstr(s.err.text, "broken.lua: No such file or directory"));
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_included_folder_puts_its_name_in_front),
        cmocka_unit_test(a_byte_order_mark_and_carriage_returns_are_fine),
        cmocka_unit_test(a_file_that_cannot_be_used_is_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Files that are run, and what is said of those that cannot be. */
#include "fake_host.h"

HELPER void write_text(const struct scene *s, const char *name, const char *text)
{
    write_rules(s, name, text, strlen(text));
}

TEST_WITH(scene, an_included_folder_puts_its_name_in_front)
{
    struct script_folder folders[2];

    write_text(f, "a.lua", "x = 1\nerror 'here'");
    folders[0] = (struct script_folder){f->dir, "learning"};
    f->settings.folders = folders;
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), ERR_CONFIG);
    assert_string_equal(f->err.text, "learning/rules/a.lua:2: here");
}

TEST_WITH(scene, a_byte_order_mark_and_carriage_returns_are_fine)
{
    assert_string_equal(load(f, "\xef\xbb\xbf-- rules\r\nlocal x = 1\r\nassert(x == 1)\r\n"), "");
    assert_string_equal(load(f, "\xef\xbb\xbf\r\nerror 'two'\r\n"), "rules/a.lua:2: two");
}

TEST_WITH(scene, a_file_that_cannot_be_used_is_named)
{
    char path[256];

    assert_string_equal(load(f, "local x ="), "rules/a.lua:1: unexpected symbol near <eof>");
    assert_string_equal(
        load(f, "error({})"),
        "rules/a.lua:1: the error is a table without words: raise a string, or a table with "
        "a field message or a __tostring that works");
    assert_string_equal(load(f, "error('bare', 0)"), "rules/a.lua:1: bare");
    snprintf(path, sizeof path, "%s/rules/broken.lua", f->dir);
    assert_int_equal(symlink("/nowhere/at/all", path), 0);
    write_text(f, "a.lua", "");
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), ERR_CONFIG);
    assert_non_null(strstr(f->err.text, "broken.lua: No such file or directory"));
}

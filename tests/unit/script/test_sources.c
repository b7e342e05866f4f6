/* Which files are rules, in what order, under what names. */
#include "fake_host.h"

#include "script/sources.h"

static void write_text(const struct scene *s, const char *name, const char *text)
{
    write_rules(s, name, text, strlen(text));
}

static void files_come_in_order_of_name_and_hidden_ones_do_not(void **state)
{
    struct sources src;
    struct scene s;
    char path[256], target[256];

    (void)state;
    begin(&s);
    write_text(&s, "b.lua", "");
    write_text(&s, "a10.lua", "");
    write_text(&s, "a.lua", "");
    write_text(&s, ".a.lua", "this is not Lua");
    write_text(&s, "notes.txt", "this is not Lua");
    write_text(&s, "a.lua~", "this is not Lua");
    snprintf(path, sizeof path, "%s/rules/folder.lua", s.dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/rules/pipe.lua", s.dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/rules/link.lua", s.dir);
    snprintf(target, sizeof target, "%s/rules/b.lua", s.dir);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(sources_read(&src, &s.folder, 1, &s.err), OK);
    assert_int_equal(src.n, 4);
    assert_string_equal(src.files[0].chunk, "@rules/a.lua");
    assert_string_equal(src.files[1].chunk, "@rules/a10.lua");
    assert_string_equal(src.files[2].chunk, "@rules/b.lua");
    assert_string_equal(src.files[3].chunk, "@rules/link.lua");
    sources_free(&src);
    end(&s);
}

static void the_hash_is_over_names_and_contents(void **state)
{
    char first[32];
    struct scene s;

    (void)state;
    begin(&s);
    write_text(&s, "a.lua", "x = 1");
    assert_int_equal(script_load(&s.script, &s.settings, &s.err), OK);
    snprintf(first, sizeof first, "%s", script_hash(s.script));
    assert_int_equal(strlen(first), 12);
    assert_int_equal(strspn(first, "0123456789abcdef"), 12);
    script_free(&s.script);
    assert_int_equal(script_load(&s.script, &s.settings, &s.err), OK);
    assert_string_equal(script_hash(s.script), first);
    script_free(&s.script);
    write_text(&s, "a.lua", "x = 2");
    assert_int_equal(script_load(&s.script, &s.settings, &s.err), OK);
    assert_string_not_equal(script_hash(s.script), first);
    script_free(&s.script);
    write_text(&s, "a.lua", "");
    write_text(&s, "b.lua", "x = 1");
    assert_int_equal(script_load(&s.script, &s.settings, &s.err), OK);
    assert_string_not_equal(script_hash(s.script), first);
    end(&s);
}

/* What ends one file and begins the next counts, too. */
static void the_hash_knows_where_a_file_ends(void **state)
{
    char one[32];
    struct scene s;

    (void)state;
    begin(&s);
    assert_string_equal(load(&s, "--@rules/b.lua--"), "");
    snprintf(one, sizeof one, "%s", script_hash(s.script));
    write_rules(&s, "b.lua", "--", 2);
    assert_string_equal(load(&s, "--"), "");
    assert_string_not_equal(script_hash(s.script), one);
    end(&s);
}

static void a_missing_folder_says_what_to_do(void **state)
{
    struct script_folder folder = {"/nowhere/at/all", ""};
    struct scene s;

    (void)state;
    begin(&s);
    s.settings.folders = &folder;
    assert_int_equal(script_load(&s.script, &s.settings, &s.err), ERR_CONFIG);
    assert_null(s.script);
    assert_string_equal(s.err.text,
                        "cannot read the rules folder /nowhere/at/all/rules: No such file or "
                        "directory; a router keeps its rules in rules/*.lua: create the folder, "
                        "or name another router with -C");
    end(&s);
}

static void an_empty_folder_is_a_router_without_rules(void **state)
{
    struct scene s;

    (void)state;
    begin(&s);
    assert_int_equal(script_load(&s.script, &s.settings, &s.err), OK);
    assert_int_equal(rules_handlers(script_rules(s.script)), 0);
    end(&s);
}

static void a_huge_file_is_refused(void **state)
{
    struct scene s;
    char *text = calloc(1, SOURCES_FILE_MAX + 1);

    (void)state;
    begin(&s);
    assert_non_null(text);
    memset(text, ' ', SOURCES_FILE_MAX + 1);
    write_rules(&s, "a.lua", text, SOURCES_FILE_MAX);
    assert_int_equal(script_load(&s.script, &s.settings, &s.err), OK);
    script_free(&s.script);
    write_rules(&s, "a.lua", text, SOURCES_FILE_MAX + 1);
    assert_int_equal(script_load(&s.script, &s.settings, &s.err), ERR_CONFIG);
    assert_non_null(strstr(s.err.text, "a.lua: over the limit of 4194304 bytes"));
    free(text);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_come_in_order_of_name_and_hidden_ones_do_not),
        cmocka_unit_test(the_hash_is_over_names_and_contents),
        cmocka_unit_test(the_hash_knows_where_a_file_ends),
        cmocka_unit_test(a_missing_folder_says_what_to_do),
        cmocka_unit_test(an_empty_folder_is_a_router_without_rules),
        cmocka_unit_test(a_huge_file_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

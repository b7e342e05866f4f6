/* Which files are rules, in what order, under what names. */
#include "fake_host.h"

#include "script/sources.h"

static void write_text(const struct scene *s, const char *name, const char *text)
{
    write_rules(s, name, text, strlen(text));
}

TEST_WITH(scene, files_come_in_order_of_name_and_hidden_ones_do_not)
{
    struct sources src;
    char path[256], target[256];

    write_text(f, "b.lua", "");
    write_text(f, "a10.lua", "");
    write_text(f, "a.lua", "");
    write_text(f, ".a.lua", "this is not Lua");
    write_text(f, "notes.txt", "this is not Lua");
    write_text(f, "a.lua~", "this is not Lua");
    snprintf(path, sizeof path, "%s/rules/folder.lua", f->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/rules/pipe.lua", f->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/rules/link.lua", f->dir);
    snprintf(target, sizeof target, "%s/rules/b.lua", f->dir);
    assert_int_equal(symlink(target, path), 0);
    assert_int_equal(sources_read(&src, &f->folder, 1, &f->err), OK);
    assert_int_equal(src.n, 4);
    assert_string_equal(src.files[0].chunk, "@rules/a.lua");
    assert_string_equal(src.files[1].chunk, "@rules/a10.lua");
    assert_string_equal(src.files[2].chunk, "@rules/b.lua");
    assert_string_equal(src.files[3].chunk, "@rules/link.lua");
    sources_free(&src);
}

TEST_WITH(scene, the_hash_is_over_names_and_contents)
{
    char first[32];

    write_text(f, "a.lua", "x = 1");
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), OK);
    snprintf(first, sizeof first, "%s", script_hash(f->script));
    assert_int_equal(strlen(first), 12);
    assert_int_equal(strspn(first, "0123456789abcdef"), 12);
    script_free(&f->script);
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), OK);
    assert_string_equal(script_hash(f->script), first);
    script_free(&f->script);
    write_text(f, "a.lua", "x = 2");
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), OK);
    assert_string_not_equal(script_hash(f->script), first);
    script_free(&f->script);
    write_text(f, "a.lua", "");
    write_text(f, "b.lua", "x = 1");
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), OK);
    assert_string_not_equal(script_hash(f->script), first);
}

/* What ends one file and begins the next counts, too. */
TEST_WITH(scene, the_hash_knows_where_a_file_ends)
{
    char one[32];

    assert_string_equal(load(f, "--@rules/b.lua--"), "");
    snprintf(one, sizeof one, "%s", script_hash(f->script));
    write_rules(f, "b.lua", "--", 2);
    assert_string_equal(load(f, "--"), "");
    assert_string_not_equal(script_hash(f->script), one);
}

TEST_WITH(scene, a_missing_folder_says_what_to_do)
{
    struct script_folder folder = {"/nowhere/at/all", ""};

    f->settings.folders = &folder;
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), ERR_CONFIG);
    assert_null(f->script);
    assert_string_equal(f->err.text,
                        "cannot read the rules folder /nowhere/at/all/rules: No such file or "
                        "directory; a router keeps its rules in rules/*.lua: create the folder, "
                        "or name another router with -C");
}

TEST_WITH(scene, an_empty_folder_is_a_router_without_rules)
{
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), OK);
    assert_int_equal(rules_count(script_rules(f->script), RULE_HANDLER), 0);
}

TEST_WITH(scene, a_huge_file_is_refused)
{
    char *text = calloc(1, SOURCES_FILE_MAX + 1);

    assert_non_null(text);
    memset(text, ' ', SOURCES_FILE_MAX + 1);
    write_rules(f, "a.lua", text, SOURCES_FILE_MAX);
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), OK);
    script_free(&f->script);
    write_rules(f, "a.lua", text, SOURCES_FILE_MAX + 1);
    assert_int_equal(script_load(&f->script, &f->settings, &f->err), ERR_CONFIG);
    assert_non_null(strstr(f->err.text, "a.lua: over the limit of 4194304 bytes"));
    free(text);
}

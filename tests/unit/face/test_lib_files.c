/* Folders, and the files in the binary. */
#include "state.h"

#include <sys/stat.h>
#include <unistd.h>

static const char listed[] =
    "local list = core.list '.' table.sort(list) return table.concat(list, ' ')";

TEST_WITH(state, a_folder_is_listed_without_what_is_hidden)
{
    assert_gives(f, listed, "");
    state_write("b.lua", "");
    state_write("a/c.lua", "");
    state_write(".hidden", "");
    assert_gives(f, listed, "a b.lua");
    assert_gives(f, "return core.list 'a'[1]", "c.lua");
}

TEST_WITH(state, what_cannot_be_listed_says_why)
{
    state_write("file", "");
    assert_gives(f, "return core.list 'nowhere'", "nil, No such file or directory");
    assert_gives(f, "return core.list 'file'", "nil, Not a directory");
}

TEST_WITH(state, a_path_has_a_kind)
{
    state_write("folder/file", "");
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(symlink("folder", "link"), 0);
    assert_int_equal(symlink("nowhere", "broken"), 0);
    assert_gives(f, "return core.kind 'folder', core.kind 'folder/file', core.kind 'pipe'",
                 "folder, file, other");
    assert_gives(f, "return core.kind 'link', core.kind 'broken'", "folder, other");
    assert_gives(f, "return select('#', core.kind 'nowhere')", "0");
}

TEST_WITH(state, a_folder_is_made_where_none_is)
{
    state_write("file", "");
    assert_gives(f, "return core.make_folder 'a', core.make_folder 'a', core.kind 'a'",
                 "true, true, folder");
    assert_gives(f, "return core.make_folder 'file'", "nil, File exists");
    assert_gives(f, "return core.make_folder 'b/c'", "nil, No such file or directory");
}

TEST_WITH(state, the_binary_has_its_files)
{
    assert_gives(f, "return load(core.embedded 'cli.main') ~= nil", "true");
    assert_gives(f, "return core.embedded 'init.gitignore' ~= nil", "true");
    assert_gives(f, "return select('#', core.embedded 'cli.nothing')", "0");
}

/* Each open folder would keep one of few numbers. */
TEST_WITH(state, no_folder_stays_open)
{
    int before = dup(f->home), after;

    close(before);
    assert_gives(f, "for _ = 1, 100 do core.list '.' core.list 'nowhere' end collectgarbage()", "");
    after = dup(f->home);
    close(after);
    assert_int_equal(after, before);
}

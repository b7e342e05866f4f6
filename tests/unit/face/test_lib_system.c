/* What the command line asks of the machine, and of texts. */
#include "state.h"

#include <unistd.h>

TEST_WITH(state, it_goes_where_it_is_told)
{
    assert_gives(f, "return core.getcwd() == '/tmp/' .. core.getcwd():match '[^/]*$'", "true");
    assert_gives(f,
                 "return core.make_folder 'shop', core.chdir 'shop', core.getcwd():match '[^/]*$'",
                 "true, true, shop");
    assert_gives(f, "return core.chdir 'nowhere'", "nil, No such file or directory");
    assert_gives(f, "return core.getcwd():match '[^/]*$'", "shop");
}

TEST_WITH(state, durations_are_milliseconds)
{
    assert_gives(f, "return core.duration '30s', core.duration '1500ms', core.duration '7d'",
                 "30000, 1500, 604800000");
    assert_gives(f, "return math.type(core.duration '30s')", "integer");
    assert_gives(f, "return core.duration ''", "");
    assert_gives(f, "return core.duration '30'", "");
    assert_gives(f, "return core.duration '-1s'", "");
    assert_gives(f, "return core.duration '1s\\0'", "");
}

TEST_WITH(state, times_are_milliseconds_since_1970)
{
    assert_gives(f, "return core.utc '1970-01-01T00:00:00Z', core.utc '2026-01-31T12:00:00Z'",
                 "0, 1769860800000");
    assert_gives(f, "return core.utc '2026-01-31T20:00:00+08:00'", "1769860800000");
    assert_gives(f, "return core.utc '2026-02-30T12:00:00Z'", "");
    assert_gives(f, "return core.utc 'tomorrow'", "");
}

TEST_WITH(state, a_url_is_judged_without_its_password)
{
    assert_gives(f, "return core.broker_url 'amqp://user:secret@127.0.0.1/'", "true");
    assert_gives(f, "return select('#', core.broker_url 'http://u:secret@h/')", "2");
    assert_gives(f, "return (select(2, core.broker_url 'http://u:secret@h/'):find 'secret')",
                 "nil");
    assert_gives(f, "return (select(2, core.broker_url 'http://h/'):match '^.-//')",
                 "broker URL: it must start with amqp://");
}

TEST_WITH(state, a_text_is_quoted_for_json)
{
    assert_gives(f, "return core.json_string 'a\"b\\\\c\\n\\1\\127'",
                 "\"a\\\"b\\\\c\\n\\u0001\x7f\"");
    assert_gives(f, "return core.json_string '', core.json_string '王'", "\"\", \"王\"");
    assert_gives(f, "return core.json_string '\\xff'", "\"\xef\xbf\xbd\"");
    assert_gives(f, "return #core.json_string(('\\0'):rep(100000))", "600002");
}

TEST_WITH(state, bytes_become_digits)
{
    assert_gives(f, "return core.base64 '', core.base64 '\\xff', core.base64 '\\xff\\xfe'",
                 ", /w==, //4=");
    assert_gives(f, "return core.base64 '\\xff\\xfea', core.base64 '\\0\\0\\0\\0'",
                 "//5h, AAAAAA==");
    assert_gives(f, "return #core.base64(('x'):rep(300001))", "400004");
}

TEST_WITH(state, a_wrong_argument_is_an_error_of_the_caller)
{
    assert_gives(f, "return select(2, pcall(core.duration))",
                 "bad argument #1 to 'herald.core.duration' (string expected, got no value)");
    assert_gives(f, "return select(2, pcall(core.sleep, 'long'))",
                 "bad argument #1 to 'herald.core.sleep' (number expected, got string)");
    assert_gives(f, "return core.sleep(0)", "");
}

/* Nobody watches a pipe. */
TEST_WITH(state, a_pipe_is_no_terminal)
{
    int ends[2], saved = dup(STDERR_FILENO);

    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    (void)state_run(f, "answer = core.stderr_is_terminal()");
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    close(saved);
    close(ends[0]);
    close(ends[1]);
    assert_gives(f, "return answer", "false");
}

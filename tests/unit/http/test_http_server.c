/* Where an HTTP door may stand; what it answers is tested on a router (integration's router_probe).
 */
#include "check.h"
#include "http/http_server.h"

#include <stdio.h>
#include <string.h>

TEST(an_address_is_a_number_and_a_port)
{
    static const char *const good[] = {"127.0.0.1:9121", "0.0.0.0:0", "[::1]:65535", "[::]:1"};
    static const char *const bad[] = {
        "",
        ":",
        "9121",
        ":9121",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:1x",
        "127.0.0.1:000001",
        "127.0.0.256:1",
        "localhost:9121",
        "::1:9121",
        "[::1:9121",
        "[]:9121",
        "[127.0.0.1]:9121",
        "1111111111111111111111111111111111111111111111111111111111111111111111111:1",
    };
    struct err err = {0};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(http_server_check(good[i], &err), OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(http_server_check(bad[i], &err), ERR_CONFIG);
        assert_non_null(strstr(err.text, "HOST:PORT is wanted"));
    }
}

static bool answer(void *arg, const char *path, struct http_answer *a)
{
    (void)arg;
    (void)path;
    (void)a;
    return false;
}

TEST(a_server_that_is_stopped_leaves_nothing_with_the_loop)
{
    struct http_server *first, *second;
    struct err err = {0};
    char taken[32];
    uv_loop_t loop;

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(http_server_start(&first, &loop, "127.0.0.1:0", answer, NULL, &err), OK);
    snprintf(taken, sizeof taken, "127.0.0.1:%u", http_server_port(first));
    assert_int_equal(http_server_start(&second, &loop, taken, answer, NULL, &err), ERR_CONFIG);
    assert_null(second);
    assert_non_null(strstr(err.text, "in use"));
    http_server_stop(&first);
    assert_null(first);
    http_server_stop(&first);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

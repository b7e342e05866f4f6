/* Where an HTTP door may stand; what it answers is tested on a router (integration's router_probe).
 */
#include "check.h"
#include "http/http_server.h"

#include <stdio.h>
#include <string.h>

/* An http_request_fn. */
static void answer(void *arg, struct http_request *r)
{
    (void)arg;
    http_request_refuse(r, 404, "not found");
}

TEST(a_server_that_is_stopped_leaves_nothing_with_the_loop)
{
    struct http_server *first, *second;
    struct err err = {0};
    char taken[32];
    uv_loop_t loop;
    struct http_settings settings = {
        .loop = &loop, .address = "127.0.0.1:0", .begin = answer, .complete = answer};

    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(http_server_start(&first, &settings, &err), OK);
    snprintf(taken, sizeof taken, "127.0.0.1:%u", http_server_port(first));
    settings.address = taken;
    assert_int_equal(http_server_start(&second, &settings, &err), ERR_CONFIG);
    assert_null(second);
    assert_non_null(strstr(err.text, "in use"));
    http_server_stop(&first);
    assert_null(first);
    http_server_stop(&first);
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

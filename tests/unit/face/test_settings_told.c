/* What a router tells of its settings, and what it does not. */
#include "check.h"
#include "face/settings_told.h"

#include <string.h>

static struct buf tell(const struct settings *s)
{
    struct buf b;

    buf_init(&b, 64 * 1024);
    settings_told(&b, s);
    assert_int_equal(buf_append(&b, "", 1), OK);
    return b;
}

TEST(no_secret_is_told)
{
    const struct settings s = {
        .store = "herald.db",
        .broker = "amqps://shop:hidden@rabbit1/v amqps://shop:hidden@rabbit2/v",
        .spans = "http://shop:hidden@collector:4318/v1/traces",
        .password_file = "shop.password",
        .admin = {.listen = "127.0.0.1:9120", .token_file = "admin.token", .rate = 50},
        .tls = {.key = "our.key", .min_version = TLS_1_3},
    };
    struct buf b = tell(&s);

    assert_null(strstr(b.data, "hidden"));
    assert_non_null(strstr(b.data, "\"broker\":\"amqps://shop:***@rabbit1/v amqps://shop:***@"));
    assert_non_null(strstr(b.data, "\"spans\":\"http://shop:***@collector"));
    assert_non_null(strstr(b.data, "\"password_file\":\"shop.password\""));
    assert_non_null(strstr(b.data, "\"admin\":{\"listen\":\"127.0.0.1:9120\","
                                   "\"token_file\":\"admin.token\",\"rate\":50}"));
    assert_non_null(strstr(b.data, "\"key\":\"our.key\",\"verify\":false,\"min_version\":\"1.3\""));
    buf_free(&b);
}

TEST(what_is_not_set_is_left_out)
{
    const struct settings s = {.retry = {.attempts = 5, .n_delays = 2, .delay_ms = {1, 20}},
                               .log_level = 2};
    struct buf b = tell(&s);

    assert_null(strstr(b.data, "\"store\""));
    assert_null(strstr(b.data, "\"admin\""));
    assert_null(strstr(b.data, "\"spans\""));
    assert_non_null(strstr(b.data, "\"log_level\":\"warn\""));
    assert_non_null(strstr(b.data, "\"retry\":{\"attempts\":5,\"delay\":[1,20],\"factor\":0.0,"));
    buf_free(&b);
}

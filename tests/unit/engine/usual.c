/* usual - see usual.h. */
#include "usual.h"

#include "base/message.h"
#include "check.h"
#include "usual_retry.h"

struct settings usual_settings(void)
{
    return (struct settings){
        .broker = "embedded",
        .name = "test",
        .publish_window = 100,
        .confirm_timeout_ms = 1000,
        .heartbeat_ms = 15000,
        .handler_ms = 2000,
        .handler_memory = 16 * 1024 * 1024,
        .retry = usual_retry,
        .publish_retry = {.attempts = 50,
                          .n_delays = 1,
                          .delay_ms = {1000},
                          .factor = 2,
                          .delay_max_ms = 300000,
                          .jitter = 0.2},
        .message_max = MESSAGE_BODY_MAX,
        .inbox_window_ms = 7 * INT64_C(86400000),
        .stop_timeout_ms = 1000,
    };
}

void require_ok(int rc, const struct err *err)
{
    if (rc != OK)
        fail_msg("%s: %s", err_word(rc), err->text);
}

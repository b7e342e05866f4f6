/* settings - see settings.h. */
#include "base/settings.h"

#include <string.h>

#define AT(member) offsetof(struct settings, member)

const struct setting settings_list[] = {
    {"store", SETTING_TEXT, AT(store), false, {NULL}},
    {"broker", SETTING_TEXT, AT(broker), false, {NULL}},
    {"password_file", SETTING_TEXT, AT(password_file), false, {NULL}},
    {"tls", SETTING_TLS, AT(tls), false, {NULL}},
    {"socket", SETTING_TEXT, AT(socket), false, {NULL}},
    {"probe", SETTING_TEXT, AT(probe), false, {NULL}},
    {"spans", SETTING_TEXT, AT(spans), false, {NULL}},
    {"admin", SETTING_ADMIN, AT(admin), false, {NULL}},
    {"name", SETTING_TEXT, AT(name), false, {NULL}},
    {"log_level", SETTING_CHOICE, AT(log_level), true, {"debug", "info", "warn", "error"}},
    {"log_format", SETTING_CHOICE, AT(log_format), false, {"logfmt", "json"}},
    {"publish_window", SETTING_NUMBER, AT(publish_window), false, {NULL}},
    {"confirm_timeout", SETTING_NUMBER, AT(confirm_timeout_ms), false, {NULL}},
    {"prefetch_bytes", SETTING_NUMBER, AT(prefetch_bytes), false, {NULL}},
    {"rescue_after", SETTING_NUMBER, AT(rescue_after), false, {NULL}},
    {"heartbeat", SETTING_NUMBER, AT(heartbeat_ms), false, {NULL}},
    {"handler_timeout", SETTING_NUMBER, AT(handler_ms), true, {NULL}},
    {"watchdog", SETTING_NUMBER, AT(watchdog_ms), false, {NULL}},
    {"handler_memory", SETTING_NUMBER, AT(handler_memory), true, {NULL}},
    {"retry", SETTING_POLICY, AT(retry), true, {NULL}},
    {"publish_retry", SETTING_POLICY, AT(publish_retry), true, {NULL}},
    {"recent_messages", SETTING_NUMBER, AT(recent_max), false, {NULL}},
    {"message_max", SETTING_NUMBER, AT(message_max), false, {NULL}},
    {"inbox_window", SETTING_NUMBER, AT(inbox_window_ms), false, {NULL}},
    {"history", SETTING_NUMBER, AT(history_ms), true, {NULL}},
    {"trace_context", SETTING_CHOICE, AT(trace_context), true, {"keep", "make", "off"}},
    {"dead_letters_above", SETTING_NUMBER, AT(dead_letters_above), true, {NULL}},
    {"disk_low", SETTING_NUMBER, AT(disk_low), true, {NULL}},
    {"removed_rules", SETTING_CHOICE, AT(removed_rules), true, {"wait", "refuse"}},
    {"stop_timeout", SETTING_NUMBER, AT(stop_timeout_ms), false, {NULL}},
    {NULL, SETTING_TEXT, 0, false, {NULL}},
};

static const size_t size_of[] = {
    [SETTING_TEXT] = sizeof(const char *),       [SETTING_NUMBER] = sizeof(int64_t),
    [SETTING_CHOICE] = sizeof(int64_t),          [SETTING_POLICY] = sizeof(struct retry_policy),
    [SETTING_TLS] = sizeof(struct tls_settings), [SETTING_ADMIN] = sizeof(struct admin_settings),
};

static bool text_differs(const void *a, const void *b)
{
    const char *x, *y;

    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    return x != y && (x == NULL || y == NULL || strcmp(x, y) != 0);
}

static bool policy_differs(const struct retry_policy *a, const struct retry_policy *b)
{
    return a->attempts != b->attempts || a->n_delays != b->n_delays ||
           memcmp(a->delay_ms, b->delay_ms, a->n_delays * sizeof a->delay_ms[0]) != 0 ||
           a->delay_max_ms != b->delay_max_ms || a->max_age_ms != b->max_age_ms ||
           a->factor != b->factor || a->jitter != b->jitter;
}

static bool tls_differs(const struct tls_settings *a, const struct tls_settings *b)
{
    return text_differs(&a->ca, &b->ca) || text_differs(&a->cert, &b->cert) ||
           text_differs(&a->key, &b->key) || text_differs(&a->server_name, &b->server_name) ||
           a->verify != b->verify || a->min_version != b->min_version;
}

static bool admin_differs(const struct admin_settings *a, const struct admin_settings *b)
{
    return text_differs(&a->listen, &b->listen) || text_differs(&a->token_file, &b->token_file) ||
           text_differs(&a->read_token_file, &b->read_token_file) ||
           text_differs(&a->hosts, &b->hosts) || a->rate != b->rate;
}

bool settings_differ(const struct setting *s, const struct settings *a, const struct settings *b)
{
    const void *x = (const char *)a + s->offset, *y = (const char *)b + s->offset;

    switch (s->kind) {
    case SETTING_TEXT:
        return text_differs(x, y);
    case SETTING_POLICY:
        return policy_differs(x, y);
    case SETTING_TLS:
        return tls_differs(x, y);
    case SETTING_ADMIN:
        return admin_differs(x, y);
    case SETTING_NUMBER:
    case SETTING_CHOICE:
        break;
    }
    return memcmp(x, y, size_of[s->kind]) != 0;
}

void settings_take_live(struct settings *now, const struct settings *next)
{
    for (const struct setting *s = settings_list; s->name != NULL; s++)
        if (s->live)
            memcpy((char *)now + s->offset, (const char *)next + s->offset, size_of[s->kind]);
}

/* The list of settings: what differs is seen, and a reload takes up what is live, nothing else. */
#include "base/settings.h"
#include "check.h"

#include <string.h>

static const struct retry_policy policy = {
    .attempts = 3, .n_delays = 2, .delay_ms = {1000, 2000}, .factor = 2, .delay_max_ms = 60000};

/* Gives one setting a value that it does not have. */
static void change(const struct setting *s, struct settings *of)
{
    void *place = (char *)of + s->offset;

    switch (s->kind) {
    case SETTING_TEXT:
        *(const char **)place = "another";
        break;
    case SETTING_NUMBER:
    case SETTING_CHOICE:
        *(int64_t *)place += 1;
        break;
    case SETTING_POLICY:
        *(struct retry_policy *)place = policy;
        break;
    case SETTING_TLS:
        ((struct tls_settings *)place)->server_name = "another";
        break;
    case SETTING_ADMIN:
        ((struct admin_settings *)place)->listen = "another";
        break;
    }
}

TEST(each_setting_has_a_place_of_its_own)
{
    for (const struct setting *s = settings_list; s->name != NULL; s++) {
        struct settings a = {.name = "a"}, b = a;

        change(s, &b);
        for (const struct setting *t = settings_list; t->name != NULL; t++)
            if (settings_differ(t, &a, &b) != (s == t))
                fail_msg("a change of %s is %s one of %s", s->name,
                         s == t ? "not seen as" : "seen as", t->name);
    }
}

TEST(a_reload_takes_up_what_is_live)
{
    for (const struct setting *s = settings_list; s->name != NULL; s++) {
        struct settings now = {.name = "a"}, next = now;

        change(s, &next);
        settings_take_live(&now, &next);
        if (settings_differ(s, &now, &next) == s->live)
            fail_msg("%s is %staken up", s->name, s->live ? "not " : "");
    }
}

TEST(each_part_of_tls_makes_a_difference)
{
    const struct tls_settings parts[] = {{.ca = "a"},      {.cert = "a"},
                                         {.key = "a"},     {.server_name = "a"},
                                         {.verify = true}, {.min_version = 1}};
    const struct setting *s = settings_list;

    while (s->kind != SETTING_TLS)
        s++;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct settings a = {.tls = parts[i]}, b = a, none = {.store = NULL};

        assert_false(settings_differ(s, &a, &b));
        assert_true(settings_differ(s, &a, &none));
    }
}

TEST(each_part_of_admin_makes_a_difference)
{
    const struct admin_settings parts[] = {{.listen = "a"},
                                           {.token_file = "a"},
                                           {.read_token_file = "a"},
                                           {.hosts = "a"},
                                           {.rate = 1}};
    const struct setting *s = settings_list;

    while (s->kind != SETTING_ADMIN)
        s++;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        struct settings a = {.admin = parts[i]}, b = a, none = {.store = NULL};

        assert_false(settings_differ(s, &a, &b));
        assert_true(settings_differ(s, &a, &none));
    }
}

TEST(texts_differ_by_what_they_say)
{
    char other[] = "a";
    struct settings a = {.store = "a"}, b = {.store = other}, none = {.store = NULL};

    assert_false(settings_differ(&settings_list[0], &a, &b));
    assert_true(settings_differ(&settings_list[0], &a, &none));
    assert_true(settings_differ(&settings_list[0], &none, &a));
    assert_false(settings_differ(&settings_list[0], &none, &none));
}

/* What lies behind the last delay does not count. */
static void assert_policies_differ(struct retry_policy x, bool wanted)
{
    struct settings a = {.retry = policy}, b = {.retry = x};

    for (const struct setting *s = settings_list; s->name != NULL; s++)
        if (strcmp(s->name, "retry") == 0)
            assert_int_equal(settings_differ(s, &a, &b), wanted);
}

TEST(policies_differ_in_any_part)
{
    struct retry_policy x = policy;

    x.delay_ms[2] = 5;
    assert_policies_differ(x, false);
    x.delay_ms[1] = 5;
    assert_policies_differ(x, true);
    x = policy, x.n_delays = 1;
    assert_policies_differ(x, true);
    x = policy, x.attempts = 4;
    assert_policies_differ(x, true);
    x = policy, x.factor = 1;
    assert_policies_differ(x, true);
    x = policy, x.delay_max_ms = 1;
    assert_policies_differ(x, true);
    x = policy, x.jitter = 0.5;
    assert_policies_differ(x, true);
    x = policy, x.max_age_ms = 1;
    assert_policies_differ(x, true);
}

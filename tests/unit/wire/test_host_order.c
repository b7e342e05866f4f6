/* Which host comes next. */
#include "check.h"
#include "wire/host_order.h"

#include <stdio.h>
#include <string.h>

/* Each failure as a letter of the host that failed; one in upper case had served. */
static void require_failures(struct host_order *o, const char *story)
{
    for (const char *p = story; *p != '\0'; p++) {
        const bool served = *p < 'a';
        const size_t host = (size_t)(*p - (served ? 'A' : 'a'));

        if (host_order_host(o) != host)
            fail_msg("host %zu and not %c is in turn, before \"%s\"", host_order_host(o), *p, p);
        host_order_failed(o, served);
    }
}

TEST(one_host_is_always_in_turn)
{
    struct host_order o;

    host_order_init(&o, 1, 7);
    require_failures(&o, "aaaaAaA");
}

TEST(hosts_take_turns_in_their_order)
{
    struct host_order o;

    host_order_init(&o, 3, 0);
    require_failures(&o, "abcabcabcabc");
}

TEST(who_fails_twice_in_a_row_goes_to_the_end)
{
    struct host_order o;

    host_order_init(&o, 3, 0);
    require_failures(&o, "aBca"); /* it goes behind c */
    require_failures(&o, "Bc");   /* and c behind it */
    require_failures(&o, "acB");
}

TEST(who_has_served_is_not_blamed_for_what_was_before)
{
    struct host_order o;

    host_order_init(&o, 2, 0);
    require_failures(&o, "abABAB");
}

TEST(a_seed_shuffles_and_loses_nobody)
{
    bool first[4] = {false};

    for (uint64_t seed = 1; seed < 200; seed++) {
        struct host_order o;
        bool seen[4] = {false};

        host_order_init(&o, 4, seed * UINT64_C(0x9e3779b97f4a7c15));
        first[host_order_host(&o)] = true;
        for (int i = 0; i < 4; i++) {
            seen[host_order_host(&o)] = true;
            host_order_failed(&o, true);
        }
        assert_true(seen[0] && seen[1] && seen[2] && seen[3]);
    }
    assert_true(first[0] && first[1] && first[2] && first[3]);
}

/* What tells two declarations apart. */
#include "script/digest.h"

#include "base/text.h"

#include "check.h"

TEST(absent_empty_and_joined_texts_differ)
{
    const uint64_t start = TEXT_HASH_START;

    assert_true(digest_text(start, NULL) != digest_text(start, ""));
    assert_true(digest_text(digest_text(start, "a"), "bc") !=
                digest_text(digest_text(start, "ab"), "c"));
    assert_true(digest_text(start, "a") == digest_text(start, "a"));
    assert_true(digest_number(start, 0) != start);
    assert_true(digest_number(start, 1) != digest_number(start, 256));
}

TEST(every_field_of_a_policy_counts)
{
    const struct retry_policy base = {.attempts = 3,
                                      .n_delays = 2,
                                      .delay_ms = {1, 2, 9},
                                      .factor = 2,
                                      .delay_max_ms = 50,
                                      .jitter = 0.1,
                                      .max_age_ms = 7};
    const uint64_t whole = digest_retry(TEXT_HASH_START, &base);
    struct retry_policy p[8] = {base, base, base, base, base, base, base, base};

    p[0].attempts++;
    p[1].n_delays--;
    p[2].delay_ms[1]++;
    p[3].factor = 3;
    p[4].delay_max_ms++;
    p[5].jitter = 0;
    p[6].max_age_ms++;
    for (int i = 0; i < 7; i++)
        assert_true(digest_retry(TEXT_HASH_START, &p[i]) != whole);
    p[7].delay_ms[2] = 5; /* beyond the last: nobody reads it */
    assert_true(digest_retry(TEXT_HASH_START, &p[7]) == whole);
}

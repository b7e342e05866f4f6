/* Finding names by hash. */
#include "check.h"
#include "script/lookup.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { MANY = 5000 };

struct entry {
    const char *part[LOOKUP_PARTS];
};

static void name_of(const void *list, size_t i, struct slice name[LOOKUP_PARTS])
{
    for (size_t k = 0; k < LOOKUP_PARTS; k++)
        name[k] = slice_of(((const struct entry *)list)[i].part[k]);
}

static size_t find(const struct lookup *l, const struct entry *list, const char *a, const char *b,
                   const char *c)
{
    const struct slice want[] = {slice_of(a), slice_of(b), slice_of(c)};

    return lookup_find(l, want, name_of, list);
}

TEST(absent_and_empty_texts_differ_and_texts_do_not_run_together)
{
    static const struct entry list[] = {
        {{"t", NULL, NULL}}, {{"t", "", NULL}}, {{"t", NULL, ""}}, {{"ab", "c", NULL}},
        {{"a", "bc", NULL}}, {{"", "", ""}},    {{"a", "b", "c"}},
    };
    const size_t n = sizeof list / sizeof list[0];
    struct lookup l = {.slots = NULL};

    assert_int_equal(find(&l, list, "t", NULL, NULL), LOOKUP_NONE);
    for (size_t i = 0; i < n; i++) {
        struct slice name[LOOKUP_PARTS];

        name_of(list, i, name);
        assert_int_equal(lookup_add(&l, name), OK);
    }
    for (size_t i = 0; i < n; i++)
        assert_int_equal(find(&l, list, list[i].part[0], list[i].part[1], list[i].part[2]), i);
    assert_int_equal(find(&l, list, "abc", NULL, NULL), LOOKUP_NONE);
    assert_int_equal(find(&l, list, "t", "", ""), LOOKUP_NONE);
    assert_int_equal(find(&l, list, NULL, NULL, NULL), LOOKUP_NONE);
    lookup_free(&l);
    assert_int_equal(find(&l, list, "t", NULL, NULL), LOOKUP_NONE);
}

TEST(each_of_many_is_found)
{
    static char texts[MANY][16];
    static struct entry list[MANY];
    struct lookup l = {.slots = NULL};

    for (size_t i = 0; i < MANY; i++) {
        struct slice name[LOOKUP_PARTS];

        snprintf(texts[i], sizeof texts[i], "%zu", i);
        list[i] = (struct entry){{"type", texts[i], NULL}};
        name_of(list, i, name);
        assert_int_equal(find(&l, list, "type", texts[i], NULL), LOOKUP_NONE);
        assert_int_equal(lookup_add(&l, name), OK);
    }
    for (size_t i = 0; i < MANY; i++)
        assert_int_equal(find(&l, list, "type", texts[i], NULL), i);
    assert_true(l.n * 2 <= l.room);
    lookup_free(&l);
}

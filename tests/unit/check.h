/*
 * check - a test, and what it stands on; cmocka below
 *
 *   TEST(a_thing_holds) { ... }
 *   TEST_WITH(store, a_thing_holds) { ... f->db ... }
 *   TEST_FROM(store, opened, a_thing_holds) { ... f->db ... }
 *   TEST_ON(struct store, begin, end, a_thing_holds) { ... f->db ... }
 *   TEST_BETWEEN(begin, end, a_thing_holds) { ... }
 *
 * Each stands for the head of a function and puts it on the list that main() in check.c runs, in
 * the order of the file. A teardown runs also after a failed assert; not after a failed setup.
 */
#ifndef HERALD_TESTS_CHECK_H
#define HERALD_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#undef stop /* a macro of its own, and a word of ours */

/* Called before main(), by the macros below. */
void check_list(struct CMUnitTest test);

#define CHECK_LIST(name, ...)                                                                      \
    __attribute__((constructor)) static void name##_is_listed(void)                                \
    {                                                                                              \
        check_list((struct CMUnitTest){#name, __VA_ARGS__, NULL});                                 \
    }

#define TEST(name)                                                                                 \
    static void name(void);                                                                        \
    static void name##_run(void **state)                                                           \
    {                                                                                              \
        (void)state;                                                                               \
        name();                                                                                    \
    }                                                                                              \
    CHECK_LIST(name, name##_run, NULL, NULL)                                                       \
    static void name(void)

static inline void check_nothing(void)
{
}

/* Between two functions, one of which may be check_nothing, that share their things with the test
 * by the file's variables. */
#define TEST_BETWEEN(setup, teardown, name)                                                        \
    static int name##_setup(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        setup();                                                                                   \
        return 0;                                                                                  \
    }                                                                                              \
    static int name##_teardown(void **state)                                                       \
    {                                                                                              \
        (void)state;                                                                               \
        teardown();                                                                                \
        return 0;                                                                                  \
    }                                                                                              \
    static void name(void);                                                                        \
    static void name##_run(void **state)                                                           \
    {                                                                                              \
        (void)state;                                                                               \
        name();                                                                                    \
    }                                                                                              \
    CHECK_LIST(name, name##_run, name##_setup, name##_teardown)                                    \
    static void name(void)

/* On a fixture `type *f` of its own: all zero before setup(f), and given to teardown(f) at the end.
 */
#define TEST_ON(type, setup, teardown, name)                                                       \
    static int name##_setup(void **state)                                                          \
    {                                                                                              \
        static type made;                                                                          \
                                                                                                   \
        *state = &made;                                                                            \
        setup(&made);                                                                              \
        return 0;                                                                                  \
    }                                                                                              \
    static int name##_teardown(void **state)                                                       \
    {                                                                                              \
        teardown(*state);                                                                          \
        return 0;                                                                                  \
    }                                                                                              \
    static void name(type *f);                                                                     \
    static void name##_run(void **state)                                                           \
    {                                                                                              \
        name(*state);                                                                              \
    }                                                                                              \
    CHECK_LIST(name, name##_run, name##_setup, name##_teardown)                                    \
    static void name(type *f)

/* The same where struct store comes with store_setup() and store_teardown(). */
#define TEST_WITH(fixture, name) TEST_FROM(fixture, fixture##_setup, name)

/* The same with another setup, which begins with store_setup(). */
#define TEST_FROM(fixture, setup, name) TEST_ON(struct fixture, setup, fixture##_teardown, name)

#endif

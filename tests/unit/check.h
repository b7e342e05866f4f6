/* check - cmocka with the includes that it wants, once. */
#ifndef HERALD_TESTS_CHECK_H
#define HERALD_TESTS_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif

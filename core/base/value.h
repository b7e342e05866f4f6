/*
 * value - one SQL value, the common tongue of the store and the scripts
 */
#ifndef HERALD_BASE_VALUE_H
#define HERALD_BASE_VALUE_H

#include "base/text.h"

#include <stdint.h>

enum value_kind { VALUE_NULL, VALUE_INT, VALUE_REAL, VALUE_TEXT, VALUE_BLOB };

struct value {
    enum value_kind kind;
    int64_t integer;    /* VALUE_INT */
    double real;        /* VALUE_REAL */
    struct slice bytes; /* VALUE_TEXT, VALUE_BLOB: lent */
};

#endif

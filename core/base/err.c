/* err - see err.h. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int err_set(struct err *err, int code, const char *format, ...)
{
    va_list args;

    if (err == NULL)
        return code;
    err->code = code;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    return code;
}

int err_prefix(struct err *err, const char *format, ...)
{
    char old[sizeof err->text];
    va_list args;
    size_t used;

    memcpy(old, err->text, sizeof old);
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    used = strlen(err->text);
    snprintf(err->text + used, sizeof err->text - used, ": %s", old);
    return err->code;
}

const char *err_word(int code)
{
    switch (code) {
#define X(name, value, word)                                                                       \
    case name:                                                                                     \
        return word;
        ERR_MAP(X)
#undef X
    default:
        return code == OK ? "ok" : "unknown error";
    }
}

bool err_is_environment(int code)
{
    return code == ERR_NOMEM || code == ERR_BUSY || code == ERR_FULL || code == ERR_IO ||
           code == ERR_CORRUPT || code == ERR_UNKNOWN;
}

_Noreturn void err_bug(const char *what, const char *file, int line)
{
    fprintf(stderr, "herald: internal error at %s:%d: %s\n", file, line, what);
    abort();
}

/*
 * err - result codes and the words that go with them
 *
 * A function that can fail returns 0 or a negative ERR_ code and writes what
 * went wrong, where, and what to do into the caller's struct err. Whoever
 * handles an error logs it; nobody logs and returns the same one.
 */
#ifndef HERALD_BASE_ERR_H
#define HERALD_BASE_ERR_H

#include <stdbool.h>

/* code, value, word. ERR_UNKNOWN means "it may have happened": only what is
 * idempotent may be tried again. */
#define ERR_MAP(X)                                                                                 \
    X(ERR_FAILED, -1, "failed")                                                                    \
    X(ERR_NOMEM, -2, "out of memory")                                                              \
    X(ERR_CONFIG, -3, "bad configuration")                                                         \
    X(ERR_INPUT, -4, "bad input")                                                                  \
    X(ERR_BUSY, -5, "busy")                                                                        \
    X(ERR_FULL, -6, "no space left")                                                               \
    X(ERR_IO, -7, "input/output error")                                                            \
    X(ERR_CORRUPT, -8, "damaged store")                                                            \
    X(ERR_UNKNOWN, -9, "outcome unknown")                                                          \
    X(ERR_SCRIPT, -10, "script error")                                                             \
    X(ERR_BROKER, -11, "refused by the broker")                                                    \
    X(ERR_CLOSED, -12, "closed")                                                                   \
    X(ERR_LIMIT, -13, "over a limit")                                                              \
    X(ERR_NOT_FOUND, -14, "not found")                                                             \
    X(ERR_TX_LOST, -15, "transaction ended")

enum err_code {
    OK = 0,
#define X(name, value, word) name = value,
    ERR_MAP(X)
#undef X
};

struct err {
    int code;        /* OK or an ERR_ code */
    char text[1024]; /* what, where, what to do; "" when OK */
};

/* Sets code and text (cut to fit) and returns the code. `err` may be NULL. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "context: " before the text of a failed err and returns its code. */
int err_prefix(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The word for a code, for logs; never NULL. */
const char *err_word(int code);

/* True for what is the machine's or the store's trouble and not the message's:
 * it never counts as an attempt (docs/design.md#trouble-of-the-store). */
bool err_is_environment(int code);

/* Ends the process with file and line: an invariant of our own is broken. */
_Noreturn void err_bug(const char *what, const char *file, int line);

#define REQUIRE(x) ((x) ? (void)0 : err_bug(#x, __FILE__, __LINE__))

#endif

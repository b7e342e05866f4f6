/*
 * lexer - the words of a Lua file, with their places
 *
 * Names, strings, numbers and signs of Lua 5.4 in their order, without comments. Enough
 * to find literals in a file that was loaded; nothing here judges whether it is Lua.
 */
#ifndef HERALD_SCRIPT_LEXER_H
#define HERALD_SCRIPT_LEXER_H

#include "base/buf.h"
#include "base/text.h"

#include <stdbool.h>

enum token_kind { TOKEN_END, TOKEN_NAME, TOKEN_STRING, TOKEN_NUMBER, TOKEN_SIGN };

struct token {
    enum token_kind kind;
    int line, column;  /* of its first byte, from 1; columns in bytes */
    struct slice text; /* as written; of a STRING what lies between the quotes; lent */
    bool is_long;      /* STRING: [[...]], where a backslash is one */
};

/* Copied to look ahead. */
struct lexer {
    const char *p, *end;    /* what is left; lent */
    const char *line_start; /* of the line at hand */
    int line;
};

void lexer_init(struct lexer *x, struct slice code);
struct token lexer_next(struct lexer *x);

/* True when it is this name or sign. */
bool token_is(const struct token *t, const char *text);

/* Puts the value of a STRING into `value`. False: an escape that Lua would refuse, or no
 * memory (value->failed). */
bool token_value(const struct token *t, struct buf *value);

#endif

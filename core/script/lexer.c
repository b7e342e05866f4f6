/* lexer - see lexer.h. */
#include "script/lexer.h"

#include <ctype.h>
#include <string.h>

void lexer_init(struct lexer *x, struct slice code)
{
    *x = (struct lexer){
        .p = code.data, .end = code.data + code.len, .line_start = code.data, .line = 1};
}

static char peek(const struct lexer *x, size_t n)
{
    return (size_t)(x->end - x->p) > n ? x->p[n] : '\0';
}

/* One byte on; "\r\n" and "\n\r" are one line end, as in Lua. */
static void advance(struct lexer *x)
{
    char c = *x->p++;

    if (c != '\n' && c != '\r')
        return;
    if ((peek(x, 0) == '\n' || peek(x, 0) == '\r') && peek(x, 0) != c)
        x->p++;
    x->line++;
    x->line_start = x->p;
}

/* The number of = in "[==[" here; -1: no long bracket begins here. */
static int long_level(const struct lexer *x)
{
    size_t n = 1;

    if (peek(x, 0) != '[')
        return -1;
    while (peek(x, n) == '=')
        n++;
    return peek(x, n) == '[' ? (int)n - 1 : -1;
}

static bool closes(const struct lexer *x, int level)
{
    if (peek(x, 0) != ']')
        return false;
    for (int n = 1; n <= level; n++)
        if (peek(x, (size_t)n) != '=')
            return false;
    return peek(x, (size_t)level + 1) == ']';
}

/* Past the closing bracket; the text lies between, without a first line end. */
static struct slice take_long(struct lexer *x, int level)
{
    const char *start;
    size_t len;

    x->p += level + 2;
    if (peek(x, 0) == '\r' || peek(x, 0) == '\n')
        advance(x);
    start = x->p;
    while (x->p < x->end && !closes(x, level))
        advance(x);
    len = (size_t)(x->p - start);
    if (x->p < x->end)
        x->p += level + 2;
    return (struct slice){start, len};
}

static void skip_comment(struct lexer *x)
{
    int level;

    x->p += 2;
    level = long_level(x);
    if (level >= 0) {
        take_long(x, level);
        return;
    }
    while (x->p < x->end && *x->p != '\n' && *x->p != '\r')
        x->p++;
}

static void skip_space(struct lexer *x)
{
    for (;;) {
        if (peek(x, 0) == '-' && peek(x, 1) == '-')
            skip_comment(x);
        else if (x->p < x->end && isspace((unsigned char)*x->p))
            advance(x);
        else
            return;
    }
}

static struct slice take_quoted(struct lexer *x)
{
    const char quote = *x->p++, *start = x->p;
    size_t len;

    while (x->p < x->end && *x->p != quote) {
        if (*x->p == '\\' && x->p + 1 < x->end)
            x->p++;
        advance(x);
    }
    len = (size_t)(x->p - start);
    if (x->p < x->end)
        x->p++;
    return (struct slice){start, len};
}

static bool in_name(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* "0x1p-4" and "1e+9" are one number. */
static bool in_number(const struct lexer *x)
{
    char c = peek(x, 0), before = (char)tolower((unsigned char)x->p[-1]);

    return in_name(c) || c == '.' || ((c == '+' || c == '-') && (before == 'e' || before == 'p'));
}

static struct slice take_word(struct lexer *x, bool number)
{
    const char *start = x->p++;

    while (x->p < x->end && (number ? in_number(x) : in_name(*x->p)))
        x->p++;
    return (struct slice){start, (size_t)(x->p - start)};
}

/* "==", "~=", "..." and others like them are one sign. */
static size_t sign_length(const struct lexer *x)
{
    char c = peek(x, 0), next = peek(x, 1);

    if (c == '\0' || next == '\0')
        return 1;
    if (c == next && strchr(".:=/<>", c))
        return c == '.' && peek(x, 2) == '.' ? 3 : 2;
    return next == '=' && strchr("~<>", c) ? 2 : 1;
}

static struct slice take_sign(struct lexer *x)
{
    struct slice sign = {x->p, sign_length(x)};

    x->p += sign.len;
    return sign;
}

struct token lexer_next(struct lexer *x)
{
    struct token t = {.kind = TOKEN_END};
    int level;
    char c;

    skip_space(x);
    t.line = x->line;
    t.column = (int)(x->p - x->line_start) + 1;
    if (x->p == x->end)
        return t;
    c = *x->p;
    level = long_level(x);
    if (c == '"' || c == '\'' || level >= 0) {
        t.kind = TOKEN_STRING;
        t.is_long = level >= 0;
        t.text = level >= 0 ? take_long(x, level) : take_quoted(x);
    } else if (isdigit((unsigned char)c) || (c == '.' && isdigit((unsigned char)peek(x, 1)))) {
        t.kind = TOKEN_NUMBER;
        t.text = take_word(x, true);
    } else if (in_name(c)) {
        t.kind = TOKEN_NAME;
        t.text = take_word(x, false);
    } else {
        t.kind = TOKEN_SIGN;
        t.text = take_sign(x);
    }
    return t;
}

bool token_is(const struct token *t, const char *text)
{
    if (t->kind != TOKEN_SIGN && t->kind != TOKEN_NAME)
        return false;
    return t->text.data[0] == text[0] && slice_is(t->text, text);
}

/* --- values ---------------------------------------------------------------------- */

static int hex(char c)
{
    if (isdigit((unsigned char)c))
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void put_byte(struct buf *b, unsigned byte)
{
    char c = (char)(unsigned char)byte;

    buf_append(b, &c, 1);
}

static void put_utf8(struct buf *b, unsigned long code)
{
    static const unsigned lead[] = {0, 0xc0, 0xe0, 0xf0};
    unsigned more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;

    put_byte(b, lead[more] | (unsigned)(code >> (6 * more)));
    while (more-- > 0)
        put_byte(b, 0x80 | (unsigned)(code >> (6 * more) & 0x3f));
}

/* \xXX */
static bool put_hex(struct lexer *x, struct buf *b)
{
    int high = hex(peek(x, 0)), low = hex(peek(x, 1));

    if (high < 0 || low < 0)
        return false;
    put_byte(b, (unsigned)(high * 16 + low));
    x->p += 2;
    return true;
}

/* \ddd */
static bool put_decimal(struct lexer *x, struct buf *b)
{
    unsigned value = 0;

    for (int i = 0; i < 3 && isdigit((unsigned char)peek(x, 0)); i++)
        value = value * 10 + (unsigned)(*x->p++ - '0');
    put_byte(b, value);
    return value <= 255;
}

/* \u{XXX} */
static bool put_unicode(struct lexer *x, struct buf *b)
{
    unsigned long code = 0;

    if (peek(x, 0) != '{')
        return false;
    for (x->p++; hex(peek(x, 0)) >= 0 && code < 0x110000; x->p++)
        code = code * 16 + (unsigned long)hex(*x->p);
    if (peek(x, 0) != '}' || code > 0x10ffff)
        return false;
    x->p++;
    put_utf8(b, code);
    return true;
}

/* What follows a backslash. */
static bool put_escape(struct lexer *x, struct buf *b)
{
    static const char from[] = "abfnrtv\\\"'", to[] = "\a\b\f\n\r\t\v\\\"'";
    char c = peek(x, 0);
    const char *found = c != '\0' ? strchr(from, c) : NULL;

    if (isdigit((unsigned char)c))
        return put_decimal(x, b);
    if (c == '\n' || c == '\r') {
        advance(x);
        put_byte(b, '\n');
        return true;
    }
    x->p++;
    if (found != NULL)
        put_byte(b, (unsigned char)to[found - from]);
    else if (c == 'x')
        return put_hex(x, b);
    else if (c == 'u')
        return put_unicode(x, b);
    else if (c == 'z')
        while (x->p < x->end && isspace((unsigned char)*x->p))
            x->p++;
    else
        return false;
    return true;
}

bool token_value(const struct token *t, struct buf *value)
{
    struct lexer x;

    buf_clear(value);
    lexer_init(&x, t->text);
    while (x.p < x.end) {
        if (*x.p == '\\' && !t->is_long && x.p + 1 < x.end) {
            x.p++;
            if (!put_escape(&x, value))
                return false;
        } else if (*x.p == '\r' || *x.p == '\n') { /* any line end is one */
            advance(&x);
            put_byte(value, '\n');
        } else {
            put_byte(value, (unsigned char)*x.p++);
        }
    }
    return !value->failed;
}

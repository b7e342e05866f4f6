/*
 * json - strict reading onto a tape, and writing
 *
 * Reading is yajl's, with what herald promises on top: numbers keep their own text so that none
 * is changed silently, duplicate keys, bad UTF-8, trailing bytes and deep nesting are errors that
 * say where. What was read is a tape of tokens in the order of the text, which is walked as often
 * as it takes:
 *
 *   {"a":[1,"x"],"b":null}
 *
 *   object 2 members -> end
 *     string a
 *     array 2 items -> string b
 *       integer 1
 *       string x
 *     string b
 *     null
 *
 * The tape lies in a buffer of the caller's. Texts are lent from the whole one; those with escapes
 * lie behind their token.
 */
#ifndef HERALD_BASE_JSON_H
#define HERALD_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    JSON_DEPTH_MAX = 200,
    JSON_TEXT_MAX = 1 << 28,          /* bytes; a text has fewer */
    JSON_TAPE_MAX = 80 * 1024 * 1024, /* of a text of 16 MiB: up to 4 bytes for each of its own */
};

enum json_kind {
    JSON_NULL,
    JSON_FALSE,
    JSON_TRUE,
    JSON_INTEGER, /* of any size */
    JSON_REAL,    /* a number with a fraction or an exponent */
    JSON_STRING,  /* also the key before each value of an object */
    JSON_ARRAY,
    JSON_OBJECT
};

struct json_token {
    uint32_t kind : 4;
    uint32_t len : 28; /* bytes of a text; items of an array, members of an object */
    uint32_t at;       /* of a text in the whole, JSON_TEXT_MAX: behind the token; of an array or
                        * object: the number of the token after all that is in it */
};

/* Lent: by the tape's buffer, and by the text. */
struct json {
    const struct json_token *tape; /* begins with the value that is the whole text */
    const char *text;
};

/* Reads one JSON value that fills all of `text`. Returns OK, ERR_INPUT (with a message fit for a
 * dead letter: what and at which byte) or ERR_NOMEM. The tape is emptied first and its memory used
 * again, unless one big text has left it large. */
int json_parse(struct json *j, struct buf *tape, const char *text, size_t len, struct err *err);

/* A string without its escapes, or a number as it came; one that is no integer ends with a NUL,
 * for strtod. */
static inline struct slice json_text(const struct json *j, const struct json_token *t)
{
    return (struct slice){t->at == JSON_TEXT_MAX ? (const char *)(t + 1) : j->text + t->at, t->len};
}

/* False: 64 bits do not hold the integer. */
bool json_integer(struct slice text, int64_t *out);

/* The token after a value and all that is in it; after a key, its value. The first one in an
 * array or object is the one behind it. */
static inline const struct json_token *json_next(const struct json *j, const struct json_token *t)
{
    if (t->kind >= JSON_ARRAY)
        return j->tape + t->at;
    return t->at == JSON_TEXT_MAX ? t + 2 + t->len / sizeof *t : t + 1;
}

/* The value of a member, or NULL: there is none, or `t` is no object. */
const struct json_token *json_member(const struct json *j, const struct json_token *t,
                                     const char *name);

/* A string among the members of the whole text, or absent. */
struct slice json_member_text(const struct json *j, const char *name);

/* An integer among them; where there is none of this name, *out stays. False: it is something
 * else, or 64 bits do not hold it. */
bool json_member_int(const struct json *j, const char *name, int64_t *out);

/* The writer: members of an object, or with NULL for a name items of an array or a text of its own,
 * each with the comma that is due. What does not fit is remembered by the buffer. */
void json_add_object(struct buf *b, const char *name);
void json_add_array(struct buf *b, const char *name);
void json_end(struct buf *b, const char *brackets);
void json_add_text(struct buf *b, const char *name, struct slice text);
void json_add_string(struct buf *b, const char *name, const char *text);
void json_add_raw(struct buf *b, const char *name, struct slice json); /* as it is */
void json_add_int(struct buf *b, const char *name, int64_t value);
void json_add_real(struct buf *b, const char *name, double value);
void json_add_bool(struct buf *b, const char *name, bool value);

/* Writes a line: an object whose one member is an object of strings. One that does not fit is left
 * out. */
struct json_string {
    const char *name, *text;
};
void json_put_line(struct buf *b, const char *name, const struct json_string *members, size_t n);

/* Ends a line that began at `from`. One that does not fit is left out. */
void json_end_line(struct buf *b, size_t from, const char *brackets);

/* Appends a quoted, escaped string. Bytes that are not UTF-8 become U+FFFD, so
 * the result is always valid JSON. */
int json_put_string(struct buf *b, const char *text, size_t len);

/* Appends a finite number in its shortest form, which always looks like a real one: 1.0. */
void json_put_real(struct buf *b, double value);

#endif

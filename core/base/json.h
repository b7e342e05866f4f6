/*
 * json - strict reading, event by event, and writing
 *
 * Reading is yajl's, with what herald promises on top: numbers are handed over
 * as their own text so that none is changed silently, duplicate keys, bad UTF-8,
 * trailing bytes and deep nesting are errors that say where.
 */
#ifndef HERALD_BASE_JSON_H
#define HERALD_BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { JSON_DEPTH_MAX = 200 };

/* Each returns true to go on; false ends the parse with ERR_FAILED (the
 * callback has noted why in its own arg). NULL: passed over. Text is lent until
 * the callback returns. */
struct json_events {
    bool (*null)(void *arg);
    bool (*boolean)(void *arg, bool value);
    bool (*number)(void *arg, const char *text, size_t len);
    bool (*string)(void *arg, const char *text, size_t len);
    bool (*key)(void *arg, const char *text, size_t len);
    bool (*begin)(void *arg, bool array); /* "[" or "{" */
    bool (*end)(void *arg, bool array);
};

/* Reads one JSON value that fills all of `text`. Returns OK, ERR_INPUT (with a
 * message fit for a dead letter: what and at which byte), ERR_NOMEM, or
 * ERR_FAILED when a callback said stop. Callbacks must not raise Lua errors:
 * yajl's memory would be lost. */
int json_parse(const char *text, size_t len, const struct json_events *events, void *arg,
               struct err *err);

/* Appends a quoted, escaped string. Bytes that are not UTF-8 become U+FFFD, so
 * the result is always valid JSON. */
int json_put_string(struct buf *b, const char *text, size_t len);

/* Appends the digits of bytes (RFC 4648, section 4). */
int json_put_base64(struct buf *b, const char *bytes, size_t len);

/* Appends bytes so that none is lost: UTF-8 as a string, others as {"base64":"..."}. */
int json_put_bytes(struct buf *b, const char *bytes, size_t len);

#endif

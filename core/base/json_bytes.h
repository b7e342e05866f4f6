/*
 * json_bytes - bytes in JSON text, which has none: {"base64": "..."}, such an object and no other
 *
 * The digits are those of RFC 4648, section 4, with their padding.
 */
#ifndef HERALD_BASE_JSON_BYTES_H
#define HERALD_BASE_JSON_BYTES_H

#include "base/buf.h"
#include "base/json.h"

/* Appends the digits. */
int json_put_base64(struct buf *b, const char *data, size_t len);

/* Appends the object. */
int json_put_bytes(struct buf *b, const char *bytes, size_t len);

/* Appends bytes so that none is lost: UTF-8 as a string, others as the object. */
int json_put_text_or_bytes(struct buf *b, const char *bytes, size_t len);

/* True where the value is such an object; *digits_out is lent by it. */
bool json_bytes(const struct json *j, const struct json_token *t, struct slice *digits_out);

/* How many bytes the digits of json_bytes are, and these. */
size_t json_bytes_size(struct slice digits);
void json_bytes_get(struct slice digits, char *out);

#endif

/*
 * text - UTF-8, secrets and numbers in text
 */
#ifndef HERALD_BASE_TEXT_H
#define HERALD_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes with a length. data NULL means absent, which differs from empty. Not
 * NUL-terminated unless somebody says so. */
struct slice {
    const char *data;
    size_t len;
};

struct slice slice_of(const char *text); /* NULL: absent */
bool slice_equal(struct slice a, struct slice b);
bool slice_is(struct slice s, const char *text);

/* Writes a number in decimal, without a NUL, and returns its bytes: what snprintf would take ten
 * times as long for. */
enum { TEXT_INT_MAX = 20 };
size_t text_int(char out[TEXT_INT_MAX], int64_t n);

/* True when all of it is well-formed UTF-8 (RFC 3629: no surrogates, no
 * overlong forms, nothing above U+10FFFF). */
bool text_is_utf8(const char *data, size_t len);

/* How many bytes from the start are well-formed: the place of the first bad one. */
size_t text_utf8_prefix(const char *data, size_t len);

/* Copies a URL, or several parted by spaces, with its password replaced by "***" and cut to `size`.
 */
void text_redact_url(const char *url, char *out, size_t size);

/* "250ms", "30s", "15m", "24h", "7d" to milliseconds, at most 100 years.
 * Returns 0 or -1. */
int text_duration_ms(struct slice s, int64_t *ms_out);

/* "2026-01-31T12:00:00Z", also with a fraction of 1 to 9 digits and an offset such as "+08:00"
 * (RFC 3339; "+0800" as in ISO 8601), to milliseconds since 1970, from then to the end of the year
 * 9999. Returns 0 or -1. */
#define TEXT_TIME_MAX INT64_C(253402300799999)
/* Whole numbers below are seconds that somebody took for milliseconds: as such they lie before
 * March 1973. */
#define TEXT_TIME_MS_MIN INT64_C(100000000000)
int text_utc_ms(struct slice s, int64_t *ms_out);

/* Mixes bytes into a 64-bit fingerprint; start with TEXT_HASH_START. Not for
 * secrets: equal bytes give equal values, for ever. */
#define TEXT_HASH_START UINT64_C(0xcbf29ce484222325)
uint64_t text_hash(uint64_t hash, const void *bytes, size_t len);

#endif

/*
 * unpack - bodies that their senders have compressed
 *
 * Known are gzip (RFC 1952) and zlib (RFC 1950), which content_encoding calls gzip, x-gzip, deflate
 * and zlib; raw deflate (RFC 1951), which some send as deflate; and kombu's header `compression`,
 * whose application/x-gzip stands for zlib data. What begins the data decides between them.
 */
#ifndef HERALD_BASE_UNPACK_H
#define HERALD_BASE_UNPACK_H

#include "base/message.h"

/* Whether the message says that its body is compressed in a way that is known here. */
bool unpack_is_due(const struct message *m);

/* Puts the unpacked body into `out`, which is emptied first. ERR_INPUT, with words: it is not what
 * it says, ends early, or becomes larger than `max` bytes, of which no more is unpacked; ERR_NOMEM.
 */
int unpack_body(struct buf *out, struct slice body, size_t max, struct err *err);

#endif

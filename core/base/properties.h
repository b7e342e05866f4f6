/*
 * properties - the AMQP properties that an outbox row sets, as their JSON says them
 *
 *   {"correlation_id":"7","reply_to":"answers","priority":5,"expiration":60000,
 *    "content_type":"text/plain","content_encoding":"utf-8","app_id":"shop","delivery_mode":1}
 *
 * They go out as AMQP's properties; what herald sets itself (message id, type, timestamp, headers)
 * is none of them. null is as if it was not there.
 */
#ifndef HERALD_BASE_PROPERTIES_H
#define HERALD_BASE_PROPERTIES_H

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum property_text {
    PROPERTY_CONTENT_TYPE,
    PROPERTY_CONTENT_ENCODING,
    PROPERTY_CORRELATION_ID,
    PROPERTY_REPLY_TO,
    PROPERTY_EXPIRATION, /* ms, in decimal */
    PROPERTY_APP_ID,
    PROPERTY_TEXTS
};

enum {
    PROPERTY_TEXT_MAX = 255, /* bytes: AMQP's short strings */
    PROPERTIES_JSON_MAX = 6 * PROPERTY_TEXT_MAX * PROPERTY_TEXTS + 1024, /* as they are written */
};

/* What this router's broker takes at most for an expiration: 32 bits of milliseconds. */
#define PROPERTY_EXPIRATION_MAX INT64_C(4294967295)

struct properties {
    struct slice text[PROPERTY_TEXTS]; /* lent by the JSON and by the tape; absent: not set */
    int priority;                      /* 0 to 255; -1: not set */
    int delivery_mode;                 /* 1 transient, 2 persistent; 0: not set */
    struct buf tape;                   /* owned */
};

void properties_init(struct properties *p);
void properties_free(struct properties *p);

/* Reads what a row sets. OK, ERR_INPUT with words that name the property, or ERR_NOMEM. An absent
 * text sets nothing. */
int properties_read(struct properties *p, struct slice json, struct err *err);

/* Appends them as a JSON object, nothing where there is none. `received`: as a message that came
 * with them has it (struct message), without the content type, which is a part of its own, and
 * without a delivery mode that goes without saying. */
void properties_write(struct buf *out, const struct properties *p, bool received);

/* False: `name` is none of them. */
bool properties_know(struct slice name);
/* By number, from 0; NULL beyond the last. */
const char *properties_name(int i);

#endif

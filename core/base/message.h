/*
 * message - what travels: identity, type, business keys, body, headers
 *
 * The existing services of this system put everything into the body:
 *
 *   {"businessKey1":"16","businessKey2":"60201","id":1,"messageType":"payresult_notify"}
 *
 * herald reads type, keys and id from such a body first and from the AMQP
 * properties where the body has none (docs/design.md#the-outbox).
 */
#ifndef HERALD_BASE_MESSAGE_H
#define HERALD_BASE_MESSAGE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    MESSAGE_KEYS = 3,
    MESSAGE_BODY_MAX = 16 * 1024 * 1024,  /* bytes of a body that rules are given, and may send */
    MESSAGE_KEPT_MAX = 512 * 1024 * 1024, /* that are kept; RabbitMQ can be set to take no more */
};

/* Slices are lent: whoever fills a message says for how long. */
struct message {
    struct slice id;                /* AMQP message id; absent: none was given */
    struct slice type;              /* message type */
    struct slice key[MESSAGE_KEYS]; /* business keys 1 to 3; key[1] is the order type */
    struct slice body;              /* as it goes over the wire */
    struct slice headers;           /* JSON object text of the other headers, or absent */
    struct slice content_type;      /* absent: application/json */
    struct slice properties;        /* JSON object text of the other properties, or absent */
    int64_t timestamp_s;            /* seconds since 1970 UTC; 0: none */
};

/* Replaces every slice by a copy in the arena. Returns false when there is no room. */
bool message_keep(struct arena *a, struct message *m);

/* Bytes of all that a row of the store holds of it: MESSAGE_BODY_MAX at most. */
size_t message_size(const struct message *m);

/* What envelope_read found in a body: lent by the body, and by the tape, which must be freed. */
struct envelope {
    struct slice type;
    struct slice key[MESSAGE_KEYS];
    struct slice id; /* decimal text where it was a number */
    struct err odd;  /* the first field that is neither text nor integer; code OK: none is */
    struct buf tape;
};

void envelope_init(struct envelope *e);
void envelope_free(struct envelope *e);

/* Checks the whole body (JSON, UTF-8, depth, duplicate keys) and takes the
 * envelope's fields from its top level when it is an object. Unknown, null and odd
 * fields are ignored, integer keys become decimal text. Returns OK, or
 * ERR_INPUT with a reason fit for a dead letter, or ERR_NOMEM. The envelope is
 * emptied first and its memory used again. */
int envelope_read(struct envelope *e, struct slice body, struct err *err);

/* True when the body is JSON, as its content type says: application/json, text/json,
 * application/x-json and what ends with +json are it; of one that has none, what can be read as
 * JSON; of application/octet-stream and text, as many clients call all that they send, a JSON
 * object. Parameters of a content type say nothing. */
bool message_is_json(const struct message *m);

/* The body as JSON is read from it: without a byte order mark (RFC 8259, 8.1 allows that). */
struct slice message_text(const struct message *m);

/* Finds the header content-type (or content_type) in a message's headers, which names the
 * content type of an outbox row, and puts its text into `out`. Returns false when there is
 * none, or when the headers cannot be read. */
bool message_content_type(struct slice headers, struct buf *out);

/* Fills what the properties lack: body first, then properties. Reads a JSON body
 * into `e`, whose text `m` then lends from. What must be JSON is what the content type calls so;
 * what begins as an object, unless it calls it something else; and an array without a content
 * type. Returns as envelope_read, ERR_INPUT for a message without type, and for odd fields unless
 * the properties name both type and id. */
int message_resolve(struct message *m, struct envelope *e, struct err *err);

/* What tells two messages of one id apart, and which function of the message it is of:
 *
 *   1  of type and keys as the rules of the day read them (herald 0.1.0)
 *   2  of the body's bytes, the property type and the business-key headers as they were received:
 *      whatever rules make of it, and whatever brokers and relays add to it on its way */
enum { FINGERPRINT_OF_READ = 1, FINGERPRINT_OF_RECEIVED = 2 };

struct fingerprint {
    uint64_t bits;
    int version;
};

struct fingerprint message_fingerprint(const struct message *received);

/* The function of both versions: 64 bits over type, keys and body. */
uint64_t message_hash(const struct message *m);

/* Seconds since 1970 of a timestamp property, which widely used clients send in milliseconds
 * (Date.now()), though seconds are meant. */
int64_t message_seconds(uint64_t timestamp);

/* Appends the body that stands for a null one (docs/design.md#the-outbox):
 * {"businessKey1":..,"businessKey2":..,"businessKey3":..,"id":..,"messageType":..},
 * absent keys left out. */
int message_default_body(struct buf *b, const struct message *m, int64_t id);

#endif

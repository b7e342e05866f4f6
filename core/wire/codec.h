/*
 * codec - methods, contents and messages to AMQP's bytes and back
 *
 * rabbitmq-c knows the methods; the frames around them, and the properties of a
 * publish, which is the hot path, are written here. Nothing allocates per message
 * except for a message with headers of its own.
 *
 * Everything that encodes appends whole frames, or nothing where it fails: a buffer
 * that an encode call failed on is as long as before.
 */
#ifndef HERALD_WIRE_CODEC_H
#define HERALD_WIRE_CODEC_H

#include "base/buf.h"
#include "base/err.h"
#include "base/message.h"
#include "wire/frame.h"
#include "wire/rabbitmq.h"

#include <stdbool.h>
#include <stdint.h>

enum { CODEC_SHORT_MAX = 255 }; /* bytes of a short string: names, keys, ids, types */

/* The eight bytes that open a connection. */
int codec_protocol_header(struct buf *out, struct err *err);

/* Each returns OK, ERR_INPUT for what cannot be encoded, with words, ERR_LIMIT for a
 * full buffer, or ERR_NOMEM. */
int codec_heartbeat(struct buf *out, struct err *err);
int codec_method(struct buf *out, uint16_t channel, amqp_method_number_t id, void *method,
                 struct err *err);

/* basic.publish, header and body: persistent, mandatory, with type, message id,
 * timestamp, content type and the business keys as headers (docs/design.md#the-outbox). Of the
 * message's own headers, content-type or content_type names the content type instead
 * of m->content_type, and one of a business key counts where the key is absent. */
int codec_publish(struct buf *out, uint16_t channel, const char *exchange, const char *routing_key,
                  const struct message *m, size_t frame_max, struct err *err);

/* A header frame of the basic class for a body of so many bytes. */
int codec_header(struct buf *out, uint16_t channel, amqp_basic_properties_t *properties,
                 uint64_t body_size, struct err *err);

/* Body frames, none longer than frame_max in all. */
int codec_body(struct buf *out, uint16_t channel, struct slice body, size_t frame_max,
               struct err *err);

/* A method's number, and whether it is one that a server sends us: basic.get is never
 * asked, so its answers are not. Of those only connection.start holds a table.
 * `payload` is a method frame's. */
int codec_method_id(struct slice payload, amqp_method_number_t *id_out, struct err *err);
bool codec_is_from_server(amqp_method_number_t id);
bool codec_has_content(amqp_method_number_t id);

/* Decodes into the pool; strings lie in the payload. Tables are checked first. OK,
 * ERR_INPUT for bytes that are no such method, or ERR_NOMEM. */
int codec_decode_method(struct slice payload, amqp_pool_t *pool, amqp_method_t *out,
                        struct err *err);

/* Decodes a header frame's payload into the pool; what is absent is zero. Of a header table that is
 * nested too deeply the depths are byte arrays; one that is damaged is left out, and *damaged lends
 * its bytes (else absent). `fault` says so (else it is OK); that is one message's trouble and not
 * the connection's. OK, ERR_INPUT, ERR_NOMEM. */
int codec_decode_properties(struct slice payload, amqp_pool_t *pool,
                            const amqp_basic_properties_t **out, struct slice *damaged,
                            struct err *fault, struct err *err);

/* The size of the body that a header frame's payload announces. OK or ERR_INPUT. */
int codec_body_size(struct slice payload, uint64_t *size_out, struct err *err);

/* A whole message of the broker: basic.deliver or basic.return with header and
 * body. All of it is lent until the link's event returns. */
struct codec_content {
    uint16_t channel;                          /* the one that it came on */
    const amqp_method_t *method;               /* AMQP_BASIC_DELIVER_METHOD or _RETURN_METHOD */
    const amqp_basic_properties_t *properties; /* what is absent is zero */
    struct slice body;
    struct slice damaged;      /* bytes of a header table that `properties` lack, or absent */
    const char *headers_fault; /* what is wrong with the header table, or NULL (codec_message
                                * reports it) */
};

/* Fills `out` from a delivery: type, message id, content type, timestamp, the headers
 * business-key-N (strings as they are, integers as decimal text; others are no keys and
 * stay headers), all other headers and properties as JSON object texts, the body. Its slices lie in
 * the content and in `scratch`, which is appended to and must not change meanwhile (it
 * may need eight times the largest frame).
 *
 * OK, ERR_INPUT with a reason fit for a dead letter for
 * headers that were left out or text that is not UTF-8 (`out` holds all the rest), or
 * ERR_NOMEM. */
int codec_message(const struct codec_content *content, struct message *out, struct buf *scratch,
                  struct err *err);

/* To keep a message: its bytes in all, and the move of all its slices to a block of
 * that size, absent ones staying absent. Returns the end of what was written. */
size_t codec_message_size(const struct message *m);
char *codec_message_move(struct message *m, char *block);

#endif

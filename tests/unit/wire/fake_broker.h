/*
 * fake_broker - a broker inside the test's process, behind a stream factory
 *
 * It speaks AMQP through the same codec as the link, answers what a healthy broker
 * answers, and otherwise does what its plan and the test tell it: any method, any
 * content, any bytes, at any place of the stream. Everything happens on the test's
 * loop, in a fixed order, without sockets.
 *
 *   struct fake_broker *b = fake_broker_new(loop);
 *   settings.streams = fake_broker_streams(b);
 *   ...
 *   fake_until(b, is_up, link, 60000);
 *   fake_send(fake_conn(b, NULL), 1, AMQP_BASIC_ACK_METHOD, &ack);
 *   assert_string_equal(fake_heard(b), "start-ok tune-ok open 1:channel.open");
 */
#ifndef HERALD_TESTS_FAKE_BROKER_H
#define HERALD_TESTS_FAKE_BROKER_H

#include "wire/codec.h"
#include "wire/stream.h"

#include <stdbool.h>
#include <stddef.h>

struct fake_broker;
struct fake_conn; /* one connection; gone when its client let go of it */

/* A publish of the client, whole. Lent. */
struct fake_publish {
    struct slice exchange;
    struct slice routing_key;
    const amqp_basic_properties_t *properties;
    struct slice body;
    uint64_t tag; /* delivery tag on a channel in confirm mode, else 0 */
};

/* Each may be NULL. Called from the loop; may send and cut. */
struct fake_hooks {
    /* True: the test has answered (or will not), so no answer comes by itself. */
    bool (*method)(void *arg, struct fake_conn *c, uint16_t channel, const amqp_method_t *m);
    void (*publish)(void *arg, struct fake_conn *c, uint16_t channel, const struct fake_publish *p);

    /* Once per connection: cut, or its client let go of it. */
    void (*gone)(void *arg, struct fake_conn *c);
};

/* How it behaves. May be changed between events. */
struct fake_plan {
    const char *user;        /* others are refused with 403 */
    const char *password;    /* likewise */
    const char *vhost;       /* others are refused with 530 */
    const char *mechanisms;  /* offered at the start */
    const char *version;     /* of RabbitMQ, which it says it is; NULL: it is another product */
    bool certificate;        /* whoever logs in by EXTERNAL has a good one */
    uint16_t channel_max;    /* offered */
    uint32_t frame_max;      /* offered */
    uint16_t heartbeat_s;    /* offered */
    bool refuse;             /* no connection succeeds */
    bool hang_up;            /* a wrong login ends in silence, as with old clients */
    bool silent;             /* opens, takes bytes, says nothing by itself */
    bool deaf;               /* takes no bytes: the client's backlog grows */
    bool mute;               /* half open: it hears and does, but nothing it says arrives */
    bool dead_queues;        /* queues have a dead-letter queue, which else are none */
    bool confirm;            /* publishes in confirm mode are acked one by one */
    size_t chunk;            /* bytes per data event to the client; 0: all there are */
    size_t cut_after;        /* a connection ends after so many bytes to the client; 0: never */
    size_t cut_heard;        /* the same for bytes from the client; what follows them is lost */
    struct fake_hooks hooks; /* of the test */
    void *arg;               /* of the hooks */
};

/* With a plan of a healthy RabbitMQ: guest, "/", 131072, heartbeat 0. */
struct fake_broker *fake_broker_new(uv_loop_t *loop);
void fake_broker_free(struct fake_broker **b); /* every stream must be closed */
struct fake_plan *fake_plan(struct fake_broker *b);
const struct stream_factory *fake_broker_streams(struct fake_broker *b);

/* Runs the loop until the condition holds (true) or `ms` have passed (false). */
typedef bool fake_condition(void *arg);
bool fake_until(struct fake_broker *b, fake_condition *condition, void *arg, int ms);

/* Runs the loop for so long. */
void fake_run(struct fake_broker *b, int ms);

/* What clients sent, in order and in words: "start-ok", "heartbeat", "1:channel.open",
 * "1:basic.publish(x/key #id)". Cleared by fake_forget. */
const char *fake_heard(const struct fake_broker *b);
void fake_forget(struct fake_broker *b);

/* How many connections were asked for so far, how many bytes clients were given, and how
 * many were heard of them. */
size_t fake_connects(const struct fake_broker *b);
size_t fake_given(const struct fake_broker *b);
size_t fake_taken(const struct fake_broker *b);

/* The newest living connection whose connection_name holds the text (NULL: any); NULL
 * when there is none. */
struct fake_conn *fake_conn(struct fake_broker *b, const char *name);

/* Its connection_name. */
const char *fake_name(const struct fake_conn *c);

/* To the client, in order. */
void fake_send(struct fake_conn *c, uint16_t channel, amqp_method_number_t id, void *method);
void fake_raw(struct fake_conn *c, const void *bytes, size_t len);

/* Method, header and body; frames of at most frame_max bytes (0: as agreed). */
void fake_content(struct fake_conn *c, uint16_t channel, amqp_method_number_t id, void *method,
                  amqp_basic_properties_t *properties, struct slice body, size_t frame_max);

/* The connection ends as if its cable was cut, after what was sent before. */
void fake_cut(struct fake_conn *c);

#endif

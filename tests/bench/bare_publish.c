/*
 * bare_publish - how fast rabbitmq-c alone publishes with confirms
 *
 *   bare_publish [--window N] [--size N] [--no-cork] [--prefix TEXT] URL EXCHANGE COUNT
 *
 * Messages carry what herald's carry (type, message id, business keys in headers and
 * body), so both cost the broker the same. TCP_CORK joins the three writes that
 * amqp_basic_publish makes of each message.
 */
#include "bare.h"

#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
    READ_EVERY = 64, /* publishes between two looks at what the broker said */
    BODY_MIN = 128,  /* room for the envelope */
    BODY_MAX = 65536,
};

struct run {
    amqp_connection_state_t conn;
    const char *exchange;
    const char *prefix; /* of message ids */
    long count;
    long window;
    size_t size; /* of a body */
    bool cork;
    char *body;
    bool *settled; /* by delivery tag */
    long lowest;   /* no tag below is open */
    long n_sent;
    long n_settled;
    long n_returned;
    long n_nacked;
};

static void set_cork(const struct run *r, int on)
{
    if (r->cork && setsockopt(amqp_get_sockfd(r->conn), IPPROTO_TCP, TCP_CORK, &on, sizeof on) != 0)
        bare_die("TCP_CORK is not available");
}

/* An envelope padded to the wanted size, as a producer's own body would be. */
static void write_body(struct run *r, long n)
{
    int used = snprintf(r->body, r->size + 1,
                        "{\"businessKey1\":\"%ld\",\"businessKey2\":\"60201\",\"id\":%ld,"
                        "\"messageType\":\"bench\",\"pad\":\"",
                        n, n);

    memset(r->body + used, 'x', r->size - (size_t)used);
    memcpy(r->body + r->size - 2, "\"}", 2);
}

static amqp_table_entry_t text_header(const char *name, const char *value)
{
    amqp_table_entry_t entry = {.key = amqp_cstring_bytes(name)};

    entry.value.kind = AMQP_FIELD_KIND_UTF8;
    entry.value.value.bytes = amqp_cstring_bytes(value);
    return entry;
}

static void publish(struct run *r)
{
    char id[64];
    char key[24];
    amqp_table_entry_t headers[2];
    amqp_basic_properties_t properties = {0};
    int status;

    r->n_sent++;
    write_body(r, r->n_sent);
    snprintf(id, sizeof id, "%s:%ld", r->prefix, r->n_sent);
    snprintf(key, sizeof key, "%ld", r->n_sent);
    headers[0] = text_header("business-key-1", key);
    headers[1] = text_header("business-key-2", "60201");
    properties._flags = AMQP_BASIC_CONTENT_TYPE_FLAG | AMQP_BASIC_DELIVERY_MODE_FLAG |
                        AMQP_BASIC_MESSAGE_ID_FLAG | AMQP_BASIC_TYPE_FLAG | AMQP_BASIC_HEADERS_FLAG;
    properties.content_type = amqp_cstring_bytes("application/json");
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    properties.message_id = amqp_cstring_bytes(id);
    properties.type = amqp_cstring_bytes("bench");
    properties.headers = (amqp_table_t){.num_entries = 2, .entries = headers};
    status =
        amqp_basic_publish(r->conn, BARE_CHANNEL, amqp_cstring_bytes(r->exchange), amqp_empty_bytes,
                           1, 0, &properties, (amqp_bytes_t){.len = r->size, .bytes = r->body});
    if (status != AMQP_STATUS_OK)
        bare_die("publishing: %s", amqp_error_string2(status));
}

static void settle_one(struct run *r, long tag)
{
    if (tag < 1 || tag > r->n_sent)
        bare_die("the broker confirmed %ld, which was never sent", tag);
    if (!r->settled[tag])
        r->n_settled++;
    r->settled[tag] = true;
}

/* Confirms overlap and come out of order. */
static void settle(struct run *r, uint64_t tag, bool multiple)
{
    if (multiple)
        for (long t = r->lowest; t < (long)tag; t++)
            settle_one(r, t);
    settle_one(r, (long)tag);
    while (r->lowest <= r->n_sent && r->settled[r->lowest])
        r->lowest++;
}

static void handle(struct run *r, const amqp_frame_t *frame)
{
    const amqp_basic_ack_t *ack;
    const amqp_basic_nack_t *nack;

    if (frame->frame_type != AMQP_FRAME_METHOD)
        return; /* header and body of a returned message */
    switch (frame->payload.method.id) {
    case AMQP_BASIC_ACK_METHOD:
        ack = frame->payload.method.decoded;
        settle(r, ack->delivery_tag, ack->multiple);
        break;
    case AMQP_BASIC_NACK_METHOD:
        nack = frame->payload.method.decoded;
        settle(r, nack->delivery_tag, nack->multiple);
        r->n_nacked++;
        break;
    case AMQP_BASIC_RETURN_METHOD:
        r->n_returned++;
        break;
    default:
        bare_die("unexpected method 0x%08x", (unsigned)frame->payload.method.id);
    }
}

/* Reads all that is there, after waiting for the first when `wait` is set. */
static void read_confirms(struct run *r, bool wait)
{
    amqp_frame_t frame;

    while (bare_next_frame(r->conn, &frame, wait)) {
        handle(r, &frame);
        amqp_maybe_release_buffers(r->conn);
        wait = false;
    }
}

static void publish_all(struct run *r)
{
    while (r->n_settled < r->count) {
        set_cork(r, 1);
        while (r->n_sent < r->count && r->n_sent - r->n_settled < r->window) {
            publish(r);
            if (r->n_sent % READ_EVERY == 0)
                read_confirms(r, false);
        }
        set_cork(r, 0);
        read_confirms(r, true);
    }
}

static void take_options(struct run *r, int argc, char **argv)
{
    static const struct option options[] = {
        {"window", required_argument, NULL, 'w'},
        {"size", required_argument, NULL, 's'},
        {"no-cork", no_argument, NULL, 'n'},
        {"prefix", required_argument, NULL, 'p'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (c) {
        case 'w':
            r->window = bare_number("--window", optarg);
            break;
        case 's':
            r->size = (size_t)bare_number("--size", optarg);
            break;
        case 'n':
            r->cork = false;
            break;
        case 'p':
            r->prefix = optarg;
            break;
        default:
            exit(2);
        }
    }
    if (argc - optind != 3)
        bare_die("usage: bare_publish [--window N] [--size N] [--no-cork] [--prefix TEXT] "
                 "URL EXCHANGE COUNT");
    if (r->size < BODY_MIN || r->size > BODY_MAX)
        bare_die("--size must be from %d to %d", BODY_MIN, BODY_MAX);
}

int main(int argc, char **argv)
{
    struct run r = {.prefix = "bare", .window = 1000, .size = 256, .cork = true, .lowest = 1};
    struct bare_meter begin;
    struct bare_meter end;

    take_options(&r, argc, argv);
    r.exchange = argv[optind + 1];
    r.count = bare_number("COUNT", argv[optind + 2]);
    r.body = malloc(r.size + 1);
    r.settled = calloc((size_t)r.count + 1, sizeof r.settled[0]);
    if (r.body == NULL || r.settled == NULL)
        bare_die("out of memory");
    r.conn = bare_open(argv[optind]);
    amqp_confirm_select(r.conn, BARE_CHANNEL);
    bare_check_reply(r.conn, "confirm.select");

    begin = bare_meter_now();
    publish_all(&r);
    end = bare_meter_now();

    if (r.n_returned > 0 || r.n_nacked > 0)
        bare_die("%ld messages came back, %ld nacks", r.n_returned, r.n_nacked);
    bare_print("publish", r.count, begin, end);
    bare_close(r.conn);
    free(r.settled);
    free(r.body);
    return 0;
}

/*
 * bare_consume - how fast rabbitmq-c alone consumes and does nothing with it
 *
 *   bare_consume [--prefetch N] [--ack-every N] URL QUEUE COUNT
 *
 * Frames are read one by one and acknowledged many at a time: the library's fastest way.
 * Time runs from the first delivery to the last acknowledgement.
 */
#include "bare.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

struct run {
    amqp_connection_state_t conn;
    long count;
    long prefetch;
    long ack_every;
    uint64_t tag; /* of the newest delivery */
};

static void subscribe(const struct run *r, const char *queue)
{
    amqp_basic_qos(r->conn, BARE_CHANNEL, 0, (uint16_t)r->prefetch, 0);
    bare_check_reply(r->conn, "basic.qos");
    amqp_basic_consume(r->conn, BARE_CHANNEL, amqp_cstring_bytes(queue), amqp_empty_bytes, 0, 0, 0,
                       amqp_empty_table);
    bare_check_reply(r->conn, "basic.consume");
}

/* Reads one whole message: method, header, and bodies up to the announced size. */
static void take_message(struct run *r)
{
    amqp_frame_t frame;
    uint64_t left;

    bare_next_frame(r->conn, &frame, true);
    if (frame.frame_type != AMQP_FRAME_METHOD ||
        frame.payload.method.id != AMQP_BASIC_DELIVER_METHOD)
        bare_die("something else than a delivery came (frame type %d)", frame.frame_type);
    r->tag = ((const amqp_basic_deliver_t *)frame.payload.method.decoded)->delivery_tag;
    bare_next_frame(r->conn, &frame, true);
    if (frame.frame_type != AMQP_FRAME_HEADER)
        bare_die("a delivery without header");
    left = frame.payload.properties.body_size;
    while (left > 0) {
        bare_next_frame(r->conn, &frame, true);
        if (frame.frame_type != AMQP_FRAME_BODY || frame.payload.body_fragment.len > left)
            bare_die("a delivery with a wrong body");
        left -= frame.payload.body_fragment.len;
    }
    amqp_maybe_release_buffers_on_channel(r->conn, BARE_CHANNEL);
}

static void acknowledge(const struct run *r)
{
    int status = amqp_basic_ack(r->conn, BARE_CHANNEL, r->tag, 1);

    if (status != AMQP_STATUS_OK)
        bare_die("basic.ack: %s", amqp_error_string2(status));
}

static void take_options(struct run *r, int argc, char **argv)
{
    static const struct option options[] = {
        {"prefetch", required_argument, NULL, 'p'},
        {"ack-every", required_argument, NULL, 'a'},
        {NULL, 0, NULL, 0},
    };
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'p')
            r->prefetch = bare_number("--prefetch", optarg);
        else if (c == 'a')
            r->ack_every = bare_number("--ack-every", optarg);
        else
            exit(2);
    }
    if (argc - optind != 3)
        bare_die("usage: bare_consume [--prefetch N] [--ack-every N] URL QUEUE COUNT");
    if (r->prefetch > UINT16_MAX || r->ack_every > r->prefetch)
        bare_die("--prefetch must be at most %d and not below --ack-every", UINT16_MAX);
}

int main(int argc, char **argv)
{
    struct run r = {.prefetch = 1000, .ack_every = 200};
    struct bare_meter begin;

    take_options(&r, argc, argv);
    r.count = bare_number("COUNT", argv[optind + 2]);
    r.conn = bare_open(argv[optind]);
    subscribe(&r, argv[optind + 1]);

    take_message(&r);
    begin = bare_meter_now();
    for (long n = 2; n <= r.count; n++) {
        take_message(&r);
        if (n % r.ack_every == 0)
            acknowledge(&r);
    }
    acknowledge(&r);

    bare_print("consume", r.count, begin, bare_meter_now());
    bare_close(r.conn);
    return 0;
}

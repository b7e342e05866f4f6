#!/bin/sh
# One guesses: amqp_basic_publish() has handed all of a message to the network when it returns, and
# one byte more or less in the body makes no difference.
#
# Really: a body that fills its last frame exactly is sent with MSG_MORE on that frame, too, as if
# more were to come, so the kernel keeps the end of the message back for 200 ms. With frames of 8192
# bytes a frame holds 8184 bytes of body: bodies of 8184 and 16368 bytes arrive late, those with one
# byte less or more at once. Nothing says so: the call returns at once, and without an error.
#
# Seen with librabbitmq 0.11.0 and 0.15.0 (Debian 12 and 13), over TCP on loopback, without a
# broker: the probe hands the library a connection.start and reads what it sends.
#
# So: let the library encode and send the frames oneself; or give a body whose length is a multiple
# of the frame size less 8 another length (a blank behind JSON).
set -eu
LC_ALL=C
export LC_ALL

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work"

# The distribution's library and headers, unpacked here and not installed.
apt-get -qq -o APT::Sandbox::User=root download librabbitmq4 librabbitmq-dev
for package in *.deb; do dpkg -x "$package" .; done
library=$(dirname "$(find . -name librabbitmq.so)")

cat >probe.c <<'END'
#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#include <amqp_tcp_socket.h>
#endif
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { CHANNEL = 1, FRAME = 8192, ROUNDS = 5 };

static void must(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "the probe itself failed: %s\n", what);
        exit(2);
    }
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Both ends of a TCP connection: the library's and, returned, the reader's. */
static int connect_pair(amqp_connection_state_t connection)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    must(bind(listener, (struct sockaddr *)&address, sizeof address) == 0, "bind");
    must(listen(listener, 1) == 0, "listen");
    must(getsockname(listener, (struct sockaddr *)&address, &length) == 0, "port");
    amqp_socket_t *socket = amqp_tcp_socket_new(connection);
    must(amqp_socket_open(socket, "127.0.0.1", ntohs(address.sin_port)) == AMQP_STATUS_OK, "open");
    int reader = accept(listener, NULL, NULL);
    must(reader >= 0, "accept");
    return reader;
}

/* What a broker says first; without it the library refuses to be tuned. */
static void greet(amqp_connection_state_t connection)
{
    unsigned char frame[256] = {AMQP_FRAME_METHOD};
    amqp_connection_start_t start = {.version_minor = 9,
                                     .mechanisms = amqp_cstring_bytes("PLAIN"),
                                     .locales = amqp_cstring_bytes("en_US")};
    amqp_bytes_t room = {sizeof frame - 12, frame + 11};
    int size = amqp_encode_method(AMQP_CONNECTION_START_METHOD, &start, room);
    must(size > 0 && size < 200, "connection.start");
    frame[6] = (unsigned char)(size + 4);
    frame[8] = 10;
    frame[10] = 10;
    frame[11 + size] = AMQP_FRAME_END;

    amqp_frame_t decoded;
    amqp_bytes_t all = {(size_t)size + 12, frame};
    must(amqp_handle_input(connection, all, &decoded) == size + 12, "greeting");
    must(amqp_tune_connection(connection, CHANNEL, FRAME, 0) == AMQP_STATUS_OK, "tune");
}

/* Seconds from the publish to the last byte of it. */
static double publish(amqp_connection_state_t connection, int reader, size_t length)
{
    static char body[4 * FRAME], sink[8 * FRAME];
    amqp_bytes_t bytes = {length, body};
    struct pollfd readable = {.fd = reader, .events = POLLIN};
    double begun = now(), last = begun;

    must(amqp_basic_publish(connection, CHANNEL, amqp_empty_bytes, amqp_cstring_bytes("q"), 0, 0,
                            NULL, bytes) == AMQP_STATUS_OK, "publish");
    while (poll(&readable, 1, 500) > 0) {
        must(recv(reader, sink, sizeof sink, 0) > 0, "read");
        last = now();
    }
    return last - begun;
}

int main(void)
{
    static const size_t lengths[] = {8183, 8184, 8185, 16367, 16368, 16369};
    amqp_connection_state_t connection = amqp_new_connection();
    int reader = connect_pair(connection);

    greet(connection);
    fprintf(stderr, "version: librabbitmq %s\n", amqp_version());
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        double best = 10;
        /* The quickest of some, since a busy machine makes any of them late. */
        for (int round = 0; round < ROUNDS; round++) {
            double took = publish(connection, reader, lengths[i]);
            best = took < best ? took : best;
        }
        fprintf(stderr, "%zu: %.4f s\n", lengths[i], best);
        printf("%zu bytes: %s\n", lengths[i], best > 0.1 ? "after 100 ms or more" : "at once");
    }
    amqp_destroy_connection(connection);
    return 0;
}
END
cc -std=c11 -D_POSIX_C_SOURCE=200809L -Wall -I usr/include -o probe probe.c -L "$library" \
    -lrabbitmq
LD_LIBRARY_PATH=$library ./probe >seen

echo 'guess: each length arrives at once'
cat >recorded <<'END'
8183 bytes: at once
8184 bytes: after 100 ms or more
8185 bytes: at once
16367 bytes: at once
16368 bytes: after 100 ms or more
16369 bytes: at once
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

/*
 * tcp - a stream over TCP
 *
 *            name resolved             address answered
 *   RESOLVE --------------> CONNECT -------------------> OPEN
 *      |                     |    ^                        |
 *      | no such name        |    '-- next address         | read or write error,
 *      v                     v                             v end of the stream
 *   FAILED <------ no address is left ------------------ FAILED
 *
 * and from each of them, by close: CLOSING, then `closed`. Every address of a name is
 * tried in the resolver's order; one that does not answer is given up after
 * TCP_ADDRESS_MS if there is another (localhost is often ::1 and 127.0.0.1).
 */
#ifndef HERALD_WIRE_TCP_H
#define HERALD_WIRE_TCP_H

#include "wire/stream.h"

enum {
    TCP_ADDRESS_MS = 3000,     /* patience with an address while there is another */
    TCP_READ_SIZE = 128 << 10, /* one buffer per stream, used again for every read */
};

extern const struct stream_factory tcp_streams;

#endif

/*
 * bytes - numbers as the network writes them, most significant byte first
 *
 * Unchecked: whoever calls has looked at the room before.
 */
#ifndef HERALD_WIRE_BYTES_H
#define HERALD_WIRE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint8_t get8(const char *p)
{
    return (uint8_t)p[0];
}

static inline uint16_t get16(const char *p)
{
    return (uint16_t)(get8(p) << 8 | get8(p + 1));
}

static inline uint32_t get32(const char *p)
{
    return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static inline uint64_t get64(const char *p)
{
    return (uint64_t)get32(p) << 32 | get32(p + 4);
}

/* Each put returns the place after what it wrote. */
static inline char *put8(char *p, uint8_t v)
{
    p[0] = (char)v;
    return p + 1;
}

static inline char *put16(char *p, uint16_t v)
{
    return put8(put8(p, (uint8_t)(v >> 8)), (uint8_t)v);
}

static inline char *put32(char *p, uint32_t v)
{
    return put16(put16(p, (uint16_t)(v >> 16)), (uint16_t)v);
}

static inline char *put64(char *p, uint64_t v)
{
    return put32(put32(p, (uint32_t)(v >> 32)), (uint32_t)v);
}

static inline char *put_bytes(char *p, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(p, bytes, len);
    return p + len;
}

#endif

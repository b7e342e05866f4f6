/*
 * encode - Lua values to JSON text
 *
 * A table is an array where it is a list 1..n that is not empty, or is marked as one
 * (herald.json.array, arrays that were decoded); else an object, whose keys are sorted:
 * the same value gives the same bytes in every run. Floats print in their shortest
 * form that reads back as the same float, and always look like one (1.0).
 *
 * A herald.number (convert.h) prints as it was read.
 *
 * What JSON cannot hold (functions, NaN, keys that are no strings, cycles, bytes that
 * are not UTF-8) is an error that names the place: "body.items[3].price".
 */
#ifndef HERALD_SCRIPT_ENCODE_H
#define HERALD_SCRIPT_ENCODE_H

#include "base/buf.h"

#include <lua.h>
#include <stdbool.h>

/* Working memory, owned by the script, so that an error loses nothing. */
struct encoder {
    struct buf out;  /* the text */
    struct buf keys; /* of the objects being written: struct slice each */
    bool blobs;      /* byte arrays may be written */
};

void encoder_init(struct encoder *e);
void encoder_free(struct encoder *e);

/* Writes the value at `index` into e->out, which is emptied first. RAISES; `name` is
 * what the value is called in messages. Runs no metamethod. */
void encode_json(lua_State *L, struct encoder *e, int index, const char *name);

/* The same of headers, which may hold a herald.blob: {"base64": "..."}. */
void encode_headers(lua_State *L, struct encoder *e, int index, const char *name);

#endif

/* unpack - see unpack.h. */
#include "base/unpack.h"

#include "base/json.h"

#include <string.h>
#include <strings.h>
#include <zlib.h>

enum {
    WINDOW = 15,          /* the largest there is */
    EITHER = WINDOW + 32, /* gzip or zlib, by its first bytes */
    RAW = -WINDOW,
    CHUNK = 64 * 1024,
};

static bool is_known(struct slice encoding)
{
    static const char *const known[] = {"gzip",
                                        "x-gzip",
                                        "deflate",
                                        "zlib",
                                        "application/gzip",
                                        "application/x-gzip",
                                        "application/zlib"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (encoding.len == strlen(known[i]) &&
            strncasecmp(encoding.data, known[i], encoding.len) == 0)
            return true;
    return false;
}

/* The text of a member of a JSON object is searched for first: few messages have it. */
static bool says_so(struct slice object, const char *name)
{
    struct json j;
    struct buf tape;
    bool so = false;

    if (object.len == 0 || memmem(object.data, object.len, name, strlen(name)) == NULL)
        return false;
    buf_init(&tape, JSON_TAPE_MAX);
    if (json_parse(&j, &tape, object.data, object.len, NULL) == OK) {
        struct slice encoding = json_member_text(&j, name);

        so = encoding.data != NULL && is_known(encoding);
    }
    buf_free(&tape);
    return so;
}

bool unpack_is_due(const struct message *m)
{
    return says_so(m->properties, "content_encoding") || says_so(m->headers, "compression");
}

/* Fills the buffer chunk by chunk; *result is zlib's. */
static int inflate_all(z_stream *z, struct buf *out, size_t max, int *result, struct err *err)
{
    do {
        char *room;

        if (out->len == max) { /* one byte more tells whether that was all */
            char beyond;

            z->next_out = (Bytef *)&beyond;
            z->avail_out = 1;
            *result = inflate(z, Z_NO_FLUSH);
            if (z->avail_out == 0)
                return err_set(err, ERR_INPUT,
                               "the body unpacks to more than %zu bytes (message_max): it is kept "
                               "here as it came",
                               max);
            return OK;
        }
        z->avail_out = (uInt)(max - out->len < CHUNK ? max - out->len : CHUNK);
        room = buf_reserve(out, z->avail_out);
        if (room == NULL)
            return err_set(err, ERR_NOMEM, "out of memory for a compressed body");
        z->next_out = (Bytef *)room;
        *result = inflate(z, Z_NO_FLUSH);
        out->len += (size_t)((char *)z->next_out - room);
    } while (*result == Z_OK);
    return OK;
}

static int inflate_as(int window, struct buf *out, struct slice body, size_t max, int *result,
                      struct err *err)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)body.data, .avail_in = (uInt)body.len};
    int rc;

    buf_clear(out);
    if (inflateInit2(&z, window) != Z_OK)
        return err_set(err, ERR_NOMEM, "out of memory for a compressed body");
    rc = inflate_all(&z, out, max, result, err);
    if (*result == Z_STREAM_END && z.avail_in > 0)
        *result = Z_DATA_ERROR; /* something follows: not what it says */
    (void)inflateEnd(&z);
    return rc;
}

int unpack_body(struct buf *out, struct slice body, size_t max, struct err *err)
{
    int result = Z_OK, raw = Z_OK;
    int rc = inflate_as(EITHER, out, body, max, &result, err);

    if (rc == OK && result == Z_DATA_ERROR)
        rc = inflate_as(RAW, out, body, max, &raw, err);
    if (rc != OK || result == Z_STREAM_END || raw == Z_STREAM_END)
        return rc;
    if (result == Z_MEM_ERROR || raw == Z_MEM_ERROR)
        return err_set(err, ERR_NOMEM, "out of memory for a compressed body");
    return err_set(err, ERR_INPUT,
                   result == Z_DATA_ERROR
                       ? "the body is neither gzip nor zlib, though its content_encoding or its "
                         "header compression says so"
                       : "the compressed body ends early");
}

/* frame - see frame.h. */
#include "wire/frame.h"

#include "wire/bytes.h"

static bool is_type(uint8_t type)
{
    return type == FRAME_METHOD || type == FRAME_HEADER || type == FRAME_BODY ||
           type == FRAME_HEARTBEAT;
}

/* How many bytes the frame has that starts here: at least FRAME_PREFIX as long as
 * its size has not come yet, 0 with words when it is none. */
static size_t frame_length(const struct frame_reader *r, const char *bytes, size_t len,
                           struct err *err)
{
    uint32_t size;

    if (!is_type(get8(bytes))) {
        if (bytes[0] == 'A') /* a protocol header: this server speaks another version */
            err_set(err, ERR_INPUT, "the server does not speak AMQP 0-9-1");
        else
            err_set(err, ERR_INPUT, "bytes that are no AMQP frame (type %u); is it an AMQP port?",
                    (unsigned)get8(bytes));
        return 0;
    }
    if (len < FRAME_PREFIX)
        return FRAME_PREFIX;
    size = get32(bytes + 3);
    if (size > r->frame_max - FRAME_OVERHEAD) {
        err_set(err, ERR_INPUT, "a frame of %u bytes is over the limit of %zu", (unsigned)size,
                r->frame_max);
        return 0;
    }
    return (size_t)size + FRAME_OVERHEAD;
}

static int give_frame(const char *bytes, size_t len, frame_fn *each, void *arg, struct err *err)
{
    struct frame f = {
        .type = (enum frame_type)get8(bytes),
        .channel = get16(bytes + 1),
        .payload = {bytes + FRAME_PREFIX, len - FRAME_OVERHEAD},
    };

    if (get8(bytes + len - 1) != FRAME_END)
        return err_set(err, ERR_INPUT, "a frame of %zu bytes ends in 0x%02x, not in 0xce", len,
                       (unsigned)get8(bytes + len - 1));
    return each(arg, &f, err);
}

void frame_reader_init(struct frame_reader *r)
{
    buf_init(&r->rest, FRAME_MAX_MOST + FRAME_OVERHEAD);
    r->frame_max = FRAME_MAX_START;
}

void frame_reader_free(struct frame_reader *r)
{
    buf_free(&r->rest);
}

void frame_reader_reset(struct frame_reader *r)
{
    buf_clear(&r->rest);
    r->frame_max = FRAME_MAX_START;
}

/* Moves bytes to the rest until its frame is whole, which takes two steps where its
 * size has not come yet. Sets *taken to how many bytes were used. */
static int finish_rest(struct frame_reader *r, const char *bytes, size_t len, size_t *taken,
                       frame_fn *each, void *arg, struct err *err)
{
    *taken = 0;
    for (;;) {
        size_t whole = frame_length(r, r->rest.data, r->rest.len, err), n;
        int rc;

        if (whole == 0)
            return ERR_INPUT;
        if (whole == r->rest.len && whole > FRAME_PREFIX) {
            rc = give_frame(r->rest.data, whole, each, arg, err);
            buf_clear(&r->rest);
            return rc;
        }
        n = whole - r->rest.len < len - *taken ? whole - r->rest.len : len - *taken;
        if (n == 0)
            return OK;
        rc = buf_append(&r->rest, bytes + *taken, n);
        if (rc != OK)
            return err_set(err, rc, "no room for a frame of %zu bytes", whole);
        *taken += n;
    }
}

int frame_reader_feed(struct frame_reader *r, const char *bytes, size_t len, frame_fn *each,
                      void *arg, struct err *err)
{
    size_t at = 0;
    int rc = OK;

    if (r->rest.len > 0)
        rc = finish_rest(r, bytes, len, &at, each, arg, err);
    while (rc == OK && at < len) {
        size_t whole = frame_length(r, bytes + at, len - at, err);

        if (whole == 0)
            return ERR_INPUT;
        if (whole > len - at) { /* also where its size has not come yet */
            rc = buf_append(&r->rest, bytes + at, len - at);
            return rc == OK ? OK : err_set(err, rc, "no room for a frame of %zu bytes", whole);
        }
        rc = give_frame(bytes + at, whole, each, arg, err);
        at += whole;
    }
    return rc;
}

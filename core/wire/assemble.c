/* assemble - see assemble.h. */
#include "wire/assemble.h"

#include "wire/codec.h"

#include <stdlib.h>

enum {
    HEAD_MAX = FRAME_MAX_MOST * 2, /* a method and a header, each one frame */
    BODY_KEPT = 1 << 20,           /* memory kept for the next body */
};

struct assembly {
    uint16_t channel;   /* whose content it is */
    bool has_header;    /* the header came; what lacks is body */
    size_t method_len;  /* bytes of `head` that are the method's */
    uint64_t body_size; /* as announced */
    uint64_t received;  /* of it so far */
    struct buf head;    /* method and header: their frames do not live long enough */
    struct buf body;    /* of a body in several frames */
};

void assemble_init(struct assemble *a, size_t body_max)
{
    *a = (struct assemble){.body_max = body_max};
}

void assemble_free(struct assemble *a)
{
    for (size_t i = 0; i < a->made; i++) {
        buf_free(&a->parts[i].head);
        buf_free(&a->parts[i].body);
    }
    free(a->parts);
    *a = (struct assemble){.body_max = a->body_max};
}

void assemble_reset(struct assemble *a)
{
    a->used = 0;
}

static struct assembly *find(const struct assemble *a, uint16_t channel)
{
    for (size_t i = 0; i < a->used; i++)
        if (a->parts[i].channel == channel)
            return &a->parts[i];
    return NULL;
}

bool assemble_is_busy(const struct assemble *a, uint16_t channel)
{
    return find(a, channel) != NULL;
}

/* The last one in use takes the free place; buffers only change places. */
void assemble_drop(struct assemble *a, uint16_t channel)
{
    struct assembly *part = find(a, channel), *last, free_part;

    if (part == NULL)
        return;
    if (part->body.cap > BODY_KEPT)
        buf_free(&part->body);
    last = &a->parts[--a->used];
    free_part = *part;
    *part = *last;
    *last = free_part;
}

void assemble_done(struct assemble *a, uint16_t channel)
{
    assemble_drop(a, channel);
}

static int make_part(struct assemble *a, struct err *err)
{
    struct assembly *parts;

    if (a->made == ASSEMBLE_MAX)
        return err_set(err, ERR_INPUT, "more than %d unfinished contents", ASSEMBLE_MAX);
    parts = realloc(a->parts, (a->made + 1) * sizeof *parts);
    if (parts == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for a content");
    a->parts = parts;
    parts[a->made] = (struct assembly){.channel = 0};
    buf_init(&parts[a->made].head, HEAD_MAX);
    buf_init(&parts[a->made].body, a->body_max);
    a->made++;
    return OK;
}

int assemble_method(struct assemble *a, const struct frame *f, struct err *err)
{
    struct assembly *part;
    int rc = a->used < a->made ? OK : make_part(a, err);

    if (rc != OK)
        return rc;
    part = &a->parts[a->used];
    part->channel = f->channel;
    part->has_header = false;
    part->method_len = f->payload.len;
    part->body_size = part->received = 0;
    buf_clear(&part->head);
    buf_clear(&part->body);
    if (buf_append(&part->head, f->payload.data, f->payload.len) != OK)
        return err_set(err, ERR_NOMEM, "out of memory for a content");
    a->used++;
    return OK;
}

static void fill(const struct assembly *part, struct slice body, struct assembled *out)
{
    *out = (struct assembled){
        .method = {part->head.data, part->method_len},
        .header = {part->head.data + part->method_len, part->head.len - part->method_len},
        .body = body,
    };
}

static int take_header(const struct assemble *a, struct assembly *part, const struct frame *f,
                       struct err *err)
{
    int rc = codec_body_size(f->payload, &part->body_size, err);

    if (rc != OK)
        return rc;
    if (part->has_header)
        return err_set(err, ERR_INPUT, "a second header for one content");
    if (part->body_size > a->body_max)
        return err_set(err, ERR_LIMIT,
                       "a body of %llu bytes, but %zu can be kept at most: nothing is taken as "
                       "long as it is delivered, so move it to another queue",
                       (unsigned long long)part->body_size, a->body_max);
    part->has_header = true;
    if (buf_append(&part->head, f->payload.data, f->payload.len) == OK)
        return OK;
    return err_set(err, ERR_NOMEM, "out of memory for a content");
}

static int take_body(struct assembly *part, struct slice bytes, struct err *err)
{
    if (!part->has_header)
        return err_set(err, ERR_INPUT, "a body without its header");
    if (bytes.len > part->body_size - part->received)
        return err_set(err, ERR_INPUT, "a body longer than the %llu bytes that were announced",
                       (unsigned long long)part->body_size);
    part->received += bytes.len;
    if (bytes.len == part->body_size)
        return OK; /* whole as it is */
    if (buf_append(&part->body, bytes.data, bytes.len) == OK)
        return OK;
    return err_set(err, ERR_NOMEM, "out of memory for a body of %llu bytes",
                   (unsigned long long)part->body_size);
}

int assemble_frame(struct assemble *a, const struct frame *f, struct assembled *out, bool *whole,
                   struct err *err)
{
    struct assembly *part = find(a, f->channel);
    struct slice body = {"", 0};
    int rc;

    *whole = false;
    if (part == NULL)
        return err_set(err, ERR_INPUT, "a %s frame without its method on channel %u",
                       f->type == FRAME_HEADER ? "header" : "body", (unsigned)f->channel);
    rc = f->type == FRAME_HEADER ? take_header(a, part, f, err) : take_body(part, f->payload, err);
    if (rc != OK || part->received < part->body_size)
        return rc;
    if (f->type == FRAME_BODY && f->payload.len == part->body_size)
        body = f->payload;
    else if (part->body.len > 0)
        body = (struct slice){part->body.data, part->body.len};
    fill(part, body, out);
    *whole = true;
    return OK;
}

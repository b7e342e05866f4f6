/* link_dispatch - frames of a link to its owner's events: what is allowed where. Whatever
 * is not ends the connection. */
#include "wire/link_int.h"

#include <string.h>

/* A method of the connection class while the link is up. */
static int on_connection_method(struct link *l, const amqp_method_t *m, struct err *err)
{
    char reason[CODEC_SHORT_MAX + 1];

    switch (m->id) {
    case AMQP_CONNECTION_CLOSE_METHOD:
        return handshake_closed(l, m->decoded, err);
    case AMQP_CONNECTION_BLOCKED_METHOD: {
        const amqp_connection_blocked_t *b = m->decoded;

        memcpy(reason, b->reason.bytes, b->reason.len);
        reason[b->reason.len] = '\0';
        l->blocked = true;
        l->events->blocked(l->arg, reason);
        return OK;
    }
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        l->blocked = false;
        l->events->blocked(l->arg, NULL);
        return OK;
    default:
        return err_set(err, ERR_INPUT, "%s on an open connection", amqp_method_name(m->id));
    }
}

/* What a method may be, before its bytes are decoded. */
static int check_method(struct link *l, const struct frame *f, amqp_method_number_t id,
                        struct err *err)
{
    if (!codec_is_from_server(id))
        return err_set(err, ERR_INPUT, "a method that no server sends (0x%08x)", (unsigned)id);
    if ((f->channel == 0) != (id >> 16 == AMQP_CONNECTION_CLASS))
        return err_set(err, ERR_INPUT, "%s on channel %u", amqp_method_name(id),
                       (unsigned)f->channel);
    if (f->channel != 0 && (l->state != LINK_RUN || f->channel > l->channel_max))
        return err_set(err, ERR_INPUT, "%s on channel %u, which cannot be open",
                       amqp_method_name(id), (unsigned)f->channel);
    if (!assemble_is_busy(&l->assemble, f->channel))
        return OK;
    if (id != AMQP_CHANNEL_CLOSE_METHOD)
        return err_set(err, ERR_INPUT, "%s in the middle of a content", amqp_method_name(id));
    assemble_drop(&l->assemble, f->channel);
    return OK;
}

static int on_method(struct link *l, const struct frame *f, struct err *err)
{
    amqp_method_number_t id;
    amqp_method_t m;
    int rc = codec_method_id(f->payload, &id, err);

    if (rc == OK)
        rc = check_method(l, f, id, err);
    if (rc == OK && codec_has_content(id))
        return assemble_method(&l->assemble, f, err);
    if (rc == OK)
        rc = codec_decode_method(f->payload, &l->pool, &m, err);
    if (rc != OK)
        return rc;
    if (l->state == LINK_HANDSHAKE)
        return handshake_method(l, &m, err);
    if (f->channel == 0)
        return on_connection_method(l, &m, err);
    l->events->method(l->arg, f->channel, &m);
    return OK;
}

static int give_content(struct link *l, uint16_t channel, const struct assembled *a,
                        struct err *err)
{
    struct err fault = {.code = OK};
    struct codec_content content = {
        .channel = channel,
        .body = a->body,
    };
    amqp_method_t m;
    int rc = codec_decode_method(a->method, &l->pool, &m, err);

    if (rc == OK)
        rc = codec_decode_properties(a->header, &l->pool, &content.properties, &content.damaged,
                                     &fault, err);
    if (rc != OK)
        return rc;
    content.method = &m;
    content.headers_fault = fault.code != OK ? fault.text : NULL;
    l->events->content(l->arg, &content);
    assemble_done(&l->assemble, channel);
    return OK;
}

static int on_content(struct link *l, const struct frame *f, struct err *err)
{
    struct assembled a;
    bool whole;
    int rc = assemble_frame(&l->assemble, f, &a, &whole, err);

    return rc == OK && whole ? give_content(l, f->channel, &a, err) : rc;
}

/* Only the end of it matters now. */
static int on_closing(struct link *l, const struct frame *f, struct err *err)
{
    amqp_method_number_t id;
    int rc;

    if (f->type != FRAME_METHOD || f->channel != 0)
        return OK;
    rc = codec_method_id(f->payload, &id, err);
    if (rc == OK && id == AMQP_CONNECTION_CLOSE_METHOD) {
        amqp_connection_close_ok_t ok = {0};

        if (codec_method(&l->out, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok, err) == OK)
            link_flush(l);
        return err_set(err, ERR_CLOSED, "both sides closed");
    }
    if (rc == OK && id == AMQP_CONNECTION_CLOSE_OK_METHOD)
        return err_set(err, ERR_CLOSED, "closed in good order");
    return rc;
}

int dispatch_frame(void *arg, const struct frame *f, struct err *err)
{
    struct link *l = arg;
    const uint64_t life = l->life;
    int rc = OK;

    if (l->state == LINK_CLOSING)
        rc = on_closing(l, f, err);
    else if (f->type == FRAME_METHOD)
        rc = on_method(l, f, err);
    else if (f->type != FRAME_HEARTBEAT)
        rc = on_content(l, f, err);
    recycle_amqp_pool(&l->pool);
    /* An event may have dropped the connection: the rest of its bytes is void. */
    return rc == OK && life != l->life ? ERR_CLOSED : rc;
}

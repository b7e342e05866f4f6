/* link_output - frames of a link's owner on their way to the stream: encoded into one buffer,
 * handed over in one write. */
#include "wire/link_int.h"

static int check_room(const struct link *l, struct err *err)
{
    size_t backlog;

    if (l->state != LINK_RUN)
        return err_set(err, ERR_CLOSED, "not connected to the broker");
    backlog = link_backlog(l);
    if (backlog < LINK_BACKLOG_MAX)
        return OK;
    return err_set(err, ERR_LIMIT, "%zu bytes wait for the broker to read them", backlog);
}

int link_send(struct link *l, uint16_t channel, amqp_method_number_t id, void *method,
              struct err *err)
{
    int rc = check_room(l, err);

    return rc == OK ? codec_method(&l->out, channel, id, method, err) : rc;
}

int link_publish(struct link *l, uint16_t channel, const char *exchange, const char *routing_key,
                 const struct message *m, struct err *err)
{
    int rc = check_room(l, err);

    return rc == OK ? codec_publish(&l->out, channel, exchange, routing_key, m, l->frame_max, err)
                    : rc;
}

int link_write(struct link *l, const void *frames, size_t len, struct err *err)
{
    int rc = check_room(l, err);

    if (rc != OK)
        return rc;
    rc = buf_append(&l->out, frames, len);
    l->out.failed = false;
    return rc == OK ? OK : err_set(err, rc, "no room for %zu bytes to the broker", len);
}

static int hand_over(struct link *l, struct err *err)
{
    const struct stream_ops *ops = l->stream->ops;

    if (ops->give != NULL)
        return ops->give(l->stream, &l->out, err);
    return ops->write(l->stream, l->out.data, l->out.len, err);
}

/* A stream that cannot write is dead and says so itself, or has no memory: then the
 * connection would lack these frames, so it must go. */
void link_flush(struct link *l)
{
    struct err err = {.code = OK};
    int rc;

    if (l->stream == NULL || l->state == LINK_CONNECT || l->out.len == 0)
        return;
    heartbeat_sent(&l->heartbeat, clock_mono(&l->settings.clock));
    rc = hand_over(l, &err);
    buf_clear(&l->out);
    if (l->out.cap > LINK_OUT_KEPT)
        buf_free(&l->out);
    if (rc != OK)
        link_break(l, &err);
}

size_t link_backlog(const struct link *l)
{
    return l->out.len + (l->stream != NULL ? l->stream->ops->backlog(l->stream) : 0);
}

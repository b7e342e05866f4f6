/* What a peer may send to a TLS stream, in pieces of any size: the first byte of an input says how
 * large they are. */
#include "wire/tls.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct below {
    struct stream stream;
    const struct stream_events *events;
    void *arg;
    bool closed;
};

static int below_write(struct stream *s, const char *bytes, size_t len, struct err *err)
{
    (void)s, (void)bytes, (void)len, (void)err;
    return OK;
}

static size_t below_backlog(const struct stream *s)
{
    (void)s;
    return 0;
}

static void below_close(struct stream *s)
{
    ((struct below *)(void *)s)->closed = true;
}

static const struct stream_ops below_ops = {
    .write = below_write, .give = NULL, .backlog = below_backlog, .close = below_close};

static struct stream *below_open(void *arg, uv_loop_t *loop, const char *host, uint16_t port,
                                 const struct stream_events *events, void *events_arg,
                                 struct err *err)
{
    struct below *b = arg;

    (void)loop, (void)host, (void)port, (void)err;
    *b = (struct below){{&below_ops}, events, events_arg, false};
    return &b->stream;
}

static void on_event(void *arg)
{
    (void)arg;
}

static void on_data(void *arg, const char *bytes, size_t len)
{
    (void)arg, (void)bytes, (void)len;
    abort(); /* nobody proved to be the broker */
}

static void on_failed(void *arg, const struct err *why)
{
    if (why->text[0] == '\0')
        abort();
    *(bool *)arg = true;
}

static const struct stream_events events = {.opened = on_event,
                                            .data = on_data,
                                            .drained = on_event,
                                            .failed = on_failed,
                                            .closed = on_event};

static void feed(struct below *b, const bool *failed, const uint8_t *data, size_t size,
                 size_t piece)
{
    b->events->opened(b->arg);
    for (size_t at = 0; at < size && !*failed; at += piece)
        b->events->data(b->arg, (const char *)data + at, size - at < piece ? size - at : piece);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct tls_settings settings = {.verify = true};
    static struct below below;
    static const struct stream_factory factory = {.open = below_open, .arg = &below};
    static struct tls *tls; /* reads the system's authorities once */
    const struct stream_factory *streams;
    struct stream *s;
    bool failed = false;
    struct err err;

    if (tls == NULL)
        tls = tls_new(&settings, &factory);
    if (tls == NULL)
        return 0;
    streams = tls_streams(tls);
    s = streams->open(streams->arg, NULL, "localhost", 5671, &events, &failed, &err);
    if (s != NULL) {
        if (size > 0)
            feed(&below, &failed, data + 1, size - 1, (size_t)data[0] + 1);
        s->ops->close(s);
        below.events->closed(below.arg);
    }
    return 0;
}

/* The TCP stream against a server on loopback: what goes out comes back. */
#include "check.h"
#include "wire/tcp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An echo server and a stream to it; events as words: "opened data drained". */
struct play {
    uv_loop_t loop;
    uv_tcp_t server;
    uv_tcp_t peer; /* the one connection that it took */
    bool has_peer;
    bool mute; /* it takes the connection and reads nothing */
    uint16_t port;
    struct stream *stream;
    struct buf got; /* bytes that came back */
    bool opened;
    bool failed;
    bool closed;
    size_t drained;
    struct err why;
};

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *out)
{
    (void)handle;
    *out = uv_buf_init(malloc(size), (unsigned)size);
}

static void on_echoed(uv_write_t *request, int status)
{
    (void)status;
    free(request->data);
    free(request);
}

static void on_peer_read(uv_stream_t *peer, ssize_t n, const uv_buf_t *bytes)
{
    uv_write_t *request;
    uv_buf_t back;

    if (n <= 0) {
        free(bytes->base);
        return;
    }
    request = malloc(sizeof *request);
    assert_non_null(request);
    request->data = bytes->base;
    back = uv_buf_init(bytes->base, (unsigned)n);
    assert_int_equal(uv_write(request, peer, &back, 1, on_echoed), 0);
}

static void on_connection(uv_stream_t *server, int status)
{
    struct play *p = server->data;

    assert_int_equal(status, 0);
    assert_int_equal(uv_tcp_init(&p->loop, &p->peer), 0);
    assert_int_equal(uv_accept(server, (uv_stream_t *)&p->peer), 0);
    p->has_peer = true;
    if (!p->mute)
        assert_int_equal(uv_read_start((uv_stream_t *)&p->peer, on_alloc, on_peer_read), 0);
}

static void on_opened(void *arg)
{
    ((struct play *)arg)->opened = true;
}

static void on_data(void *arg, const char *bytes, size_t len)
{
    assert_int_equal(buf_append(&((struct play *)arg)->got, bytes, len), OK);
}

static void on_drained(void *arg)
{
    ((struct play *)arg)->drained++;
}

static void on_failed(void *arg, const struct err *why)
{
    struct play *p = arg;

    assert_false(p->failed); /* once */
    p->failed = true;
    p->why = *why;
}

static void on_closed(void *arg)
{
    struct play *p = arg;

    assert_false(p->closed);
    p->closed = true;
}

static const struct stream_events events = {
    .opened = on_opened,
    .data = on_data,
    .drained = on_drained,
    .failed = on_failed,
    .closed = on_closed,
};

/* At whose port nobody listens. */
static void deaf(struct play *p)
{
    struct sockaddr_in any;
    struct sockaddr_storage bound;
    int size = sizeof bound;

    *p = (struct play){.opened = false};
    buf_init(&p->got, 64 << 20);
    assert_int_equal(uv_loop_init(&p->loop), 0);
    assert_int_equal(uv_tcp_init(&p->loop, &p->server), 0);
    p->server.data = p;
    assert_int_equal(uv_ip4_addr("127.0.0.1", 0, &any), 0);
    assert_int_equal(uv_tcp_bind(&p->server, (const struct sockaddr *)&any, 0), 0);
    assert_int_equal(uv_tcp_getsockname(&p->server, (struct sockaddr *)&bound, &size), 0);
    p->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
}

static void play_setup(struct play *p)
{
    deaf(p);
    assert_int_equal(uv_listen((uv_stream_t *)&p->server, 4, on_connection), 0);
}

static void open_to(struct play *p, const char *host)
{
    struct err err;

    p->stream = tcp_streams.open(NULL, &p->loop, host, p->port, &events, p, &err);
    assert_non_null(p->stream);
    assert_false(p->opened || p->failed); /* events come from the loop */
}

static void run_until(struct play *p, const bool *flag)
{
    while (!*flag)
        assert_int_not_equal(uv_run(&p->loop, UV_RUN_ONCE) == 0 && !*flag, 1);
}

static void play_teardown(struct play *p)
{
    p->stream->ops->close(p->stream);
    assert_false(p->closed);
    uv_close((uv_handle_t *)&p->server, NULL);
    run_until(p, &p->closed);
    if (p->has_peer && !uv_is_closing((uv_handle_t *)&p->peer))
        uv_close((uv_handle_t *)&p->peer, NULL);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&p->loop), 0);
    buf_free(&p->got);
}

TEST_WITH(play, bytes_go_out_in_order_and_come_back)
{
    struct err err;
    struct buf given;

    open_to(f, "127.0.0.1");
    assert_int_equal(f->stream->ops->write(f->stream, "x", 1, &err), ERR_CLOSED); /* too early */
    run_until(f, &f->opened);
    buf_init(&given, 1000);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(f->stream->ops->write(f->stream, "copied ", 7, &err), OK);
        buf_text(&given, "given ");
        assert_int_equal(f->stream->ops->give(f->stream, &given, &err), OK);
        assert_int_equal(given.len, 0);
        assert_int_equal(given.max, 1000); /* the ceiling stays its owner's */
    }
    while (f->got.len < 20 * 13)
        uv_run(&f->loop, UV_RUN_ONCE);
    for (int i = 0; i < 20; i++)
        assert_memory_equal(f->got.data + i * 13, "copied given ", 13);
    assert_int_equal(f->stream->ops->backlog(f->stream), 0);
    assert_true(f->drained > 0);
    buf_free(&given);
}

TEST_WITH(play, a_peer_that_does_not_read_makes_a_backlog)
{
    static char bytes[1 << 20];
    struct err err;

    f->mute = true;
    open_to(f, "127.0.0.1");
    run_until(f, &f->opened);
    for (int i = 0; i < 32; i++)
        assert_int_equal(f->stream->ops->write(f->stream, bytes, sizeof bytes, &err), OK);
    uv_run(&f->loop, UV_RUN_NOWAIT);
    assert_true(f->stream->ops->backlog(f->stream) >= sizeof bytes);
    /* and with writes under way it is closed */
}

TEST_FROM(play, deaf, a_refused_connection_names_host_and_port)
{
    char want[100];

    open_to(f, "127.0.0.1");
    run_until(f, &f->failed);
    snprintf(want, sizeof want, "cannot connect to 127.0.0.1:%u: connection refused",
             (unsigned)f->port);
    assert_memory_equal(f->why.text, want, strlen(want));
}

TEST_WITH(play, every_address_of_a_name_is_tried)
{
    open_to(f, "localhost"); /* may be ::1 first, and it is on 127.0.0.1 only */
    run_until(f, &f->opened);
}

TEST_FROM(play, deaf, a_name_without_address_is_an_error)
{
    open_to(f, "no-such-host.invalid");
    run_until(f, &f->failed);
    assert_non_null(strstr(f->why.text, "cannot find the address of no-such-host.invalid:"));
}

TEST_WITH(play, the_end_of_the_stream_is_told)
{
    struct err err;

    open_to(f, "127.0.0.1");
    run_until(f, &f->opened);
    run_until(f, &f->has_peer);
    uv_close((uv_handle_t *)&f->peer, NULL);
    run_until(f, &f->failed);
    assert_non_null(strstr(f->why.text, "closed the connection"));
    assert_int_equal(f->stream->ops->write(f->stream, "x", 1, &err), ERR_CLOSED);
}

TEST_WITH(play, it_can_be_closed_in_every_state)
{
    open_to(f, "127.0.0.1");
    for (int turns = 0; turns < 8; turns++) {
        play_teardown(f);
        play_setup(f);
        open_to(f, turns % 2 == 0 ? "localhost" : "no-such-host.invalid");
        for (int i = 0; i < turns; i++)
            uv_run(&f->loop, UV_RUN_NOWAIT);
    }
}

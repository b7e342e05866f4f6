/* TLS on a stream that the test plays, against OpenSSL as a server in memory. */
#include "base/chance.h"
#include "check.h"
#include "made_certificates.h"
#include "wire/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DAY_S = 24 * 3600 };

/* What is below TLS: it keeps what is written, until it is carried over. */
struct below {
    struct stream stream;
    const struct stream_events *events;
    void *arg;
    struct buf sent;
    bool stuck; /* nothing is carried over */
    bool closed;
    bool refuses; /* each write fails */
};

struct scene {
    struct made_certificates made;
    struct tls_settings settings;
    struct tls *tls;
    struct below below;
    struct stream *stream;
    SSL_CTX *context; /* of the server */
    SSL *server;
    bool opened, failed, closed;
    struct err why;
    struct buf got;      /* by the client */
    struct buf received; /* by the server */
    bool told_end;       /* the server got a close_notify */
    const char *answer;  /* written by the first event of data */
    size_t n_data;       /* events */
};

static int below_write(struct stream *s, const char *bytes, size_t len, struct err *err)
{
    struct below *b = (struct below *)(void *)s;

    if (b->refuses)
        return err_set(err, ERR_NOMEM, "out of memory for a write");
    return buf_append(&b->sent, bytes, len) == OK ? OK : err_set(err, ERR_NOMEM, "full");
}

static size_t below_backlog(const struct stream *s)
{
    return ((const struct below *)(const void *)s)->sent.len;
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
    b->stream.ops = &below_ops;
    b->events = events;
    b->arg = events_arg;
    return &b->stream;
}

static void on_opened(void *arg)
{
    ((struct scene *)arg)->opened = true;
}

static void on_data(void *arg, const char *bytes, size_t len)
{
    struct scene *f = arg;
    struct err err;

    f->n_data++;
    assert_int_equal(buf_append(&f->got, bytes, len), OK);
    if (f->answer != NULL)
        assert_int_equal(f->stream->ops->write(f->stream, f->answer, strlen(f->answer), &err), OK);
    f->answer = NULL;
}

static void on_drained(void *arg)
{
    (void)arg;
}

static void on_failed(void *arg, const struct err *why)
{
    struct scene *f = arg;

    assert_false(f->failed); /* once */
    f->failed = true;
    f->why = *why;
}

static void on_closed(void *arg)
{
    ((struct scene *)arg)->closed = true;
}

static const struct stream_events events = {
    .opened = on_opened,
    .data = on_data,
    .drained = on_drained,
    .failed = on_failed,
    .closed = on_closed,
};

static void scene_setup(struct scene *f)
{
    made_begin(&f->made);
    made_issue(&f->made, "DNS:mq.example,IP:10.1.2.3", -3600, 100 * DAY_S);
    f->settings = (struct tls_settings){.ca = f->made.ca, .verify = true};
    buf_init(&f->below.sent, 64 << 20);
    buf_init(&f->got, 64 << 20);
    buf_init(&f->received, 64 << 20);
}

/* The server has the certificate that was issued last. */
static void serve(struct scene *f)
{
    SSL_CTX_free(f->context);
    SSL_free(f->server);
    f->context = SSL_CTX_new(TLS_server_method());
    assert_non_null(f->context);
    assert_int_equal(SSL_CTX_use_certificate_file(f->context, f->made.cert, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(f->context, f->made.key, SSL_FILETYPE_PEM), 1);
    f->server = NULL;
}

static void connect_to(struct scene *f, const char *host)
{
    static const struct stream_factory nothing;
    static struct stream_factory factory;
    struct err err;

    factory = nothing;
    factory.open = below_open;
    factory.arg = &f->below;
    if (f->context == NULL)
        serve(f);
    if (f->tls == NULL)
        f->tls = tls_new(&f->settings, &factory);
    f->server = SSL_new(f->context);
    SSL_set_bio(f->server, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_accept_state(f->server);
    f->stream =
        tls_streams(f->tls)->open(tls_streams(f->tls)->arg, NULL, host, 5671, &events, f, &err);
    assert_non_null(f->stream);
    f->below.events->opened(f->below.arg);
}

/* Carries bytes both ways, `step` at a time, until nothing moves any more. */
static void carry(struct scene *f, size_t step)
{
    static char bytes[128 << 10];
    bool moved = true;

    while (moved && !f->failed) {
        const size_t n = f->below.stuck ? 0 : f->below.sent.len < step ? f->below.sent.len : step;
        int back, plain;

        moved = n > 0;
        if (n > 0)
            assert_int_equal(BIO_write(SSL_get_rbio(f->server), f->below.sent.data, (int)n),
                             (int)n);
        buf_consume(&f->below.sent, n);
        while ((plain = SSL_read(f->server, bytes, sizeof bytes)) > 0)
            assert_int_equal(buf_append(&f->received, bytes, (size_t)plain), OK);
        f->told_end = SSL_get_error(f->server, plain) == SSL_ERROR_ZERO_RETURN;
        ERR_clear_error();
        back = BIO_read(SSL_get_wbio(f->server), bytes, step < sizeof bytes ? (int)step : 1 << 17);
        if (back > 0)
            f->below.events->data(f->below.arg, bytes, (size_t)back);
        moved = moved || back > 0;
    }
}

static void close_stream(struct scene *f)
{
    if (f->stream == NULL)
        return;
    f->stream->ops->close(f->stream);
    assert_true(f->below.closed);
    assert_false(f->closed); /* it comes from the loop */
    f->below.events->closed(f->below.arg);
    assert_true(f->closed);
    f->stream = NULL;
}

static void again(struct scene *f)
{
    close_stream(f);
    SSL_free(f->server);
    f->server = NULL;
    buf_clear(&f->below.sent);
    buf_clear(&f->got);
    buf_clear(&f->received);
    f->below.closed = f->opened = f->failed = f->closed = false;
}

static void scene_teardown(struct scene *f)
{
    close_stream(f);
    tls_free(&f->tls);
    SSL_free(f->server);
    SSL_CTX_free(f->context);
    buf_free(&f->below.sent);
    buf_free(&f->got);
    buf_free(&f->received);
    made_end(&f->made);
    assert_int_equal(ERR_peek_error(), 0); /* nothing is left for whoever asks next */
}

static void require_failure(const struct scene *f, const char *words)
{
    assert_true(f->failed);
    if (strstr(f->why.text, words) == NULL)
        fail_msg("'%s' says nothing of '%s'", f->why.text, words);
}

TEST_WITH(scene, bytes_go_both_ways_however_they_are_cut)
{
    static const size_t steps[] = {1, 7, 1000, 128 << 10};
    struct err err;

    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        connect_to(f, "mq.example");
        assert_int_equal(f->stream->ops->write(f->stream, "x", 1, &err),
                         ERR_CLOSED); /* too early */
        carry(f, steps[i]);
        assert_true(f->opened);
        assert_int_equal(f->stream->ops->write(f->stream, "hello", 5, &err), OK);
        assert_int_equal(SSL_write(f->server, "good day", 8), 8);
        f->answer = " you";
        carry(f, steps[i]);
        assert_memory_equal(f->received.data, "hello you", 9);
        assert_memory_equal(f->got.data, "good day", 8);
        again(f);
    }
}

TEST_WITH(scene, an_address_and_a_name_of_its_own_are_good_hosts)
{
    connect_to(f, "10.1.2.3");
    carry(f, 1 << 17);
    assert_true(f->opened);
    assert_null(SSL_get_servername(f->server, TLSEXT_NAMETYPE_host_name));
    again(f);
    tls_free(&f->tls);
    f->settings.server_name = "mq.example";
    connect_to(f, "elsewhere");
    carry(f, 1 << 17);
    assert_true(f->opened);
    assert_string_equal(SSL_get_servername(f->server, TLSEXT_NAMETYPE_host_name), "mq.example");
}

TEST_WITH(scene, a_host_that_the_certificate_does_not_name_is_refused)
{
    static const char *const hosts[] = {"10.1.2.4", "other.example", "example"};

    for (size_t i = 0; i < 3; i++) {
        connect_to(f, hosts[i]);
        carry(f, 1 << 17);
        require_failure(f, "DNS:mq.example");
        require_failure(f, hosts[i]);
        require_failure(f, "server_name");
        assert_false(f->opened);
        assert_true(f->below.sent.len > 0); /* the server is told */
        again(f);
    }
}

TEST_WITH(scene, what_is_expired_not_yet_valid_or_unknown_is_refused)
{
    made_issue(&f->made, "DNS:mq.example", -2 * DAY_S, -DAY_S);
    serve(f);
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    require_failure(f, "its certificate expired at 2");
    again(f);
    made_issue(&f->made, "DNS:mq.example", DAY_S, 2 * DAY_S);
    serve(f);
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    require_failure(f, "is valid from 2");
    again(f);
    made_issue(&f->made, "DNS:mq.example", -DAY_S, DAY_S);
    serve(f);
    made_renew(&f->made);
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    require_failure(f, "is signed by no authority in /tmp/herald-made");
}

TEST_WITH(scene, without_verification_anybody_will_do)
{
    f->settings.verify = false;
    connect_to(f, "other.example");
    carry(f, 1 << 17);
    assert_true(f->opened);
}

TEST_WITH(scene, new_authorities_count_from_the_next_stream_on)
{
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    assert_true(f->opened);
    assert_true(tls_used(f->tls) == tls_there(f->tls));
    made_renew(&f->made);
    assert_false(tls_used(f->tls) == tls_there(f->tls));
    again(f);
    made_issue(&f->made, "DNS:mq.example", -DAY_S, DAY_S);
    serve(f);
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    assert_true(f->opened);
    assert_true(tls_used(f->tls) == tls_there(f->tls));
}

TEST_WITH(scene, files_that_are_gone_end_the_next_try_with_words)
{
    char moved[120];
    struct err err = {.code = OK};

    snprintf(moved, sizeof moved, "%s.old", f->made.ca);
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    again(f);
    assert_int_equal(rename(f->made.ca, moved), 0);
    assert_null(tls_streams(f->tls)->open(f->tls, NULL, "mq.example", 5671, &events, f, &err));
    assert_int_equal(err.code, ERR_CONFIG);
    assert_non_null(strstr(err.text, "is not there"));
    assert_int_equal(rename(moved, f->made.ca), 0);
}

TEST_WITH(scene, a_server_that_wants_a_certificate_says_so)
{
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        serve(f);
        assert_int_equal(SSL_CTX_load_verify_file(f->context, f->made.ca), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(f->context, version), 1);
        SSL_CTX_set_verify(f->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        connect_to(f, "mq.example");
        carry(f, 1 << 17);
        require_failure(f, "wants to know by a certificate");
        again(f);
    }
}

TEST_WITH(scene, a_certificate_of_ours_is_shown)
{
    f->settings.cert = f->made.cert;
    f->settings.key = f->made.key;
    serve(f);
    assert_int_equal(SSL_CTX_load_verify_file(f->context, f->made.ca), 1);
    SSL_CTX_set_verify(f->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    connect_to(f, "mq.example");
    assert_true(tls_streams(f->tls)->certificate);
    carry(f, 1 << 17);
    assert_true(f->opened);
    assert_non_null(SSL_get0_peer_certificate(f->server));
}

TEST_WITH(scene, a_server_that_knows_our_authority_not_says_so)
{
    f->settings.cert = f->made.cert;
    f->settings.key = f->made.key;
    for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
        serve(f);
        assert_int_equal(SSL_CTX_set_max_proto_version(f->context, version), 1);
        SSL_CTX_set_verify(f->context, SSL_VERIFY_PEER, NULL);
        connect_to(f, "mq.example");
        carry(f, 1 << 17);
        require_failure(f, "the broker does not know the authority that signed it");
        again(f);
    }
}

/* The alert is lost where the peer's system throws away what it had not sent yet. */
TEST_WITH(scene, an_end_right_after_the_handshake_may_be_about_our_certificate)
{
    struct err why;

    f->settings.cert = f->made.cert;
    f->settings.key = f->made.key;
    err_set(&why, ERR_IO, "lost the connection to mq.example:5671: connection reset by peer");
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    f->below.events->failed(f->below.arg, &why);
    require_failure(f, "may have refused our certificate");
}

TEST_WITH(scene, an_older_version_is_refused)
{
    f->settings.min_version = TLS_1_3;
    serve(f);
    assert_int_equal(SSL_CTX_set_max_proto_version(f->context, TLS1_2_VERSION), 1);
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    require_failure(f, "tls.min_version");
}

TEST_WITH(scene, what_speaks_no_tls_is_told_from_what_breaks_it)
{
    static const struct {
        const char *bytes;
        const char *words;
    } cases[] = {
        {"AMQP\0\0\x09\x01", "does not speak TLS but plain AMQP"},
        {"HTTP/1.1", "does not speak TLS: use the port"},
        {"\x16\x03\x03\x00\x04junk", "TLS with mq.example:5671 has failed"},
    };

    for (size_t i = 0; i < 3; i++) {
        connect_to(f, "mq.example");
        f->below.events->data(f->below.arg, cases[i].bytes, 8);
        if (!f->failed)
            f->below.events->data(f->below.arg, "nk", 1);
        require_failure(f, cases[i].words);
        again(f);
    }
}

TEST_WITH(scene, an_end_in_the_handshake_says_what_to_look_at)
{
    struct err why;

    err_set(&why, ERR_CLOSED, "mq.example:5671 closed the connection");
    connect_to(f, "mq.example");
    f->below.events->failed(f->below.arg, &why);
    require_failure(f, "closed the connection during the TLS handshake: is it a port with TLS");
}

TEST_WITH(scene, the_peers_close_notify_ends_it_behind_what_it_said)
{
    struct err err;

    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    assert_int_equal(SSL_write(f->server, "last words", 10), 10);
    (void)SSL_shutdown(f->server);
    carry(f, 1 << 17);
    assert_memory_equal(f->got.data, "last words", 10);
    require_failure(f, "mq.example:5671 closed the connection");
    assert_int_equal(f->why.code, ERR_CLOSED);
    assert_int_equal(f->stream->ops->write(f->stream, "x", 1, &err), ERR_CLOSED);
}

TEST_WITH(scene, the_peer_is_told_of_our_end)
{
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    f->stream->ops->close(f->stream);
    carry(f, 1 << 17);
    assert_true(f->told_end);
    f->below.events->closed(f->below.arg);
    f->stream = NULL;
}

TEST_WITH(scene, new_keys_in_the_middle_change_nothing)
{
    struct err err;

    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(SSL_key_update(f->server, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_write(f->server, "new", 3), 3);
        assert_int_equal(f->stream->ops->write(f->stream, "old", 3, &err), OK);
        carry(f, 100);
    }
    assert_memory_equal(f->got.data, "newnewnewnewnew", 15);
    assert_memory_equal(f->received.data, "oldoldoldoldold", 15);
}

TEST_WITH(scene, a_server_that_negotiates_anew_is_not_followed)
{
    struct err err;

    serve(f);
    assert_int_equal(SSL_CTX_set_max_proto_version(f->context, TLS1_2_VERSION), 1);
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    assert_int_equal(SSL_renegotiate(f->server), 1);
    (void)SSL_do_handshake(f->server);
    carry(f, 1 << 17);
    if (!f->failed)
        assert_int_equal(f->stream->ops->write(f->stream, "still", 5, &err), OK);
}

TEST_WITH(scene, much_goes_through_and_what_is_not_taken_is_the_backlog)
{
    const size_t len = 5 << 20;
    struct buf much;
    struct err err;

    buf_init(&much, len);
    memset(buf_reserve(&much, len), 'm', len);
    much.len = len;
    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    f->below.stuck = true;
    assert_int_equal(f->stream->ops->give(f->stream, &much, &err), OK);
    assert_int_equal(much.len, 0);
    assert_true(f->stream->ops->backlog(f->stream) >= len);
    assert_true(f->stream->ops->backlog(f->stream) < len + len / 100);
    f->below.stuck = false;
    carry(f, 1 << 17);
    assert_int_equal(f->stream->ops->backlog(f->stream), 0);
    assert_int_equal(f->received.len, len);
    buf_free(&much);
}

TEST_WITH(scene, records_of_one_read_are_one_event)
{
    static char bytes[16 << 10];

    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    for (int i = 0; i < 4; i++)
        assert_int_equal(SSL_write(f->server, bytes, sizeof bytes), (int)sizeof bytes);
    carry(f, 1 << 17);
    assert_int_equal(f->got.len, 4 * sizeof bytes);
    assert_int_equal(f->n_data, 1);
}

TEST_WITH(scene, a_write_that_fails_below_is_told)
{
    struct err err;

    connect_to(f, "mq.example");
    carry(f, 1 << 17);
    f->below.refuses = true;
    assert_int_equal(f->stream->ops->write(f->stream, "x", 1, &err), ERR_NOMEM);
}

/* Whatever a byte of the server's becomes on the way, it ends in words or in a connection. */
TEST_WITH(scene, bytes_that_were_changed_on_the_way_do_no_harm)
{
    static char bytes[1 << 17];

    f->settings.verify = false;
    for (int at = 0; at < 600; at += 13) {
        int n;

        connect_to(f, "mq.example");
        assert_int_equal(
            BIO_write(SSL_get_rbio(f->server), f->below.sent.data, (int)f->below.sent.len),
            (int)f->below.sent.len);
        buf_clear(&f->below.sent);
        (void)SSL_do_handshake(f->server);
        n = BIO_read(SSL_get_wbio(f->server), bytes, sizeof bytes);
        assert_true(n > 600);
        bytes[at] ^= (char)(1 + at % 255);
        f->below.events->data(f->below.arg, bytes, (size_t)n);
        assert_true(f->opened || !f->failed || f->why.text[0] != '\0');
        again(f);
        ERR_clear_error();
    }
}

/* What the server says next, as it comes on its way through a bad wire: changed, twice, cut. */
static size_t spoil(char *bytes, size_t n, struct chance *chance)
{
    const size_t at = (size_t)(chance_draw(chance) * (double)n);
    const double kind = chance_draw(chance);

    if (kind < 0.5)
        bytes[at] = (char)(bytes[at] ^ (1 << (int)(chance_draw(chance) * 8)));
    else if (kind < 0.75)
        memmove(bytes + at / 2, bytes + at, n - at);
    else
        n = at + 1;
    return n;
}

/* One conversation in which something is spoilt with each tenth thing that the server says. */
static void converse_badly(struct scene *f, struct chance *chance)
{
    static char bytes[1 << 17];
    struct err err;

    for (int turn = 0; turn < 30 && !f->failed; turn++) {
        int n;

        (void)BIO_write(SSL_get_rbio(f->server), f->below.sent.data, (int)f->below.sent.len);
        buf_clear(&f->below.sent);
        (void)SSL_read(f->server, bytes, sizeof bytes);
        (void)SSL_write(f->server, "a thing to say", 14);
        n = BIO_read(SSL_get_wbio(f->server), bytes, sizeof bytes);
        if (n > 0 && chance_draw(chance) < 0.1)
            n = (int)spoil(bytes, (size_t)n, chance);
        if (n > 0)
            f->below.events->data(f->below.arg, bytes, (size_t)n);
        if (f->opened && !f->failed)
            (void)f->stream->ops->write(f->stream, "an answer", 9, &err);
    }
    assert_true(!f->failed || f->why.text[0] != '\0');
    ERR_clear_error();
}

TEST_WITH(scene, a_bad_wire_ends_a_connection_and_nothing_else)
{
    struct chance chance;
    int failed = 0;

    chance_seed(&chance, 1);
    f->settings.verify = false;
    for (int i = 0; i < 300; i++) {
        connect_to(f, "mq.example");
        converse_badly(f, &chance);
        failed += f->failed;
        for (size_t at = 0; at < f->got.len; at += 14) /* no byte of it was taken for true */
            assert_memory_equal(f->got.data + at, "a thing to say", 14);
        again(f);
    }
    assert_true(failed > 100);
}

struct said {
    struct tls_settings settings;
    int errors, warnings;
    char text[4096];
};

static void keep(void *arg, bool error, const char *text)
{
    struct said *s = arg;

    s->errors += error;
    s->warnings += !error;
    snprintf(s->text + strlen(s->text), sizeof s->text - strlen(s->text), "%s\n", text);
}

static void judge(struct said *s, const struct scene *f, int errors, int warnings,
                  const char *words)
{
    *s = (struct said){.settings = f->settings};
    tls_judge(&s->settings, keep, s);
    if (s->errors != errors || s->warnings != warnings || strstr(s->text, words) == NULL)
        fail_msg("%d errors, %d warnings and '%s' in: %s", errors, warnings, words, s->text);
}

TEST_WITH(scene, files_are_judged)
{
    char other[120];
    struct said s;

    snprintf(other, sizeof other, "%s.other", f->made.key);
    f->settings.cert = f->made.cert;
    f->settings.key = f->made.key;
    assert_int_equal(chmod(f->made.key, 0640), 0);
    judge(&s, f, 0, 0, "");
    assert_int_equal(chmod(f->made.key, 0644), 0);
    judge(&s, f, 0, 1, "can be read by every user");
    assert_int_equal(chmod(f->made.key, 0600), 0);
    f->settings.verify = false;
    judge(&s, f, 0, 1, "tls.verify is false");
    f->settings.verify = true;
    assert_int_equal(rename(f->made.key, other), 0);
    judge(&s, f, 1, 0, "is not there");
    made_issue(&f->made, "DNS:a", -DAY_S, 29 * DAY_S);
    assert_int_equal(chmod(f->made.key, 0600), 0);
    judge(&s, f, 0, 1, "expires at");
    f->settings.key = other;
    assert_int_equal(chmod(other, 0600), 0);
    judge(&s, f, 1, 0, "does not belong to the certificate");
    assert_int_equal(remove(other), 0);
    made_issue(&f->made, "DNS:a", -2 * DAY_S, -DAY_S);
    assert_int_equal(chmod(f->made.key, 0600), 0);
    f->settings.key = f->made.key;
    judge(&s, f, 1, 0, "has expired at");
    f->settings.key = f->made.cert;
    judge(&s, f, 1, 1, "must hold a private key");
    f->settings.cert = f->settings.key = NULL;
    f->settings.ca = f->made.key;
    judge(&s, f, 1, 0, "must hold certificates in PEM form");
    f->settings.ca = f->made.folder; /* with ca.pem and cert.pem */
    judge(&s, f, 0, 1, "the authority");
    f->settings.ca = "/dev/null";
    judge(&s, f, 1, 0, "is no file");
}

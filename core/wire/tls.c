/* tls - see tls.h for the states. */
#include "wire/tls_int.h"

#include "base/buf.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    READ_SIZE = 128 << 10,   /* as that of the stream below, so that one read is one event */
    WRITE_PART = 256 << 10,  /* encrypted and handed down at a time */
    CIPHER_MAX = 1024 << 10, /* a part with all that TLS adds */
};

enum tls_state { STATE_CONNECT, STATE_HANDSHAKE, STATE_OPEN, STATE_FAILED, STATE_CLOSING };

struct tls {
    struct tls_settings settings;
    const struct stream_factory *below; /* lent */
    struct stream_factory streams;
    SSL_CTX *context;     /* owned; NULL before the first stream */
    uint64_t stamp;       /* of the files that it was made of */
    const char *version;  /* of the last stream that was opened, as the next; NULL: none was */
    int64_t peer_ends_ms; /* its peer's certificate */
};

struct tls_stream {
    struct stream stream;               /* must be first */
    const struct stream_events *events; /* lent */
    void *arg;                          /* of events */
    enum tls_state state;               /* see tls.h */
    struct tls *tls;                    /* lent; whose it is */
    struct stream *below;               /* closes itself */
    SSL *ssl;                           /* owned, with the two next */
    BIO *in, *out;                      /* bytes from and to the stream below */
    struct buf cipher;                  /* bytes on the way down */
    struct tls_peer peer;               /* for words */
    char input[READ_SIZE];              /* the bytes of one read */
};

static struct tls_stream *stream_of(struct stream *s)
{
    return (struct tls_stream *)(void *)s;
}

/* `failed` comes once: nothing but close follows. */
static void fail(struct tls_stream *s, const struct err *why)
{
    if (s->state == STATE_CLOSING || s->state == STATE_FAILED)
        return;
    s->state = STATE_FAILED;
    s->events->failed(s->arg, why);
}

static int hand_down(struct tls_stream *s, struct err *err)
{
    const struct stream_ops *ops = s->below->ops;

    if (ops->give != NULL)
        return ops->give(s->below, &s->cipher, err);
    return ops->write(s->below, s->cipher.data, s->cipher.len, err);
}

/* Hands down what OpenSSL has made. */
static int flush(struct tls_stream *s, struct err *err)
{
    const size_t n = BIO_ctrl_pending(s->out);
    char *place;
    int rc;

    if (n == 0)
        return OK;
    place = buf_reserve(&s->cipher, n);
    if (place == NULL)
        return err_set(err, ERR_NOMEM, "out of memory for %zu bytes to %s", n, s->peer.name);
    if (BIO_read(s->out, place, (int)n) != (int)n)
        return err_set(err, ERR_FAILED, "encrypted bytes to %s are lost", s->peer.name);
    s->cipher.len += n;
    rc = hand_down(s, err);
    buf_clear(&s->cipher);
    return rc;
}

/* The peer is told why, as far as that is possible. */
static void fail_ssl(struct tls_stream *s)
{
    struct err why, ignored;

    tls_explain(&s->peer, &why);
    (void)flush(s, &ignored); /* the alert; the stream fails anyway */
    fail(s, &why);
}

static void shake_hands(struct tls_stream *s)
{
    struct err err;
    int rc, how, flushed;

    ERR_clear_error();
    rc = SSL_do_handshake(s->ssl);
    how = SSL_get_error(s->ssl, rc);
    if (rc != 1 && how != SSL_ERROR_WANT_READ) {
        fail_ssl(s);
        return;
    }
    flushed = flush(s, &err);
    if (flushed != OK) {
        fail(s, &err);
    } else if (rc == 1) {
        s->state = STATE_OPEN;
        s->tls->version = SSL_get_version(s->ssl);
        s->tls->peer_ends_ms = tls_ends_ms(SSL_get0_peer_certificate(s->ssl));
        s->events->opened(s->arg);
    }
}

/* Fills the input; returns OpenSSL's reason to stop, SSL_ERROR_NONE for none but its size. */
static int read_some(struct tls_stream *s, size_t *got_out)
{
    size_t got = 0, n;
    int how = SSL_ERROR_NONE;

    while (how == SSL_ERROR_NONE && got < sizeof s->input) {
        ERR_clear_error();
        if (SSL_read_ex(s->ssl, s->input + got, sizeof s->input - got, &n) == 1)
            got += n;
        else
            how = SSL_get_error(s->ssl, 0);
    }
    *got_out = got;
    return how;
}

/* What an event calls may use OpenSSL, too: so the reason is taken before it. */
static void read_all(struct tls_stream *s)
{
    int how = SSL_ERROR_NONE;

    while (how == SSL_ERROR_NONE && s->state == STATE_OPEN) {
        struct err why = {.code = OK}, unflushed;
        size_t got;

        how = read_some(s, &got);
        if (how == SSL_ERROR_ZERO_RETURN)
            err_set(&why, ERR_CLOSED, "%s closed the connection", s->peer.name);
        else if (how != SSL_ERROR_NONE && how != SSL_ERROR_WANT_READ)
            tls_explain(&s->peer, &why);
        if (flush(s, &unflushed) != OK && why.code == OK)
            why = unflushed;
        if (got > 0) {
            s->peer.spoke = true;
            s->events->data(s->arg, s->input, got);
        }
        if (why.code != OK)
            fail(s, &why);
    }
}

static void on_opened(void *arg)
{
    struct tls_stream *s = arg;

    if (s->state != STATE_CONNECT)
        return;
    s->state = STATE_HANDSHAKE;
    shake_hands(s);
}

static void note_first(struct tls_peer *peer, const char *bytes, size_t len)
{
    for (size_t i = 0; i < len && peer->n_first < sizeof peer->first; i++)
        peer->first[peer->n_first++] = bytes[i];
}

static void on_data(void *arg, const char *bytes, size_t len)
{
    struct tls_stream *s = arg;
    struct err err;

    if (s->state != STATE_HANDSHAKE && s->state != STATE_OPEN)
        return;
    note_first(&s->peer, bytes, len);
    if (BIO_write(s->in, bytes, (int)len) != (int)len) {
        err_set(&err, ERR_NOMEM, "out of memory for %zu bytes from %s", len, s->peer.name);
        fail(s, &err);
        return;
    }
    if (s->state == STATE_HANDSHAKE)
        shake_hands(s);
    if (s->state == STATE_OPEN)
        read_all(s);
}

static void on_drained(void *arg)
{
    struct tls_stream *s = arg;

    if (s->state == STATE_OPEN)
        s->events->drained(s->arg);
}

static void on_failed(void *arg, const struct err *why)
{
    struct tls_stream *s = arg;
    struct err copy = *why;

    if (s->state != STATE_CONNECT)
        tls_explain_end(&s->peer, s->state == STATE_OPEN, &copy);
    fail(s, &copy);
}

static void free_stream(struct tls_stream *s)
{
    SSL_free(s->ssl); /* and its BIOs */
    buf_free(&s->cipher);
    free(s);
}

static void on_closed(void *arg)
{
    struct tls_stream *s = arg;
    const struct stream_events *events = s->events;
    void *events_arg = s->arg;

    free_stream(s);
    events->closed(events_arg);
}

static const struct stream_events events_below = {
    .opened = on_opened,
    .data = on_data,
    .drained = on_drained,
    .failed = on_failed,
    .closed = on_closed,
};

/* A peer that wants to negotiate anew is not followed, so that OpenSSL never has to read before it
 * can write. */
static int write_part(struct tls_stream *s, const char *bytes, size_t len, struct err *err)
{
    size_t n;

    ERR_clear_error();
    if (SSL_write_ex(s->ssl, bytes, len, &n) == 1)
        return flush(s, err);
    tls_explain(&s->peer, err);
    return err->code;
}

static int tls_write(struct stream *stream, const char *bytes, size_t len, struct err *err)
{
    struct tls_stream *s = stream_of(stream);
    int rc = OK;

    if (s->state != STATE_OPEN)
        return err_set(err, ERR_CLOSED, "not connected to %s", s->peer.name);
    while (rc == OK && len > 0) {
        const size_t part = len < WRITE_PART ? len : WRITE_PART;

        rc = write_part(s, bytes, part, err);
        bytes += part;
        len -= part;
    }
    return rc;
}

/* Its memory is free at once: what is sent are other bytes. */
static int tls_give(struct stream *stream, struct buf *b, struct err *err)
{
    const int rc = tls_write(stream, b->data, b->len, err);

    buf_clear(b);
    return rc;
}

static size_t tls_backlog(const struct stream *stream)
{
    const struct stream *below = ((const struct tls_stream *)(const void *)stream)->below;

    return below->ops->backlog(below);
}

/* The peer learns that this is the end, and no cut; its own close_notify is not waited for. */
static void say_goodbye(struct tls_stream *s)
{
    struct err ignored;

    ERR_clear_error();
    (void)SSL_shutdown(s->ssl); /* it goes in any case, as the next */
    (void)flush(s, &ignored);
    ERR_clear_error();
}

static void tls_close(struct stream *stream)
{
    struct tls_stream *s = stream_of(stream);

    if (s->state == STATE_CLOSING)
        return;
    if (s->state == STATE_OPEN)
        say_goodbye(s);
    s->state = STATE_CLOSING;
    s->below->ops->close(s->below);
}

static const struct stream_ops tls_ops = {
    .write = tls_write,
    .give = tls_give,
    .backlog = tls_backlog,
    .close = tls_close,
};

/* A host name is told to the peer (SNI), an address is not; each is what its certificate must
 * have. `name` is not const for OpenSSL's macro alone. */
static bool want_name(SSL *ssl, char *name)
{
    X509_VERIFY_PARAM *param = SSL_get0_param(ssl);

    if (X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1)
        return true;
    ERR_clear_error();
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, name, 0) == 1 &&
           SSL_set_tlsext_host_name(ssl, name) == 1;
}

static bool make_ssl(struct tls_stream *s, SSL_CTX *context)
{
    s->ssl = SSL_new(context);
    if (s->ssl == NULL)
        return false;
    s->in = BIO_new(BIO_s_mem());
    s->out = BIO_new(BIO_s_mem());
    if (s->in == NULL || s->out == NULL) {
        BIO_free(s->in);
        BIO_free(s->out);
        return false;
    }
    SSL_set_bio(s->ssl, s->in, s->out);
    SSL_set_connect_state(s->ssl);
    return SSL_set_app_data(s->ssl, &s->peer) == 1 && want_name(s->ssl, s->peer.wanted);
}

/* As those of the files that are there now. A stream that lives keeps its own. */
static int renew_context(struct tls *t, struct err *err)
{
    const uint64_t stamp = tls_stamp(&t->settings);
    SSL_CTX *context;

    if (t->context != NULL && t->stamp == stamp)
        return OK;
    context = tls_context_new(&t->settings, err);
    if (context == NULL)
        return err->code;
    SSL_CTX_free(t->context);
    t->context = context;
    t->stamp = stamp;
    return OK;
}

static struct tls_stream *new_stream(struct tls *t, const char *host, uint16_t port,
                                     struct err *err)
{
    const char *wanted = t->settings.server_name != NULL ? t->settings.server_name : host;
    struct tls_stream *s = calloc(1, sizeof *s);

    if (s == NULL) {
        err_set(err, ERR_NOMEM, "out of memory for a connection");
        return NULL;
    }
    s->stream.ops = &tls_ops;
    s->tls = t;
    s->peer.settings = &t->settings;
    snprintf(s->peer.wanted, sizeof s->peer.wanted, "%s", wanted);
    snprintf(s->peer.name, sizeof s->peer.name, strchr(host, ':') != NULL ? "[%s]:%u" : "%s:%u",
             host, (unsigned)port);
    buf_init(&s->cipher, CIPHER_MAX);
    if (!make_ssl(s, t->context)) {
        char reason[200];

        err_set(err, ERR_FAILED, "cannot prepare TLS to %s: %s", s->peer.name,
                tls_last_reason(reason));
        free_stream(s);
        return NULL;
    }
    return s;
}

static struct stream *tls_open(void *arg, uv_loop_t *loop, const char *host, uint16_t port,
                               const struct stream_events *events, void *events_arg,
                               struct err *err)
{
    struct tls *t = arg;
    struct tls_stream *s;

    if (renew_context(t, err) != OK)
        return NULL;
    s = new_stream(t, host, port, err);
    if (s == NULL)
        return NULL;
    s->events = events;
    s->arg = events_arg;
    s->below = t->below->open(t->below->arg, loop, host, port, &events_below, s, err);
    if (s->below == NULL) {
        free_stream(s);
        return NULL;
    }
    return &s->stream;
}

struct tls *tls_new(const struct tls_settings *settings, const struct stream_factory *below)
{
    struct tls *t = calloc(1, sizeof *t);

    if (t == NULL)
        return NULL;
    t->settings = *settings;
    t->below = below;
    t->streams =
        (struct stream_factory){.open = tls_open, .arg = t, .certificate = settings->cert != NULL};
    return t;
}

void tls_free(struct tls **t)
{
    if (*t == NULL)
        return;
    SSL_CTX_free((*t)->context);
    free(*t);
    *t = NULL;
}

const struct stream_factory *tls_streams(const struct tls *t)
{
    return &t->streams;
}

int tls_look(const struct tls *t, struct err *err)
{
    SSL_CTX *context = tls_context_new(&t->settings, err);

    if (context == NULL)
        return err->code;
    SSL_CTX_free(context);
    return OK;
}

void tls_facts(const struct tls *t, struct tls_facts *out)
{
    const X509 *own = t->context != NULL ? SSL_CTX_get0_certificate(t->context) : NULL;

    *out = (struct tls_facts){.version = t->version != NULL ? t->version : "",
                              .ends_ms = tls_ends_ms(own),
                              .peer_ends_ms = t->peer_ends_ms};
}

void tls_judge_dates(const struct tls *t, tls_finding_fn *finding, void *arg)
{
    if (t->context != NULL)
        tls_judge_own(t->context, finding, arg);
}

uint64_t tls_used(const struct tls *t)
{
    return t->stamp;
}

uint64_t tls_there(const struct tls *t)
{
    return tls_stamp(&t->settings);
}

const char *tls_library_version(void)
{
    return OpenSSL_version(OPENSSL_VERSION_STRING);
}

/* tls_words - see tls_int.h: what OpenSSL says, in words that say what to do. */
#include "wire/tls_int.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define OUR_CLOCK "is the clock of this machine right?"

void tls_date(const ASN1_TIME *time, char out[static 32])
{
    struct tm tm;

    if (ASN1_TIME_to_tm(time, &tm) != 1 || strftime(out, 32, "%Y-%m-%d %H:%M UTC", &tm) == 0)
        (void)snprintf(out, 32, "an unknown time");
}

/* "DNS:a, IP:10.0.0.1", as far as it fits; from the certificate's alternative names. */
static void note_names(const X509 *cert, char *out, size_t size)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    BIO *text = BIO_new(BIO_s_mem());
    int n;

    out[0] = '\0';
    for (int i = 0; text != NULL && i < sk_GENERAL_NAME_num(names); i++) {
        if (i > 0)
            (void)BIO_puts(text, ", ");
        (void)GENERAL_NAME_print(text, sk_GENERAL_NAME_value(names, i));
    }
    n = text != NULL ? BIO_read(text, out, (int)size - 1) : 0;
    out[n > 0 ? n : 0] = '\0';
    BIO_free(text);
    GENERAL_NAMES_free(names);
}

static struct tls_peer *peer_of(const SSL *ssl)
{
    return SSL_get_app_data(ssl);
}

int tls_note_refusal(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    const X509 *cert = X509_STORE_CTX_get_current_cert(store);
    struct tls_peer *peer = peer_of(ssl);

    if (ok)
        return ok;
    peer->refusal = X509_STORE_CTX_get_error(store);
    peer->depth = X509_STORE_CTX_get_error_depth(store);
    if (cert == NULL)
        return 0;
    X509_NAME_oneline(X509_get_subject_name(cert), peer->subject, sizeof peer->subject);
    note_names(cert, peer->names, sizeof peer->names);
    tls_date(peer->refusal == X509_V_ERR_CERT_NOT_YET_VALID ? X509_get0_notBefore(cert)
                                                            : X509_get0_notAfter(cert),
             peer->date);
    return 0;
}

int tls_note_asked(SSL *ssl, X509 **cert, EVP_PKEY **key)
{
    (void)cert, (void)key;
    peer_of(ssl)->asked = true;
    return 0; /* there is none: the peer decides whether it goes on */
}

const char *tls_last_reason(char out[static 200])
{
    const unsigned long code = ERR_peek_last_error();
    const char *reason = ERR_reason_error_string(code);

    (void)snprintf(out, 200, "%s", reason != NULL ? reason : "without a reason");
    ERR_clear_error();
    return out;
}

/* Whose certificate: the broker's, or one that has signed it. */
static const char *whose(const struct tls_peer *peer, char out[static 200])
{
    if (peer->depth == 0)
        return "its certificate";
    (void)snprintf(out, 200, "the certificate of its authority %s", peer->subject);
    return out;
}

static int refuse_unknown(const struct tls_peer *peer, struct err *err)
{
    const char *ca = peer->settings->ca;

    return err_set(
        err, ERR_BROKER,
        "%s is not trusted: what it shows (up to %s) is signed by no authority in %s: give "
        "the certificate of the broker's authority by tls = { ca = \"FILE\" }",
        peer->name, peer->subject, ca != NULL ? ca : "the system's list");
}

static int refuse_name(const struct tls_peer *peer, struct err *err)
{
    return err_set(err, ERR_BROKER,
                   "%s is not trusted: its certificate is for %s, not for %s: use a name that it "
                   "has in `broker`, or state the one that is meant by tls = { server_name = ... }",
                   peer->name, peer->names[0] != '\0' ? peer->names : peer->subject, peer->wanted);
}

static int refuse_certificate(const struct tls_peer *peer, struct err *err)
{
    char place[200];
    const char *cert = whose(peer, place);

    switch (peer->refusal) {
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return err_set(err, ERR_BROKER,
                       "%s is not trusted: %s expired at %s: the broker needs a new one (" OUR_CLOCK
                       ")",
                       peer->name, cert, peer->date);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return err_set(err, ERR_BROKER,
                       "%s is not trusted: %s is valid from %s on only: " OUR_CLOCK, peer->name,
                       cert, peer->date);
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return refuse_name(peer, err);
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
        return refuse_unknown(peer, err);
    default:
        return err_set(err, ERR_BROKER, "%s is not trusted: %s: %s", peer->name, cert,
                       X509_verify_cert_error_string(peer->refusal));
    }
}

static int want_certificate(const struct tls_peer *peer, struct err *err)
{
    return err_set(err, ERR_BROKER,
                   "%s wants to know by a certificate who herald is: give one by tls = { cert = "
                   "\"FILE\", key = \"FILE\" }",
                   peer->name);
}

/* What the peer sent in an alert (RFC 8446, 6.2), or NULL. */
static const char *alert_words(int alert)
{
    switch (alert) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_ACCESS_DENIED:
        return "refuses our certificate (tls.cert): its log says why";
    case SSL_AD_CERTIFICATE_REVOKED:
        return "refuses our certificate (tls.cert): it is revoked";
    case SSL_AD_CERTIFICATE_EXPIRED:
        return "refuses our certificate (tls.cert): it has expired, have a new one made";
    case SSL_AD_UNKNOWN_CA:
        return "refuses our certificate (tls.cert): the broker does not know the authority that "
               "signed it (ssl_options.cacertfile there)";
    case SSL_AD_PROTOCOL_VERSION:
        return "speaks no version of TLS that herald may use: see tls.min_version here and "
               "ssl_options.versions there";
    case SSL_AD_HANDSHAKE_FAILURE:
    case SSL_AD_INSUFFICIENT_SECURITY:
        return "finds no way to encrypt that both may use, or refuses our certificate: its log "
               "says which";
    case SSL_AD_UNRECOGNIZED_NAME:
        return "does not know the name that it was asked for: see tls.server_name";
    default:
        return NULL;
    }
}

static int explain_alert(const struct tls_peer *peer, int alert, struct err *err)
{
    const char *words = alert_words(alert);

    if (peer->asked && (alert == SSL_AD_CERTIFICATE_REQUIRED || alert == SSL_AD_HANDSHAKE_FAILURE ||
                        alert == SSL_AD_BAD_CERTIFICATE))
        return want_certificate(peer, err);
    if (words != NULL)
        return err_set(err, ERR_BROKER, "%s %s", peer->name, words);
    return err_set(err, ERR_BROKER, "%s ends TLS: %s", peer->name,
                   SSL_alert_desc_string_long(alert));
}

static bool speaks_tls(const struct tls_peer *peer)
{
    return peer->n_first > 0 && peer->first[0] >= 0x14 && peer->first[0] <= 0x17;
}

static int explain_plain(const struct tls_peer *peer, struct err *err)
{
    const bool amqp = peer->n_first >= 4 && memcmp(peer->first, "AMQP", 4) == 0;

    return err_set(err, ERR_BROKER,
                   "%s does not speak TLS%s: use the port of its TLS listener (5671 unless it is "
                   "set), or amqp:// instead of amqps://",
                   peer->name, amqp ? " but plain AMQP" : "");
}

void tls_explain(const struct tls_peer *peer, struct err *err)
{
    const unsigned long code = ERR_peek_last_error();
    const int reason = ERR_GET_REASON(code);
    char words[200];

    if (peer->refusal != X509_V_OK)
        (void)refuse_certificate(peer, err);
    else if (peer->n_first > 0 && !speaks_tls(peer))
        (void)explain_plain(peer, err);
    else if (ERR_GET_LIB(code) == ERR_LIB_SSL && reason > SSL_AD_REASON_OFFSET)
        (void)explain_alert(peer, reason - SSL_AD_REASON_OFFSET, err);
    else if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
             (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_WRONG_SSL_VERSION))
        (void)explain_alert(peer, SSL_AD_PROTOCOL_VERSION, err);
    else
        (void)err_set(err, ERR_INPUT, "TLS with %s has failed: %s", peer->name,
                      tls_last_reason(words));
    ERR_clear_error();
}

void tls_explain_end(const struct tls_peer *peer, bool open, struct err *err)
{
    struct err old = *err;

    if (open && peer->spoke)
        return; /* an end like any other */
    if (peer->asked)
        (void)want_certificate(peer, err);
    else if (open && peer->settings->cert != NULL) /* with TLS 1.3 it is judged this late */
        (void)err_set(err, ERR_BROKER,
                      "%s right after the TLS handshake: it may have refused our certificate "
                      "(tls.cert), its log says why",
                      old.text);
    else if (!open)
        (void)err_set(err, old.code,
                      "%s during the TLS handshake: is it a port with TLS (5671 unless it is set)? "
                      "The broker's log may say more",
                      old.text);
}

/* tls_context - see tls_int.h: what the files hold, and whether they fit together. */
#include "wire/tls_int.h"

#include "base/credential.h"
#include "base/text.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* Sooner than this before its end a certificate is spoken of. */
enum { SOON_S = 30 * 24 * 3600 };

#define THE_CA "the authorities' certificate (tls.ca)"
#define THE_CERT "the certificate (tls.cert)"
#define THE_KEY "the key (tls.key)"

uint64_t tls_stamp(const struct tls_settings *s)
{
    uint64_t hash = TEXT_HASH_START;

    if (s->ca != NULL) {
        hash = credential_stamp(hash, s->ca);
    } else {
        hash = credential_stamp(hash, X509_get_default_cert_file());
        hash = credential_stamp(hash, X509_get_default_cert_dir());
    }
    if (s->cert != NULL)
        hash = credential_stamp(hash, s->cert);
    return s->key != NULL ? credential_stamp(hash, s->key) : hash;
}

static int refuse(const char *what, const char *path, const char *what_now, struct err *err)
{
    char reason[200];

    return err_set(err, ERR_CONFIG, "%s %s is of no use (%s): %s", what, path,
                   tls_last_reason(reason), what_now);
}

static int add_file(SSL_CTX *context, const char *path, struct err *err)
{
    if (credential_look(THE_CA, path, false, err) != OK)
        return err->code;
    if (SSL_CTX_load_verify_file(context, path) == 1)
        return OK;
    return refuse(THE_CA, path, "it must hold certificates in PEM form (-----BEGIN CERTIFICATE)",
                  err);
}

static bool is_certificate(const char *name)
{
    const char *end = strrchr(name, '.');

    return name[0] != '.' && end != NULL && (strcmp(end, ".pem") == 0 || strcmp(end, ".crt") == 0);
}

/* Every file, whatever its name: links by hash (openssl rehash) are not needed. */
static int add_folder(SSL_CTX *context, const char *path, struct err *err)
{
    DIR *dir = opendir(path);
    size_t n = 0;
    struct dirent *entry;
    int rc = OK;

    while (rc == OK && dir != NULL && (entry = readdir(dir)) != NULL) {
        char file[CREDENTIAL_PATH_MAX];

        if (!is_certificate(entry->d_name))
            continue;
        n++;
        if (snprintf(file, sizeof file, "%s/%s", path, entry->d_name) < (int)sizeof file)
            rc = add_file(context, file, err);
    }
    if (dir != NULL)
        (void)closedir(dir); /* only read */
    if (rc == OK && n == 0)
        rc = err_set(err, ERR_CONFIG, "%s %s is a folder without a file *.pem or *.crt", THE_CA,
                     path);
    return rc;
}

static int add_authorities(SSL_CTX *context, const struct tls_settings *s, struct err *err)
{
    char place[CREDENTIAL_PATH_MAX];
    const char *path;
    struct stat st;

    if (s->ca == NULL) {
        if (SSL_CTX_set_default_verify_paths(context) == 1)
            return OK;
        return refuse("the system's authorities", X509_get_default_cert_dir(),
                      "name a file by tls = { ca = ... }", err);
    }
    path = credential_path(s->ca, place);
    if (credential_look(THE_CA, path, true, err) != OK)
        return err->code;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? add_folder(context, path, err)
                                                       : add_file(context, path, err);
}

/* OpenSSL would ask at the terminal. */
static int no_passphrase(char *out, int size, int writing, void *wanted)
{
    (void)out, (void)size, (void)writing;
    *(bool *)wanted = true;
    return -1;
}

/* A key that is of another kind than that of the certificate is told by the second call only. */
static bool use_key(SSL_CTX *context, const char *path, bool *locked)
{
    bool done;

    SSL_CTX_set_default_passwd_cb(context, no_passphrase);
    SSL_CTX_set_default_passwd_cb_userdata(context, locked);
    done = SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM) == 1 &&
           SSL_CTX_check_private_key(context) == 1;
    SSL_CTX_set_default_passwd_cb_userdata(context, NULL);
    return done;
}

static int add_key(SSL_CTX *context, const char *path, const char *cert, struct err *err)
{
    bool locked = false;

    if (credential_look(THE_KEY, path, false, err) != OK)
        return err->code;
    if (use_key(context, path, &locked))
        return OK;
    if (locked)
        return refuse(THE_KEY, path,
                      "a key with a passphrase cannot be read: take it off with openssl pkey -in "
                      "KEY -out NEW",
                      err);
    if (ERR_GET_LIB(ERR_peek_last_error()) == ERR_LIB_X509) {
        ERR_clear_error();
        return err_set(err, ERR_CONFIG,
                       "%s %s does not belong to the certificate %s: give the two that were made "
                       "together",
                       THE_KEY, path, cert);
    }
    return refuse(THE_KEY, path,
                  "it must hold a private key in PEM form; one that is not in the certificate's "
                  "file is named by tls.key",
                  err);
}

static int add_certificate(SSL_CTX *context, const struct tls_settings *s, struct err *err)
{
    char place[2][CREDENTIAL_PATH_MAX];
    const char *cert;

    if (s->cert == NULL)
        return OK;
    cert = credential_path(s->cert, place[0]);
    if (credential_look(THE_CERT, cert, false, err) != OK)
        return err->code;
    if (SSL_CTX_use_certificate_chain_file(context, cert) != 1)
        return refuse(THE_CERT, cert, "it must hold a certificate in PEM form, then its chain",
                      err);
    return add_key(context, credential_path(s->key, place[1]), cert, err);
}

/* No renegotiation: with it, a write could have to wait for a read. */
static bool set_up(SSL_CTX *context, const struct tls_settings *s)
{
    const int version = s->min_version == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION;

    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    (void)SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF); /* gives what it was */
    SSL_CTX_set_verify(context, s->verify ? SSL_VERIFY_PEER : SSL_VERIFY_NONE, tls_note_refusal);
    SSL_CTX_set_client_cert_cb(context, tls_note_asked);
    return SSL_CTX_set_min_proto_version(context, version) == 1;
}

SSL_CTX *tls_context_new(const struct tls_settings *s, struct err *err)
{
    SSL_CTX *context;
    int rc = OK;

    ERR_clear_error();
    context = SSL_CTX_new(TLS_client_method());
    if (context == NULL || !set_up(context, s)) {
        char reason[200];

        rc = err_set(err, ERR_FAILED, "cannot prepare TLS: %s", tls_last_reason(reason));
    }
    if (rc == OK && s->verify)
        rc = add_authorities(context, s, err);
    if (rc == OK)
        rc = add_certificate(context, s, err);
    if (rc == OK)
        return context;
    SSL_CTX_free(context);
    return NULL;
}

struct judge {
    tls_finding_fn *finding;
    void *arg;
};

static void tell(const struct judge *j, bool error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void tell(const struct judge *j, bool error, const char *format, ...)
{
    char text[1024];
    va_list words;

    va_start(words, format);
    (void)vsnprintf(text, sizeof text, format, words);
    va_end(words);
    j->finding(j->arg, error, text);
}

static void judge_dates(const struct judge *j, bool error, const char *what, const X509 *cert)
{
    time_t soon = time(NULL) + SOON_S;
    char first[32], last[32];

    tls_date(X509_get0_notBefore(cert), first);
    tls_date(X509_get0_notAfter(cert), last);
    if (X509_cmp_current_time(X509_get0_notBefore(cert)) > 0)
        tell(j, error, "%s is valid from %s on only: is the clock of this machine right?", what,
             first);
    else if (X509_cmp_current_time(X509_get0_notAfter(cert)) < 0)
        tell(j, error, "%s has expired at %s: have a new one made", what, last);
    else if (X509_cmp_time(X509_get0_notAfter(cert), &soon) < 0)
        tell(j, false, "%s expires at %s: have a new one made until then", what, last);
}

int64_t tls_ends_ms(const X509 *cert)
{
    int days, seconds;

    if (cert == NULL || ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(cert)) != 1)
        return 0;
    return ((int64_t)time(NULL) + (int64_t)days * 24 * 3600 + seconds) * 1000;
}

void tls_judge_own(const SSL_CTX *context, tls_finding_fn *finding, void *arg)
{
    const struct judge j = {finding, arg};
    const X509 *cert = SSL_CTX_get0_certificate(context);

    if (cert != NULL)
        judge_dates(&j, true, THE_CERT, cert);
}

static void judge_authorities(const struct judge *j, const SSL_CTX *context)
{
    X509_STORE *store = SSL_CTX_get_cert_store(context);
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);

    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        const X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        char subject[128], what[200];

        if (cert == NULL)
            continue;
        X509_NAME_oneline(X509_get_subject_name(cert), subject, sizeof subject);
        (void)snprintf(what, sizeof what, "the authority %s (tls.ca)", subject);
        judge_dates(j, false, what, cert);
    }
}

void tls_judge(const struct tls_settings *s, tls_finding_fn *finding, void *arg)
{
    const struct judge j = {finding, arg};
    struct err err = {.code = OK};
    SSL_CTX *context = tls_context_new(s, &err);

    if (s->key != NULL && credential_is_open(s->key))
        tell(&j, false, "%s %s can be read by every user of this machine: chmod o= it", THE_KEY,
             s->key);
    if (!s->verify)
        finding(arg, false,
                "tls.verify is false: anybody between here and the broker can read and "
                "change what is sent");
    if (context == NULL) {
        finding(arg, true, err.text);
        return;
    }
    tls_judge_own(context, finding, arg);
    if (s->ca != NULL && s->verify)
        judge_authorities(&j, context);
    SSL_CTX_free(context);
}

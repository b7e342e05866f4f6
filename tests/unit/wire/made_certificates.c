/* made_certificates - see made_certificates.h. */
#include "made_certificates.h"

#include "check.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add_extension(X509 *cert, int nid, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

    assert_non_null(extension);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static X509 *new_certificate(EVP_PKEY *key, const char *name, long first_s, long last_s)
{
    static long serial;
    X509 *cert = X509_new();

    assert_non_null(cert);
    assert_int_equal(X509_set_version(cert, X509_VERSION_3), 1);
    assert_int_equal(ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial), 1);
    assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), first_s));
    assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), last_s));
    assert_int_equal(X509_set_pubkey(cert, key), 1);
    assert_int_equal(X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                                                (const unsigned char *)name, -1, -1, 0),
                     1);
    return cert;
}

static void sign(X509 *cert, X509 *by, EVP_PKEY *key)
{
    assert_int_equal(X509_set_issuer_name(cert, X509_get_subject_name(by)), 1);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
}

static void write_certificate(const char *path, X509 *cert)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_X509(file, cert), 1);
    assert_int_equal(fclose(file), 0);
}

static void write_key(const char *path, EVP_PKEY *key)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
    assert_int_equal(fclose(file), 0);
}

static void free_authority(struct made_certificates *m)
{
    EVP_PKEY_free(m->ca_key);
    X509_free(m->ca_cert);
}

static void make_authority(struct made_certificates *m)
{
    m->ca_key = EVP_EC_gen("P-256");
    assert_non_null(m->ca_key);
    m->ca_cert = new_certificate(m->ca_key, "authority", -3600, 100 * 24 * 3600);
    add_extension(m->ca_cert, NID_basic_constraints, "critical,CA:TRUE");
    sign(m->ca_cert, m->ca_cert, m->ca_key);
    (void)unlink(m->ca); /* a file that is replaced is another one */
    write_certificate(m->ca, m->ca_cert);
}

void made_begin(struct made_certificates *m)
{
    snprintf(m->folder, sizeof m->folder, "/tmp/herald-made-XXXXXX");
    assert_non_null(mkdtemp(m->folder));
    snprintf(m->ca, sizeof m->ca, "%s/ca.pem", m->folder);
    snprintf(m->cert, sizeof m->cert, "%s/cert.pem", m->folder);
    snprintf(m->key, sizeof m->key, "%s/key", m->folder);
    make_authority(m);
}

void made_renew(struct made_certificates *m)
{
    free_authority(m);
    make_authority(m);
}

void made_issue(struct made_certificates *m, const char *names, long first_s, long last_s)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *cert = new_certificate(key, "signed", first_s, last_s);

    add_extension(cert, NID_subject_alt_name, names);
    sign(cert, m->ca_cert, m->ca_key);
    (void)unlink(m->cert); /* as above */
    (void)unlink(m->key);
    write_certificate(m->cert, cert);
    write_key(m->key, key);
    X509_free(cert);
    EVP_PKEY_free(key);
}

void made_end(struct made_certificates *m)
{
    free_authority(m);
    (void)unlink(m->ca);
    (void)unlink(m->cert);
    (void)unlink(m->key);
    assert_int_equal(rmdir(m->folder), 0);
}

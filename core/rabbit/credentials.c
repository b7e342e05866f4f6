/* credentials - see credentials.h. */
#include "rabbit/credentials.h"

#include "base/credential.h"
#include "wire/tls.h"
#include "wire/url.h"

#include <stddef.h>
#include <stdio.h>

static void judge_password(const char *file, credentials_finding_fn *finding, void *arg)
{
    struct err err = {.code = OK};
    struct buf secret;
    char text[CREDENTIAL_PATH_MAX + 100];

    buf_init(&secret, CREDENTIAL_PATH_MAX);
    if (credential_read("the password (password_file)", file, &secret, &err) != OK)
        finding(arg, true, err.text);
    credential_wipe(&secret);
    if (!credential_is_open(file))
        return;
    (void)snprintf(text, sizeof text,
                   "the password (password_file) %s can be read by every user of this machine: "
                   "chmod o= it",
                   file);
    finding(arg, false, text);
}

static bool is_said(const struct tls_settings *tls)
{
    return tls->ca != NULL || tls->cert != NULL || tls->server_name != NULL;
}

void credentials_judge(const char *url, const char *password_file, const struct tls_settings *tls,
                       credentials_finding_fn *finding, void *arg)
{
    struct err err = {.code = OK};
    struct url parsed;

    if (url_parse(url, &parsed, &err) != OK) {
        finding(arg, true, err.text);
        return;
    }
    if (password_file != NULL)
        judge_password(password_file, finding, arg);
    if (parsed.tls)
        tls_judge(tls, finding, arg);
    else if (is_said(tls))
        finding(arg, false,
                "tls says how, but `broker` is amqp://, which is without TLS: write "
                "amqps://");
    url_free(&parsed);
}

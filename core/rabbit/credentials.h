/*
 * credentials - what can be known of keys, certificates and passwords without a broker
 */
#ifndef HERALD_RABBIT_CREDENTIALS_H
#define HERALD_RABBIT_CREDENTIALS_H

#include "base/tls_settings.h"

#include <stdbool.h>

/* Called with each thing that is wrong (`error`) or doubtful. The text is lent. */
typedef void credentials_finding_fn(void *arg, bool error, const char *text);

/* Judges the files that a connection to this URL would use. `password_file` may be NULL. */
void credentials_judge(const char *url, const char *password_file, const struct tls_settings *tls,
                       credentials_finding_fn *finding, void *arg);

#endif

/*
 * tls - streams that speak TLS, each on top of another stream
 *
 *            stream below opened       certificate is good
 *   CONNECT --------------------> HANDSHAKE ----------------> OPEN
 *      |                              |                        |
 *      | it failed                    | refused, or it failed  | an error, its end
 *      v                              v                        v
 *    FAILED                         FAILED                   FAILED
 *
 * and from each of them, by close: CLOSING, then `closed`. OpenSSL works on memory only, so nothing
 * blocks: what it has encrypted goes to the stream below at once, whose backlog is this one's.
 *
 * The files are read again for the next stream once they have changed.
 */
#ifndef HERALD_WIRE_TLS_H
#define HERALD_WIRE_TLS_H

#include "base/tls_settings.h"
#include "wire/stream.h"

struct tls;

/* The texts of the settings and `below` are lent for life. NULL when out of memory. */
struct tls *tls_new(const struct tls_settings *settings, const struct stream_factory *below);
void tls_free(struct tls **t); /* after its streams; NULL is fine */

/* Makes streams; valid as long as `t`. */
const struct stream_factory *tls_streams(const struct tls *t);

/* Differ from each other when the files are others now than for the last stream that was made. */
uint64_t tls_used(const struct tls *t);
uint64_t tls_there(const struct tls *t);

/* Whether a stream could be made of what the files hold now. ERR_CONFIG with words. */
int tls_look(const struct tls *t, struct err *err);

/* What the last stream that was opened has come to, and what it was made of. */
struct tls_facts {
    const char *version;  /* "TLSv1.3"; "": none was opened */
    int64_t ends_ms;      /* of our certificate, ms since 1970 UTC; 0: there is none */
    int64_t peer_ends_ms; /* of the peer's */
};
void tls_facts(const struct tls *t, struct tls_facts *out);

/* Called with each thing that is wrong (`error`) or doubtful with the files. The text is lent. */
typedef void tls_finding_fn(void *arg, bool error, const char *text);
void tls_judge(const struct tls_settings *settings, tls_finding_fn *finding, void *arg);

/* The same of our certificate's dates alone, as of the last stream that was made. */
void tls_judge_dates(const struct tls *t, tls_finding_fn *finding, void *arg);

const char *tls_library_version(void);

#endif

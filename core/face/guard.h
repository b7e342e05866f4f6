/*
 * guard - who may come in through the admin door, and how often (docs/admin.md#who-may)
 */
#ifndef HERALD_FACE_GUARD_H
#define HERALD_FACE_GUARD_H

#include "base/admin_settings.h"
#include "base/err.h"
#include "http/http_server.h"

#include <stdbool.h>
#include <stdint.h>

enum guard_right { GUARD_NONE, GUARD_LOOK, GUARD_ALL };

struct guard;

/* `settings` are lent for life. ERR_CONFIG: a token cannot be used, in words. */
int guard_new(struct guard **out, const struct admin_settings *settings, struct err *err);
void guard_free(struct guard **out);

/* Whether a web site may be behind it, which had a name of its own lead to the router: what Host
 * says is no address and no name that is known. NULL, as below: there is no such header. */
bool guard_knows_host(const struct guard *g, const char *host);

/* Whether a page of the router's own asks, or nobody's. */
bool guard_knows_origin(const char *origin, const char *host);

/* What the token in Authorization is good for. Files that were replaced are read again. */
enum guard_right guard_right(struct guard *g, const char *authorization);

/* False: there were too many requests in the last second. */
bool guard_admits(struct guard *g, int64_t mono_ms);

#endif

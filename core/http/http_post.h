/*
 * http_post - spans to a collector over HTTP (base/span_export.h), by libcurl
 *
 * libcurl brings some thirty libraries along, 6 MiB of memory: it is loaded when it is needed. Its
 * calls block, and a name may take long to be resolved, so they are made by the exporter's thread.
 */
#ifndef HERALD_HTTP_HTTP_POST_H
#define HERALD_HTTP_HTTP_POST_H

#include "base/err.h"
#include "base/span_export.h"

/* ERR_CONFIG: libcurl is not there, or does not take this URL. */
int http_post_open(struct span_sink *out, const char *url, struct err *err);

#endif

/*
 * url - amqp://user:password@host:port,host:port/vhost?heartbeat=10, or several
 *
 * After the RabbitMQ URI specification: percent-encoding, an absent path is the
 * vhost "/", an empty one ("amqp://host/") is taken as "/" too, because that is
 * what people mean. Several hosts are tried in turn. Several URLs, parted by spaces,
 * are one with all of their hosts: they must not differ in anything else.
 */
#ifndef HERALD_WIRE_URL_H
#define HERALD_WIRE_URL_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { URL_HOSTS_MAX = 16 };

struct url {
    bool tls;       /* amqps */
    bool anonymous; /* no user is given: it is that of a certificate, or guest */
    char *user;     /* owned, as all strings here; decoded */
    char *password; /* wiped when freed */
    char *vhost;    /* without the "/" that parts it from the host */
    size_t n_hosts; /* at least 1 */
    struct {
        char *name;        /* without brackets for IPv6 */
        uint16_t port;     /* the scheme's where none is given */
    } host[URL_HOSTS_MAX]; /* to be tried in this order */
    int heartbeat_s;       /* -1: not given */
};

/* Returns OK, or ERR_CONFIG with what is wrong and an example (the password never
 * shows), or ERR_NOMEM. */
int url_parse(const char *text, struct url *out, struct err *err);
void url_free(struct url *u);

#endif

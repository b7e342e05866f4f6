/* url - see url.h.
 *
 * An error text never quotes what stands before the path: whoever forgets the
 * "@host" or leaves an "/" of the password unescaped would find the password in
 * the log. Hosts are named by their place instead. */
#include "wire/url.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define URL_EXAMPLE "for example amqp://user:password@127.0.0.1:5672/vhost?heartbeat=10"

enum { PORT_PLAIN = 5672, PORT_TLS = 5671, HEARTBEAT_MAX = 65535 };

/* A piece of the text, from first to before end. */
struct part {
    const char *first;
    const char *end;
};

static struct part part_of(const char *text)
{
    return (struct part){text, text + strlen(text)};
}

static bool is_empty(struct part p)
{
    return p.first == p.end;
}

/* Cuts `p` at the first of `stops`, which stays at the start of the rest. */
static struct part cut(struct part *p, const char *stops)
{
    struct part head = *p;

    while (p->first < p->end && strchr(stops, *p->first) == NULL)
        p->first++;
    head.end = p->first;
    return head;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that "%XX" at p stands for, or -1; NUL is refused, since the parts
 * are kept as C strings. */
static int percent_byte(const char *p, const char *end)
{
    int high = end - p > 2 ? hex_digit(p[1]) : -1;
    int low = high >= 0 ? hex_digit(p[2]) : -1;

    return low < 0 || high + low == 0 ? -1 : high * 16 + low;
}

static int copy_decoded(struct part p, const char *what, char **out, struct err *err)
{
    char *to = calloc(1, (size_t)(p.end - p.first) + 1); /* a C string at every moment */

    *out = to;
    if (to == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    while (p.first < p.end) {
        int byte = (unsigned char)*p.first;

        if (byte == '%') {
            byte = percent_byte(p.first, p.end);
            if (byte < 0)
                return err_set(err, ERR_CONFIG,
                               "broker URL: a \"%%\" of the %s is not followed by two hexadecimal "
                               "digits (write %%25 for the sign itself)",
                               what);
            p.first += 2;
        }
        *to++ = (char)byte;
        p.first++;
    }
    return OK;
}

/* A decimal number in [low, high], or -1. */
static int number_in(struct part p, int low, int high)
{
    int n = 0;

    if (is_empty(p))
        return -1;
    for (; p.first < p.end; p.first++) {
        if (*p.first < '0' || *p.first > '9')
            return -1;
        n = n * 10 + (*p.first - '0');
        if (n > high)
            return -1;
    }
    return n >= low ? n : -1;
}

static int parse_scheme(struct part *rest, struct url *u, struct err *err)
{
    size_t len = (size_t)(rest->end - rest->first);

    if (len >= 8 && strncmp(rest->first, "amqps://", 8) == 0) {
        u->tls = true;
        rest->first += 8;
        return OK;
    }
    if (len >= 7 && strncmp(rest->first, "amqp://", 7) == 0) {
        rest->first += 7;
        return OK;
    }
    return err_set(err, ERR_CONFIG,
                   "broker URL: it must start with amqp:// or amqps://, " URL_EXAMPLE);
}

/* The last "@" ends it, since a password may hold an unescaped one. */
static int parse_userinfo(struct part *authority, struct url *u, struct err *err)
{
    struct part user = *authority, password;
    const char *at = authority->end;
    int rc;

    while (at > authority->first && at[-1] != '@')
        at--;
    if (at == authority->first) {
        u->anonymous = true;
        rc = copy_decoded(part_of("guest"), "user", &u->user, err);
        return rc != OK ? rc : copy_decoded(part_of("guest"), "password", &u->password, err);
    }
    authority->first = at;
    user.end = at - 1;
    password = user;
    user = cut(&password, ":");
    if (!is_empty(password))
        password.first++;
    rc = copy_decoded(user, "user", &u->user, err);
    return rc != OK ? rc : copy_decoded(password, "password", &u->password, err);
}

static int bad_host(const struct url *u, const char *why, struct err *err)
{
    return err_set(err, ERR_CONFIG, "broker URL: host %zu %s, " URL_EXAMPLE, u->n_hosts + 1, why);
}

/* "name", "name:port", "[v6]" or "[v6]:port". */
static int parse_host(struct part text, struct url *u, struct err *err)
{
    bool bracket = !is_empty(text) && *text.first == '[';
    struct part name, port;
    int number = u->tls ? PORT_TLS : PORT_PLAIN, rc;

    text.first += bracket ? 1 : 0;
    port = text;
    name = cut(&port, bracket ? "]" : ":");
    if (is_empty(name))
        return bad_host(u, "has no name", err);
    if (bracket && is_empty(port))
        return bad_host(u, "lacks its closing bracket", err);
    port.first += bracket ? 1 : 0;
    if (!is_empty(port)) {
        if (*port.first != ':')
            return bad_host(u, "has something between its bracket and its port", err);
        port.first++;
        number = number_in(port, 1, 65535);
        if (number < 0)
            return bad_host(u, "has a port that is no number from 1 to 65535", err);
    }
    u->host[u->n_hosts].port = (uint16_t)number;
    rc = copy_decoded(name, "host", &u->host[u->n_hosts].name, err);
    u->n_hosts++; /* also on failure, so that url_free finds it */
    return rc;
}

static int parse_hosts(struct part rest, struct url *u, struct err *err)
{
    for (;;) {
        struct part host = cut(&rest, ",");
        int rc;

        if (u->n_hosts == URL_HOSTS_MAX)
            return err_set(err, ERR_CONFIG, "broker URL: more than %d hosts", URL_HOSTS_MAX);
        rc = parse_host(host, u, err);
        if (rc != OK || is_empty(rest))
            return rc;
        rest.first++;
    }
}

static int parse_vhost(struct part path, struct url *u, struct err *err)
{
    struct part rest;

    if (!is_empty(path))
        path.first++; /* the "/" itself */
    if (is_empty(path))
        path = part_of("/");
    else {
        rest = path;
        cut(&rest, "/");
        if (!is_empty(rest))
            return err_set(err, ERR_CONFIG,
                           "broker URL: a \"/\" in the vhost must be written %%2F, " URL_EXAMPLE);
    }
    return copy_decoded(path, "vhost", &u->vhost, err);
}

static int parse_query(struct part query, struct url *u, struct err *err)
{
    static const char name[] = "heartbeat=";

    while (!is_empty(query)) {
        struct part one;

        query.first++; /* "?" or "&" */
        one = cut(&query, "&");
        if ((size_t)(one.end - one.first) < sizeof name - 1 ||
            strncmp(one.first, name, sizeof name - 1) != 0)
            return err_set(err, ERR_CONFIG,
                           "broker URL: after \"?\" only heartbeat=SECONDS is known, " URL_EXAMPLE);
        one.first += sizeof name - 1;
        u->heartbeat_s = number_in(one, 0, HEARTBEAT_MAX);
        if (u->heartbeat_s < 0)
            return err_set(err, ERR_CONFIG, "broker URL: heartbeat must be 0 to %d seconds",
                           HEARTBEAT_MAX);
    }
    return OK;
}

static bool contains(struct part p, char c)
{
    while (p.first < p.end && *p.first != c)
        p.first++;
    return p.first < p.end;
}

static int parse(struct part rest, struct url *u, struct err *err)
{
    struct part authority, path;
    int rc = parse_scheme(&rest, u, err);

    if (rc != OK)
        return rc;
    authority = cut(&rest, "/?");
    if (contains(rest, '@'))
        return err_set(err, ERR_CONFIG,
                       "broker URL: \"/\", \"?\" and \"@\" must be written %%2F, %%3F and %%40 in "
                       "user, password and vhost, " URL_EXAMPLE);
    path = cut(&rest, "?");
    rc = parse_userinfo(&authority, u, err);
    if (rc == OK)
        rc = parse_hosts(authority, u, err);
    if (rc == OK)
        rc = parse_vhost(path, u, err);
    if (rc == OK)
        rc = parse_query(rest, u, err);
    return rc;
}

/* Where another URL begins: a space in one, unescaped as it may be, is no end of it. */
static const char *find_next(const char *text)
{
    const char *plain = strstr(text, " amqp://"), *tls = strstr(text, " amqps://");

    return plain == NULL || (tls != NULL && tls < plain) ? tls : plain;
}

static bool is_same_broker(const struct url *a, const struct url *b)
{
    return a->tls == b->tls && strcmp(a->user, b->user) == 0 &&
           strcmp(a->password, b->password) == 0 && strcmp(a->vhost, b->vhost) == 0 &&
           a->heartbeat_s == b->heartbeat_s;
}

/* Takes the hosts of `more` over. */
static int add_hosts(struct url *u, struct url *more, struct err *err)
{
    if (!is_same_broker(u, more))
        return err_set(err, ERR_CONFIG,
                       "broker URL: several may differ in their hosts only, not in amqp or amqps, "
                       "user, password, vhost or heartbeat");
    if (u->n_hosts + more->n_hosts > URL_HOSTS_MAX)
        return err_set(err, ERR_CONFIG, "broker URL: more than %d hosts", URL_HOSTS_MAX);
    for (size_t i = 0; i < more->n_hosts; i++)
        u->host[u->n_hosts++] = more->host[i];
    more->n_hosts = 0;
    return OK;
}

/* One URL of several; the first one fills *u. */
static int parse_one(struct part text, bool first, struct url *u, struct err *err)
{
    struct url more = {.heartbeat_s = -1};
    int rc;

    if (first)
        return parse(text, u, err);
    rc = parse(text, &more, err);
    if (rc == OK)
        rc = add_hosts(u, &more, err);
    url_free(&more);
    return rc;
}

int url_parse(const char *text, struct url *out, struct err *err)
{
    const char *next;
    int rc = OK;

    *out = (struct url){.heartbeat_s = -1};
    for (const char *at = text; rc == OK && at != NULL; at = next != NULL ? next + 1 : NULL) {
        struct part one = part_of(at);

        next = find_next(at);
        if (next != NULL)
            one.end = next;
        while (next != NULL && one.end > one.first && one.end[-1] == ' ')
            one.end--;
        rc = parse_one(one, at == text, out, err);
    }
    if (rc != OK)
        url_free(out);
    return rc;
}

/* The password does not stay behind in freed memory. */
static void free_secret(char *secret)
{
    if (secret != NULL)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}

void url_free(struct url *u)
{
    free(u->user);
    free_secret(u->password);
    free(u->vhost);
    for (size_t i = 0; i < u->n_hosts; i++)
        free(u->host[i].name);
    *u = (struct url){.heartbeat_s = -1};
}

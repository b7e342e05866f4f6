/* http_address - see http_address.h. */
#include "http/http_address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

enum { HOST_MAX = 64, BACKLOG = 128 };

static const char unix_prefix[] = "unix:";

static int no_address(const char *text, struct err *err)
{
    return err_set(err, ERR_CONFIG,
                   "\"%s\" is no address to listen at: HOST:PORT is wanted, with a number for the "
                   "host, such as 127.0.0.1:9121, 0.0.0.0:9121 or [::1]:9121, or unix:PATH",
                   text);
}

/* 0 to 65535, or -1. */
static int read_port(const char *text)
{
    char *end;
    long port;

    if (text[0] < '0' || text[0] > '9' || strlen(text) > 5)
        return -1;
    port = strtol(text, &end, 10);
    return *end == '\0' && port <= 65535 ? (int)port : -1;
}

static int read_unix(const char *path, struct http_address *out, struct err *err)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->at;
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof un->sun_path)
        return err_set(err, ERR_CONFIG,
                       "\"%s%s\" is no address to listen at: a path has 1 to %zu bytes",
                       unix_prefix, path, sizeof un->sun_path - 1);
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    out->len = sizeof *un;
    return OK;
}

static int read_host(const char *text, size_t len, int port, struct http_address *out)
{
    bool six = len > 2 && text[0] == '[' && text[len - 1] == ']';
    char host[HOST_MAX];

    memcpy(host, six ? text + 1 : text, six ? len - 2 : len);
    host[six ? len - 2 : len] = '\0';
    out->len = six ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
    return six ? uv_ip6_addr(host, port, (struct sockaddr_in6 *)&out->at)
               : uv_ip4_addr(host, port, (struct sockaddr_in *)&out->at);
}

int http_address_read(const char *text, struct http_address *out, struct err *err)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon != NULL ? (size_t)(colon - text) : 0;
    int port = colon != NULL ? read_port(colon + 1) : -1;

    memset(out, 0, sizeof *out);
    if (strncmp(text, unix_prefix, sizeof unix_prefix - 1) == 0)
        return read_unix(text + sizeof unix_prefix - 1, out, err);
    if (port < 0 || len == 0 || len >= HOST_MAX || read_host(text, len, port, out) != 0)
        return no_address(text, err);
    return OK;
}

bool http_address_is_unix(const struct http_address *a)
{
    return a->at.ss_family == AF_UNIX;
}

bool http_address_is_near(const struct http_address *a)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)&a->at;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&a->at;

    if (a->at.ss_family == AF_INET)
        return ntohl(four->sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    return http_address_is_unix(a) || IN6_IS_ADDR_LOOPBACK(&six->sin6_addr);
}

/* Whether a socket lies there that nobody listens at: of a router that was killed. */
static bool is_left_over(const struct http_address *a)
{
    const char *path = ((const struct sockaddr_un *)&a->at)->sun_path;
    struct stat st;
    bool refused;
    int fd;

    if (lstat(path, &st) != 0 || !S_ISSOCK(st.st_mode))
        return false;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    refused = fd >= 0 && connect(fd, (const struct sockaddr *)&a->at, a->len) != 0 &&
              errno == ECONNREFUSED;
    if (fd >= 0)
        (void)close(fd);
    return refused;
}

static int bind_unix(int fd, const struct http_address *a)
{
    mode_t mask = umask(0177);
    int rc;

    if (is_left_over(a))
        (void)unlink(((const struct sockaddr_un *)&a->at)->sun_path); /* bind tells */
    rc = bind(fd, (const struct sockaddr *)&a->at, a->len);
    umask(mask);
    return rc;
}

static int bind_to(int fd, const struct http_address *a)
{
    const int on = 1;

    if (http_address_is_unix(a))
        return bind_unix(fd, a);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return -1;
    if (a->at.ss_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0)
        return -1;
    return bind(fd, (const struct sockaddr *)&a->at, a->len);
}

int http_address_listen(const struct http_address *a, const char *text, int *fd_out,
                        struct err *err)
{
    int fd = socket(a->at.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    *fd_out = fd;
    if (fd >= 0 && bind_to(fd, a) == 0 && listen(fd, BACKLOG) == 0)
        return OK;
    err_set(err, ERR_CONFIG, "cannot listen at %s: %s: choose another %s", text, strerror(errno),
            http_address_is_unix(a) ? "path" : "address or port");
    if (fd >= 0)
        (void)close(fd);
    *fd_out = -1;
    return ERR_CONFIG;
}

unsigned http_address_port(int fd)
{
    struct sockaddr_storage at;
    socklen_t len = sizeof at;

    if (getsockname(fd, (struct sockaddr *)&at, &len) != 0)
        return 0;
    if (at.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&at)->sin_port);
    return at.ss_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)&at)->sin6_port) : 0;
}

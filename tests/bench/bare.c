#include "bare.h"

#if __has_include(<rabbitmq-c/tcp_socket.h>)
#include <rabbitmq-c/ssl_socket.h>
#include <rabbitmq-c/tcp_socket.h>
#else
#include <amqp_ssl_socket.h>
#include <amqp_tcp_socket.h>
#endif
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <time.h>

enum { SILENCE_SECONDS = 30, FRAME_MAX = 131072 };

_Noreturn void bare_die(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

long bare_number(const char *what, const char *text)
{
    char *end;
    long n;

    errno = 0;
    n = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || n < 1)
        bare_die("%s must be a number from 1 on, not \"%s\"", what, text);
    return n;
}

void bare_check_reply(amqp_connection_state_t conn, const char *what)
{
    amqp_rpc_reply_t reply = amqp_get_rpc_reply(conn);

    if (reply.reply_type == AMQP_RESPONSE_NORMAL)
        return;
    if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION)
        bare_die("%s: %s", what, amqp_error_string2(reply.library_error));
    bare_die("%s: refused by the broker (method 0x%08x)", what, (unsigned)reply.reply.id);
}

/* Who the broker is matters nothing here. */
static amqp_socket_t *new_socket(amqp_connection_state_t conn, bool tls)
{
    amqp_socket_t *socket = tls ? amqp_ssl_socket_new(conn) : amqp_tcp_socket_new(conn);

    if (socket != NULL && tls) {
        amqp_ssl_socket_set_verify_peer(socket, 0);
        amqp_ssl_socket_set_verify_hostname(socket, 0);
    }
    return socket;
}

amqp_connection_state_t bare_open(const char *url)
{
    struct amqp_connection_info info;
    amqp_connection_state_t conn = amqp_new_connection();
    amqp_socket_t *socket;
    char *copy = strdup(url);
    amqp_rpc_reply_t login;
    int status;

    if (conn == NULL || copy == NULL)
        bare_die("out of memory");
    amqp_default_connection_info(&info);
    if (amqp_parse_url(copy, &info) != AMQP_STATUS_OK)
        bare_die("not an AMQP URL: %s", url);
    socket = new_socket(conn, info.ssl != 0);
    if (socket == NULL)
        bare_die("out of memory");
    status = amqp_socket_open(socket, info.host, info.port);
    if (status != AMQP_STATUS_OK)
        bare_die("%s:%d: %s", info.host, info.port, amqp_error_string2(status));
    login = amqp_login(conn, info.vhost[0] == '\0' ? "/" : info.vhost, 0, FRAME_MAX, 0,
                       AMQP_SASL_METHOD_PLAIN, info.user, info.password);
    if (login.reply_type != AMQP_RESPONSE_NORMAL)
        bare_die("login at %s:%d failed", info.host, info.port);
    free(copy);
    amqp_channel_open(conn, BARE_CHANNEL);
    bare_check_reply(conn, "channel.open");
    return conn;
}

void bare_close(amqp_connection_state_t conn)
{
    amqp_connection_close(conn, AMQP_REPLY_SUCCESS);
    amqp_destroy_connection(conn);
}

static void die_if_closed(const amqp_frame_t *frame)
{
    const amqp_channel_close_t *close;

    if (frame->frame_type != AMQP_FRAME_METHOD)
        return;
    if (frame->payload.method.id == AMQP_CONNECTION_CLOSE_METHOD)
        bare_die("the broker closed the connection");
    if (frame->payload.method.id == AMQP_BASIC_CANCEL_METHOD)
        bare_die("the broker cancelled the consumer");
    if (frame->payload.method.id != AMQP_CHANNEL_CLOSE_METHOD)
        return;
    close = frame->payload.method.decoded;
    bare_die("the broker closed the channel: %d %.*s", close->reply_code,
             (int)close->reply_text.len, (const char *)close->reply_text.bytes);
}

bool bare_next_frame(amqp_connection_state_t conn, amqp_frame_t *frame, bool wait)
{
    struct timeval patience = {.tv_sec = wait ? SILENCE_SECONDS : 0, .tv_usec = 0};
    int status = amqp_simple_wait_frame_noblock(conn, frame, &patience);

    if (status == AMQP_STATUS_TIMEOUT && !wait)
        return false;
    if (status == AMQP_STATUS_TIMEOUT)
        bare_die("the broker said nothing for %d s", SILENCE_SECONDS);
    if (status != AMQP_STATUS_OK)
        bare_die("reading: %s", amqp_error_string2(status));
    die_if_closed(frame);
    return true;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

struct bare_meter bare_meter_now(void)
{
    struct timespec now;
    struct rusage usage;

    clock_gettime(CLOCK_MONOTONIC, &now);
    getrusage(RUSAGE_SELF, &usage);
    return (struct bare_meter){
        .wall = (double)now.tv_sec + (double)now.tv_nsec / 1e9,
        .cpu = seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime),
    };
}

void bare_print(const char *what, long messages, struct bare_meter begin, struct bare_meter end)
{
    double wall = end.wall - begin.wall;
    double cpu = end.cpu - begin.cpu;

    printf("what=%s messages=%ld seconds=%.3f rate=%.0f cpu_us=%.3f\n", what, messages, wall,
           (double)messages / wall, cpu * 1e6 / (double)messages);
}

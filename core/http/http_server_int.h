/*
 * http_server_int - what the files of a server share
 */
#ifndef HERALD_HTTP_HTTP_SERVER_INT_H
#define HERALD_HTTP_HTTP_SERVER_INT_H

#include "http/http_address.h"
#include "http/http_server.h"

#include <microhttpd.h>

enum http_line_state {
    HTTP_READING, /* a request is waited for, or the rest of one */
    HTTP_WORKING, /* it is complete, and not answered yet */
    HTTP_SENDING, /* the answer is on its way */
};

/* A connection, and since when it is as it is. */
struct http_line {
    struct http_line *next, **link;
    int fd;
    enum http_line_state state;
    uint64_t since_ms; /* uv_now() */
};

struct http_server {
    struct http_settings settings;
    struct MHD_Daemon *daemon; /* NULL: stopped */
    uv_poll_t sockets;         /* its epoll descriptor */
    uv_timer_t again;          /* when it wants to run, or has rested */
    uv_timer_t look;           /* for lines that take too long */
    int handles;               /* that the loop has */
    bool resting;              /* it has had its share of the loop's time */
    struct http_line *lines;
    struct http_exchange *working; /* that wait for an answer */
    size_t promised;               /* bytes of bodies that were let in */
    struct http_address address;
    unsigned port;
};

/* A request, from its first line to the end of its answer. */
struct http_exchange {
    struct http_request request; /* first: what is lent leads here */
    struct http_server *server;
    struct MHD_Connection *connection;
    struct http_exchange *next, **link; /* while it is suspended */
    struct buf body;
    size_t promised; /* bytes of it at most */
    bool begun;      /* its headers were judged */
    bool suspended;  /* the answer comes later */
    bool answered;
    bool failed;          /* there is no answer: it is hung up on */
    enum MHD_Result sent; /* of the answer */
    char uri[];           /* cut where the query begins */
};

/* The callbacks of libmicrohttpd, whose argument is the server. */
void *http_exchange_new(void *arg, const char *uri, struct MHD_Connection *c);
enum MHD_Result http_exchange_run(void *arg, struct MHD_Connection *c, const char *url,
                                  const char *method, const char *version, const char *upload,
                                  size_t *upload_size, void **exchange);
void http_exchange_end(void *arg, struct MHD_Connection *c, void **exchange,
                       enum MHD_RequestTerminationCode why);

/* The line of a connection is as it is from now on. */
void http_line_enter(struct http_server *s, struct MHD_Connection *c, enum http_line_state state);

/* Something can be sent. */
void http_server_wake(struct http_server *s);

#endif

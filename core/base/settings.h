/*
 * settings - what herald.lua says: a place and a line in the list for each setting
 *
 * scripts/cli/settings.lua has the defaults, judges what a person wrote, and hands over all of
 * them; docs/settings.md says what each is for. A router takes up the live ones when it reloads,
 * and the others when it starts.
 */
#ifndef HERALD_BASE_SETTINGS_H
#define HERALD_BASE_SETTINGS_H

#include "base/admin_settings.h"
#include "base/tls_settings.h"
#include "base/topology.h"
#include "base/trace_context.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Who takes rules that lack what those in force have. */
enum removed_rules { REMOVED_WAIT, REMOVED_REFUSE };

/* Times in milliseconds, sizes in bytes, texts lent for life. */
struct settings {
    const char *store;           /* path; made when absent */
    const char *broker;          /* "embedded" or an amqp:// or amqps:// URL */
    const char *password_file;   /* that of the broker; NULL: it is in the URL */
    struct tls_settings tls;     /* for amqps:// */
    const char *socket;          /* where commands reach the router */
    const char *spans;           /* file or URL that spans go to; NULL: nowhere */
    const char *probe;           /* where health and metrics are served; NULL: nowhere */
    struct admin_settings admin; /* where a router is seen and mended over HTTP */
    const char *name;            /* of the connections, for people who look at the broker */
    int64_t log_level;           /* enum log_level */
    int64_t log_format;          /* enum log_format */
    int64_t publish_window;
    int64_t confirm_timeout_ms;
    int64_t prefetch_bytes; /* of all unacked deliveries, but for one that is larger */
    int64_t rescue_after;   /* returns of a message until it is taken into the store, untried */
    int64_t heartbeat_ms;
    int64_t handler_ms;  /* a handler's time limit, inside SQL too */
    int64_t watchdog_ms; /* real time in the rules' functions that ends the process; 0: none */
    int64_t handler_memory;
    struct retry_policy retry;         /* of subscriptions that say nothing */
    struct retry_policy publish_retry; /* of outbox rows that are refused */
    int64_t recent_max;                /* handled messages that are kept for trials; 0: none */
    int64_t message_max;               /* of a body that rules are given */
    int64_t inbox_window_ms;
    int64_t history_ms;         /* for so long finished messages are kept; 0: none is */
    int64_t dead_letters_above; /* so many of them are an event */
    int64_t disk_low;           /* less room is one; bytes */
    int64_t trace_context;      /* enum trace_mode */
    int64_t removed_rules;      /* enum removed_rules */
    int64_t stop_timeout_ms;    /* for confirms, after a stop */
};

enum setting_kind {
    SETTING_TEXT,   /* const char * */
    SETTING_NUMBER, /* int64_t: a number, a time, a size */
    SETTING_CHOICE, /* int64_t: which of the choices */
    SETTING_POLICY, /* struct retry_policy */
    SETTING_TLS,    /* struct tls_settings */
    SETTING_ADMIN,  /* struct admin_settings */
};

enum { SETTING_CHOICES_MAX = 4 };

struct setting {
    const char *name; /* as in herald.lua */
    enum setting_kind kind;
    size_t offset; /* in struct settings */
    bool live;     /* a reload takes it up */
    const char *choices[SETTING_CHOICES_MAX + 1];
};

/* In the order of docs/settings.md; the last one has no name. */
extern const struct setting settings_list[];

/* Whether two routers would differ in this one. */
bool settings_differ(const struct setting *s, const struct settings *a, const struct settings *b);

/* Makes the live ones of `now` those of `next`. */
void settings_take_live(struct settings *now, const struct settings *next);

#endif

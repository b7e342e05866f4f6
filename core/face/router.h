/*
 * router - `herald run`: a loop, an engine, signals, the control socket
 */
#ifndef HERALD_FACE_ROUTER_H
#define HERALD_FACE_ROUTER_H

#include "base/err.h"
#include "engine/engine.h"

/* What can change while the router runs, as herald.lua says it now. */
struct router_live {
    enum log_level log_level;
    int64_t handler_ms;
    size_t handler_memory;
    struct retry_policy retry;
    struct retry_policy publish_retry;
    int64_t history_ms;
    bool refuse_losses;
    char restart[512]; /* names of other settings that changed: they need a restart; "" */
};

struct router_settings {
    struct engine_settings engine; /* loop, log, clock and callbacks are filled in */
    const char *socket;            /* where commands reach the router */
    enum log_level log_level;
    enum log_format log_format;
    /* Reads the settings again for a reload; ERR_CONFIG with words. */
    int (*reread)(void *arg, struct router_live *out, struct err *err);
    void *reread_arg;
};

/* SIGHUP, a change of the rules' files and `herald reload` load the rules anew.
 *
 * Runs until SIGTERM or SIGINT (the first one stops in an orderly way, the second one
 * at once) or until idle. In the current folder. OK when it stopped as it was told. */
int router_run(const struct router_settings *settings, struct err *err);

#endif

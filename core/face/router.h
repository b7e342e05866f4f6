/*
 * router - `herald run`: a loop, an engine, signals, the control socket
 */
#ifndef HERALD_FACE_ROUTER_H
#define HERALD_FACE_ROUTER_H

#include "base/err.h"
#include "engine/engine.h"

struct router_settings {
    struct engine_settings engine; /* loop, log, clock and callbacks are filled in */
    enum log_level log_level;
    enum log_format log_format;
};

/* Runs until SIGTERM or SIGINT (the first one stops in an orderly way, the second one
 * at once) or until idle. In the current folder. OK when it stopped as it was told. */
int router_run(const struct router_settings *settings, struct err *err);

#endif

/*
 * router - `herald run`: a loop, an engine, signals, the control socket
 */
#ifndef HERALD_FACE_ROUTER_H
#define HERALD_FACE_ROUTER_H

#include "base/err.h"
#include "base/settings.h"
#include "engine/engine.h"

enum { ROUTER_RESTART_MAX = 512 };

/* Reads the settings again for a reload. `restart`: names of those that changed and need a
 * restart, or "". ERR_CONFIG with words. */
typedef int router_reread_fn(void *arg, struct settings *out, char restart[ROUTER_RESTART_MAX],
                             struct err *err);

struct router_start {
    struct settings settings;
    const struct script_folder *folders; /* lent for life */
    size_t n_folders;
    bool until_idle;
    router_reread_fn *reread;
    void *reread_arg;
};

/* SIGHUP, a change of the rules' files and `herald reload` load the rules anew.
 *
 * Runs until SIGTERM or SIGINT (the first one stops in an orderly way, the second one
 * at once) or until idle. In the current folder. OK when it stopped as it was told. */
int router_run(const struct router_start *start, struct err *err);

#endif

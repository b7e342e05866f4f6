/*
 * loader - runs the files of a generation in a fresh state
 */
#ifndef HERALD_SCRIPT_LOADER_H
#define HERALD_SCRIPT_LOADER_H

#include "script/script_int.h"

/* Makes a state, runs s->sources in it and fills and seals `rules`. ERR_CONFIG: file,
 * line, what is wrong; ERR_NOMEM. On failure *state_out is untouched and `rules` is to
 * be thrown away. */
int loader_run(struct script *s, struct rules *rules, struct state **state_out, struct err *err);

#endif

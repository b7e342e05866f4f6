/*
 * builtin - the Lua files of scripts/, inside the binary
 *
 * The table is generated at build time (scripts/embed.cmake). A file is found by its
 * module name: scripts/herald/rules.lua is "herald.rules".
 */
#ifndef HERALD_SCRIPT_BUILTIN_H
#define HERALD_SCRIPT_BUILTIN_H

#include <stddef.h>

struct embedded {
    const char *name;  /* as for require */
    const char *bytes; /* the text, followed by a NUL that does not count */
    size_t len;        /* bytes of the text */
};

/* NULL: there is no such file. */
const struct embedded *embedded_find(const char *name);

#endif

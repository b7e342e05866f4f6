/*
 * sources - the text of all rule files of a generation, read once
 *
 * A rebuilt state is made from the same bytes, whatever lies on the disk by then.
 */
#ifndef HERALD_SCRIPT_SOURCES_H
#define HERALD_SCRIPT_SOURCES_H

#include "base/err.h"
#include "base/text.h"
#include "script/lookup.h"
#include "script/script_types.h"

#include <stdbool.h>

enum { SOURCES_FILE_MAX = 4 * 1024 * 1024, SOURCES_FILES_MAX = 4096, SOURCES_HASH_SIZE = 13 };

struct source {
    char *chunk; /* "@learning/rules/enrol.lua": the name relative to the router folder */
    char *text;  /* as it lies on the disk, with its byte order mark */
    size_t len;
    size_t prefix; /* length of "learning/" in front of the name */
    bool module;   /* below lib/: run when it is required, not by itself */
    size_t *lines; /* where each line of the code begins, and, last, where it ends */
    size_t n_lines;
};

struct sources {
    struct source
        *files; /* by folder as given, rules before modules, then by name; shared ones last */
    size_t n;
    struct lookup by_chunk;
    char hash[SOURCES_HASH_SIZE]; /* 12 hex digits over names and contents */
};

/* Reads rules/ *.lua of each folder, and what is below its lib/ and the lib/ above it
 * (folder_above.h): regular files, no hidden ones, no links that lead out of the router's folder.
 * ERR_CONFIG says which path and what to do; ERR_NOMEM. On failure nothing is owned. */
int sources_read(struct sources *s, const struct script_folder *folders, size_t n, struct err *err);
void sources_free(struct sources *s);

/* NULL: there is no such file. `chunk` as in struct source. */
const struct source *sources_find(const struct sources *s, const char *chunk);

/* The code of a file, past its byte order mark. */
struct slice source_code(const struct source *f);

/* Lines of it, from 1, with their ends; "" where there are none such. */
struct slice source_lines(const struct source *f, int first, int last);

#endif

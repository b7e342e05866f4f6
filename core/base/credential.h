/*
 * credential - files that hold keys, certificates and passwords
 *
 * A path that is relative and not there is looked for in systemd's $CREDENTIALS_DIRECTORY. The
 * files are read whenever they are needed, so that whoever replaces one needs no restart.
 */
#ifndef HERALD_BASE_CREDENTIAL_H
#define HERALD_BASE_CREDENTIAL_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { CREDENTIAL_PATH_MAX = 4096 };

/* Where the file of this name is: `name` itself, or `out`, filled in. */
const char *credential_path(const char *name, char out[static CREDENTIAL_PATH_MAX]);

/* OK when it can be read and is a file, or a folder where that is `allowed`. ERR_CONFIG with words
 * about `what` ("the certificate"). */
int credential_look(const char *what, const char *name, bool folder_allowed, struct err *err);

/* Appends a secret without the line end behind it. ERR_CONFIG, with words that do not hold it. The
 * caller wipes the buffer (credential_wipe). */
int credential_read(const char *what, const char *name, struct buf *out, struct err *err);

/* Overwrites what a buffer holds, and frees it. */
void credential_wipe(struct buf *b);

/* Mixes into `hash` what differs once a file, or one in a folder, was replaced. */
uint64_t credential_stamp(uint64_t hash, const char *name);

/* Whether every user of the machine may read it. */
bool credential_is_open(const char *name);

/* From now on no core dump is made of this process, and no other one of its user reads its memory.
 */
void credential_guard(void);

#endif

/*
 * settings_told - the settings in force, as a router tells them
 *
 * No secret is among them: a URL has "***" for its password, and of keys, passwords and tokens
 * there is but the name of a file.
 */
#ifndef HERALD_FACE_SETTINGS_TOLD_H
#define HERALD_FACE_SETTINGS_TOLD_H

#include "base/buf.h"
#include "base/settings.h"

/* Appends a JSON object, in the order of docs/settings.md; times in milliseconds, sizes in bytes.
 * What is not set is left out. */
void settings_told(struct buf *b, const struct settings *s);

#endif

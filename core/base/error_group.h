/*
 * error_group - errors that differ only in what varies are one group
 *
 *   rules/orders.lua:12: no choice '16' of order 60201
 *   rules/orders.lua:14: no choice '17' of order 60202      the same group
 *
 * The first line counts, without its numbers, quoted texts and ids; with the side and
 * the queue it makes the group's number, which people see as eight hex digits.
 */
#ifndef HERALD_BASE_ERROR_GROUP_H
#define HERALD_BASE_ERROR_GROUP_H

#include "base/text.h"

enum { ERROR_GROUP_TEXT = 512 };

/* Writes what is left of the error, cut to ERROR_GROUP_TEXT with its NUL. */
void error_group_text(struct slice error, char out[ERROR_GROUP_TEXT]);

/* 0 to 2^32 - 1; the same on every machine and in every version: stores keep it. */
int64_t error_group(const char *side, struct slice queue, struct slice error);

#endif

/*
 * letter_edit - mends a dead letter before it is replayed
 *
 * The letter keeps its ids and its fingerprint: that is how the broker's copy of the
 * message is known, which a redelivery would bring unmended.
 */
#ifndef HERALD_STORE_LETTER_EDIT_H
#define HERALD_STORE_LETTER_EDIT_H

#include "store/letter.h"

struct header_edit {
    struct slice name;
    struct slice value; /* absent: the header goes */
};

/* What is absent stays as it is. All lent. */
struct letter_edit {
    struct slice type;
    struct slice key[MESSAGE_KEYS];
    struct slice body;
    const struct header_edit *headers;
    size_t n_headers;
};

/* Checks the result as if it arrived, and changes nothing when it is not valid (ERR_INPUT
 * says why), nor when `dry_run`. Type and keys that the new body holds are taken from it.
 * ERR_NOT_FOUND: no such letter. Not inside a transaction. */
int letter_edit(struct db *db, int64_t id, const struct letter_edit *edit, bool dry_run,
                struct err *err);

#endif

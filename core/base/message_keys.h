/*
 * message_keys - business keys that a subscription looks for by a path
 *
 * "body.order.id" is the member id of the member order of a JSON body, "headers.tenant" a header.
 * A name in a path has no dot.
 */
#ifndef HERALD_BASE_MESSAGE_KEYS_H
#define HERALD_BASE_MESSAGE_KEYS_H

#include "base/message.h"

/* Puts what the paths lead to into the message's keys; a NULL path, and one that leads to nothing
 * or to null, leaves its key as it is. The texts are lent by the message and the two tapes (of the
 * body, of the headers), which must stay. ERR_INPUT: there is something that is neither text nor
 * integer, or the body that is due to be JSON is none; ERR_NOMEM. */
int message_keys_find(struct message *m, const char *const path[MESSAGE_KEYS], struct buf tapes[2],
                      struct err *err);

#endif

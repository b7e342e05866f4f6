/*
 * channels - which channel numbers of a link are in use, and by whom
 *
 * A broker allows so many channels on a connection (channel_max), and ends a connection that
 * opens one more. A channel that was closed counts until its other side has said so.
 *
 *              channels_take            channels_leave, channels_orphan
 *   FREE ----------------------> TAKEN --------------------------------> CLOSING
 *    ^                             |                                        |
 *    |      channels_release       |               close-ok                 |
 *    '-----------------------------'----------------------------------------'
 *
 * What comes on a channel in CLOSING concerns nobody and is taken by channels_hear.
 */
#ifndef HERALD_RABBIT_CHANNELS_H
#define HERALD_RABBIT_CHANNELS_H

#include "wire/link.h"

struct channels;

/* Work has the low numbers from 2 on; declarations have 1, and the high ones while they are many.
 */
enum channels_use { CHANNELS_OF_WORK, CHANNELS_OF_DECLARE };

/* `link` is lent for life. NULL when out of memory. */
struct channels *channels_new(struct link *link);
void channels_free(struct channels **c); /* NULL is fine */

struct link *channels_link(const struct channels *c);

/* How many the broker allows; the link is up. */
size_t channels_most(const struct channels *c);

/* A number for `owner`, lent until it is released or left. 0: all are in use. */
uint16_t channels_take(struct channels *c, enum channels_use use, void *owner);

/* The channel is closed on both sides. */
void channels_release(struct channels *c, uint16_t n);

/* Its owner has closed it and hears of it no more; channels_leave closes it as well, and gives
 * OK or the link's code. */
void channels_orphan(struct channels *c, uint16_t n);
int channels_leave(struct channels *c, uint16_t n, struct err *err);

/* How many are in CLOSING. */
size_t channels_leaving(const struct channels *c);

/* The owner of a channel that was taken for this; NULL: there is none. */
void *channels_owner(const struct channels *c, enum channels_use use, uint16_t n);

/* True when it came on a channel that is being closed: nobody else need look at it. */
bool channels_hear(struct channels *c, uint16_t n, const amqp_method_t *method);

/* True: such a channel, for its contents. */
bool channels_is_left(const struct channels *c, uint16_t n);

/* The link went down: all are free. */
void channels_down(struct channels *c);

#endif

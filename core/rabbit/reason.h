/*
 * reason - a text that several owners keep: why a row came back, why a channel closed
 *
 * When a channel dies with a thousand rows on it, all of them are given the same
 * words. One counted block serves them, and a text that repeats is found again
 * without a new one.
 */
#ifndef HERALD_RABBIT_REASON_H
#define HERALD_RABBIT_REASON_H

struct reason;

/* A counted text for `text`, which is copied. Where *last holds an equal one, that
 * one is shared; otherwise *last is let go and becomes the new one. *last stays the
 * caller's to drop. Returns NULL when out of memory (reason_text then says so). */
struct reason *reason_take(struct reason **last, const char *text);

/* One more owner; NULL stays NULL. */
struct reason *reason_share(struct reason *r);

/* One owner less; clears *r. NULL is fine. */
void reason_drop(struct reason **r);

/* Never NULL: a reason that could not be kept reads as such. */
const char *reason_text(const struct reason *r);

#endif

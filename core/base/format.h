/*
 * format - what the consumers of some frameworks need of a message, made of one of herald's
 *
 * The message type becomes what they look for (a pattern, a task, a class); the body becomes what
 * is in their envelope, where they have one. What an author says himself, by a header or a property
 * of that name, stays.
 *
 * | format       | body                                  | headers                  | properties |
 * | ------------ | ------------------------------------- | ------------------------ |
 * ------------------ | | nestjs       | {"pattern","data"}, "id" of a request | - | JSON | | celery
 * | [args, kwargs, embed]                 | task, id, lang, root_id  | JSON, utf-8,       | | | |
 * | correlation_id     | | cloudevents  | structured, of version 1.0            | - |
 * cloudevents+json   | | masstransit  | its envelope                          | - |
 * vnd.masstransit+json | | cap          | as it is                              | cap-msg-id,
 * cap-msg-name | -                  | | symfony      | as it is                              | type
 * | -                  | | spring       | as it is                              | __TypeId__ |
 * UTF-8              |
 */
#ifndef HERALD_BASE_FORMAT_H
#define HERALD_BASE_FORMAT_H

#include "base/message.h"
#include "base/topology.h"

/* "nestjs"; "" for none. */
const char *format_name(enum message_format f);
/* Back again; FORMAT_NONE for any other word. */
enum message_format format_of(const char *name);

/* What a row is to hold instead. */
struct formatted {
    struct buf body;
    struct buf headers;    /* empty: none */
    struct buf properties; /* empty: none */
};

void formatted_init(struct formatted *f);
void formatted_free(struct formatted *f);

/* Fills an empty one. The message is whole: it has an id, a type and a body; it was written at
 * `at_ms` since 1970 UTC. OK, ERR_INPUT with words for one that this format cannot hold, or
 * ERR_NOMEM. The same message gives the same bytes. */
int format_message(struct formatted *out, enum message_format f, const struct message *m,
                   int64_t at_ms, struct err *err);

#endif

/*
 * list - what people see of the store: the rows of a view, and their columns by name
 *
 * A view is a statement in list.c, whose columns have the names that people see; a new column of
 * a listing is one line there. What a name ends with says what its values are:
 *
 *   name      a number, text, bytes; null: absent
 *   name?     yes or no
 *   name[]    rows of their own, by list_inner; in the store they are lines as tries.h has them
 *
 * Which rows are meant is noted at the opening, so whoever is given them may take his time: what
 * goes meanwhile is passed over.
 */
#ifndef HERALD_STORE_LIST_H
#define HERALD_STORE_LIST_H

#include "base/value.h"
#include "store/pick.h"

enum list_view {
    LIST_LETTERS,
    LIST_RETRIES,
    LIST_OUTBOX,
    LIST_HISTORY,       /* the newest first */
    LIST_LETTER_GROUPS, /* dead letters whose errors differ only in what varies, the largest first
                         */
    LIST_INBOX,         /* what the queues know of pick.message_id, one row each that does */
    LIST_LANES, /* in which something waits or failed: of retries, of letters, of the outbox */
    LIST_TRIES, /* by list_inner alone: what each try of a message came to (tries.h) */
    LIST_VIEWS,
};

/* Bytes of the rows of one list, but for its first. */
enum { LIST_BYTES_MAX = 512 * 1024 * 1024 };

struct list_of {
    enum list_view view;
    int64_t id;       /* the one row that is meant, which is shown whole; 0: a page of them */
    struct pick pick; /* of a page, but of groups and lanes; with the next two as pick_ids */
    int64_t after;
    size_t limit; /* at most so many; lanes: of each kind */
};

struct list;

/* Lends what `of` lends until it returns. The list is the caller's to close, also after an error,
 * and before the store. */
int list_open(struct list **list, struct db *db, const struct list_of *of, struct err *err);
void list_close(struct list **list);

/* 1: a row, 0: no further one, or an ERR_ code; ERR_LIMIT: over LIST_BYTES_MAX. */
int list_next(struct list *l, struct err *err);

int list_columns(const struct list *l);
const char *list_name(const struct list *l, int column);
/* Of the row at hand, lent until the next. */
const struct value *list_value(const struct list *l, int column);

/* The rows of a column "name[]" of the row at hand, which belong to `l` and end with the row. NULL:
 * out of memory, or the store's trouble, in words. */
struct list *list_inner(struct list *l, int column, struct err *err);

/* The SQL of a view, for the test of plans. */
const char *list_sql(enum list_view view);

#endif

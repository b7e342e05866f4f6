/* exchanges - see exchanges.h. */
#include "script/exchanges.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 16 };

struct exchange {
    const char *name; /* lent, as the other */
    enum exchange_kind kind;
    const char *origin; /* of the first declaration */
};

static void name_exchange(const void *list, size_t i, struct slice name[LOOKUP_PARTS])
{
    name[0] = slice_of(((const struct exchange *)list + i)->name);
    name[1] = name[2] = slice_of(NULL);
}

/* The kind of one that every broker has; EXCHANGE_DEFAULT: it is none of these. */
static enum exchange_kind built_in(const char *name)
{
    static const struct {
        const char *name;
        enum exchange_kind kind;
    } list[] = {{"amq.fanout", EXCHANGE_FANOUT},
                {"amq.direct", EXCHANGE_DIRECT},
                {"amq.topic", EXCHANGE_TOPIC},
                {"amq.headers", EXCHANGE_HEADERS},
                {"amq.match", EXCHANGE_HEADERS}};

    for (size_t i = 0; i < sizeof list / sizeof list[0]; i++)
        if (strcmp(name, list[i].name) == 0)
            return list[i].kind;
    return EXCHANGE_DEFAULT;
}

static int check_built_in(const struct exchange *new, struct err *err)
{
    enum exchange_kind kind = built_in(new->name);

    if (kind == EXCHANGE_DEFAULT || kind == new->kind)
        return OK;
    return err_set(err, ERR_CONFIG, "%s: exchange \"%s\" is a %s here: every broker has it as a %s",
                   new->origin, new->name, exchange_kind_word(new->kind), exchange_kind_word(kind));
}

static int check_first(const struct exchange *new, const struct exchange *first, struct err *err)
{
    if (first->kind == new->kind)
        return OK;
    return err_set(err, ERR_CONFIG,
                   "%s: exchange \"%s\" is a %s here, and a %s at %s: a broker has one exchange of "
                   "that name, of one kind",
                   new->origin, new->name, exchange_kind_word(new->kind),
                   exchange_kind_word(first->kind), first->origin);
}

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory while declaring rules");
}

static int append(struct exchanges *x, const struct exchange *new,
                  const struct slice name[LOOKUP_PARTS], struct err *err)
{
    if (x->at.n == x->room) {
        size_t room = x->room ? x->room * 2 : FIRST_ROOM;
        struct exchange *moved = realloc(x->list, room * sizeof *moved);

        if (moved == NULL)
            return no_memory(err);
        x->list = moved;
        x->room = room;
    }
    x->list[x->at.n] = *new;
    return lookup_add(&x->at, name) == OK ? OK : no_memory(err);
}

static int add(struct exchanges *x, const struct exchange *new, struct err *err)
{
    struct slice name[LOOKUP_PARTS];
    size_t first;
    int rc = check_built_in(new, err);

    if (rc != OK)
        return rc;
    name_exchange(new, 0, name);
    first = lookup_find(&x->at, name, name_exchange, x->list);
    if (first != LOOKUP_NONE)
        return check_first(new, &x->list[first], err);
    return append(x, new, name, err);
}

int exchanges_add(struct exchanges *x, const struct destination *list, size_t n, const char *origin,
                  struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < n && rc == OK; i++)
        if (list[i].kind != EXCHANGE_DEFAULT)
            rc = add(x, &(struct exchange){list[i].exchange, list[i].kind, origin}, err);
    return rc;
}

void exchanges_free(struct exchanges *x)
{
    lookup_free(&x->at);
    free(x->list);
    *x = (struct exchanges){.list = NULL};
}

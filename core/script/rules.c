/* rules - see rules.h. Each of the three lists has an index by hash, so that a declaration and
 * a look-up take the same time whatever there is already. */
#include "script/rules_int.h"

#include "script/exchanges.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 8, MEMORY_MAX = 1 << 30 };

/* All of one kind. */
struct list {
    void *items;      /* owned array */
    size_t size;      /* bytes of one */
    size_t room;      /* allocated, in items */
    struct lookup at; /* by name; its n is how many there are */
    void (*describe)(const void *item, struct rule *out);
};

struct rules {
    struct list lists[RULE_KINDS];
    struct exchanges exchanges;   /* of routes and subscriptions */
    struct topology topology;     /* filled by the seal */
    struct arena memory;          /* of routes and subscriptions */
    struct arena handlers_memory; /* of handlers, which a rebuild replaces */
    bool sealed;
};

static void describe_subscription(const void *item, struct rule *out)
{
    const struct subscription *s = item;

    *out = (struct rule){.name = {s->queue}, .json = s->json, .origin = s->origin};
}

static void describe_route(const void *item, struct rule *out)
{
    const struct route *r = item;

    *out = (struct rule){.name = {r->type, r->order_type}, .json = r->json, .origin = r->origin};
}

static void describe_handler(const void *item, struct rule *out)
{
    const struct handler *h = item;

    *out = (struct rule){
        .name = {h->type, h->order_type, h->queue}, .json = h->json, .origin = h->origin};
}

/* What messages to people call a kind, and the parts of its name. */
static const struct {
    const char *kind, *part[LOOKUP_PARTS];
} words[RULE_KINDS] = {[RULE_SUBSCRIPTION] = {"subscription", {"queue"}},
                       [RULE_ROUTE] = {"route", {"type", "order type"}},
                       [RULE_HANDLER] = {"handler", {"type", "order type", "queue"}}};

const char *rules_word(enum rule_kind kind)
{
    return words[kind].kind;
}

struct rules *rules_new(void)
{
    struct rules *r = calloc(1, sizeof *r);

    if (r == NULL)
        return NULL;
    r->lists[RULE_SUBSCRIPTION] =
        (struct list){.size = sizeof(struct subscription), .describe = describe_subscription};
    r->lists[RULE_ROUTE] = (struct list){.size = sizeof(struct route), .describe = describe_route};
    r->lists[RULE_HANDLER] =
        (struct list){.size = sizeof(struct handler), .describe = describe_handler};
    arena_init(&r->memory, MEMORY_MAX);
    arena_init(&r->handlers_memory, MEMORY_MAX);
    return r;
}

void rules_free(struct rules **rules)
{
    struct rules *r = *rules;

    if (r == NULL)
        return;
    for (size_t i = 0; i < RULE_KINDS; i++) {
        free(r->lists[i].items);
        lookup_free(&r->lists[i].at);
    }
    exchanges_free(&r->exchanges);
    arena_free(&r->memory);
    arena_free(&r->handlers_memory);
    free(r);
    *rules = NULL;
}

struct arena *rules_memory(struct rules *r, enum rule_kind kind)
{
    return kind == RULE_HANDLER ? &r->handlers_memory : &r->memory;
}

static void *item_at(const struct list *l, size_t i)
{
    return (char *)l->items + i * l->size;
}

static void slices_of(const char *const name[LOOKUP_PARTS], struct slice out[LOOKUP_PARTS])
{
    for (size_t i = 0; i < LOOKUP_PARTS; i++)
        out[i] = slice_of(name[i]);
}

/* A lookup_name_fn. */
static void name_item(const void *list, size_t i, struct slice name[LOOKUP_PARTS])
{
    const struct list *l = list;
    struct rule rule;

    l->describe(item_at(l, i), &rule);
    slices_of(rule.name, name);
}

static void *find(const struct list *l, struct slice a, struct slice b, struct slice c)
{
    const struct slice name[LOOKUP_PARTS] = {a, b, c};
    size_t i = lookup_find(&l->at, name, name_item, l);

    return i == LOOKUP_NONE ? NULL : item_at(l, i);
}

static void *find_named(const struct list *l, const char *const name[LOOKUP_PARTS])
{
    return find(l, slice_of(name[0]), slice_of(name[1]), slice_of(name[2]));
}

bool rules_find(const struct rules *r, enum rule_kind kind, const char *const name[LOOKUP_PARTS],
                struct rule *out)
{
    const void *item = find_named(&r->lists[kind], name);

    if (item != NULL)
        r->lists[kind].describe(item, out);
    return item != NULL;
}

size_t rules_count(const struct rules *r, enum rule_kind kind)
{
    return r->lists[kind].at.n;
}

bool rules_at(const struct rules *r, enum rule_kind kind, size_t i, struct rule *out)
{
    if (i >= rules_count(r, kind))
        return false;
    r->lists[kind].describe(item_at(&r->lists[kind], i), out);
    return true;
}

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory while declaring rules");
}

static int refuse_second(enum rule_kind kind, const struct rule *second, const struct rule *first,
                         struct err *err)
{
    char name[1024] = "";

    for (size_t i = 0; i < LOOKUP_PARTS; i++) {
        size_t used = strlen(name);

        if (second->name[i] != NULL)
            snprintf(name + used, sizeof name - used, "%s%s \"%s\"", i > 0 ? ", " : "",
                     words[kind].part[i], second->name[i]);
    }
    return err_set(err, ERR_CONFIG, "%s: a second %s for %s: the first one is at %s",
                   second->origin, words[kind].kind, name, first->origin);
}

/* Makes room for one more. */
static bool grow(struct list *l)
{
    size_t more = l->room ? l->room * 2 : FIRST_ROOM;
    void *moved;

    if (l->at.n < l->room)
        return true;
    moved = realloc(l->items, more * l->size);
    if (moved == NULL)
        return false;
    l->items = moved;
    l->room = more;
    return true;
}

static int append(struct list *l, const void *item, struct err *err)
{
    struct slice name[LOOKUP_PARTS];

    if (!grow(l))
        return no_memory(err);
    memcpy(item_at(l, l->at.n), item, l->size);
    name_item(l, l->at.n, name);
    return lookup_add(&l->at, name) == OK ? OK : no_memory(err);
}

static int add(struct rules *r, enum rule_kind kind, const void *item,
               const struct destination *list, size_t n, struct err *err)
{
    struct rule rule, first;
    int rc;

    REQUIRE(!r->sealed);
    r->lists[kind].describe(item, &rule);
    if (rules_find(r, kind, rule.name, &first))
        return refuse_second(kind, &rule, &first, err);
    rc = exchanges_add(&r->exchanges, list, n, rule.origin, err);
    return rc == OK ? append(&r->lists[kind], item, err) : rc;
}

int rules_add_subscription(struct rules *r, const struct subscription *s, struct err *err)
{
    int rc = add(r, RULE_SUBSCRIPTION, s, s->from, s->n_from, err);

    return rc == OK ? exchanges_add(&r->exchanges, s->sources, s->n_sources, s->origin, err) : rc;
}

int rules_add_route(struct rules *r, const struct route *route, struct err *err)
{
    return add(r, RULE_ROUTE, route, route->to, route->n_to, err);
}

int rules_add_handler(struct rules *r, const struct handler *h, struct err *err)
{
    return add(r, RULE_HANDLER, h, NULL, 0, err);
}

static void note_siblings(const struct list *routes)
{
    const struct slice none = {NULL, 0};

    for (size_t i = 0; i < routes->at.n; i++) {
        const struct route *route = item_at(routes, i);
        struct route *any = find(routes, slice_of(route->type), none, none);

        if (any != NULL && route->order_type != NULL)
            any->has_siblings = true;
    }
}

void rules_seal(struct rules *r)
{
    note_siblings(&r->lists[RULE_ROUTE]);
    r->topology = (struct topology){.subscriptions = r->lists[RULE_SUBSCRIPTION].items,
                                    .n_subscriptions = rules_count(r, RULE_SUBSCRIPTION),
                                    .routes = r->lists[RULE_ROUTE].items,
                                    .n_routes = rules_count(r, RULE_ROUTE)};
    r->sealed = true;
}

/* A file may declare other things when it is run again (it may look at the environment):
 * a function that is not there any more must fail when it is called, not be skipped. */
static int renew(int handle, int now)
{
    return handle == 0 ? 0 : now != 0 ? now : RULES_LOST;
}

/* What has the name of an item of another set of rules, or else `otherwise`. */
static const void *find_again(const struct list *l, const void *item, const void *otherwise)
{
    const void *found;
    struct rule rule;

    l->describe(item, &rule);
    found = find_named(l, rule.name);
    return found ? found : otherwise;
}

static void take_handles(struct rules *r, const struct rules *from)
{
    const struct subscription no_subscription = {.queue = NULL};
    const struct route no_route = {.type = NULL};

    for (size_t i = 0; i < rules_count(r, RULE_ROUTE); i++) {
        struct route *to = item_at(&r->lists[RULE_ROUTE], i);
        const struct route *now = find_again(&from->lists[RULE_ROUTE], to, &no_route);

        to->to_function = renew(to->to_function, now->to_function);
    }
    for (size_t i = 0; i < rules_count(r, RULE_SUBSCRIPTION); i++) {
        struct subscription *to = item_at(&r->lists[RULE_SUBSCRIPTION], i);
        const struct subscription *now =
            find_again(&from->lists[RULE_SUBSCRIPTION], to, &no_subscription);

        to->before = renew(to->before, now->before);
        to->after = renew(to->after, now->after);
        to->envelope_function = renew(to->envelope_function, now->envelope_function);
        to->identity = renew(to->identity, now->identity);
    }
}

void rules_take_handlers(struct rules *r, struct rules *from)
{
    const struct list handlers = r->lists[RULE_HANDLER];
    const struct arena memory = r->handlers_memory;

    REQUIRE(r->sealed && from->sealed);
    r->lists[RULE_HANDLER] = from->lists[RULE_HANDLER];
    r->handlers_memory = from->handlers_memory;
    from->lists[RULE_HANDLER] = handlers;
    from->handlers_memory = memory;
    take_handles(r, from);
}

const struct topology *rules_topology(const struct rules *r)
{
    return &r->topology;
}

const struct subscription *rules_subscription(const struct rules *r, struct slice queue)
{
    const struct slice none = {NULL, 0};

    return find(&r->lists[RULE_SUBSCRIPTION], queue, none, none);
}

const struct handler *rules_handler_at(const struct rules *r, size_t i)
{
    return i < rules_count(r, RULE_HANDLER) ? item_at(&r->lists[RULE_HANDLER], i) : NULL;
}

/* For this queue, or else for any. */
static const struct handler *handler_for(const struct rules *r, struct slice type,
                                         struct slice order_type, struct slice queue)
{
    const struct list *l = &r->lists[RULE_HANDLER];
    const struct handler *h = find(l, type, order_type, queue);

    return h ? h : find(l, type, order_type, (struct slice){NULL, 0});
}

const struct handler *rules_handler(const struct rules *r, struct slice queue, struct slice type,
                                    struct slice order_type)
{
    const struct slice any = slice_of("*");
    const struct handler *h = NULL;

    if (order_type.data != NULL)
        h = handler_for(r, type, order_type, queue);
    if (h == NULL)
        h = handler_for(r, type, any, queue);
    if (h == NULL)
        h = handler_for(r, any, any, queue);
    return h;
}

bool route_is_for(const struct route *route, struct slice type, struct slice order_type)
{
    if (!slice_is(type, route->type))
        return false;
    if (route->order_type != NULL)
        return slice_is(order_type, route->order_type);
    return !route->has_siblings || order_type.data == NULL;
}

/* One lookup where no route of the type names an order type, as in most rules. */
const struct route *rules_route(const struct rules *r, struct slice type, struct slice order_type)
{
    const struct list *l = &r->lists[RULE_ROUTE];
    const struct slice none = {NULL, 0};
    const struct route *any = find(l, type, none, none), *own;

    if (order_type.data == NULL || (any != NULL && !any->has_siblings))
        return any;
    own = find(l, type, order_type, none);
    return own ? own : any;
}

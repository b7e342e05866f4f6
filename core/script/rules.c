/* rules - see rules.h. Each of the three lists has an index by hash, so that a declaration and
 * a look-up take the same time whatever there is already. */
#include "script/rules_int.h"

#include "script/exchanges.h"
#include "script/lookup.h"

#include <stdlib.h>

enum { FIRST_ROOM = 8 };

struct rules {
    struct handler *handlers;
    size_t n_handlers;
    size_t room_handlers; /* allocated */
    struct lookup handler_at;
    struct route *routes;
    size_t n_routes;
    size_t room_routes;
    struct lookup route_at;
    struct subscription *subscriptions;
    size_t n_subscriptions;
    size_t room_subscriptions;
    struct lookup subscription_at;
    struct exchanges exchanges; /* of routes and subscriptions */
    struct topology topology;   /* filled by the seal */
    bool sealed;
};

void rules_drop_handler(struct handler *h)
{
    free(h->type);
    free(h->order_type);
    free(h->queue);
    free(h->retry);
    free(h->origin);
    *h = (struct handler){.ref = 0};
}

void rules_drop_route(struct route *r)
{
    free(r->type);
    free(r->order_type);
    for (size_t i = 0; i < r->n_to; i++) {
        free(r->to[i].exchange);
        free(r->to[i].routing_key);
    }
    free(r->to);
    free(r->origin);
    *r = (struct route){.type = NULL};
}

void rules_drop_subscription(struct subscription *s)
{
    for (size_t i = 0; i < s->n_from; i++) {
        free(s->from[i].exchange);
        free(s->from[i].routing_key);
    }
    free(s->from);
    free(s->queue);
    free(s->origin);
    *s = (struct subscription){.queue = NULL};
}

struct rules *rules_new(void)
{
    return calloc(1, sizeof(struct rules));
}

static void free_handlers(struct rules *r)
{
    for (size_t i = 0; i < r->n_handlers; i++)
        rules_drop_handler(&r->handlers[i]);
    free(r->handlers);
    lookup_free(&r->handler_at);
    r->handlers = NULL;
    r->n_handlers = r->room_handlers = 0;
}

void rules_free(struct rules **rules)
{
    struct rules *r = *rules;

    if (r == NULL)
        return;
    free_handlers(r);
    for (size_t i = 0; i < r->n_routes; i++)
        rules_drop_route(&r->routes[i]);
    for (size_t i = 0; i < r->n_subscriptions; i++)
        rules_drop_subscription(&r->subscriptions[i]);
    free(r->routes);
    free(r->subscriptions);
    lookup_free(&r->route_at);
    lookup_free(&r->subscription_at);
    exchanges_free(&r->exchanges);
    free(r);
    *rules = NULL;
}

/* Makes room for one more element; returns the array, perhaps moved, or NULL. */
static void *grow(void *array, size_t used, size_t *room, size_t size)
{
    size_t more = *room ? *room * 2 : FIRST_ROOM;
    void *moved;

    if (used < *room)
        return array;
    moved = realloc(array, more * size);
    if (moved != NULL)
        *room = more;
    return moved;
}

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory while declaring rules");
}

static void name_handler(const void *list, size_t i, struct slice name[LOOKUP_PARTS])
{
    const struct handler *h = (const struct handler *)list + i;

    name[0] = slice_of(h->type);
    name[1] = slice_of(h->order_type);
    name[2] = slice_of(h->queue);
}

static void name_route(const void *list, size_t i, struct slice name[LOOKUP_PARTS])
{
    const struct route *r = (const struct route *)list + i;

    name[0] = slice_of(r->type);
    name[1] = slice_of(r->order_type);
    name[2] = slice_of(NULL);
}

static void name_subscription(const void *list, size_t i, struct slice name[LOOKUP_PARTS])
{
    name[0] = slice_of(((const struct subscription *)list + i)->queue);
    name[1] = name[2] = slice_of(NULL);
}

const struct handler *rules_exact_handler(const struct rules *r, struct slice type,
                                          struct slice order_type, struct slice queue)
{
    const struct slice name[] = {type, order_type, queue};
    size_t i = lookup_find(&r->handler_at, name, name_handler, r->handlers);

    return i == LOOKUP_NONE ? NULL : &r->handlers[i];
}

const struct route *rules_exact_route(const struct rules *r, struct slice type,
                                      struct slice order_type)
{
    const struct slice name[] = {type, order_type, {NULL, 0}};
    size_t i = lookup_find(&r->route_at, name, name_route, r->routes);

    return i == LOOKUP_NONE ? NULL : &r->routes[i];
}

const struct subscription *rules_subscription(const struct rules *r, struct slice queue)
{
    const struct slice name[] = {queue, {NULL, 0}, {NULL, 0}};
    size_t i = lookup_find(&r->subscription_at, name, name_subscription, r->subscriptions);

    return i == LOOKUP_NONE ? NULL : &r->subscriptions[i];
}

static int check_handler(const struct rules *r, const struct handler *h, struct err *err)
{
    const struct handler *first =
        rules_exact_handler(r, slice_of(h->type), slice_of(h->order_type), slice_of(h->queue));

    if (first == NULL)
        return OK;
    return err_set(err, ERR_CONFIG,
                   "%s: a second handler for type \"%s\", order type \"%s\"%s%s%s: the first one "
                   "is at %s",
                   h->origin, h->type, h->order_type, h->queue ? ", queue \"" : "",
                   h->queue ? h->queue : "", h->queue ? "\"" : "", first->origin);
}

static int check_route(const struct rules *r, const struct route *route, struct err *err)
{
    const struct route *first =
        rules_exact_route(r, slice_of(route->type), slice_of(route->order_type));

    if (first == NULL)
        return OK;
    return err_set(
        err, ERR_CONFIG, "%s: a second route for type \"%s\"%s%s%s: the first one is at %s",
        route->origin, route->type, route->order_type ? ", order type \"" : "",
        route->order_type ? route->order_type : "", route->order_type ? "\"" : "", first->origin);
}

static int check_subscription(const struct rules *r, const struct subscription *s, struct err *err)
{
    const struct subscription *first = rules_subscription(r, slice_of(s->queue));

    if (first == NULL)
        return OK;
    return err_set(err, ERR_CONFIG,
                   "%s: a second subscription for queue \"%s\": the first one is at %s", s->origin,
                   s->queue, first->origin);
}

/* The next position of a list gets the name that the caller has put there. */
static int enter(struct lookup *at, lookup_name_fn *name_of, const void *list, struct err *err)
{
    struct slice name[LOOKUP_PARTS];

    name_of(list, at->n, name);
    return lookup_add(at, name) == OK ? OK : no_memory(err);
}

int rules_add_handler(struct rules *r, struct handler *h, struct err *err)
{
    struct handler *array = grow(r->handlers, r->n_handlers, &r->room_handlers, sizeof *h);
    int rc = array ? OK : no_memory(err);

    REQUIRE(!r->sealed);
    if (array != NULL)
        r->handlers = array;
    if (rc == OK)
        rc = check_handler(r, h, err);
    if (rc == OK) {
        r->handlers[r->n_handlers] = *h;
        rc = enter(&r->handler_at, name_handler, r->handlers, err);
    }
    if (rc != OK) {
        rules_drop_handler(h);
        return rc;
    }
    r->n_handlers++;
    *h = (struct handler){.ref = 0};
    return OK;
}

int rules_add_route(struct rules *r, struct route *route, struct err *err)
{
    struct route *array = grow(r->routes, r->n_routes, &r->room_routes, sizeof *route);
    int rc = array ? OK : no_memory(err);

    REQUIRE(!r->sealed);
    if (array != NULL)
        r->routes = array;
    if (rc == OK)
        rc = check_route(r, route, err);
    if (rc == OK)
        rc = exchanges_add(&r->exchanges, route->to, route->n_to, route->origin, err);
    if (rc == OK) {
        r->routes[r->n_routes] = *route;
        rc = enter(&r->route_at, name_route, r->routes, err);
    }
    if (rc != OK) {
        rules_drop_route(route);
        return rc;
    }
    r->n_routes++;
    *route = (struct route){.type = NULL};
    return OK;
}

int rules_add_subscription(struct rules *r, struct subscription *s, struct err *err)
{
    struct subscription *array =
        grow(r->subscriptions, r->n_subscriptions, &r->room_subscriptions, sizeof *s);
    int rc = array ? OK : no_memory(err);

    REQUIRE(!r->sealed);
    if (array != NULL)
        r->subscriptions = array;
    if (rc == OK)
        rc = check_subscription(r, s, err);
    if (rc == OK)
        rc = exchanges_add(&r->exchanges, s->from, s->n_from, s->origin, err);
    if (rc == OK) {
        r->subscriptions[r->n_subscriptions] = *s;
        rc = enter(&r->subscription_at, name_subscription, r->subscriptions, err);
    }
    if (rc != OK) {
        rules_drop_subscription(s);
        return rc;
    }
    r->n_subscriptions++;
    *s = (struct subscription){.queue = NULL};
    return OK;
}

void rules_seal(struct rules *r)
{
    r->topology = (struct topology){.subscriptions = r->subscriptions,
                                    .n_subscriptions = r->n_subscriptions,
                                    .routes = r->routes,
                                    .n_routes = r->n_routes};
    r->sealed = true;
}

/* A file may declare other things when it is run again (it may look at the environment):
 * a function that is not there any more must fail when it is called, not be skipped. */
static int renew(int handle, int now)
{
    return handle == 0 ? 0 : now != 0 ? now : RULES_LOST;
}

static void take_handles(struct rules *r, const struct rules *from)
{
    const struct subscription no_subscription = {.queue = NULL};
    const struct route no_route = {.type = NULL};

    for (size_t i = 0; i < r->n_routes; i++) {
        struct route *to = &r->routes[i];
        const struct route *now =
            rules_exact_route(from, slice_of(to->type), slice_of(to->order_type));

        to->to_function = renew(to->to_function, (now ? now : &no_route)->to_function);
    }
    for (size_t i = 0; i < r->n_subscriptions; i++) {
        struct subscription *to = &r->subscriptions[i];
        const struct subscription *now = rules_subscription(from, slice_of(to->queue));

        now = now ? now : &no_subscription;
        to->before = renew(to->before, now->before);
        to->after = renew(to->after, now->after);
        to->envelope_function = renew(to->envelope_function, now->envelope_function);
        to->identity = renew(to->identity, now->identity);
    }
}

void rules_take_handlers(struct rules *r, struct rules *from)
{
    REQUIRE(r->sealed && from->sealed);
    free_handlers(r);
    r->handlers = from->handlers;
    r->n_handlers = from->n_handlers;
    r->room_handlers = from->room_handlers;
    r->handler_at = from->handler_at;
    from->handlers = NULL;
    from->n_handlers = from->room_handlers = 0;
    from->handler_at = (struct lookup){.slots = NULL};
    take_handles(r, from);
}

const struct topology *rules_topology(const struct rules *r)
{
    return &r->topology;
}

size_t rules_handlers(const struct rules *r)
{
    return r->n_handlers;
}

/* For this queue, or else for any. */
static const struct handler *handler_for(const struct rules *r, struct slice type,
                                         struct slice order_type, struct slice queue)
{
    const struct handler *h = rules_exact_handler(r, type, order_type, queue);

    return h ? h : rules_exact_handler(r, type, order_type, (struct slice){NULL, 0});
}

const struct handler *rules_handler_at(const struct rules *r, size_t i)
{
    return i < r->n_handlers ? &r->handlers[i] : NULL;
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

const struct route *rules_route(const struct rules *r, struct slice type, struct slice order_type)
{
    const struct route *route = NULL;

    if (order_type.data != NULL)
        route = rules_exact_route(r, type, order_type);
    return route ? route : rules_exact_route(r, type, (struct slice){NULL, 0});
}

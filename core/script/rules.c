/* rules - see rules.h. Handlers and routes are kept sorted from the seal on, so that a
 * look-up is a binary search with slices and copies nothing. */
#include "script/rules_int.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 8 };

struct rules {
    struct handler *handlers;
    size_t n_handlers;
    size_t room_handlers; /* allocated */
    struct route *routes;
    size_t n_routes;
    size_t room_routes;
    struct subscription *subscriptions;
    size_t n_subscriptions;
    size_t room_subscriptions;
    struct topology topology; /* filled by the seal */
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

/* An absent text equals only an absent one. */
static bool same(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static int check_handler(const struct rules *r, const struct handler *h, struct err *err)
{
    for (size_t i = 0; i < r->n_handlers; i++)
        if (same(r->handlers[i].type, h->type) && same(r->handlers[i].order_type, h->order_type) &&
            same(r->handlers[i].queue, h->queue))
            return err_set(err, ERR_CONFIG,
                           "%s: a second handler for type \"%s\", order type \"%s\"%s%s%s: the "
                           "first one is at %s",
                           h->origin, h->type, h->order_type, h->queue ? ", queue \"" : "",
                           h->queue ? h->queue : "", h->queue ? "\"" : "", r->handlers[i].origin);
    return OK;
}

static int check_route(const struct rules *r, const struct route *route, struct err *err)
{
    for (size_t i = 0; i < r->n_routes; i++)
        if (same(r->routes[i].type, route->type) &&
            same(r->routes[i].order_type, route->order_type))
            return err_set(err, ERR_CONFIG,
                           "%s: a second route for type \"%s\"%s%s%s: the first one is at %s",
                           route->origin, route->type, route->order_type ? ", order type \"" : "",
                           route->order_type ? route->order_type : "",
                           route->order_type ? "\"" : "", r->routes[i].origin);
    return OK;
}

static const struct subscription *find_subscription(const struct rules *r, const char *queue)
{
    for (size_t i = 0; i < r->n_subscriptions; i++)
        if (same(r->subscriptions[i].queue, queue))
            return &r->subscriptions[i];
    return NULL;
}

static int check_subscription(const struct rules *r, const struct subscription *s, struct err *err)
{
    const struct subscription *first = find_subscription(r, s->queue);

    if (first == NULL)
        return OK;
    return err_set(err, ERR_CONFIG,
                   "%s: a second subscription for queue \"%s\": the first one is at %s", s->origin,
                   s->queue, first->origin);
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
    if (rc != OK) {
        rules_drop_handler(h);
        return rc;
    }
    r->handlers[r->n_handlers++] = *h;
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
    if (rc != OK) {
        rules_drop_route(route);
        return rc;
    }
    r->routes[r->n_routes++] = *route;
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
    if (rc != OK) {
        rules_drop_subscription(s);
        return rc;
    }
    r->subscriptions[r->n_subscriptions++] = *s;
    *s = (struct subscription){.queue = NULL};
    return OK;
}

/* Order of what is there against what is wanted; an absent text comes first. */
static int compare(const char *const texts[3], const struct slice want[3])
{
    const struct slice have[3] = {slice_of(texts[0]), slice_of(texts[1]), slice_of(texts[2])};

    for (int i = 0; i < 3; i++) {
        size_t len = have[i].len < want[i].len ? have[i].len : want[i].len;
        int order;

        if (have[i].data == NULL || want[i].data == NULL)
            order = (have[i].data != NULL) - (want[i].data != NULL);
        else
            order = memcmp(have[i].data, want[i].data, len);
        if (order == 0)
            order = (have[i].len > want[i].len) - (have[i].len < want[i].len);
        if (order != 0)
            return order;
    }
    return 0;
}

static int compare_handler(const struct handler *h, struct slice type, struct slice order_type,
                           struct slice queue)
{
    return compare((const char *const[]){h->type, h->order_type, h->queue},
                   (const struct slice[]){type, order_type, queue});
}

static int compare_route(const struct route *r, struct slice type, struct slice order_type)
{
    const struct slice none = {NULL, 0};

    return compare((const char *const[]){r->type, r->order_type, NULL},
                   (const struct slice[]){type, order_type, none});
}

static int compare_handlers(const void *a, const void *b)
{
    const struct handler *y = b;

    return compare_handler(a, slice_of(y->type), slice_of(y->order_type), slice_of(y->queue));
}

static int compare_routes(const void *a, const void *b)
{
    const struct route *y = b;

    return compare_route(a, slice_of(y->type), slice_of(y->order_type));
}

int rules_seal(struct rules *r, struct err *err)
{
    (void)err;
    if (r->n_handlers > 1)
        qsort(r->handlers, r->n_handlers, sizeof r->handlers[0], compare_handlers);
    if (r->n_routes > 1)
        qsort(r->routes, r->n_routes, sizeof r->routes[0], compare_routes);
    r->topology = (struct topology){.subscriptions = r->subscriptions,
                                    .n_subscriptions = r->n_subscriptions,
                                    .routes = r->routes,
                                    .n_routes = r->n_routes};
    r->sealed = true;
    return OK;
}

static const struct route *find_route(const struct rules *r, struct slice type,
                                      struct slice order_type)
{
    size_t low = 0, high = r->n_routes;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct route *route = &r->routes[mid];
        int order = compare_route(route, type, order_type);

        if (order == 0)
            return route;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
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
        const struct route *now = find_route(from, slice_of(to->type), slice_of(to->order_type));

        to->to_function = renew(to->to_function, (now ? now : &no_route)->to_function);
    }
    for (size_t i = 0; i < r->n_subscriptions; i++) {
        struct subscription *to = &r->subscriptions[i];
        const struct subscription *now = find_subscription(from, to->queue);

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
    from->handlers = NULL;
    from->n_handlers = from->room_handlers = 0;
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

static const struct handler *search_handler(const struct rules *r, struct slice type,
                                            struct slice order_type, struct slice queue)
{
    size_t low = 0, high = r->n_handlers;

    while (low < high) {
        size_t mid = low + (high - low) / 2;
        const struct handler *h = &r->handlers[mid];
        int order = compare_handler(h, type, order_type, queue);

        if (order == 0)
            return h;
        if (order < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

/* For this queue, or else for any. */
static const struct handler *find_handler(const struct rules *r, struct slice type,
                                          struct slice order_type, struct slice queue)
{
    const struct handler *h = search_handler(r, type, order_type, queue);

    return h ? h : search_handler(r, type, order_type, (struct slice){NULL, 0});
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
        h = find_handler(r, type, order_type, queue);
    if (h == NULL)
        h = find_handler(r, type, any, queue);
    if (h == NULL)
        h = find_handler(r, any, any, queue);
    return h;
}

const struct route *rules_route(const struct rules *r, struct slice type, struct slice order_type)
{
    const struct route *route = NULL;

    if (order_type.data != NULL)
        route = find_route(r, type, order_type);
    return route ? route : find_route(r, type, (struct slice){NULL, 0});
}

/* side_connection - see side_connection.h. */
#include "rabbit/side_connection.h"

#include "rabbit/channel.h"

#include <stdio.h>
#include <stdlib.h>

/* A broker ends such a connection after 65 s at most, and says why. */
enum { PATIENCE_MS = 75 * 1000, TEXT_MAX = 600 };

struct side_connection {
    struct side_connections *of;
    struct link *link;         /* owned; NULL: free */
    struct declare_item *item; /* lent; NULL: CLOSING */
    int64_t due_ms;            /* end of patience */
};

struct side_connections {
    struct side_connections_settings settings;
    char name[256];
    bool ended;
    struct side_connection places[SIDE_CONNECTIONS_MAX];
};

struct side_connections *side_connections_new(const struct side_connections_settings *settings)
{
    struct side_connections *a = calloc(1, sizeof *a);

    if (a == NULL)
        return NULL;
    a->settings = *settings;
    snprintf(a->name, sizeof a->name, "%s alone", settings->link.name);
    a->settings.link.name = a->name;
    return a;
}

void side_connections_free(struct side_connections **a)
{
    if (*a == NULL)
        return;
    for (size_t i = 0; i < SIDE_CONNECTIONS_MAX; i++)
        REQUIRE((*a)->places[i].link == NULL);
    free(*a);
    *a = NULL;
}

static void leave(struct side_connection *p)
{
    if (p->item == NULL)
        return;
    p->item = NULL;
    link_close(p->link);
}

/* Its item needs it no more. */
static void leave_when_done(struct side_connection *p)
{
    if (p->item != NULL && declare_alone_is_done(p->item))
        leave(p);
}

static void on_up(void *arg)
{
    struct side_connection *p = arg;

    if (p->item != NULL)
        declare_alone_up(p->of->settings.declare, p->item, p->link);
}

static void on_down(void *arg, const struct err *why)
{
    struct side_connection *p = arg;

    if (p->item == NULL)
        return;
    declare_alone_down(p->of->settings.declare, p->item, why->text);
    leave(p);
    p->of->settings.stirred(p->of->settings.arg);
}

static void on_method(void *arg, uint16_t channel, const amqp_method_t *method)
{
    struct side_connection *p = arg;

    if (channel == CHANNEL_DECLARE && p->item != NULL)
        declare_alone_method(p->of->settings.declare, p->item, method);
}

static void on_content(void *arg, const struct codec_content *content)
{
    struct side_connection *p = arg;

    if (p->item != NULL)
        declare_alone_content(p->of->settings.declare, p->item, content);
}

static void on_blocked(void *arg, const char *reason)
{
    (void)arg, (void)reason; /* declarations are answered all the same */
}

static void on_read(void *arg)
{
    struct side_connection *p = arg;

    leave_when_done(p);
    if (p->item == NULL)
        p->of->settings.stirred(p->of->settings.arg);
}

static void on_closed(void *arg)
{
    struct side_connection *p = arg;

    link_free(&p->link);
    p->of->settings.closed(p->of->settings.arg);
}

static const struct link_events events = {
    .up = on_up,
    .down = on_down,
    .method = on_method,
    .content = on_content,
    .blocked = on_blocked,
    .read_done = on_read,
    .closed = on_closed,
};

static void open_side(struct side_connections *a, struct side_connection *p,
                      struct declare_item *item)
{
    p->link = link_new(&a->settings.link, &events, p);
    if (p->link == NULL) {
        declare_alone_down(a->settings.declare, item, "out of memory for a connection of its own");
        return;
    }
    p->of = a;
    p->item = item;
    p->due_ms = clock_mono(&a->settings.link.clock) + PATIENCE_MS;
    a->settings.opened(a->settings.arg);
    link_open(p->link);
}

static void give_up(struct side_connection *p)
{
    char why[TEXT_MAX];
    const char *error = link_error(p->link);

    snprintf(why, sizeof why,
             "the broker has not answered within %d s on a connection of its own either%s%s",
             PATIENCE_MS / 1000, error[0] != '\0' ? ": " : "", error);
    declare_alone_down(p->of->settings.declare, p->item, why);
    leave(p);
}

void side_connections_step(struct side_connections *a)
{
    const int64_t now = clock_mono(&a->settings.link.clock);

    for (size_t i = 0; i < SIDE_CONNECTIONS_MAX && !a->ended; i++) {
        struct side_connection *p = &a->places[i];
        struct declare_item *item;

        leave_when_done(p);
        if (p->item != NULL && p->due_ms <= now)
            give_up(p);
        item = p->link == NULL ? declare_alone(a->settings.declare) : NULL;
        if (item != NULL)
            open_side(a, p, item);
    }
}

int64_t side_connections_due(const struct side_connections *a)
{
    bool full = true;
    int64_t due = INT64_MAX;

    for (size_t i = 0; i < SIDE_CONNECTIONS_MAX && !a->ended; i++) {
        full = full && a->places[i].link != NULL;
        if (a->places[i].item != NULL && a->places[i].due_ms < due)
            due = a->places[i].due_ms;
    }
    if (!full && !a->ended && declare_alone_due(a->settings.declare) < due)
        due = declare_alone_due(a->settings.declare);
    return due;
}

void side_connections_close(struct side_connections *a)
{
    a->ended = true;
    for (size_t i = 0; i < SIDE_CONNECTIONS_MAX; i++)
        leave(&a->places[i]);
}

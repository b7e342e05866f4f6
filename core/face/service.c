/* service - see service.h. */
#include "face/service.h"

#include "base/clock.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_EVERY_MS = 3000, STATE_MAX = 96 };

struct service {
    uv_timer_t look;
    const struct notify *notify; /* lent */
    service_line_fn *line;
    void *arg;
    char state[STATE_MAX];       /* lines that have not gone out, or "" */
    char told[SERVICE_LINE_MAX]; /* the last line with figures that has */
};

/* A manager shows one line: no control byte may end it. */
static void make_line(const struct service *s, char line[SERVICE_LINE_MAX])
{
    line[0] = '\0';
    s->line(s->arg, line);
    for (char *c = line; *c != '\0'; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            *c = ' ';
}

static void tell(struct service *s)
{
    char line[SERVICE_LINE_MAX], lines[STATE_MAX + SERVICE_LINE_MAX + 16];

    make_line(s, line);
    if (s->state[0] == '\0' && strcmp(line, s->told) == 0)
        return;
    (void)snprintf(lines, sizeof lines, "%sSTATUS=%s\n", s->state, line);
    if (!notify_send(s->notify, lines))
        return;
    s->state[0] = '\0';
    (void)snprintf(s->told, sizeof s->told, "%s", line);
}

static void on_look(uv_timer_t *timer)
{
    tell(timer->data);
}

int service_new(struct service **out, uv_loop_t *loop, const struct notify *notify,
                service_line_fn *line, void *arg, struct err *err)
{
    struct service *s;

    *out = NULL;
    if (notify == NULL)
        return OK;
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->notify = notify;
    s->line = line;
    s->arg = arg;
    uv_timer_init(loop, &s->look); /* neither fails */
    s->look.data = s;
    uv_timer_start(&s->look, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    uv_unref((uv_handle_t *)&s->look); /* it keeps no loop alive */
    *out = s;
    return OK;
}

static void enter(struct service *s, const char *state)
{
    (void)snprintf(s->state, sizeof s->state, "%s", state);
    tell(s);
}

void service_ready(struct service *s)
{
    if (s != NULL)
        enter(s, "READY=1\n");
}

void service_reloading(struct service *s)
{
    const struct clock clock = clock_real();
    char state[STATE_MAX];

    if (s == NULL)
        return;
    (void)snprintf(state, sizeof state, "RELOADING=1\nMONOTONIC_USEC=%lld\n",
                   (long long)clock_mono(&clock) * 1000);
    enter(s, state);
}

void service_stopping(struct service *s, int64_t within_ms)
{
    char state[STATE_MAX];

    if (s == NULL)
        return;
    (void)snprintf(state, sizeof state, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%lld\n",
                   (long long)within_ms * 1000);
    enter(s, state);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void service_stop(struct service **s)
{
    if (*s != NULL)
        uv_close((uv_handle_t *)&(*s)->look, on_closed);
    *s = NULL;
}

/* link_probe - see link_probe.h. */
#include "link_probe.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

enum { PATIENCE_MS = 60000 };

__attribute__((format(printf, 2, 3))) static void note(struct probe *p, const char *format, ...)
{
    size_t used = strlen(p->story);
    va_list args;

    if (used > 0 && used + 1 < sizeof p->story)
        p->story[used++] = ' ';
    va_start(args, format);
    vsnprintf(p->story + used, sizeof p->story - used, format, args);
    va_end(args);
    if (p->close_on_next) {
        p->close_on_next = false;
        link_close(p->link);
    }
    if (p->restart_on_next) {
        p->restart_on_next = false;
        link_restart(p->link, "the owner says so");
    }
}

static void on_up(void *arg)
{
    note(arg, "up");
}

static void on_down(void *arg, const struct err *why)
{
    note(arg, "down(%s)", why->text);
}

static void on_method(void *arg, uint16_t channel, const amqp_method_t *m)
{
    note(arg, "%u:%s", (unsigned)channel, amqp_method_name(m->id) + strlen("AMQP_"));
}

static void on_content(void *arg, const struct codec_content *c)
{
    struct probe *p = arg;

    p->contents++;
    if (c->headers_fault != NULL)
        note(p, "%u:fault(%s)", (unsigned)c->channel, c->headers_fault);
    else
        note(p, "%u:content(%.*s)", (unsigned)c->channel, (int)c->body.len, c->body.data);
}

static void on_blocked(void *arg, const char *reason)
{
    if (reason != NULL)
        note(arg, "blocked(%s)", reason);
    else
        note(arg, "unblocked");
}

static void on_read_done(void *arg)
{
    ((struct probe *)arg)->reads++;
}

static void on_closed(void *arg)
{
    struct probe *p = arg;

    assert_false(p->closed);
    p->closed = true;
}

static const struct link_events events = {
    .up = on_up,
    .down = on_down,
    .method = on_method,
    .content = on_content,
    .blocked = on_blocked,
    .read_done = on_read_done,
    .closed = on_closed,
};

static int64_t mono_ms(void *arg)
{
    return (int64_t)(uv_hrtime() / 1000000) + ((struct probe *)arg)->ahead_ms;
}

void probe_url(struct probe *p, const char *url)
{
    struct err err;

    url_free(&p->url);
    assert_int_equal(url_parse(url, &p->url, &err), OK);
}

void probe_setup(struct probe *p)
{
    *p = (struct probe){.closed = false};
    assert_int_equal(uv_loop_init(&p->loop), 0);
    p->broker = fake_broker_new(&p->loop);
    probe_url(p, "amqp://guest:guest@fake");
    p->settings = (struct link_settings){
        .loop = &p->loop,
        .clock = {.wall_ms = mono_ms, .mono_ms = mono_ms, .arg = p},
        .url = &p->url,
        .name = "probe",
        .heartbeat_s = 0,
        .connect_timeout_ms = 1000,
        .backoff_min_ms = 1,
        .backoff_max_ms = 4,
        .body_max = 1000,
        .streams = fake_broker_streams(p->broker),
    };
}

void probe_open(struct probe *p)
{
    p->link = link_new(&p->settings, &events, p);
    assert_non_null(p->link);
    link_open(p->link);
}

static bool is_up(void *arg)
{
    return link_is_up(((struct probe *)arg)->link);
}

void probe_up(struct probe *p)
{
    if (p->link == NULL)
        probe_open(p);
    if (!fake_until(p->broker, is_up, p, PATIENCE_MS))
        fail_msg("not up: %s", link_error(p->link));
}

struct wanted {
    struct probe *probe;
    const char *text;
};

static bool story_ends(void *arg)
{
    const struct wanted *w = arg;
    size_t have = strlen(w->probe->story), want = strlen(w->text);

    return have >= want && strcmp(w->probe->story + have - want, w->text) == 0;
}

void probe_until(struct probe *p, const char *text)
{
    struct wanted w = {p, text};

    if (!fake_until(p->broker, story_ends, &w, PATIENCE_MS))
        fail_msg("waited for \"%s\", the story is \"%s\"", text, p->story);
}

static bool error_holds(void *arg)
{
    const struct wanted *w = arg;

    return strstr(link_error(w->probe->link), w->text) != NULL;
}

void probe_until_error(struct probe *p, const char *text)
{
    struct wanted w = {p, text};

    if (!fake_until(p->broker, error_holds, &w, PATIENCE_MS))
        fail_msg("waited for \"%s\", the error is \"%s\"", text, link_error(p->link));
}

static bool is_closed(void *arg)
{
    return ((struct probe *)arg)->closed;
}

void probe_teardown(struct probe *p)
{
    if (p->link != NULL) {
        link_close(p->link);
        assert_true(fake_until(p->broker, is_closed, p, PATIENCE_MS));
        assert_string_equal(link_state_word(p->link), "closed");
        link_free(&p->link);
        assert_null(p->link);
    }
    fake_broker_free(&p->broker);
    url_free(&p->url);
    assert_int_equal(uv_loop_close(&p->loop), 0);
}

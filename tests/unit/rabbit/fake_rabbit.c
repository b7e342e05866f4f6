/* fake_rabbit - see fake_rabbit.h. */
#include "fake_rabbit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char x_name[] = "x", y_name[] = "y", q_name[] = "q", empty[] = "", type[] = "t";
static char origin[] = "rules/a.lua:3";
static struct destination to_both[] = {{EXCHANGE_FANOUT, x_name, empty},
                                       {EXCHANGE_FANOUT, y_name, empty}};
static struct route routes[] = {{.type = type, .to = &to_both[0], .n_to = 1},
                                {.type = type, .to = &to_both[1], .n_to = 1}};

static void on_wake(void *arg)
{
    (void)arg;
}

struct fake_rabbit *fake_rabbit_new(void)
{
    struct fake_rabbit *r = calloc(1, sizeof *r);

    assert_non_null(r);
    assert_int_equal(uv_loop_init(&r->loop), 0);
    r->fake = fake_broker_new(&r->loop);
    fake_plan(r->fake)->confirm = true;
    r->subscription = (struct subscription){
        .queue = q_name, .from = &to_both[0], .n_from = 1, .prefetch = 50, .origin = origin};
    r->topology = (struct topology){
        .subscriptions = &r->subscription, .n_subscriptions = 1, .routes = routes, .n_routes = 2};
    r->settings = (struct rabbit_settings){
        .loop = &r->loop,
        .clock = clock_real(),
        .url = "amqp://guest:guest@fake",
        .name = "test",
        .window = FAKE_WINDOW,
        .confirm_timeout_ms = 60000,
        .backoff_min_ms = 1,
        .backoff_max_ms = 4,
        .streams = fake_broker_streams(r->fake),
        .wake = on_wake,
    };
    return r;
}

struct broker_state fake_rabbit_state(struct fake_rabbit *r)
{
    struct broker_state s;

    r->broker->ops->state(r->broker, &s);
    return s;
}

bool fake_rabbit_is_ready(void *r)
{
    return fake_rabbit_state(r).ready;
}

bool fake_rabbit_is_not_ready(void *r)
{
    return !fake_rabbit_state(r).ready;
}

bool fake_rabbit_is_pending(void *arg)
{
    struct fake_rabbit *r = arg;

    return r->broker->ops->pending(r->broker);
}

bool fake_rabbit_is_settled(void *arg)
{
    struct fake_rabbit *r = arg;

    fake_rabbit_settle(r, FAKE_WINDOW, true);
    return r->outstanding == 0;
}

void fake_rabbit_until(struct fake_rabbit *r, fake_condition *condition, void *arg,
                       const char *what)
{
    const char *heard;
    size_t len;

    if (fake_until(r->fake, condition, arg, FAKE_PATIENCE))
        return;
    heard = fake_heard(r->fake);
    len = strlen(heard);
    fail_msg("waited for %s; state %s, error \"%s\", %zu rows without outcome; heard at last: %s",
             what, fake_rabbit_state(r).word, fake_rabbit_state(r).error, r->outstanding,
             len > 800 ? heard + len - 800 : heard);
}

/* Both channels are open once they take a row; it is forgotten. */
static bool is_open(void *arg)
{
    struct fake_rabbit *r = arg;
    bool open = fake_rabbit_publish(r, 0, "x") == OK && fake_rabbit_publish(r, 0, "y") == OK;

    fake_rabbit_forget(r);
    return open;
}

void fake_rabbit_start(struct fake_rabbit *r)
{
    struct err err = {.code = OK};

    assert_int_equal(rabbit_new(&r->broker, &r->settings, &err), OK);
    assert_int_equal(r->broker->ops->start(r->broker, &r->topology, &err), OK);
    fake_rabbit_until(r, fake_rabbit_is_ready, r, "ready");
    fake_rabbit_until(r, is_open, r, "open channels");
}

static void on_stopped(void *arg)
{
    ((struct fake_rabbit *)arg)->stopped = true;
}

static bool is_stopped(void *arg)
{
    return ((struct fake_rabbit *)arg)->stopped;
}

void fake_rabbit_free(struct fake_rabbit **p)
{
    struct fake_rabbit *r = *p;

    r->broker->ops->stop(r->broker, on_stopped, r);
    fake_rabbit_until(r, is_stopped, r, "the end");
    r->broker->ops->free(&r->broker);
    fake_broker_free(&r->fake);
    assert_int_equal(uv_loop_close(&r->loop), 0);
    free(r);
    *p = NULL;
}

int fake_rabbit_publish(struct fake_rabbit *r, int64_t row, const char *exchange)
{
    char id[16];
    struct err err = {.code = OK};
    struct message m = {.type = slice_of("t"), .body = slice_of("{}")};
    int rc;

    assert_true(row < FAKE_ROWS && r->n_pending < FAKE_WINDOW + 1);
    if (r->n_pending == FAKE_WINDOW)
        return ERR_BUSY;
    snprintf(id, sizeof id, "s:%lld", (long long)row);
    m.id = slice_of(id);
    rc = r->broker->ops->publish(r->broker, row, &to_both[exchange[0] == 'y'], &m, &err);
    if (rc == OK)
        r->pending[r->n_pending++] = row;
    return rc;
}

void fake_rabbit_tell(struct fake_rabbit *r)
{
    for (size_t i = 0; i < r->n_pending; i++) {
        struct fake_row *row = &r->rows[r->pending[i]];

        assert_false(row->told);
        row->told = true;
        r->outstanding++;
    }
    r->n_pending = 0;
    r->broker->ops->tell(r->broker);
}

void fake_rabbit_forget(struct fake_rabbit *r)
{
    r->n_pending = 0;
    r->broker->ops->forget(r->broker);
}

static void enter(struct fake_rabbit *r, const struct settlement *s)
{
    struct fake_row *row = &r->rows[s->row];

    assert_true(s->row > 0 && s->row < FAKE_ROWS);
    if (!row->told)
        fail_msg("row %lld was settled and never told", (long long)s->row);
    if (++row->settled > 1)
        fail_msg("row %lld was settled twice: %c, then %c", (long long)s->row,
                 "+r-xt?u"[row->outcome], "+r-xt?u"[s->outcome]);
    row->outcome = s->outcome;
    snprintf(row->why, sizeof row->why, "%s", s->why != NULL ? s->why : "");
    if (s->outcome == PUBLISH_RETURNED || s->outcome == PUBLISH_UNKNOWN)
        assert_true(row->why[0] != '\0');
    r->outstanding--;
}

size_t fake_rabbit_settle(struct fake_rabbit *r, size_t max, bool keep)
{
    struct settlement out[2 * FAKE_WINDOW];
    size_t n = r->broker->ops->settled(r->broker, out, max);

    if (!keep) {
        r->broker->ops->forget(r->broker);
        return 0;
    }
    for (size_t i = 0; i < n; i++)
        enter(r, &out[i]);
    r->broker->ops->tell(r->broker);
    return n;
}

struct sending {
    struct fake_rabbit *r;
    int64_t at, to;
    const char *exchange;
};

static bool send_some(void *arg)
{
    struct sending *s = arg;

    fake_rabbit_settle(s->r, FAKE_WINDOW, true);
    while (s->at <= s->to && fake_rabbit_publish(s->r, s->at, s->exchange) == OK)
        s->at++;
    fake_rabbit_tell(s->r);
    return s->at > s->to;
}

void fake_rabbit_send(struct fake_rabbit *r, int64_t from, int64_t to, const char *exchange)
{
    struct sending s = {r, from, to, exchange};

    fake_rabbit_until(r, send_some, &s, "room for the rows");
}

const char *fake_rabbit_books(const struct fake_rabbit *r, int64_t from, int64_t to)
{
    static char text[512];
    size_t used = 0;

    for (int64_t i = from; i <= to && used < sizeof text; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lld%c", i > from ? " " : "",
                                 (long long)i,
                                 r->rows[i].settled ? "+r-xt?u"[r->rows[i].outcome] : '.');
    return text;
}

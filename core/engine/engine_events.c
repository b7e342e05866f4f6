/* engine_events - looks for what happened to the router itself, and raises it (turn_raise)
 *
 * Each is told when it begins, once: a broker must be away, or back, for a while; a number that
 * went above its limit must fall well below it before it is told again; and what comes and goes is
 * told every ten seconds at most. Nothing is written that no rule names. */
#include "engine/engine_int.h"

#include "base/json.h"
#include "engine/streak.h"
#include "store/letter.h"

#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

enum { STEADY_MS = 3000, LOOK_MS = 1000, GAP_MS = 10000 };

#define LOST "herald.broker_lost"
#define BACK "herald.broker_back"
#define DEAD "herald.dead_letters"
#define REFUSED "herald.reload_refused"
#define PAUSED "herald.paused"
#define DISK "herald.disk_low"
#define MARK_LOST "event_broker_lost"
#define MARK_DEAD "event_dead_letters"
#define MARK_DISK "event_disk_low"

void events_init(struct events *v)
{
    *v = (struct events){.changed_ms = -1, .looked_ms = -LOOK_MS, .refused_ms = -GAP_MS};
}

static int64_t mono(const struct engine *e)
{
    return clock_mono(&e->host.clock);
}

static void begin_body(const struct engine *e, struct buf *b)
{
    char at[40];

    buf_init(b, sizeof(((struct raised *)0)->body) - 1);
    json_add_object(b, NULL);
    json_add_string(b, "at", clock_iso8601(clock_wall(&e->host.clock), at, sizeof at));
    json_add_string(b, "router", e->settings.name);
}

/* Takes the body, which may be too long by its reason alone: then that is left out. */
static bool tell(struct engine *e, struct raised *what, struct buf *body, const char *reason)
{
    size_t before = body->len;
    bool told;

    if (reason != NULL)
        json_add_text(body, "reason", (struct slice){reason, strnlen(reason, 300)});
    if (body->failed) {
        body->failed = false;
        body->len = before;
    }
    snprintf(what->body, sizeof what->body, "%.*s}", (int)body->len, body->data);
    buf_free(body);
    told = turn_raise(e->turn, what);
    if (told)
        engine_wake(e);
    return told;
}

static void add_time(struct buf *b, const char *name, int64_t at_ms)
{
    char at[40];

    json_add_string(b, name, clock_iso8601(at_ms, at, sizeof at));
}

static bool is_away(const char *word)
{
    return strcmp(word, "connecting") == 0 || strcmp(word, "waiting") == 0;
}

/* The mark is written, whichever of the two a rule names. */
static void tell_broker(struct engine *e, const struct broker_state *state, bool lost)
{
    struct events *v = &e->events;
    int64_t now = clock_wall(&e->host.clock);
    struct raised what = {.mark = MARK_LOST};
    struct buf b;

    snprintf(what.type, sizeof what.type, "%s", lost ? LOST : BACK);
    if (lost)
        v->lost_at = now - STEADY_MS;
    what.value = lost ? v->lost_at : 0;
    begin_body(e, &b);
    if (v->lost_at > 0)
        add_time(&b, lost ? "since" : "lost_at", v->lost_at);
    if (!lost && v->lost_at > 0)
        json_add_int(&b, "away_ms", now - v->lost_at);
    if (tell(e, &what, &b, lost ? state->error : NULL))
        v->broker_lost = lost;
}

static void look_at_broker(struct engine *e, const struct broker_state *state)
{
    struct events *v = &e->events;
    bool lost = is_away(state->word);

    if (lost == v->broker_lost) {
        v->changed_ms = -1;
        return;
    }
    if (v->changed_ms < 0)
        v->changed_ms = mono(e);
    if (mono(e) - v->changed_ms < STEADY_MS)
        return;
    v->changed_ms = -1;
    if (turn_names(e->turn, LOST) || turn_names(e->turn, BACK))
        tell_broker(e, state, lost);
    else
        v->broker_lost = lost;
}

/* It is told at its limit, and may be told again at a tenth below (above) it. */
static void tell_number(struct engine *e, const char *type, const char *mark, const char *name,
                        int64_t value, const char *limit_name, int64_t limit, bool *told, bool now)
{
    struct raised what = {.mark = mark, .value = now};
    struct buf b;

    snprintf(what.type, sizeof what.type, "%s", now ? type : "");
    begin_body(e, &b);
    json_add_int(&b, name, value);
    json_add_int(&b, limit_name, limit);
    if (tell(e, &what, &b, NULL))
        *told = now;
}

static void look_at_letters(struct engine *e)
{
    int64_t limit = e->settings.dead_letters_above, n = 0;
    bool *told = &e->events.many_dead;
    struct err err = {0};

    if (!turn_names(e->turn, DEAD) || letter_count(e->db, &n, &err) != OK)
        return;
    if (*told ? n <= limit - limit / 10 : n > limit)
        tell_number(e, DEAD, MARK_DEAD, "dead_letters", n, "above", limit, told, !*told);
}

static void look_at_disk(struct engine *e)
{
    int64_t limit = e->settings.disk_low, n;
    bool *told = &e->events.disk_low;
    struct statvfs s;

    if (!turn_names(e->turn, DISK) || statvfs(e->settings.store, &s) != 0)
        return;
    n = (int64_t)(s.f_bavail * s.f_frsize);
    if (*told ? n > limit + limit / 10 : n < limit)
        tell_number(e, DISK, MARK_DISK, "free_bytes", n, "below", limit, told, !*told);
}

static void look_at_rules(struct engine *e)
{
    struct events *v = &e->events;
    size_t len = strlen(e->rules_error);
    uint64_t refused = len > 0 ? text_hash(TEXT_HASH_START, e->rules_error, len) : 0;
    struct raised what = {.type = REFUSED};
    struct buf b;

    if (refused == v->refused || (refused != 0 && mono(e) - v->refused_ms < GAP_MS))
        return;
    if (refused != 0 && turn_names(e->turn, REFUSED)) {
        begin_body(e, &b);
        json_add_int(&b, "generation", e->generation);
        if (!tell(e, &what, &b, e->rules_error))
            return;
        v->refused_ms = mono(e);
    }
    v->refused = refused;
}

/* True: this pause was told, or another of its queue just now. */
static bool is_told(const struct engine *e, uint64_t queue, int64_t since)
{
    for (size_t i = 0; i < EVENT_PAUSES_MAX; i++)
        if (e->events.paused[i].queue == queue &&
            (e->events.paused[i].since == since || mono(e) - e->events.paused[i].told_ms < GAP_MS))
            return true;
    return false;
}

static void look_at_pauses(struct engine *e)
{
    struct events *v = &e->events;
    const struct pause *p;

    for (size_t n = 0; (p = turn_paused(e->turn, n)) != NULL; n++) {
        uint64_t queue = text_hash(TEXT_HASH_START, p->queue, strlen(p->queue));
        struct raised what = {.type = PAUSED};
        struct buf b;

        if (is_told(e, queue, p->now.since_ms) || !turn_names(e->turn, PAUSED))
            continue;
        snprintf(what.about, sizeof what.about, "%s", p->queue);
        begin_body(e, &b);
        json_add_string(&b, "queue", p->queue);
        add_time(&b, "since", p->now.since_ms);
        json_add_int(&b, "failures", p->now.failures);
        if (!tell(e, &what, &b, p->now.error))
            return;
        v->paused[v->next_pause].queue = queue;
        v->paused[v->next_pause].since = p->now.since_ms;
        v->paused[v->next_pause].told_ms = mono(e);
        v->next_pause = (v->next_pause + 1) % EVENT_PAUSES_MAX;
    }
}

/* What a process before this one has told. False: the store cannot be read now. */
static bool read_marks(struct engine *e)
{
    struct events *v = &e->events;
    int64_t dead = 0, disk = 0;
    struct err err = {0};

    if (turn_mark(e->turn, MARK_LOST, &v->lost_at, &err) != OK ||
        turn_mark(e->turn, MARK_DEAD, &dead, &err) != OK ||
        turn_mark(e->turn, MARK_DISK, &disk, &err) != OK)
        return false;
    v->broker_lost = v->lost_at > 0;
    v->many_dead = dead != 0;
    v->disk_low = disk != 0;
    return true;
}

void events_look(struct engine *e)
{
    struct events *v = &e->events;
    struct broker_state state = {0};

    if (!v->begun)
        v->begun = read_marks(e);
    if (!v->begun)
        return;
    e->broker->ops->state(e->broker, &state);
    look_at_broker(e, &state);
    look_at_rules(e);
    look_at_pauses(e);
    if (mono(e) - v->looked_ms < LOOK_MS)
        return;
    v->looked_ms = mono(e);
    look_at_letters(e);
    look_at_disk(e);
}

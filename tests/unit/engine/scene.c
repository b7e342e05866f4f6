/* scene - see scene.h. */
#include "scene.h"
#include "beside.h"
#include "usual.h"

#include "check.h"
#include "folder.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static struct scene *self(struct broker *b)
{
    return (struct scene *)b;
}

static int64_t clock_now(void *arg)
{
    struct scene *s = arg;

    return s->now_ms += s->tick_ms;
}

static int64_t clock_ahead(void *arg)
{
    struct scene *s = arg;

    s->now_ms += s->now_takes_ms;
    return clock_now(arg) + s->wall_ahead_ms;
}

static size_t room(struct broker *b)
{
    return self(b)->room;
}

/* The pace of a queue is not that of its dead-letter queue. */
static bool flows(const struct scene *s, const struct delivery *d, size_t taken)
{
    return d->dead_lettered != NULL || s->pace == PACE_FLOW || (s->pace == PACE_ONE && taken == 0);
}

static int take(struct broker *b, struct delivery **out, size_t max, size_t *n_out, struct err *err)
{
    struct scene *s = self(b);

    (void)err;
    *n_out = 0;
    s->repaced = false;
    for (size_t i = 0; i < s->n_deliveries && *n_out < max; i++)
        if (!s->deliveries[i].acked && !s->deliveries[i].delivery.endangered &&
            flows(s, &s->deliveries[i].delivery, *n_out))
            out[(*n_out)++] = &s->deliveries[i].delivery;
    return OK;
}

static size_t take_endangered(struct broker *b, struct delivery **out, size_t max)
{
    struct scene *s = self(b);
    size_t n = 0;

    for (size_t i = 0; i < s->n_deliveries && n < max; i++)
        if (!s->deliveries[i].acked && s->deliveries[i].delivery.endangered)
            out[n++] = &s->deliveries[i].delivery;
    return n;
}

static int accept(struct broker *b, struct delivery *d, struct err *err)
{
    (void)b;
    (void)err;
    ((struct scene_delivery *)d->owner)->accepted = true;
    return OK;
}

static void told_headers(struct scene *s, const struct message *m)
{
    size_t told = strlen(s->headers);

    snprintf(s->headers + told, sizeof s->headers - told, "%.*s ",
             m->headers.data ? (int)m->headers.len : 1, m->headers.data ? m->headers.data : "-");
}

static int publish(struct broker *b, int64_t row, const struct destination *to,
                   const struct message *m, struct err *err)
{
    struct scene *s = self(b);
    const char *name = to->kind == EXCHANGE_DEFAULT ? to->routing_key : to->exchange;
    size_t used = strlen(s->pending), told = strlen(s->ids);

    if (strcmp(s->full, name) == 0)
        return err_set(err, ERR_BUSY, "no room on %s", name);
    if (s->publish_code != OK)
        return err_set(err, s->publish_code, "the fake broker says no");
    snprintf(s->pending + used, sizeof s->pending - used, "%lld>%s ", (long long)row, name);
    snprintf(s->times + strlen(s->times), sizeof s->times - strlen(s->times), "%lld@%lld ",
             (long long)row, (long long)m->timestamp_s);
    told_headers(s, m);
    snprintf(s->ids + told, sizeof s->ids - told, "%.*s ", (int)m->id.len, m->id.data);
    return OK;
}

static size_t settled(struct broker *b, struct settlement *out, size_t max)
{
    struct scene *s = self(b);

    size_t left = s->n_answers - s->n_lent, n = left < max ? left : max;

    memcpy(out, s->answers + s->n_lent, n * sizeof *out);
    s->n_lent += n;
    return n;
}

static void tell(struct broker *b)
{
    struct scene *s = self(b);
    size_t used = strlen(s->published);

    for (size_t i = 0; i < s->n_deliveries; i++) {
        s->deliveries[i].acked = s->deliveries[i].acked || s->deliveries[i].accepted;
        s->deliveries[i].accepted = false;
    }
    snprintf(s->published + used, sizeof s->published - used, "%s", s->pending);
    s->pending[0] = '\0';
    memmove(s->answers, s->answers + s->n_lent, (s->n_answers - s->n_lent) * sizeof s->answers[0]);
    s->n_answers -= s->n_lent;
    s->n_lent = 0;
}

static void forget(struct broker *b)
{
    struct scene *s = self(b);

    for (size_t i = 0; i < s->n_deliveries; i++)
        s->deliveries[i].accepted = false;
    s->pending[0] = '\0';
    s->n_lent = 0;
    s->forgotten++;
}

static void pace(struct broker *b, const char *queue, enum broker_pace how)
{
    static const char *const words[] = {"stop", "one", "flow"};
    struct scene *s = self(b);
    size_t used = strlen(s->paces);

    snprintf(s->paces + used, sizeof s->paces - used, "%s:%s ", queue, words[how]);
    s->pace = how;
    s->repaced = how != PACE_STOP;
}

static bool pending(struct broker *b)
{
    return self(b)->repaced;
}

static const struct broker_ops ops = {
    .pending = pending,
    .room = room,
    .take = take,
    .take_endangered = take_endangered,
    .accept = accept,
    .publish = publish,
    .settled = settled,
    .tell = tell,
    .forget = forget,
    .pace = pace,
};

static void open_store(struct scene *s, struct clock clock)
{
    char path[128], migrations[128];
    struct db_settings settings = {.path = path,
                                   .create = true,
                                   .exclusive = true,
                                   .log = s->log,
                                   .clock = clock,
                                   .vfs = s->vfs};
    struct err err = {0};
    int applied;

    snprintf(path, sizeof path, "%s/herald.db", s->folder);
    require_ok(db_open(&s->db, &settings, &err), &err);
    snprintf(migrations, sizeof migrations, "%s/migrations", s->folder);
    require_ok(db_migrate(s->db, migrations, "", &applied, &err), &err);
}

static struct script *load(struct scene *s)
{
    const struct script_folder folder = {s->folder, ""};
    struct script *script = NULL;
    struct err err = {0};

    require_ok(script_load(&script,
                           &(struct script_settings){.folders = &folder,
                                                     .n_folders = 1,
                                                     .memory_max = 16 * 1024 * 1024,
                                                     .memory = s->memory,
                                                     .handler_ms = 2000,
                                                     .load_ms = 10000,
                                                     .retry = s->settings.retry,
                                                     .host = turn_host(s->turn)},
                           &err),
               &err);
    return script;
}

struct script *scene_load(struct scene *s, const char *rules)
{
    folder_write(s->folder, "rules/rules.lua", rules);
    return load(s);
}

static void make_turn(struct scene *s, struct clock clock)
{
    const struct turn_parts parts = {
        .db = s->db,
        .broker = &s->broker,
        .log = s->log,
        .clock = clock,
        .messages_max = 50,
        .age_ms = s->age_ms > 0 ? s->age_ms : 1000,
        .age_shared_ms = 1000,
        .pausing = true,
        .strike = s->strike,
        .seed = 1,
    };
    struct err err = {0};

    require_ok(turn_new(&s->turn, &parts, &s->settings, &err), &err);
    turn_use_script(s->turn, &s->script, 1);
}

static struct clock clock_of(struct scene *s)
{
    return (struct clock){.wall_ms = clock_ahead, .mono_ms = clock_now, .arg = s};
}

void scene_setup(struct scene *s)
{
    char path[128];

    memset(s, 0, sizeof *s);
    s->broker.ops = &ops;
    s->settings = usual_settings();
    s->now_ms = INT64_C(1700000000000);
    s->room = 20;
    s->pace = PACE_FLOW;
    folder_make(s->folder);
    snprintf(path, sizeof path, "%s/log", s->folder);
    s->log_fd = open(path, O_CREAT | O_RDWR | O_APPEND, 0600);
    assert_true(s->log_fd >= 0);
    s->log = log_new(s->log_fd, LOG_INFO, LOG_LOGFMT, clock_of(s));
    assert_non_null(s->log);
}

void scene_begin(struct scene *s, const char *rules, const char *migration)
{
    folder_write(s->folder, "migrations/001.sql", migration);
    open_store(s, clock_of(s));
    make_turn(s, clock_of(s));
    s->script = scene_load(s, rules);
    turn_use_script(s->turn, &s->script, 1);
}

static const struct subscription *first_subscription(const struct scene *s)
{
    return &rules_topology(script_rules(s->script))->subscriptions[0];
}

void scene_swap(struct scene *s, struct script *next, int64_t generation)
{
    script_free(&s->script);
    s->script = next;
    turn_use_script(s->turn, &s->script, generation);
    for (size_t k = 0; k < s->n_deliveries; k++) /* as a broker does that takes up the rules */
        s->deliveries[k].delivery.subscription = first_subscription(s);
}

void scene_stop(struct scene *s)
{
    script_free(&s->script);
    turn_free(&s->turn);
    db_close(&s->db);
    s->n_answers = s->n_lent = 0;
    s->pace = PACE_FLOW;
    s->pending[0] = s->published[0] = '\0';
    for (size_t i = 0; i < s->n_deliveries; i++)
        s->deliveries[i].accepted = false;
}

void scene_start(struct scene *s)
{
    open_store(s, clock_of(s));
    make_turn(s, clock_of(s));
    s->script = load(s);
    turn_use_script(s->turn, &s->script, 1);
    for (size_t i = 0; i < s->n_deliveries; i++) /* what was not acked comes again */
        s->deliveries[i].delivery.subscription = first_subscription(s);
}

void scene_restart(struct scene *s)
{
    scene_stop(s);
    scene_start(s);
}

static void open_strike(struct scene *s)
{
    char path[128];
    struct err err = {0};

    snprintf(path, sizeof path, "%s/herald.db", s->folder);
    strike_close(&s->strike);
    require_ok(strike_open(&s->strike, path, &err), &err);
    scene_restart(s);
}

void scene_remember_deaths(struct scene *s)
{
    open_strike(s);
}

void scene_die_in(struct scene *s, const char *id)
{
    strike_enter(s->strike, slice_of("q"), slice_of(id), 0);
    open_strike(s);
}

const char *scene_log(struct scene *s)
{
    static char out[64 * 1024];
    ssize_t n = pread(s->log_fd, out, sizeof out - 1, 0);

    assert_true(n >= 0);
    out[n] = '\0';
    return out;
}

void scene_teardown(struct scene *s)
{
    script_free(&s->script);
    turn_free(&s->turn);
    strike_close(&s->strike);
    db_close(&s->db);
    log_free(&s->log);
    assert_int_equal(close(s->log_fd), 0);
    folder_remove(s->folder);
}

static const struct subscription *subscription_of(const struct scene *s, const char *queue)
{
    const struct topology *t = rules_topology(script_rules(s->script));

    for (size_t i = 0; i < t->n_subscriptions; i++)
        if (strcmp(t->subscriptions[i].queue, queue) == 0)
            return &t->subscriptions[i];
    fail_msg("no subscription of %s", queue);
    return NULL;
}

void scene_deliver_to(struct scene *s, const char *queue, const char *id, const char *type)
{
    scene_deliver(s, id, type, "{}");
    s->deliveries[s->n_deliveries - 1].delivery.subscription = subscription_of(s, queue);
}

void scene_deliver(struct scene *s, const char *id, const char *type, const char *body)
{
    struct scene_delivery *d = &s->deliveries[s->n_deliveries++];

    assert_true(s->n_deliveries <= SCENE_MAX);
    snprintf(d->body, sizeof d->body, "%s", body);
    snprintf(d->id, sizeof d->id, "%s", id ? id : "");
    snprintf(d->type, sizeof d->type, "%s", type ? type : "");
    d->delivery = (struct delivery){
        .subscription = first_subscription(s),
        .message = {.id = slice_of(id ? d->id : NULL),
                    .type = slice_of(type ? d->type : NULL),
                    .body = slice_of(d->body)},
        .exchange = slice_of("x"),
        .routing_key = slice_of(""),
        .owner = d,
    };
}

void scene_answer(struct scene *s, int64_t row, enum publish_outcome outcome, const char *why)
{
    s->answers[s->n_answers++] = (struct settlement){row, outcome, why};
}

enum turn_result scene_turn(struct scene *s, struct err *err)
{
    return turn_run(s->turn, true, err);
}

void scene_run(struct scene *s)
{
    struct err err = {0};
    enum turn_result result;

    do {
        result = scene_turn(s, &err);
        if (result != TURN_MORE && result != TURN_IDLE)
            fail_msg("turn: %s", err.text);
    } while (result == TURN_MORE);
}

size_t scene_acked(const struct scene *s)
{
    size_t n = 0;

    for (size_t i = 0; i < s->n_deliveries; i++)
        n += s->deliveries[i].acked;
    return n;
}

struct sqlite3 *scene_lock(struct scene *s)
{
    sqlite3 *db = beside_open(s->folder);

    assert_int_equal(sqlite3_exec(db, "begin immediate", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

void scene_unlock(struct sqlite3 *db)
{
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

const char *scene_sql(struct scene *s, const char *sql)
{
    return beside_sql(s->folder, sql);
}

void assert_sql(struct scene *s, const char *sql, const char *want)
{
    const char *got = scene_sql(s, sql);

    if (strcmp(got, want) != 0)
        fail_msg("%s: wanted \"%s\", got \"%s\"", sql, want, got);
}

void assert_sql_contains(struct scene *s, const char *sql, const char *want)
{
    const char *got = scene_sql(s, sql);

    if (strstr(got, want) == NULL)
        fail_msg("%s: wanted \"%s\" in \"%s\"", sql, want, got);
}

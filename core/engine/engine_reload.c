/* engine_reload - engine_reload: the rules as they lie on the disk become the next generation
 *
 *   read and run --> check SQL --> compare --> trial --> broker takes up --> swap
 *        |              |            |           |             |
 *        '--------------'---- refused, or waits -'-------------'
 *
 * Until the swap nothing has changed; the swap cannot fail. The answer has a line of JSON for
 * each fact:
 *
 *   {"outcome":"reloaded","generation":5,"hash":"..."}      or "unchanged", "would reload"
 *   {"changed":{"change":"added","what":...,"name":...,"where":...}}
 *                                   or "changed", "removed"; what: file, handler, route,
 *                                   subscription, and setting
 *   {"takes_away":{"what":...,"name":...}}                  (standstill.h)
 *   and those of a trial (trial.h)
 */
#include "engine/engine_int.h"
#include "engine/standstill.h"
#include "engine/trial.h"

#include "base/failpoint.h"
#include "base/json.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD_MAX = 256 }; /* bytes of the first line of an answer */

/* A handler that runs must not make the broker believe that we are gone
 * (docs/design.md#heartbeats). */
static int check_limits(const struct engine *e, const struct script *s, struct err *err)
{
    int64_t most = e->settings.heartbeat_ms / 2;
    const struct handler *h;

    for (size_t i = 0; (h = rules_handler_at(script_rules(s), i)) != NULL; i++)
        if (h->timeout_ms > most)
            return err_set(err, ERR_CONFIG,
                           "%s: the timeout of this handler (%lld ms) must be at most half of the "
                           "setting heartbeat (%lld ms)",
                           h->origin, (long long)h->timeout_ms,
                           (long long)e->settings.heartbeat_ms);
    return OK;
}

int engine_load(struct engine *e, const struct settings *settings, struct script **out,
                struct err *err)
{
    enum { LOAD_MS = 10000 };
    int rc = script_load(out,
                         &(struct script_settings){
                             .folders = e->host.folders,
                             .n_folders = e->host.n_folders,
                             .memory_max = (size_t)settings->handler_memory,
                             .handler_ms = settings->handler_ms,
                             .load_ms = LOAD_MS,
                             .retry = settings->retry,
                             .host = turn_host(e->turn),
                         },
                         err);

    if (rc == OK)
        rc = check_limits(e, *out, err);
    if (rc != OK)
        script_free(out);
    return rc;
}

/* A statement that cannot be prepared now fails at every message. */
struct sql_check {
    struct engine *engine;
    struct err *err;
    int code;
};

static bool is_sql_file(const char *name)
{
    size_t len = strlen(name);

    return name[0] != '.' && len > 4 && strcmp(name + len - 4, ".sql") == 0;
}

size_t engine_count_migrations(const struct engine *e)
{
    const struct engine_host *h = &e->host;
    size_t n = 0;

    for (size_t i = 0; i < h->n_folders; i++) {
        char path[4096];
        DIR *dir;
        struct dirent *entry;

        db_migrations_of(h->folders[i].path, path, sizeof path);
        dir = opendir(path);
        while (dir != NULL && (entry = readdir(dir)) != NULL)
            n += is_sql_file(entry->d_name);
        if (dir != NULL)
            closedir(dir);
    }
    return n;
}

/* What is missing may stand in a migration that only the next start applies. */
static const char *hint(const struct engine *e, const char *why)
{
    if (strstr(why, "no such") == NULL || engine_count_migrations(e) <= e->n_migrations)
        return "";
    return " (there is a new file in migrations/: it is applied when the router starts)";
}

static bool check_sql(void *arg, const struct script_constant *c)
{
    struct sql_check *check = arg;
    struct err why = {0};

    if (c->kind != CONSTANT_SQL)
        return true;
    check->code = turn_check_sql(check->engine->turn, c->text, &why);
    if (check->code == OK)
        return true;
    if (check->code != ERR_SCRIPT) {
        *check->err = why;
        return false;
    }
    check->code = err_set(check->err, ERR_CONFIG, "%s:%d:%d: %s%s", c->file, c->line, c->column,
                          why.text, hint(check->engine, why.text));
    return false;
}

int engine_check_sql(struct engine *e, const struct script *s, struct err *err)
{
    struct sql_check check = {.engine = e, .err = err};
    int rc = script_constants(s, check_sql, &check, err);

    return rc == OK ? check.code : rc;
}

static void put_change(void *arg, enum script_change change, const char *what, const char *name,
                       const char *origin)
{
    static const char *const words[] = {"added", "changed", "removed"};
    const struct json_string members[] = {
        {"change", words[change]}, {"what", what}, {"name", name}, {"where", origin}};

    json_put_line(arg, "changed", members, sizeof members / sizeof members[0]);
}

/* Tells which of the live settings differ; whether any does. */
static bool put_settings(const struct settings *now, const struct settings *next, struct buf *b)
{
    bool any = false;

    for (const struct setting *s = settings_list; s->name != NULL; s++) {
        if (!s->live || !settings_differ(s, now, next))
            continue;
        put_change(b, SCRIPT_CHANGED, "setting", s->name, "herald.lua");
        any = true;
    }
    return any;
}

static bool has_new_queue(const struct script *before, const struct script *after)
{
    const struct topology *t = rules_topology(script_rules(after));

    for (size_t i = 0; i < t->n_subscriptions; i++)
        if (rules_subscription(script_rules(before), slice_of(t->subscriptions[i].queue)) == NULL)
            return true;
    return false;
}

static void take_up(struct engine *e, struct script **next, const struct settings *settings,
                    struct buf *fresh)
{
    const struct topology *t = rules_topology(script_rules(*next));

    if (has_new_queue(e->script, *next))
        turn_adopt(e->turn);
    standstill_took(e, e->script, *next, false, fresh);
    script_free(&e->script);
    e->script = *next;
    *next = NULL;
    settings_take_live(&e->settings, settings);
    log_set_level(e->host.log, (enum log_level)e->settings.log_level);
    turn_use_script(e->turn, &e->script, ++e->generation);
    e->reloads++;
    log_event(e->host.log, LOG_INFO, "rules.loaded",
              LOG_FIELDS(log_int("generation", e->generation),
                         log_text("hash", script_hash(e->script)),
                         log_int("routes", (int64_t)t->n_routes),
                         log_int("subscriptions", (int64_t)t->n_subscriptions),
                         log_int("handlers",
                                 (int64_t)rules_count(script_rules(e->script), RULE_HANDLER))));
    reach_begin(e);
    engine_wake(e);
}

/* The first line says what comes of it, then what changes and what is lost. */
static void answer_with(struct engine *e, const struct engine_reload *r, const struct script *next,
                        bool same, const struct buf *facts, struct buf *answer)
{
    json_add_object(answer, NULL);
    json_add_string(answer, "outcome",
                    same         ? "unchanged"
                    : r->dry_run ? "would reload"
                                 : "reloaded");
    json_add_int(answer, "generation", e->generation + (same ? 0 : 1));
    json_add_string(answer, "hash", script_hash(next));
    buf_text(answer, "}\n");
    if (facts->len > 0)
        buf_append(answer, facts->data, facts->len);
}

/* The files are those in force. A person who asks for a reload may have mended the store, so paused
 * queues are probed. */
static void keep(struct engine *e, struct buf *fresh)
{
    standstill_took(e, e->script, e->script, true, fresh);
    turn_probe(e->turn);
    engine_wake(e);
}

/* The last step: nothing has changed until the broker has taken up the rules. */
static int take(struct engine *e, const struct engine_reload *r, struct script **next, bool same,
                struct err *err)
{
    struct buf fresh;
    int rc = standstill_prepare(*next, &fresh, err);

    if (rc != OK)
        return rc;
    if (same) {
        keep(e, &fresh);
    } else {
        rc = e->broker->ops->change(e->broker, rules_topology(script_rules(*next)), err);
        failpoint("reload");
        if (rc == OK)
            take_up(e, next, r->settings, &fresh);
    }
    buf_free(&fresh);
    return rc;
}

static int judge(struct engine *e, const struct engine_reload *r, struct script **next,
                 struct buf *answer, struct err *err)
{
    bool same = strcmp(script_hash(e->script), script_hash(*next)) == 0, wait = false;
    struct buf facts;
    int rc = engine_check_sql(e, *next, err);

    if (rc != OK)
        return rc;
    buf_init(&facts, answer->max > HEAD_MAX ? answer->max - HEAD_MAX : 0);
    script_changes(e->script, *next, put_change, &facts);
    same = !put_settings(&e->settings, r->settings, &facts) && same;
    rc = standstill_judge(e, r, *next, &facts, &wait, err);
    if (rc == OK && !wait)
        answer_with(e, r, *next, same, &facts, answer);
    buf_free(&facts);
    if (rc == OK && !wait && r->trial > 0)
        rc = trial_run(e->turn, &e->script, next, r->trial, answer, err);
    return rc != OK || wait || r->dry_run ? rc : take(e, r, next, same, err);
}

void engine_refuse(struct engine *e, const struct err *why)
{
    snprintf(e->rules_error, sizeof e->rules_error, "%s", why->text);
    e->reloads_refused++;
    standstill_spoilt(e);
    log_event(e->host.log, LOG_ERROR, "rules.refused",
              LOG_FIELDS(log_int("generation", e->generation),
                         log_text("hash", script_hash(e->script)), log_text("reason", why->text),
                         log_text("what_now", "the rules from before work on")));
}

int engine_renew(struct engine *e, struct err *err)
{
    int rc;

    REQUIRE(!e->in_turn);
    if (e->broker->ops->renew == NULL)
        return OK;
    rc = e->broker->ops->renew(e->broker, err);
    if (rc != OK)
        log_event(e->host.log, LOG_ERROR, "broker.files_refused",
                  LOG_FIELDS(log_text("reason", err->text),
                             log_text("what_now", "connections stay as they are; a new one needs "
                                                  "these files")));
    return rc;
}

int engine_reload(struct engine *e, const struct engine_reload *r, struct buf *answer,
                  struct err *err)
{
    struct script *next = NULL;
    int rc;

    REQUIRE(!e->in_turn);
    if (e->state != ENGINE_RUNNING && e->state != ENGINE_OUTAGE)
        return err_set(err, ERR_CLOSED, "the router is stopping: nothing was reloaded");
    rc = engine_load(e, r->settings, &next, err);
    if (rc == OK)
        rc = judge(e, r, &next, answer, err);
    script_free(&next);
    if (r->dry_run)
        return rc;
    if (rc == OK)
        e->rules_error[0] = '\0';
    else if (r->again && err_is_environment(rc))
        standstill_again(e, err);
    else
        engine_refuse(e, err);
    return rc;
}

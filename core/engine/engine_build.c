/* engine_build - makes the parts of an engine in order, and takes them apart (engine.h). */
#include "engine/engine_int.h"
#include "engine/standstill.h"

#include "broker/embedded.h"
#include "rabbit/rabbit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    TURN_MESSAGES = 500,
    TURN_AGE_MS = 40,
    TURN_AGE_SHARED_MS = 5, /* see docs/design.md#the-write-lock */
    BACKOFF_MIN_MS = 500,
    BACKOFF_MAX_MS = 15000,
};

/* Business tables of one folder: its migrations/, if it has any. */
static int migrate(struct engine *e, const struct script_folder *folder, struct err *err)
{
    char path[4096];
    int applied = 0, rc;

    db_migrations_of(folder->path, path, sizeof path);
    rc = db_migrate(e->db, path, folder->namespace_, &applied, err);
    if (rc == OK && applied > 0)
        log_event(e->host.log, LOG_INFO, "store.migrated",
                  LOG_FIELDS(log_text("folder", path), log_int("applied", applied)));
    return rc;
}

static int open_store(struct engine *e, struct err *err)
{
    const struct db_settings settings = {
        .path = e->settings.store,
        .create = true,
        .exclusive = true,
        .log = e->host.log,
        .clock = e->host.clock,
    };

    return db_open(&e->db, &settings, err);
}

/* Business tables, once it is known that there are rules to work with. */
static int migrate_all(struct engine *e, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < e->host.n_folders && rc == OK; i++)
        rc = migrate(e, &e->host.folders[i], err);
    return rc;
}

static int make_broker(struct engine *e, struct err *err)
{
    const struct settings *s = &e->settings;

    if (strcmp(s->broker, "embedded") == 0)
        return embedded_new(&e->broker, e->db, engine_wake, e, err);
    return rabbit_new(&e->broker,
                      &(struct rabbit_settings){
                          .loop = e->host.loop,
                          .log = e->host.log,
                          .clock = e->host.clock,
                          .url = s->broker,
                          .password_file = s->password_file,
                          .tls = &s->tls,
                          .name = s->name,
                          .heartbeat_s = (int)(s->heartbeat_ms / 1000),
                          .window = (size_t)s->publish_window,
                          .confirm_timeout_ms = s->confirm_timeout_ms,
                          .backoff_min_ms = BACKOFF_MIN_MS,
                          .backoff_max_ms = BACKOFF_MAX_MS,
                          .prefetch_bytes = (size_t)s->prefetch_bytes,
                          .rescue_after = s->rescue_after,
                          .wake = engine_wake,
                          .wake_arg = e,
                      },
                      err);
}

/* Who was in its handler when the last process died. A router can do without. */
static void open_strike(struct engine *e)
{
    struct err why = {0};

    if (strike_open(&e->strike, e->settings.store, &why) != OK)
        log_event(e->host.log, LOG_WARN, "strike.unusable",
                  LOG_FIELDS(log_text("reason", why.text),
                             log_text("what_now", "a message that crashes the router is not "
                                                  "recognized at the next start")));
}

/* It comes first, since it asks for the time that the others take. */
static int make_watchdog(struct engine *e, struct err *err)
{
    int64_t limit_ms = e->settings.watchdog_ms;

    return limit_ms > 0 ? watchdog_start(&e->watchdog, limit_ms, e->host.notify, err) : OK;
}

static int make_spans(struct engine *e, struct err *err)
{
    const struct settings *s = &e->settings;

    if (e->host.spans == NULL)
        return OK;
    e->spans =
        turn_spans_new(e->host.spans, strcmp(s->broker, "embedded") == 0 ? "herald" : "rabbitmq",
                       (size_t)s->publish_window);
    return e->spans != NULL ? OK : err_set(err, ERR_NOMEM, "out of memory");
}

static int make_turn(struct engine *e, struct err *err)
{
    return turn_new(&e->turn,
                    &(struct turn_parts){
                        .db = e->db,
                        .broker = e->broker,
                        .log = e->host.log,
                        .clock = e->host.clock,
                        .messages_max = TURN_MESSAGES,
                        .age_ms = TURN_AGE_MS,
                        .age_shared_ms = TURN_AGE_SHARED_MS,
                        .pausing = true,
                        .strike = e->strike,
                        .watchdog = e->watchdog,
                        .spans = e->spans,
                        .seed = (uint64_t)clock_wall(&e->host.clock) ^ (uint64_t)getpid() << 32,
                    },
                    &e->settings, err);
}

/* A start after a crash must not fail for one bad statement among good handlers: it is
 * told, and its messages wait for their retries. A reload refuses it. */
static void warn_of_sql(struct engine *e)
{
    struct err why = {0};

    if (engine_check_sql(e, e->script, &why) != OK)
        log_event(e->host.log, LOG_WARN, "rules.suspect", LOG_FIELDS(log_text("reason", why.text)));
}

static int load_rules(struct engine *e, struct err *err)
{
    int rc = engine_load(e, &e->settings, &e->script, err);

    if (rc == OK)
        rc = migrate_all(e, err);
    if (rc == OK) {
        e->n_migrations = engine_count_migrations(e);
        warn_of_sql(e);
        e->generation = 1;
        turn_use_script(e->turn, &e->script, e->generation);
        rc = standstill_begin(e, err);
    }
    return rc;
}

static int make_parts(struct engine *e, struct err *err)
{
    int rc = open_store(e, err);

    if (rc == OK)
        rc = make_broker(e, err);
    if (rc != OK)
        return rc;
    open_strike(e);
    rc = make_spans(e, err);
    if (rc == OK)
        rc = make_turn(e, err);
    return rc == OK ? load_rules(e, err) : rc;
}

int engine_new(struct engine **e_out, const struct engine_host *host,
               const struct settings *settings, struct err *err)
{
    struct engine *e = calloc(1, sizeof *e);
    int rc;

    *e_out = NULL;
    if (e == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    e->host = *host;
    e->settings = *settings;
    reach_init(e);
    events_init(&e->events);
    e->still = standstill_new();
    rc = e->still != NULL ? make_watchdog(e, err) : err_set(err, ERR_NOMEM, "out of memory");
    watchdog_preparing(e->watchdog, true);
    if (rc == OK)
        rc = make_parts(e, err);
    watchdog_preparing(e->watchdog, false);
    if (rc != OK) {
        engine_free(&e);
        return rc;
    }
    *e_out = e;
    return OK;
}

void engine_free(struct engine **e)
{
    if (*e == NULL)
        return;
    REQUIRE((*e)->state == ENGINE_BUILT || (*e)->state == ENGINE_CLOSED);
    script_free(&(*e)->script); /* before the turn, whose host it uses */
    turn_free(&(*e)->turn);
    turn_spans_free(&(*e)->spans);
    watchdog_stop(&(*e)->watchdog);
    strike_close(&(*e)->strike);
    if ((*e)->broker != NULL)
        (*e)->broker->ops->free(&(*e)->broker);
    db_close(&(*e)->db);
    buf_free(&(*e)->unreached);
    standstill_free(&(*e)->still);
    free(*e);
    *e = NULL;
}

/* spec_router - see spec_router.h. */
#include "spec/spec_router.h"

#include "broker/embedded.h"
#include "engine/turn.h"
#include "spec/spec_clock.h"
#include "store/outbox.h"
#include "store/queue.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    LOAD_MS = 10000,
    TURN_MESSAGES = 500,
    TURN_AGE_MS = 1000,
    TURNS_MAX = 5000, /* more than any spec needs: rules that feed themselves end here */
    LOG_READ = 65536,
};

enum crash { CRASH_NONE, CRASH_BEFORE_COMMIT, CRASH_AFTER_COMMIT };

struct spec_router {
    struct spec_router_settings settings;
    struct script_folder *folders; /* the settings' and, last, the one of extra rules; owned */
    size_t n_folders;
    char folder[240]; /* temporary: the store's */
    char store[256];
    int64_t now_ms; /* the wall clock */
    struct spec_clock *time;
    int log_fd; /* a file without a name */
    struct log *log;
    struct db *db;
    struct spec_sql *sql; /* NULL until somebody asks */
    struct broker *broker;
    struct turn *turn;
    struct script *script;
    enum crash crash;
};

static int64_t wall(void *arg)
{
    return ((const struct spec_router *)arg)->now_ms;
}

/* Time that passes for the router passes here, too; and within a turn, where it stands still, the
 * machine's does: a handler that never ends must end. */
static int64_t mono(void *arg)
{
    const struct spec_router *r = arg;
    struct clock real = clock_real();

    return clock_mono(&real) + r->now_ms - r->settings.now_ms;
}

static struct clock clock_of(struct spec_router *r)
{
    return (struct clock){.wall_ms = wall, .mono_ms = mono, .arg = r};
}

static void wake(void *arg)
{
    (void)arg; /* turns are run until nothing is left */
}

/* Where the user says; else RAM where the machine has it: a spec's store may be lost. */
static int make_folder(struct spec_router *r, struct err *err)
{
    const char *bases[] = {getenv("TMPDIR"), "/dev/shm", "/tmp"};

    for (size_t i = 0; i < sizeof bases / sizeof bases[0]; i++) {
        if (bases[i] == NULL || strlen(bases[i]) > 200)
            continue;
        snprintf(r->folder, sizeof r->folder, "%s/herald-test-XXXXXX", bases[i]);
        if (mkdtemp(r->folder) != NULL) {
            snprintf(r->store, sizeof r->store, "%s/test.db", r->folder);
            return OK;
        }
    }
    r->folder[0] = '\0';
    return err_set(err, ERR_IO, "cannot make a temporary folder: %s; set TMPDIR", strerror(errno));
}

static int write_rule(const char *path, struct slice text, struct err *err)
{
    FILE *file = fopen(path, "wb");
    bool good = file != NULL && fwrite(text.data, 1, text.len, file) == text.len;

    if (file != NULL && fclose(file) != 0)
        good = false;
    return good ? OK : err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
}

/* Rules come from files: those of the spec, too. */
static int write_rules(struct spec_router *r, struct err *err)
{
    const struct spec_router_settings *s = &r->settings;
    char path[300];
    int rc = OK;

    r->folders = calloc(s->n_folders + 1, sizeof *r->folders);
    if (r->folders == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    memcpy(r->folders, s->folders, s->n_folders * sizeof *r->folders);
    r->n_folders = s->n_folders;
    if (s->n_rules == 0)
        return OK;
    r->folders[r->n_folders++] = (struct script_folder){r->folder, "spec"};
    snprintf(path, sizeof path, "%s/rules", r->folder);
    if (mkdir(path, 0700) != 0)
        return err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    for (size_t i = 0; i < s->n_rules && rc == OK; i++) {
        snprintf(path, sizeof path, "%s/rules/extra%zu.lua", r->folder, i + 1);
        rc = write_rule(path, s->rules[i], err);
    }
    return rc;
}

static void remove_folder(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        char file[600];

        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        (void)unlink(file); /* fails for . and .. */
    }
    if (dir != NULL)
        closedir(dir);
    (void)rmdir(path); /* a leftover in a temporary folder harms nobody */
}

static void remove_all(struct spec_router *r)
{
    char rules[256];

    if (r->folder[0] == '\0')
        return;
    snprintf(rules, sizeof rules, "%s/rules", r->folder);
    if (r->settings.n_rules > 0)
        remove_folder(rules);
    remove_folder(r->folder);
}

static int open_store(struct spec_router *r, struct err *err)
{
    const struct db_settings settings = {.path = r->store,
                                         .create = true,
                                         .log = r->log,
                                         .clock = clock_of(r),
                                         .vfs = spec_clock_name(r->time),
                                         .unsynced = true};
    int rc = db_open(&r->db, &settings, err);

    for (size_t i = 0; i < r->n_folders && rc == OK; i++) {
        const struct script_folder *f = &r->folders[i];
        char path[4096];
        int applied;

        db_migrations_of(f->path, path, sizeof path);
        rc = db_migrate(r->db, path, f->namespace_, &applied, err);
    }
    return rc;
}

static int make_broker(struct spec_router *r, struct err *err)
{
    struct broker *inner = NULL;
    int rc = embedded_new(&inner, r->db, wake, NULL, err);

    if (rc != OK)
        return rc;
    r->broker = spec_broker_new(inner, r->settings.loopback);
    return r->broker ? OK : err_set(err, ERR_NOMEM, "out of memory");
}

static int make_turn(struct spec_router *r, struct err *err)
{
    return turn_new(&r->turn,
                    &(struct turn_parts){.db = r->db,
                                         .broker = r->broker,
                                         .log = r->log,
                                         .clock = clock_of(r),
                                         .messages_max = TURN_MESSAGES,
                                         .age_ms = TURN_AGE_MS,
                                         .age_shared_ms = TURN_AGE_MS,
                                         .pausing = false, /* a spec fails what it likes */
                                         .seed = 1},
                    &r->settings.router, err);
}

static int load(struct spec_router *r, struct err *err)
{
    int rc = script_load(
        &r->script,
        &(struct script_settings){.folders = r->folders,
                                  .n_folders = r->n_folders,
                                  .memory_max = (size_t)r->settings.router.handler_memory,
                                  .handler_ms = r->settings.router.handler_ms,
                                  .load_ms = LOAD_MS,
                                  .retry = r->settings.router.retry,
                                  .host = turn_host(r->turn)},
        err);

    if (rc != OK)
        return rc;
    turn_use_script(r->turn, &r->script, 1);
    return r->broker->ops->start(r->broker, rules_topology(script_rules(r->script)), err);
}

/* The process as it starts on the store. */
static int begin(struct spec_router *r, struct err *err)
{
    int rc = open_store(r, err);

    if (rc == OK)
        rc = make_broker(r, err);
    if (rc == OK)
        rc = make_turn(r, err);
    return rc == OK ? load(r, err) : rc;
}

/* The process goes; the store stays. */
static void end(struct spec_router *r)
{
    script_free(&r->script);
    turn_free(&r->turn);
    spec_sql_close(&r->sql);
    if (r->broker != NULL)
        r->broker->ops->free(&r->broker);
    db_close(&r->db);
}

int spec_router_new(struct spec_router **out, const struct spec_router_settings *settings,
                    struct err *err)
{
    struct spec_router *r = calloc(1, sizeof *r);
    int rc;

    *out = NULL;
    if (r == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    r->settings = *settings;
    r->now_ms = settings->now_ms;
    r->log_fd = memfd_create("herald-test-log", MFD_CLOEXEC);
    rc = r->log_fd >= 0 ? OK : err_set(err, ERR_IO, "cannot keep a log: %s", strerror(errno));
    if (rc == OK) {
        r->log = log_new(r->log_fd, LOG_DEBUG, LOG_JSON, clock_of(r));
        rc = r->log ? OK : err_set(err, ERR_NOMEM, "out of memory");
    }
    if (rc == OK)
        rc = make_folder(r, err);
    if (rc == OK)
        rc = write_rules(r, err);
    if (rc == OK)
        rc = spec_clock_new(&r->time, clock_of(r), err);
    if (rc == OK)
        rc = begin(r, err);
    if (rc == OK)
        *out = r;
    else
        spec_router_free(&r);
    return rc;
}

void spec_router_free(struct spec_router **r)
{
    if (*r == NULL)
        return;
    end(*r);
    spec_clock_free(&(*r)->time);
    log_free(&(*r)->log);
    if ((*r)->log_fd >= 0)
        close((*r)->log_fd);
    remove_all(*r);
    free((*r)->folders);
    free(*r);
    *r = NULL;
}

/* Before the commit the turn itself is undone; after it only the acks are lost. */
static int start_again(struct spec_router *r, struct err *err)
{
    struct broker *former = r->broker;
    int rc;

    r->crash = CRASH_NONE;
    r->broker = NULL;
    end(r);
    rc = begin(r, err);
    if (r->broker != NULL)
        spec_broker_inherit(r->broker, former);
    former->ops->free(&former);
    return rc;
}

static int run_turn(struct spec_router *r, bool *more, struct err *err)
{
    int64_t before = turn_counters(r->turn)->delivered;
    bool after = r->crash == CRASH_AFTER_COMMIT;

    if (after)
        spec_broker_lose_acks(r->broker);
    switch (turn_run(r->turn, true, err)) {
    case TURN_IDLE:
        *more = false;
        break;
    case TURN_MORE:
        *more = true;
        break;
    case TURN_BUSY:
    case TURN_OUTAGE:
    case TURN_FATAL:
        if (!spec_broker_crashed(r->broker))
            return err->code != OK ? err->code : err_set(err, ERR_BUSY, "the store is busy");
        *more = true;
        return start_again(r, err);
    }
    if (!after || turn_counters(r->turn)->delivered == before)
        return OK;
    *more = true;
    return start_again(r, err);
}

int spec_router_run(struct spec_router *r, struct err *err)
{
    bool more = true;
    int rc = OK;

    for (int n = 0; more && rc == OK; n++) {
        if (n == TURNS_MAX)
            return err_set(err, ERR_LIMIT,
                           "%d turns and still something to do: do the rules feed "
                           "themselves?",
                           TURNS_MAX);
        rc = run_turn(r, &more, err);
    }
    return rc;
}

int spec_router_advance(struct spec_router *r, int64_t ms, struct err *err)
{
    int64_t until = r->now_ms + ms;
    int rc = spec_router_run(r, err);

    while (rc == OK) {
        int64_t due_at = INT64_MAX;

        rc = turn_next_due(r->turn, &due_at, err);
        if (rc != OK || due_at > until)
            break;
        if (due_at <= r->now_ms) /* due, and still here after a run: it waits for something else */
            break;
        r->now_ms = due_at;
        rc = spec_router_run(r, err);
    }
    if (rc != OK)
        return rc;
    r->now_ms = until;
    return spec_router_run(r, err);
}

void spec_router_crash(struct spec_router *r, bool before_commit)
{
    r->crash = before_commit ? CRASH_BEFORE_COMMIT : CRASH_AFTER_COMMIT;
    if (before_commit)
        spec_broker_crash(r->broker);
}

void spec_router_duplicate(struct spec_router *r)
{
    spec_broker_lose_acks(r->broker);
}

static int put(struct spec_router *r, const struct destination *to, const struct message *m,
               struct err *err)
{
    size_t n = 0;
    int rc = queue_publish(r->db, to, m, &n, err);

    if (rc != OK || n > 0)
        return rc;
    if (to->kind == EXCHANGE_DEFAULT)
        return err_set(err, ERR_NOT_FOUND, "no queue \"%s\": no herald.subscribe names it",
                       to->routing_key);
    return err_set(err, ERR_NOT_FOUND,
                   "no queue is bound to exchange \"%s\" for routing key \"%s\"", to->exchange,
                   to->routing_key);
}

/* Ends what db_begin began. */
static int end_write(struct spec_router *r, int rc, struct err *err)
{
    if (rc == OK)
        rc = db_commit(r->db, err);
    if (rc != OK)
        db_rollback(r->db);
    return rc;
}

int spec_router_deliver(struct spec_router *r, const struct destination *to,
                        const struct message *m, struct err *err)
{
    int rc = db_begin(r->db, err);

    if (rc != OK)
        return rc;
    /* The embedded broker looks again only when it is told of something. */
    r->broker->ops->forget(r->broker);
    return end_write(r, put(r, to, m, err), err);
}

int spec_router_emit(struct spec_router *r, const struct message *m, int64_t *id_out,
                     struct err *err)
{
    int rc = db_begin(r->db, err);

    return rc == OK ? end_write(r, outbox_add(r->db, m, 0, id_out, err), err) : rc;
}

int spec_router_raise(struct spec_router *r, const struct message *m, struct err *err)
{
    struct raised what = {.mark = NULL};
    const struct slice about = m->key[0];

    if (m->type.len >= sizeof what.type || about.len >= sizeof what.about ||
        m->body.len >= sizeof what.body)
        return err_set(err, ERR_INPUT, "it is too long for an event");
    memcpy(what.type, m->type.data, m->type.len);
    if (about.len > 0)
        memcpy(what.about, about.data, about.len);
    if (m->body.len > 0)
        memcpy(what.body, m->body.data, m->body.len);
    return turn_raise(r->turn, &what) ? OK : err_set(err, ERR_LIMIT, "too much happens at once");
}

int spec_router_sql(struct spec_router *r, struct spec_sql **out, struct err *err)
{
    int rc = r->sql == NULL ? spec_sql_open(&r->sql, r->db, err) : OK;

    *out = r->sql;
    return rc;
}

struct broker *spec_router_broker(struct spec_router *r)
{
    return r->broker;
}

const struct rules *spec_router_rules(struct spec_router *r)
{
    return script_rules(r->script);
}

const struct counters *spec_router_counters(struct spec_router *r)
{
    return turn_counters(r->turn);
}

int64_t spec_router_now_ms(const struct spec_router *r)
{
    return r->now_ms;
}

int spec_router_log(struct spec_router *r, struct buf *out, struct err *err)
{
    off_t at = 0;

    for (;;) {
        char *room = buf_reserve(out, LOG_READ);
        ssize_t n = room ? pread(r->log_fd, room, LOG_READ, at) : -1;

        if (n < 0)
            return err_set(err, ERR_LIMIT, "the log is too long");
        if (n == 0)
            return OK;
        out->len += (size_t)n;
        at += n;
    }
}

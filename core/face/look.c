/* look - see look.h. */
#include "face/look.h"

#include "rabbit/inspect.h"
#include "store/earlier_store.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOK_MEMORY = 256 * 1024 * 1024, LOAD_MS = 10000, LIVE_MS = 15000 };

void look_init(struct look *k)
{
    *k = (struct look){.db = NULL};
    arena_init(&k->arena, LOOK_MEMORY);
    k->constants.end = &k->constants.first;
    k->live.end = &k->live.first;
    k->applied.end = &k->applied.first;
}

static void remove_folder(struct look *k)
{
    DIR *dir = k->folder[0] != '\0' ? opendir(k->folder) : NULL;
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(dir), entry->d_name, 0); /* rmdir tells */
    if (dir != NULL)
        (void)closedir(dir); /* only read */
    if (k->folder[0] != '\0' && rmdir(k->folder) != 0)
        fprintf(stderr, "herald: the folder %s could not be removed\n", k->folder);
    k->folder[0] = '\0';
}

void look_close(struct look *k)
{
    script_free(&k->script);
    sql_free(&k->sql);
    db_close(&k->db);
    remove_folder(k);
    log_free(&k->log);
    arena_free(&k->arena);
}

static void drop_line(void *arg, enum log_level level, const char *event,
                      const struct log_field *fields)
{
    (void)arg, (void)level, (void)event, (void)fields; /* what rules say while they load */
}

static int64_t now_ms(void *arg)
{
    const struct clock clock = clock_real();

    (void)arg;
    return clock_wall(&clock);
}

static int64_t mono_ms(void *arg)
{
    const struct clock clock = clock_real();

    (void)arg;
    return clock_mono(&clock);
}

static int64_t cpu_ms(void *arg)
{
    (void)arg;
    return clock_cpu_ms();
}

static int make_folder(struct look *k, struct err *err)
{
    const char *base = getenv("TMPDIR");
    int len = snprintf(k->folder, sizeof k->folder, "%s/herald-check-XXXXXX",
                       base != NULL && base[0] != '\0' ? base : "/tmp");

    if (len >= (int)sizeof k->folder)
        (void)snprintf(k->folder, sizeof k->folder, "/tmp/herald-check-XXXXXX");
    if (mkdtemp(k->folder) == NULL) {
        k->folder[0] = '\0';
        return err_set(err, ERR_IO,
                       "no folder for a store to check with could be made in %s: set TMPDIR to one "
                       "that can be written to",
                       base ? base : "/tmp");
    }
    (void)snprintf(k->path, sizeof k->path, "%s/herald.db", k->folder); /* it has the room */
    return OK;
}

static int open_store(struct look *k, struct err *err)
{
    struct db_settings settings = {.path = k->path, .create = true, .clock = clock_real()};
    int rc = make_folder(k, err);

    k->log = log_new(STDERR_FILENO, LOG_ERROR, LOG_LOGFMT, clock_real());
    settings.log = k->log;
    if (rc == OK && k->log == NULL)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc == OK)
        rc = db_open(&k->db, &settings, err);
    if (rc == OK)
        rc = sql_new(&k->sql, k->db, 1, err);
    return rc;
}

static int migrate(struct look *k, const struct script_folder *folders, size_t n, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < n && rc == OK; i++) {
        char path[4096];
        int applied = 0;

        db_migrations_of(folders[i].path, path, sizeof path);
        rc = db_migrate(k->db, path, folders[i].namespace_, &applied, err);
    }
    return rc;
}

static struct found *add(struct look *k, struct found_list *list, const char *where,
                         struct slice text)
{
    struct found *f = arena_take(&k->arena, sizeof *f);

    if (f == NULL) {
        k->full = true;
        return NULL;
    }
    *f = (struct found){.at = -1, .where = slice_of(where), .text = text};
    if (!arena_keep(&k->arena, &f->where) || !arena_keep(&k->arena, &f->text)) {
        k->full = true;
        return NULL;
    }
    *list->end = f;
    list->end = &f->next;
    return f;
}

/* A table of named parameters is one value; what a variable holds nobody knows. */
static void count_parameters(struct look *k, struct found *f, const struct sql_stmt *stmt)
{
    int wanted = sql_parameters(stmt);
    bool named = wanted > 0 && sql_parameter_name(stmt, 1) != NULL;
    char text[128];

    if (f->values < 0 || f->values == wanted || (named && f->values == 1))
        return;
    snprintf(text, sizeof text, "the statement has %d parameter%s, %d value%s given", wanted,
             wanted == 1 ? "" : "s", f->values, f->values == 1 ? " is" : "s are");
    f->problem = slice_of(text);
    if (!arena_keep(&k->arena, &f->problem))
        k->full = true;
}

static void prepare(struct look *k, struct found *f)
{
    struct sql_stmt *stmt = NULL;
    struct err err = {0};

    if (sql_prepare(k->sql, f->text, &stmt, &err) == OK) {
        count_parameters(k, f, stmt);
        sql_done(&stmt);
        return;
    }
    f->at = sql_error_at(k->sql);
    f->problem = slice_of(err.text);
    if (!arena_keep(&k->arena, &f->problem))
        k->full = true;
}

/* A script_constant_fn. */
static bool keep_constant(void *arg, const struct script_constant *c)
{
    struct look *k = arg;
    struct found *f = add(k, &k->constants, c->file, c->text);

    if (f == NULL)
        return false;
    f->kind = (int)c->kind;
    f->line = c->line;
    f->column = c->column;
    f->order_type = c->order_type;
    f->values = c->values;
    if (!arena_keep(&k->arena, &f->order_type))
        k->full = true;
    if (c->kind == CONSTANT_SQL && k->migrations.code == OK)
        prepare(k, f);
    return !k->full;
}

/* An inspect_finding_fn. */
static void keep_finding(void *arg, enum inspect_severity severity, const char *origin,
                         const char *text)
{
    struct look *k = arg;
    struct found *f = add(k, &k->live, origin, slice_of(text));

    if (f != NULL)
        f->kind = (int)severity;
}

static void ask_broker(struct look *k, const struct settings *live)
{
    struct inspect_settings settings = {
        .log = NULL,
        .clock = clock_real(),
        .url = live->broker,
        .password_file = live->password_file,
        .tls = &live->tls,
        .timeout_ms = LIVE_MS,
        .server = k->server,
        .server_room = sizeof k->server,
    };
    uv_loop_t loop;

    if (uv_loop_init(&loop) != 0) {
        err_set(&k->broker, ERR_NOMEM, "out of memory");
        return;
    }
    settings.loop = &loop;
    (void)inspect_run(&settings, rules_topology(script_rules(k->script)), keep_finding, k,
                      &k->broker); /* its code is in k->broker */
    REQUIRE(uv_loop_close(&loop) == 0);
}

/* A db_migration_fn. */
static void keep_migration(void *arg, bool error, const char *text)
{
    struct look *k = arg;
    struct found *f = add(k, &k->applied, "", slice_of(text));

    if (f != NULL)
        f->kind = error ? INSPECT_ERROR : INSPECT_WARNING;
}

/* A store that is not there yet, or cannot be opened by this herald, says nothing. */
static void judge_migrations(struct look *k, const struct script_settings *s, const char *store)
{
    const struct db_settings settings = {.path = store, .log = k->log, .clock = clock_real()};
    struct err err = {0};
    struct db *db = NULL;

    if (db_open(&db, &settings, &err) != OK)
        return;
    for (size_t i = 0; i < s->n_folders; i++) {
        char path[4096];

        db_migrations_of(s->folders[i].path, path, sizeof path);
        if (db_judge_migrations(db, path, s->folders[i].namespace_, keep_migration, k, &err) != OK)
            break; /* unreadable files are told by the store of this check */
    }
    db_close(&db);
}

#define BODY_IDS                                                                                   \
    "messages without a message id were named by the id in their body here (the store is of an "   \
    "earlier version); from now on that id names them only beside messageType: where they have "   \
    "none, identity = \"body.id\" keeps what it meant"

/* Does a body's id name messages beside messageType only? */
static bool is_by_default(const struct subscription *s)
{
    return s->envelope == ENVELOPE_AUTO && s->identity == 0 && !s->identity_in_body;
}

/* An earlier_store_queue_fn. One is enough to say what has changed. */
static void tell_body_ids(void *arg, const char *queue)
{
    struct look *k = arg;
    const struct topology *t = rules_topology(script_rules(k->script));

    for (size_t i = 0; i < t->n_subscriptions && !k->told_body_ids; i++) {
        const struct subscription *s = &t->subscriptions[i];
        struct found *f;

        if (strcmp(s->queue, queue) != 0 || !is_by_default(s))
            continue;
        f = add(k, &k->applied, s->origin, slice_of(BODY_IDS));
        if (f != NULL)
            f->kind = INSPECT_WARNING;
        k->told_body_ids = true;
    }
}

void look_run(struct look *k, struct script_settings *settings, const struct settings *live,
              const char *store)
{
    struct err older = {0};

    k->host = (struct script_host){
        .log = drop_line, .now_ms = now_ms, .mono_ms = mono_ms, .cpu_ms = cpu_ms};
    settings->host = &k->host;
    settings->load_ms = LOAD_MS;
    if (open_store(k, &k->store) != OK)
        return;
    (void)migrate(k, settings->folders, settings->n_folders, &k->migrations); /* the code stays */
    judge_migrations(k, settings, store);
    if (script_load(&k->script, settings, &k->rules) != OK)
        return;
    (void)earlier_store_body_ids(store, tell_body_ids, k,
                                 &older); /* what cannot be read says nothing */
    if (script_constants(k->script, keep_constant, k, &k->store) == OK && live != NULL)
        ask_broker(k, live);
    if (k->full)
        err_set(&k->store, ERR_LIMIT, "the rules hold over 256 MiB of constants");
}

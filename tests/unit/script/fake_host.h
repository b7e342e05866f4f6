/*
 * fake_host - a host in memory, and a router folder in /tmp, for the script tests
 *
 * Its statements are not SQL but wishes:
 *
 *   echo ? :name ...   one row with what was bound, columns p1, p2, ...
 *   count 3            rows n = 1 to 3
 *   change 5           no row; 5 changed rows
 *   none               no row
 *   bad                is refused when prepared
 *   fail               is refused when run
 *   lose               ends the transaction
 *   full               the disk is full
 *
 * Time goes on by one millisecond whenever somebody looks, so limits are exact.
 */
#ifndef HERALD_TEST_FAKE_HOST_H
#define HERALD_TEST_FAKE_HOST_H

#include "check.h"
#include "folder.h"
#include "script/script.h"
#include "usual_retry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HELPER static __attribute__((unused))

enum { FAKE_STMTS = 64, FAKE_PARAMS = 8 };

struct fake_stmt {
    bool open;
    char text[512];
    int params;
    char name[FAKE_PARAMS][32]; /* ":id", or "" for "?" */
    struct value bound[FAKE_PARAMS];
    char bytes[FAKE_PARAMS][256]; /* what text and blobs lend from */
    int64_t row;                  /* rows given so far */
};

struct fake {
    struct script_host host;
    struct fake_stmt stmt[FAKE_STMTS];
    int open;        /* statements not given back */
    int64_t changed; /* answer of changes() */
    int64_t mono;    /* the clock */
    int64_t cpu;     /* the same, for loading */
    int64_t emits;   /* how many */
    char emitted[4096];
    char logged[4096];
    int emit_code; /* what emit answers */
};

HELPER void __attribute__((format(printf, 3, 4)))
put(char *out, size_t size, const char *format, ...)
{
    size_t used = strlen(out);
    va_list args;

    va_start(args, format);
    vsnprintf(out + used, size - used, format, args);
    va_end(args);
}

HELPER void fake_scan(struct fake_stmt *s)
{
    for (const char *p = s->text; *p != '\0'; p++) {
        if (*p == '?')
            s->name[s->params++][0] = '\0';
        if (*p == ':') {
            size_t n = 1 + strspn(p + 1, "abcdefghijklmnopqrstuvwxyz_0123456789");

            snprintf(s->name[s->params++], 32, "%.*s", (int)n, p);
        }
    }
}

HELPER int fake_prepare(void *arg, struct slice sql, void **out, struct err *err)
{
    struct fake *f = arg;

    *out = NULL;
    if (sql.len >= 3 && memcmp(sql.data, "bad", 3) == 0)
        return err_set(err, ERR_SCRIPT, "near \"bad\": syntax error");
    for (int i = 0; i < FAKE_STMTS; i++) {
        struct fake_stmt *s = &f->stmt[i];

        if (s->open)
            continue;
        *s = (struct fake_stmt){.open = true};
        snprintf(s->text, sizeof s->text, "%.*s", (int)sql.len, sql.data);
        fake_scan(s);
        f->open++;
        *out = s;
        return OK;
    }
    return err_set(err, ERR_SCRIPT, "too many statements");
}

HELPER int fake_parameters(void *arg, void *stmt)
{
    (void)arg;
    return ((struct fake_stmt *)stmt)->params;
}

HELPER const char *fake_parameter_name(void *arg, void *stmt, int index)
{
    struct fake_stmt *s = stmt;

    (void)arg;
    return s->name[index - 1][0] ? s->name[index - 1] : NULL;
}

HELPER int fake_bind(void *arg, void *stmt, int index, const struct value *v, struct err *err)
{
    struct fake_stmt *s = stmt;

    (void)arg;
    if (v->bytes.len > sizeof s->bytes[0])
        return err_set(err, ERR_SCRIPT, "string or blob too big");
    s->bound[index - 1] = *v;
    if (v->bytes.data != NULL)
        memcpy(s->bytes[index - 1], v->bytes.data, v->bytes.len);
    s->bound[index - 1].bytes.data = s->bytes[index - 1];
    return OK;
}

HELPER int fake_step(void *arg, void *stmt, struct err *err)
{
    struct fake *f = arg;
    struct fake_stmt *s = stmt;

    if (strncmp(s->text, "echo", 4) == 0)
        return s->row++ == 0;
    if (strncmp(s->text, "count", 5) == 0)
        return s->row < atoll(s->text + 5) ? (int)(++s->row > 0) : 0;
    if (strncmp(s->text, "change", 6) == 0)
        f->changed = atoll(s->text + 6);
    if (strncmp(s->text, "fail", 4) == 0)
        return err_set(err, ERR_SCRIPT, "UNIQUE constraint failed: t.x");
    if (strncmp(s->text, "lose", 4) == 0)
        return err_set(err, ERR_TX_LOST, "the statement ended the transaction");
    if (strncmp(s->text, "full", 4) == 0)
        return err_set(err, ERR_FULL, "database or disk is full");
    return 0;
}

HELPER int fake_columns(void *arg, void *stmt)
{
    struct fake_stmt *s = stmt;

    (void)arg;
    return strncmp(s->text, "count", 5) == 0 ? 1 : s->params;
}

HELPER const char *fake_column_name(void *arg, void *stmt, int column)
{
    static const char *const names[] = {"p1", "p2", "p3", "p4", "p5", "p6", "p7", "p8"};
    struct fake_stmt *s = stmt;

    (void)arg;
    return strncmp(s->text, "count", 5) == 0 ? "n" : names[column];
}

HELPER void fake_column(void *arg, void *stmt, int column, struct value *out)
{
    struct fake_stmt *s = stmt;

    (void)arg;
    if (strncmp(s->text, "count", 5) == 0)
        *out = (struct value){.kind = VALUE_INT, .integer = s->row};
    else
        *out = s->bound[column];
}

HELPER int64_t fake_changes(void *arg)
{
    return ((struct fake *)arg)->changed;
}

HELPER void fake_finish(void *arg, void *stmt)
{
    struct fake_stmt *s = stmt;

    assert_true(s->open);
    s->open = false;
    ((struct fake *)arg)->open--;
}

HELPER void put_slice(char *out, size_t size, const char *name, struct slice s)
{
    if (s.data != NULL)
        put(out, size, " %s=%.*s", name, (int)s.len, s.data);
}

HELPER int fake_emit(void *arg, const struct script_emit *e, int64_t *id, struct err *err)
{
    struct fake *f = arg;
    const struct message *m = &e->message;

    if (f->emit_code != OK)
        return err_set(err, f->emit_code, "no emit today");
    put_slice(f->emitted, sizeof f->emitted, "type", m->type);
    put_slice(f->emitted, sizeof f->emitted, "key1", m->key[0]);
    put_slice(f->emitted, sizeof f->emitted, "key2", m->key[1]);
    put_slice(f->emitted, sizeof f->emitted, "key3", m->key[2]);
    if (e->due_at > 0)
        put(f->emitted, sizeof f->emitted, " due=%lld", (long long)e->due_at);
    put_slice(f->emitted, sizeof f->emitted, "key", e->key);
    put_slice(f->emitted, sizeof f->emitted, "id", m->id);
    put_slice(f->emitted, sizeof f->emitted, "headers", m->headers);
    put_slice(f->emitted, sizeof f->emitted, "properties", m->properties);
    put_slice(f->emitted, sizeof f->emitted, "body", m->body);
    put_slice(f->emitted, sizeof f->emitted, "to", e->reply_to);
    if (e->reply_until != 0 && e->reply_until != INT64_MAX)
        put(f->emitted, sizeof f->emitted, " until=%lld", (long long)e->reply_until);
    *id = ++f->emits;
    return OK;
}

/* "sent" was sent, "none" is not there. */
HELPER int fake_cancel(void *arg, struct slice key, int *was_out, struct err *err)
{
    (void)arg;
    (void)err;
    *was_out = slice_is(key, "none") ? -1 : !slice_is(key, "sent");
    return OK;
}

HELPER void fake_log(void *arg, enum log_level level, const char *event,
                     const struct log_field *fields)
{
    struct fake *f = arg;

    put(f->logged, sizeof f->logged, "%d %s", (int)level, event);
    for (; fields->key != NULL; fields++) {
        if (fields->text != NULL)
            put(f->logged, sizeof f->logged, " %s=%.*s", fields->key, (int)fields->len,
                fields->text);
        else
            put(f->logged, sizeof f->logged, " %s=%lld", fields->key, (long long)fields->number);
    }
    put(f->logged, sizeof f->logged, "\n");
}

HELPER int64_t fake_now(void *arg)
{
    (void)arg;
    return INT64_C(1700000000123);
}

HELPER int64_t fake_mono(void *arg)
{
    return ((struct fake *)arg)->mono++;
}

HELPER int64_t fake_cpu(void *arg)
{
    return ((struct fake *)arg)->cpu++;
}

HELPER void fake_init(struct fake *f)
{
    memset(f, 0, sizeof *f);
    f->host = (struct script_host){.arg = f,
                                   .prepare = fake_prepare,
                                   .parameters = fake_parameters,
                                   .parameter_name = fake_parameter_name,
                                   .bind = fake_bind,
                                   .step = fake_step,
                                   .columns = fake_columns,
                                   .column_name = fake_column_name,
                                   .column = fake_column,
                                   .changes = fake_changes,
                                   .finish = fake_finish,
                                   .emit = fake_emit,
                                   .cancel = fake_cancel,
                                   .log = fake_log,
                                   .now_ms = fake_now,
                                   .mono_ms = fake_mono,
                                   .cpu_ms = fake_cpu};
}

/* --- a router folder, and a script loaded from it --------------------------------- */

struct scene {
    struct fake fake;
    char dir[64];
    struct script_folder folder;
    struct script_settings settings;
    struct script *script;
    struct err err;
    struct script_outcome out;
    struct message message;
    struct script_message lent;
};

HELPER void write_rules(const struct scene *s, const char *name, const void *text, size_t len)
{
    char path[128];

    snprintf(path, sizeof path, "rules/%s", name);
    folder_put(s->dir, path, text, len);
}

HELPER void scene_setup(struct scene *s)
{
    memset(s, 0, sizeof *s);
    fake_init(&s->fake);
    folder_make(s->dir);
    folder_add(s->dir, "rules");
    s->folder = (struct script_folder){s->dir, ""};
    s->settings = (struct script_settings){.folders = &s->folder,
                                           .n_folders = 1,
                                           .memory_max = 16 * 1024 * 1024,
                                           .handler_ms = 200,
                                           .load_ms = 200,
                                           .retry = usual_retry,
                                           .host = &s->fake.host};
    s->message = (struct message){.id = slice_of("m-1"),
                                  .type = slice_of("payresult_notify"),
                                  .key = {slice_of("16"), slice_of("60201"), {NULL, 0}},
                                  .body = slice_of("{}")};
    s->lent = (struct script_message){.message = &s->message,
                                      .queue = slice_of("paynotify_queue"),
                                      .exchange = slice_of("paynotify"),
                                      .routing_key = slice_of(""),
                                      .attempt = 1};
}

HELPER void scene_teardown(struct scene *s)
{
    script_free(&s->script);
    assert_int_equal(s->fake.open, 0);
    folder_remove(s->dir);
}

/* Loads one file "a.lua" and says what came of it. */
HELPER const char *load(struct scene *s, const char *text)
{
    int rc;

    script_free(&s->script);
    write_rules(s, "a.lua", text, strlen(text));
    rc = script_load(&s->script, &s->settings, &s->err);
    return rc == OK ? "" : s->err.text;
}

/* Loads a file whose handler for everything has this body, and calls it. */
HELPER enum script_verdict run(struct scene *s, const char *body)
{
    static const char before[] = "local herald = require 'herald'\n"
                                 "herald.on('*', '*', function(msg, tx)\n";
    char text[8192];
    const struct handler *h;

    snprintf(text, sizeof text, "%s%s\nend)\n", before, body);
    assert_string_equal(load(s, text), "");
    h = rules_handler(script_rules(s->script), slice_of("q"), s->message.type, s->message.key[1]);
    assert_non_null(h);
    script_call(s->script, h, &s->lent, &s->out);
    assert_int_equal(s->fake.open, 0);
    return s->out.verdict;
}

/* Calls the handler of the loaded rules once more. */
HELPER enum script_verdict again(struct scene *s)
{
    const struct handler *h =
        rules_handler(script_rules(s->script), slice_of("q"), s->message.type, s->message.key[1]);

    assert_non_null(h);
    script_call(s->script, h, &s->lent, &s->out);
    assert_int_equal(s->fake.open, 0);
    return s->out.verdict;
}

/* The handler's body must end well; its own asserts say what it expects. */
#define RUNS(s, body)                                                                              \
    do {                                                                                           \
        if (run(s, body) != SCRIPT_DONE)                                                           \
            fail_msg("verdict %d: %s\n%s", (int)(s)->out.verdict, (s)->out.error,                  \
                     (s)->out.traceback);                                                          \
    } while (0)

/* The handler's body must fail with exactly these words. */
#define FAILS(s, body, words)                                                                      \
    do {                                                                                           \
        assert_int_equal(run(s, body), SCRIPT_FAILED);                                             \
        assert_string_equal((s)->out.error, words);                                                \
    } while (0)

#endif

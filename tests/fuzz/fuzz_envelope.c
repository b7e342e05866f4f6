/* Messages of anybody, read by each envelope. An input is a byte that says which one, a line of
 * headers as JSON, a line with a content type, and the body. */
#include "base/json.h"
#include "base/unpack.h"
#include "script/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

enum { READERS = 10, BODY_MAX = 1 << 20 };

static const char *const names[READERS] = {"cap",       "celery", "cloudevents", "masstransit",
                                           "moleculer", "nestjs", "node-ts",     "nservicebus",
                                           "spring",    "symfony"};
static struct script *script; /* one for all inputs */

static int64_t no_time(void *arg)
{
    (void)arg;
    return 1700000000000;
}

static void no_log(void *arg, enum log_level level, const char *event, const struct log_field *f)
{
    (void)arg, (void)level, (void)event, (void)f;
}

static const struct script_host host = {
    .log = no_log, .now_ms = no_time, .mono_ms = no_time, .cpu_ms = no_time};

static void write_rules(const char *folder)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/rules", folder);
    if (mkdir(path, 0700) != 0)
        abort();
    snprintf(path, sizeof path, "%s/rules/a.lua", folder);
    file = fopen(path, "w");
    if (file == NULL)
        abort();
    fputs("local herald = require 'herald'\n", file);
    for (int i = 0; i < READERS; i++)
        fprintf(file, "herald.subscribe { queue = 'q%d', envelope = '%s' }\n", i, names[i]);
    if (fclose(file) != 0)
        abort();
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    char folder[] = "/tmp/herald-fuzz-XXXXXX", command[64];
    struct script_folder folders = {folder, ""};
    struct script_settings settings = {.folders = &folders,
                                       .n_folders = 1,
                                       .memory_max = 64 << 20,
                                       .handler_ms = 60000,
                                       .load_ms = 60000,
                                       .host = &host};
    struct err err;

    (void)argc, (void)argv;
    if (mkdtemp(folder) == NULL)
        abort();
    write_rules(folder);
    if (script_load(&script, &settings, &err) != OK) {
        fprintf(stderr, "%s\n", err.text);
        abort();
    }
    snprintf(command, sizeof command, "rm -rf %s", folder);
    return system(command) == 0 ? 0 : 1;
}

/* Takes a line off the front. */
static struct slice line(struct slice *rest)
{
    const char *end = rest->len > 0 ? memchr(rest->data, '\n', rest->len) : NULL;
    struct slice taken = {rest->data, end ? (size_t)(end - rest->data) : rest->len};

    rest->len -= taken.len + (end != NULL);
    rest->data += taken.len + (end != NULL);
    return taken;
}

static bool is_object(struct slice text)
{
    struct json j;
    struct buf tape;
    bool is;

    buf_init(&tape, JSON_TAPE_MAX);
    is = json_parse(&j, &tape, text.data, text.len, NULL) == OK && j.tape->kind == JSON_OBJECT;
    buf_free(&tape);
    return is;
}

static void must_be_named(int rc, const struct message *m, const struct err *err)
{
    if (rc == OK && (m->type.len == 0 || !text_is_utf8(m->type.data, m->type.len)))
        abort();
    if (rc != OK && rc != ERR_INPUT) { /* nothing that comes makes a reader of ours fail */
        fprintf(stderr, "%d: %s\n", rc, err->text);
        abort();
    }
}

static void read_auto(struct message m)
{
    struct envelope e;
    struct err err = {0};

    envelope_init(&e);
    must_be_named(message_resolve(&m, &e, &err), &m, &err);
    envelope_free(&e);
}

static void read_named(const struct message *m, int which)
{
    const struct subscription *s = &rules_topology(script_rules(script))->subscriptions[which];
    const struct script_message about = {.message = m,
                                         .raw = m->body,
                                         .subscription = s,
                                         .queue = slice_of(s->queue),
                                         .exchange = slice_of("x"),
                                         .routing_key = slice_of("k"),
                                         .attempt = 1};
    struct script_reading reading;
    struct err err = {0};
    int rc = script_envelope(script, &about, &reading, &err);

    must_be_named(rc, &reading.message, &err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice rest = {(const char *)data + 1, size - 1}, headers;
    struct message m = {.timestamp_s = 0};
    struct buf unpacked;
    struct err err;

    if (size == 0)
        return 0;
    headers = line(&rest);
    m.content_type = line(&rest);
    m.body = rest;
    if (is_object(headers))
        m.headers = headers;
    if (!text_is_utf8(m.content_type.data, m.content_type.len))
        return 0; /* a dead letter before that */
    buf_init(&unpacked, BODY_MAX);
    if (unpack_is_due(&m) && unpack_body(&unpacked, m.body, BODY_MAX, &err) == OK)
        m.body = (struct slice){unpacked.data ? unpacked.data : "", unpacked.len};
    if (data[0] % (READERS + 1) == READERS)
        read_auto(m);
    else
        read_named(&m, data[0] % (READERS + 1));
    buf_free(&unpacked);
    return 0;
}

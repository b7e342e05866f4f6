/* bridge - see bridge.h. */
#include "engine/bridge.h"

#include "base/failpoint.h"
#include "base/json.h"
#include "store/outbox.h"

#include <stdio.h>
#include <string.h>

enum {
    STATEMENTS_KEPT = 200,
    LOG_FIELDS_MAX = 32,
    FIELD_MAX = 2000,                    /* bytes of a recorded text */
    DEED_MAX = 9 * (6 * FIELD_MAX + 64), /* a byte takes up to six */
    EXPANDED_MAX = 64 * 1024,
};

static int prepare(void *arg, struct slice text, void **stmt_out, struct err *err)
{
    struct bridge *b = arg;
    struct sql_stmt *s = NULL;
    int rc = sql_prepare(b->sql, text, &s, err);

    *stmt_out = s;
    return rc;
}

static int parameters(void *arg, void *stmt)
{
    (void)arg;
    return sql_parameters(stmt);
}

static const char *parameter_name(void *arg, void *stmt, int index)
{
    (void)arg;
    return sql_parameter_name(stmt, index);
}

static int bind(void *arg, void *stmt, int index, const struct value *v, struct err *err)
{
    (void)arg;
    return sql_bind(stmt, index, v, err);
}

static int columns(void *arg, void *stmt)
{
    (void)arg;
    return sql_columns(stmt);
}

static const char *column_name(void *arg, void *stmt, int column)
{
    (void)arg;
    return sql_column_name(stmt, column);
}

static void column(void *arg, void *stmt, int index, struct value *out)
{
    (void)arg;
    sql_column(stmt, index, out);
}

static int64_t changes(void *arg)
{
    struct bridge *b = arg;

    return sql_changes(b->sql);
}

void bridge_begin_deed(struct buf *b, const char *what)
{
    json_add_object(b, NULL);
    json_add_string(b, "what", what);
    json_add_array(b, "detail");
}

void bridge_end_deed(struct buf *b)
{
    json_end(b, "]}");
}

void bridge_add_text(struct buf *b, const char *name, struct slice text)
{
    struct buf cut;

    if (text.len <= FIELD_MAX) {
        json_add_text(b, name, text);
        return;
    }
    buf_init(&cut, FIELD_MAX + 64);
    buf_append(&cut, text.data, FIELD_MAX);
    buf_printf(&cut, "... (%zu bytes, %016llx)", text.len,
               (unsigned long long)text_hash(TEXT_HASH_START, text.data, text.len));
    json_add_text(b, name, (struct slice){cut.data ? cut.data : "", cut.len});
    buf_free(&cut);
}

/* True when one more is sure to fit. */
static bool may_note(struct transcript *r)
{
    r->cut = r->cut || r->did.len + DEED_MAX > r->did.max;
    return !r->cut;
}

static void note_statement(struct transcript *r, const struct sql_stmt *s, int64_t rows)
{
    char changed[24];
    struct buf text;

    if (!may_note(r))
        return;
    buf_init(&text, EXPANDED_MAX);
    if (!sql_expand(s, &text))
        buf_text(&text, "(a statement too long to show)");
    bridge_begin_deed(&r->did, "statement");
    snprintf(changed, sizeof changed, "%lld", (long long)rows);
    json_add_string(&r->did, NULL, changed);
    bridge_add_text(&r->did, NULL, (struct slice){text.data ? text.data : "", text.len});
    bridge_end_deed(&r->did);
    buf_free(&text);
}

/* Due time, key, reply queue and properties follow only where the emit has them. */
static void note_emit(struct transcript *r, const struct script_emit *e)
{
    const struct message *m = &e->message;
    const struct slice fields[] = {m->type, m->key[0], m->key[1], m->key[2], m->body, m->headers};
    char due[32];

    if (!may_note(r))
        return;
    bridge_begin_deed(&r->did, "emit");
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        bridge_add_text(&r->did, NULL, fields[i].data ? fields[i] : slice_of(""));
    if (e->due_at > 0) {
        snprintf(due, sizeof due, "due_at=%lld", (long long)e->due_at);
        json_add_string(&r->did, NULL, due);
    }
    if (e->key.data != NULL) {
        json_add_string(&r->did, NULL, "key");
        bridge_add_text(&r->did, NULL, e->key);
    }
    if (e->reply_to.data != NULL) {
        json_add_string(&r->did, NULL, "reply_to");
        bridge_add_text(&r->did, NULL, e->reply_to);
    }
    if (m->properties.data != NULL) {
        json_add_string(&r->did, NULL, "properties");
        bridge_add_text(&r->did, NULL, m->properties);
    }
    bridge_end_deed(&r->did);
}

static void note_cancel(struct transcript *r, struct slice key)
{
    if (!may_note(r))
        return;
    bridge_begin_deed(&r->did, "cancel");
    bridge_add_text(&r->did, NULL, key);
    bridge_end_deed(&r->did);
}

/* SQLite counts the rows of a statement when it ends: with its last step, or, where the
 * script wanted no more rows, when it is reset. Statements that change nothing say nothing
 * about what a rule does. */
static int step(void *arg, void *stmt, struct err *err)
{
    struct bridge *b = arg;
    int64_t before = sql_total_changes(b->sql);
    int rc = sql_step(stmt, err);

    if (b->transcript != NULL && sql_total_changes(b->sql) > before)
        note_statement(b->transcript, stmt, sql_total_changes(b->sql) - before);
    if (sql_total_changes(b->sql) > before)
        failpoint("handler_wrote");
    return rc;
}

static void finish(void *arg, void *stmt)
{
    struct sql_stmt *s = stmt;
    struct bridge *b = arg;
    int64_t before = sql_total_changes(b->sql);

    if (b->transcript != NULL) {
        sql_end(s);
        if (sql_total_changes(b->sql) > before)
            note_statement(b->transcript, s, sql_total_changes(b->sql) - before);
    }
    sql_done(&s);
}

/* What a handler emits belongs to the trace of its message, unless its author says another. Not in
 * a transcript: that is about what the author does. */
static void inherit(struct bridge *b, struct message *m)
{
    struct trace_context c;

    if (b->about.trace == NULL)
        return;
    c = *b->about.trace;
    memcpy(c.span, b->about.span, sizeof c.span);
    buf_clear(&b->headers);
    if (trace_context_give(&b->headers, m, &c))
        m->headers = (struct slice){b->headers.data, b->headers.len};
}

/* The emit's own insert is herald's statement, not the handler's: the authorizer
 * looks at statements when they are prepared, and outbox_add's is prepared once. */
static int emit(void *arg, const struct script_emit *e, int64_t *id_out, struct err *err)
{
    struct bridge *b = arg;
    struct message m = e->message;
    int rc;

    inherit(b, &m);
    if (e->reply_to.data != NULL)
        rc = outbox_add_reply(b->db, &m, e->reply_to, e->reply_until, id_out, err);
    else
        rc = outbox_add_keyed(b->db, &m, e->due_at, e->key, id_out, err);
    if (rc == OK)
        b->counters->emitted++;
    if (rc == OK && b->transcript != NULL)
        note_emit(b->transcript, e);
    return rc;
}

static int cancel(void *arg, struct slice key, int *was_out, struct err *err)
{
    struct bridge *b = arg;
    int64_t sent = *b->cursor > b->inherited ? *b->cursor : b->inherited;
    enum cancelled was;
    int rc = outbox_cancel(b->db, key, sent, &was, err);

    if (rc == OK && b->transcript != NULL)
        note_cancel(b->transcript, key);
    *was_out = was == CANCEL_NONE ? -1 : was == CANCEL_DONE;
    return rc;
}

/* Adds which message the line is about, and which generation of the rules wrote it. */
static void log_line(void *arg, enum log_level level, const char *event,
                     const struct log_field *fields)
{
    struct bridge *b = arg;
    struct log_field all[LOG_FIELDS_MAX + 5];
    size_t n = 0, most;

    if (b->about.message_id.data != NULL)
        all[n++] = log_bytes("message_id", b->about.message_id.data, b->about.message_id.len);
    if (b->about.trace != NULL)
        all[n++] = log_bytes("trace_id", b->about.trace->trace, TRACE_ID_LEN);
    if (b->about.hash != NULL) {
        all[n++] = log_int("generation", b->about.generation);
        all[n++] = log_text("hash", b->about.hash);
    }
    most = n + LOG_FIELDS_MAX;
    for (; fields != NULL && fields->key != NULL && n < most; fields++)
        all[n++] = *fields;
    all[n] = (struct log_field){.key = NULL};
    log_always(b->log, level, event, all);
}

static int64_t now_ms(void *arg)
{
    struct bridge *b = arg;

    return b->transcript != NULL ? b->transcript->now_ms : clock_wall(&b->clock);
}

static int64_t cpu_ms(void *arg)
{
    (void)arg;
    return clock_cpu_ms();
}

static int64_t mono_ms(void *arg)
{
    struct bridge *b = arg;

    return clock_mono(&b->clock);
}

int bridge_open(struct bridge *b, struct db *db, struct log *log, struct clock clock,
                struct counters *counters, struct err *err)
{
    *b = (struct bridge){
        .host = {.arg = b,
                 .prepare = prepare,
                 .parameters = parameters,
                 .parameter_name = parameter_name,
                 .bind = bind,
                 .step = step,
                 .columns = columns,
                 .column_name = column_name,
                 .column = column,
                 .changes = changes,
                 .finish = finish,
                 .emit = emit,
                 .cancel = cancel,
                 .log = log_line,
                 .now_ms = now_ms,
                 .mono_ms = mono_ms,
                 .cpu_ms = cpu_ms},
        .db = db,
        .log = log,
        .clock = clock,
        .counters = counters,
    };
    buf_init(&b->headers, 2 * TRACE_HEADERS_MAX);
    return sql_new(&b->sql, db, STATEMENTS_KEPT, err);
}

void bridge_close(struct bridge *b)
{
    sql_free(&b->sql);
    buf_free(&b->headers);
}

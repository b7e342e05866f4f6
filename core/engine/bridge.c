/* bridge - see bridge.h. */
#include "engine/bridge.h"

#include "store/outbox.h"

enum { STATEMENTS_KEPT = 200, LOG_FIELDS_MAX = 32 };

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

static int step(void *arg, void *stmt, struct err *err)
{
    (void)arg;
    return sql_step(stmt, err);
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

static void finish(void *arg, void *stmt)
{
    struct sql_stmt *s = stmt;

    (void)arg;
    sql_done(&s);
}

/* The emit's own insert is herald's statement, not the handler's: the authorizer
 * looks at statements when they are prepared, and outbox_add's is prepared once. */
static int emit(void *arg, const struct script_emit *e, int64_t *id_out, struct err *err)
{
    struct bridge *b = arg;
    int rc = outbox_add(b->db, &e->message, 0, id_out, err);

    if (rc == OK)
        b->counters->emitted++;
    return rc;
}

static void log_line(void *arg, enum log_level level, const char *event,
                     const struct log_field *fields)
{
    struct bridge *b = arg;
    struct log_field all[LOG_FIELDS_MAX + 2];
    size_t n = 0;

    all[n++] = log_bytes("message_id", b->message_id.data, b->message_id.len);
    for (; fields != NULL && fields->key != NULL && n <= LOG_FIELDS_MAX; fields++)
        all[n++] = *fields;
    all[n] = (struct log_field){.key = NULL};
    log_event(b->log, level, event, all);
}

static int64_t now_ms(void *arg)
{
    struct bridge *b = arg;

    return clock_wall(&b->clock);
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
                 .log = log_line,
                 .now_ms = now_ms,
                 .mono_ms = mono_ms},
        .db = db,
        .log = log,
        .clock = clock,
        .counters = counters,
    };
    return sql_new(&b->sql, db, STATEMENTS_KEPT, err);
}

void bridge_close(struct bridge *b)
{
    sql_free(&b->sql);
}

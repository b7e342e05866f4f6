/* constants - script_constants: what rule files give to tx: as literals.
 *
 * Patterns over the words of a file, no parser: `:row(` and one literal is enough to see
 * tx:row("select ...", ...). What is computed is not seen, which is why this finds
 * mistakes and proves nothing. */
#include "base/properties.h"
#include "script/lexer.h"
#include "script/lib_emit.h"
#include "script/script_int.h"

#include <string.h>

struct search {
    const char *file;   /* its name */
    struct lexer lexer; /* behind `ahead` */
    struct token ahead; /* the next word */
    struct buf text;    /* value of the literal at hand */
    struct buf order;   /* CONSTANT_EMIT: of the order type */
    script_constant_fn *fn;
    void *arg;
    bool stop; /* fn had enough */
};

static struct token take(struct search *s)
{
    struct token t = s->ahead;

    s->ahead = lexer_next(&s->lexer);
    return t;
}

static struct slice slice_of_buf(const struct buf *b)
{
    return (struct slice){b->data ? b->data : "", b->len};
}

static void report(struct search *s, enum constant_kind kind, const struct token *t,
                   struct slice text, struct slice order, int values)
{
    struct script_constant c = {
        .kind = kind,
        .file = s->file,
        .line = t->line,
        .column = t->column,
        .text = text,
        .order_type = order,
        .values = values,
    };

    if (!s->fn(s->arg, &c))
        s->stop = true;
}

static int step_of(const struct token *t)
{
    if (token_is(t, "(") || token_is(t, "{") || token_is(t, "["))
        return 1;
    return token_is(t, ")") || token_is(t, "}") || token_is(t, "]") ? -1 : 0;
}

/* From behind the first argument to the end of the call, on a copy of the place: how many follow.
 * -1: the last may be a call, of a table too, or "...", which are any number, or there is a
 * function, whose own words end it. */
static int count_values(struct search *s)
{
    const struct lexer lexer = s->lexer;
    const struct token ahead = s->ahead;
    struct token last = {.kind = TOKEN_END};
    int depth = 1, n = 0;

    while (depth > 0 && s->ahead.kind != TOKEN_END && n >= 0) {
        struct token t = take(s);

        n += depth == 1 && token_is(&t, ",");
        depth += step_of(&t);
        if (token_is(&t, "function") ||
            (depth == 0 &&
             (token_is(&last, ")") || token_is(&last, "}") || token_is(&last, "..."))))
            n = -1;
        last = t;
    }
    s->lexer = lexer;
    s->ahead = ahead;
    return depth == 0 ? n : -1;
}

/* After tx:row: a literal, alone or as the whole first argument. */
static void look_for_sql(struct search *s)
{
    bool inside = token_is(&s->ahead, "(");
    struct token literal;

    if (inside)
        take(s);
    if (s->ahead.kind != TOKEN_STRING)
        return;
    literal = take(s);
    if (inside && !token_is(&s->ahead, ",") && !token_is(&s->ahead, ")"))
        return; /* the beginning of something longer */
    if (token_value(&literal, &s->text))
        report(s, CONSTANT_SQL, &literal, slice_of_buf(&s->text), (struct slice){NULL, 0},
               inside ? count_values(s) : 0);
}

/* The name of a field, `name =` or `["name"] =`, is taken; false: there is none here. */
static bool take_field(struct search *s, const struct token *t, struct buf *name)
{
    struct token word = *t;

    buf_clear(name);
    if (token_is(t, "[") && s->ahead.kind == TOKEN_STRING) {
        word = take(s);
        if (!token_is(&s->ahead, "]") || !token_value(&word, name))
            return false;
        take(s);
    } else if (t->kind == TOKEN_NAME) {
        buf_append(name, word.text.data, word.text.len);
    }
    if (name->len == 0 || !token_is(&s->ahead, "="))
        return false;
    take(s);
    return true;
}

static bool ends_field(const struct token *t)
{
    return token_is(t, ",") || token_is(t, ";") || token_is(t, "}");
}

/* A string, or a whole number as its text, that is all of the field. */
static bool take_literal(struct search *s, struct token *literal, struct buf *value)
{
    bool number = s->ahead.kind == TOKEN_NUMBER;

    if (s->ahead.kind != TOKEN_STRING && !number)
        return false;
    *literal = take(s);
    if (!ends_field(&s->ahead))
        return false;
    if (!number)
        return token_value(literal, value);
    for (size_t i = 0; i < literal->text.len; i++)
        if (literal->text.data[i] < '0' || literal->text.data[i] > '9')
            return false;
    buf_clear(value);
    return buf_append(value, literal->text.data, literal->text.len) == OK;
}

/* What is known of the table that is given to tx:emit. */
struct emit {
    struct token type;
    bool has_type, has_order;
    bool in_headers; /* at the fields of the table that is its headers */
};

static void take_emit_field(struct search *s, struct emit *e, const struct token *t)
{
    struct buf name;
    struct token literal;
    bool field;

    buf_init(&name, SOURCES_FILE_MAX);
    field = take_field(s, t, &name);
    if (field && slice_is(slice_of_buf(&name), "type"))
        e->has_type = take_literal(s, &e->type, &s->text) && e->type.kind == TOKEN_STRING;
    else if (field && (slice_is(slice_of_buf(&name), "order_type") ||
                       slice_is(slice_of_buf(&name), "business_key2")))
        e->has_order = take_literal(s, &literal, &s->order);
    else if (field && !lib_emit_knows(slice_of_buf(&name)))
        report(s, CONSTANT_FIELD, t, slice_of_buf(&name), (struct slice){NULL, 0}, 0);
    e->in_headers = field && slice_is(slice_of_buf(&name), "headers") && token_is(&s->ahead, "{");
    buf_free(&name);
}

/* A header that bears a property's name; content_type is one that herald knows. Who writes
 * ["priority"] has thought of it. */
static void take_header(struct search *s, const struct token *t)
{
    struct buf name;
    struct slice text;

    buf_init(&name, SOURCES_FILE_MAX);
    if (t->kind == TOKEN_NAME && take_field(s, t, &name)) {
        text = slice_of_buf(&name);
        if (properties_know(text) && !slice_is(text, "content_type"))
            report(s, CONSTANT_HEADER, t, text, (struct slice){NULL, 0}, 0);
    }
    buf_free(&name);
}

/* After tx:emit. Works on a copy of the place: the fields may hold other calls. */
static void look_for_emit(struct search *s)
{
    const struct lexer lexer = s->lexer;
    const struct token ahead = s->ahead;
    struct emit e = {.has_type = false};
    struct token before = {.kind = TOKEN_END};
    int depth = 0;

    if (token_is(&s->ahead, "("))
        take(s);
    while (depth > 0 || token_is(&s->ahead, "{")) {
        struct token t = take(s);
        bool begins = token_is(&before, "{") || ends_field(&before);

        if (t.kind == TOKEN_END)
            break;
        before = t;
        if (begins && depth == 1)
            take_emit_field(s, &e, &t);
        else if (begins && depth == 2 && e.in_headers)
            take_header(s, &t);
        if (token_is(&t, "{") || token_is(&t, "("))
            depth++;
        else if (token_is(&t, "}") || token_is(&t, ")"))
            depth--;
        if (depth == 0)
            break;
    }
    if (e.has_type)
        report(s, CONSTANT_EMIT, &e.type, slice_of_buf(&s->text),
               e.has_order ? slice_of_buf(&s->order) : (struct slice){NULL, 0}, 0);
    s->lexer = lexer;
    s->ahead = ahead;
}

static bool runs_sql(const struct token *t)
{
    return token_is(t, "exec") || token_is(t, "query") || token_is(t, "row") ||
           token_is(t, "value");
}

/* After tx.exec: a call without its tx, which tx:exec gives by itself. */
static void look_for_dot(struct search *s, const struct token *name)
{
    if (token_is(&s->ahead, "(")) {
        take(s);
        if (token_is(&s->ahead, "tx"))
            return;
    } else if (s->ahead.kind != TOKEN_STRING && !token_is(&s->ahead, "{")) {
        return; /* the function itself, as of pcall(tx.exec, tx) */
    }
    report(s, CONSTANT_DOT, name, name->text, (struct slice){NULL, 0}, 0);
}

static void search_file(struct search *s, const struct source *f)
{
    bool method = false, dot = false; /* a ':', or "tx.", came before */
    bool tx = false;

    s->file = f->chunk + 1;
    lexer_init(&s->lexer, source_code(f));
    s->ahead = lexer_next(&s->lexer);
    while (s->ahead.kind != TOKEN_END && !s->stop) {
        struct token t = take(s);

        if (method && token_is(&t, "emit"))
            look_for_emit(s);
        else if (method && runs_sql(&t))
            look_for_sql(s);
        else if (dot && (runs_sql(&t) || token_is(&t, "emit") || token_is(&t, "reply")))
            look_for_dot(s, &t);
        method = token_is(&t, ":");
        dot = tx && token_is(&t, ".");
        tx = token_is(&t, "tx");
    }
}

int script_constants(const struct script *script, script_constant_fn *fn, void *arg,
                     struct err *err)
{
    struct search s = {.fn = fn, .arg = arg};
    bool failed;

    buf_init(&s.text, SOURCES_FILE_MAX);
    buf_init(&s.order, SOURCES_FILE_MAX);
    for (size_t i = 0; i < script->sources.n && !s.stop; i++)
        search_file(&s, &script->sources.files[i]);
    failed = s.text.failed || s.order.failed;
    buf_free(&s.text);
    buf_free(&s.order);
    return failed ? err_set(err, ERR_NOMEM, "out of memory while reading the rules") : OK;
}

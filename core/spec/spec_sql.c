/* spec_sql - see spec_sql.h. */
#include "spec/spec_sql.h"

#include "store/sqlite/db_int.h"

#include <limits.h>
#include <stdlib.h>

enum { WAIT_MS = 5000 };

struct guest {
    sqlite3 *handle;    /* owned */
    sqlite3_stmt *stmt; /* owned; NULL between two */
    const char *at;     /* what is left of the text */
    const char *end;
};

int guest_open(struct guest **out, struct db *db, struct err *err)
{
    struct guest *g = calloc(1, sizeof *g);
    int rc;

    *out = NULL;
    if (g == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    rc = db_connect(db, SQLITE_OPEN_READWRITE, &g->handle, err);
    if (rc != OK) {
        guest_close(&g);
        return rc;
    }
    (void)sqlite3_busy_timeout(g->handle, WAIT_MS); /* fails for a bad handle only */
    *out = g;
    return OK;
}

static void drop(struct guest *g)
{
    (void)sqlite3_finalize(g->stmt); /* repeats what its last step said */
    g->stmt = NULL;
}

void guest_close(struct guest **g)
{
    if (*g == NULL)
        return;
    drop(*g);
    (void)sqlite3_close_v2((*g)->handle); /* with no statement left it cannot fail */
    free(*g);
    *g = NULL;
}

void guest_begin(struct guest *g, struct slice text)
{
    (void)guest_end(g, NULL); /* of one that was left in the middle */
    g->at = text.data;
    g->end = text.data + text.len;
}

static int failed(struct guest *g, const char *sql, struct err *err)
{
    int shown = g->end - sql > 400 ? 400 : (int)(g->end - sql);

    return err_set(err, ERR_SCRIPT, "%s in: %.*s%s", sqlite3_errmsg(g->handle), shown, sql,
                   g->end - sql > 400 ? " ..." : "");
}

int guest_next(struct guest *g, struct err *err)
{
    const char *sql = sql_skip_blank(g->at, g->end);

    drop(g);
    g->at = sql;
    if (sql == g->end)
        return 0;
    if (g->end - sql > INT_MAX)
        return err_set(err, ERR_SCRIPT, "a text of over 2 GiB is too long");
    if (sqlite3_prepare_v2(g->handle, sql, (int)(g->end - sql), &g->stmt, &g->at) != SQLITE_OK)
        return failed(g, sql, err);
    return g->stmt != NULL ? 1 : guest_next(g, err); /* a lone semicolon */
}

int guest_parameters(const struct guest *g)
{
    return sqlite3_bind_parameter_count(g->stmt);
}

const char *guest_parameter_name(const struct guest *g, int index)
{
    return sqlite3_bind_parameter_name(g->stmt, index);
}

int guest_bind(struct guest *g, int index, const struct value *v, struct err *err)
{
    const char *data = v->bytes.data ? v->bytes.data : "";
    int rc = SQLITE_MISUSE;

    switch (v->kind) {
    case VALUE_NULL:
        rc = sqlite3_bind_null(g->stmt, index);
        break;
    case VALUE_INT:
        rc = sqlite3_bind_int64(g->stmt, index, v->integer);
        break;
    case VALUE_REAL:
        rc = sqlite3_bind_double(g->stmt, index, v->real);
        break;
    case VALUE_TEXT:
        rc = sqlite3_bind_text64(g->stmt, index, data, v->bytes.len, SQLITE_TRANSIENT, SQLITE_UTF8);
        break;
    case VALUE_BLOB:
        rc = sqlite3_bind_blob64(g->stmt, index, data, v->bytes.len, SQLITE_TRANSIENT);
        break;
    }
    return rc == SQLITE_OK ? OK : failed(g, sqlite3_sql(g->stmt), err);
}

int guest_step(struct guest *g, struct err *err)
{
    switch (sqlite3_step(g->stmt)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        return err_set(err, ERR_SCRIPT, "%s in: %.400s", sqlite3_errmsg(g->handle),
                       sqlite3_sql(g->stmt));
    }
}

int guest_columns(const struct guest *g)
{
    return sqlite3_column_count(g->stmt);
}

const char *guest_column_name(const struct guest *g, int column)
{
    return sqlite3_column_name(g->stmt, column);
}

void guest_column(const struct guest *g, int column, struct value *out)
{
    *out = (struct value){.kind = VALUE_NULL};
    switch (sqlite3_column_type(g->stmt, column)) {
    case SQLITE_INTEGER:
        *out = (struct value){.kind = VALUE_INT, .integer = sqlite3_column_int64(g->stmt, column)};
        break;
    case SQLITE_FLOAT:
        *out = (struct value){.kind = VALUE_REAL, .real = sqlite3_column_double(g->stmt, column)};
        break;
    case SQLITE_TEXT:
    case SQLITE_BLOB:
        out->kind = VALUE_TEXT;
        out->bytes.data = sqlite3_column_blob(g->stmt, column);
        out->bytes.len = (size_t)sqlite3_column_bytes(g->stmt, column);
        if (out->bytes.data == NULL)
            out->bytes.data = "";
        break;
    default:
        break;
    }
}

int guest_end(struct guest *g, struct err *err)
{
    drop(g);
    g->at = g->end = NULL;
    if (sqlite3_get_autocommit(g->handle) != 0)
        return OK;
    (void)sqlite3_exec(g->handle, "rollback", NULL, NULL, NULL); /* closing does the same */
    return err_set(err, ERR_SCRIPT, "the SQL left a transaction open: end it with commit");
}

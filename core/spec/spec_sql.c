/* spec_sql - see spec_sql.h. */
#include "spec/spec_sql.h"

#include "store/sqlite/db_int.h"

#include <limits.h>
#include <stdlib.h>

enum { WAIT_MS = 5000 };

struct spec_sql {
    sqlite3 *handle;    /* owned */
    sqlite3_stmt *stmt; /* owned; NULL between two */
    const char *at;     /* what is left of the text */
    const char *end;
};

int spec_sql_open(struct spec_sql **out, struct db *db, struct err *err)
{
    struct spec_sql *g = calloc(1, sizeof *g);
    int rc;

    *out = NULL;
    if (g == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    rc = db_connect(db, SQLITE_OPEN_READWRITE, &g->handle, err);
    if (rc != OK) {
        spec_sql_close(&g);
        return rc;
    }
    (void)sqlite3_busy_timeout(g->handle, WAIT_MS); /* fails for a bad handle only */
    *out = g;
    return OK;
}

static void drop(struct spec_sql *g)
{
    (void)sqlite3_finalize(g->stmt); /* repeats what its last step said */
    g->stmt = NULL;
}

void spec_sql_close(struct spec_sql **g)
{
    if (*g == NULL)
        return;
    drop(*g);
    (void)sqlite3_close_v2((*g)->handle); /* with no statement left it cannot fail */
    free(*g);
    *g = NULL;
}

void spec_sql_begin(struct spec_sql *g, struct slice text)
{
    (void)spec_sql_end(g, NULL); /* of one that was left in the middle */
    g->at = text.data;
    g->end = text.data + text.len;
}

static int failed(struct spec_sql *g, const char *sql, struct err *err)
{
    int shown = g->end - sql > 400 ? 400 : (int)(g->end - sql);

    return err_set(err, ERR_SCRIPT, "%s in: %.*s%s", sqlite3_errmsg(g->handle), shown, sql,
                   g->end - sql > 400 ? " ..." : "");
}

int spec_sql_next(struct spec_sql *g, struct err *err)
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
    return g->stmt != NULL ? 1 : spec_sql_next(g, err); /* a lone semicolon */
}

int spec_sql_parameters(const struct spec_sql *g)
{
    return sqlite3_bind_parameter_count(g->stmt);
}

const char *spec_sql_parameter_name(const struct spec_sql *g, int index)
{
    return sqlite3_bind_parameter_name(g->stmt, index);
}

int spec_sql_bind(struct spec_sql *g, int index, const struct value *v, struct err *err)
{
    return bind_value(g->stmt, index, v) == SQLITE_OK ? OK : failed(g, sqlite3_sql(g->stmt), err);
}

int spec_sql_step(struct spec_sql *g, struct err *err)
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

int spec_sql_columns(const struct spec_sql *g)
{
    return sqlite3_column_count(g->stmt);
}

const char *spec_sql_column_name(const struct spec_sql *g, int column)
{
    return sqlite3_column_name(g->stmt, column);
}

/* Specs compare bytes as the texts that they are. */
void spec_sql_column(const struct spec_sql *g, int column, struct value *out)
{
    column_value(g->stmt, column, out);
    if (out->kind == VALUE_BLOB)
        out->kind = VALUE_TEXT;
}

int spec_sql_end(struct spec_sql *g, struct err *err)
{
    drop(g);
    g->at = g->end = NULL;
    if (sqlite3_get_autocommit(g->handle) != 0)
        return OK;
    (void)sqlite3_exec(g->handle, "rollback", NULL, NULL, NULL); /* closing does the same */
    return err_set(err, ERR_SCRIPT, "the SQL left a transaction open: end it with commit");
}

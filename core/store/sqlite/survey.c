/* survey - see survey.h. */
#include "store/sqlite/survey.h"

#include "store/path.h"
#include "store/sqlite/db_int.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    COLUMNS_MAX = 8,
    TICK_STEPS = 20000, /* of SQLite's machine; a few in a millisecond */
    WAIT_MS = 2000,
};

struct survey {
    struct db db; /* for its path in messages; nothing else of it is used */
    sqlite3 *handle;
    survey_tick_fn *tick; /* of the statement that runs; NULL: none */
    void *arg;            /* its own */
};

static int on_progress(void *arg)
{
    struct survey *s = arg;

    if (s->tick != NULL)
        s->tick(s->arg);
    return 0;
}

/* SQLite opens a file only when it is first read. */
static int look(struct survey *s, struct err *err)
{
    int64_t unused;
    const int flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(s->db.path, &s->handle, flags, NULL);

    if (s->handle == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (rc != SQLITE_OK)
        return db_fail(&s->db, s->handle, rc, "open", err);
    (void)sqlite3_busy_timeout(s->handle, WAIT_MS); /* fails for a bad handle only, as the next */
    (void)sqlite3_db_config(s->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    (void)sqlite3_db_config(s->handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_progress_handler(s->handle, TICK_STEPS, on_progress, s);
    return db_number(&s->db, s->handle, "select count(*) from sqlite_schema", 0, &unused, err);
}

int survey_open(struct survey **out, const char *path, struct err *err)
{
    struct survey *s = calloc(1, sizeof *s);
    int rc = OK;

    *out = NULL;
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    s->db.path = path_resolve(path);
    if (s->db.path == NULL)
        rc = err_set(err, errno == ENOMEM ? ERR_NOMEM : ERR_NOT_FOUND, "%s: %s", path,
                     strerror(errno));
    else if (access(s->db.path, F_OK) != 0)
        rc =
            err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path, strerror(errno));
    else if (access(s->db.path, R_OK) != 0)
        rc = err_set(err, ERR_IO, "%s: cannot be read: %s", path, strerror(errno));
    if (rc == OK)
        rc = look(s, err);
    if (rc != OK)
        survey_close(&s);
    *out = s;
    return rc;
}

void survey_close(struct survey **out)
{
    struct survey *s = *out;

    if (s == NULL)
        return;
    REQUIRE(sqlite3_close(s->handle) == SQLITE_OK); /* busy: somebody kept a statement */
    free(s->db.path);
    free(s);
    *out = NULL;
}

/* SQLite's code; SQLITE_DONE also where `row` has seen enough. */
static int read_rows(sqlite3_stmt *stmt, survey_row_fn *row, void *arg)
{
    struct slice columns[COLUMNS_MAX];
    int n = sqlite3_column_count(stmt), rc;

    n = n < COLUMNS_MAX ? n : COLUMNS_MAX;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        for (int i = 0; i < n; i++)
            columns[i] = column_slice(stmt, i);
        if (!row(arg, columns, n))
            return SQLITE_DONE;
    }
    return rc;
}

int survey_read(struct survey *s, const char *sql, survey_row_fn *row, survey_tick_fn *tick,
                void *arg, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(s->handle, sql, -1, &stmt, NULL);

    s->tick = tick;
    s->arg = arg;
    if (rc == SQLITE_OK)
        rc = read_rows(stmt, row, arg);
    s->tick = NULL;
    if (rc != SQLITE_DONE)
        rc = db_fail(&s->db, s->handle, rc, "read the store", err);
    else
        rc = OK;
    (void)sqlite3_finalize(stmt); /* repeats what the step said */
    return rc;
}

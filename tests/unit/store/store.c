/* store - see store.h. */
#include "store.h"

#include "folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t now(void *arg)
{
    return ((struct store *)arg)->now_ms++;
}

static struct clock clock_of(struct store *s)
{
    return (struct clock){.wall_ms = now, .mono_ms = now, .arg = s};
}

void store_setup(struct store *s)
{
    folder_make(s->folder);
    snprintf(s->path, sizeof s->path, "%s/store.db", s->folder);
    s->now_ms = 1000000;
    s->log_fd = open(store_file(s, "log"), O_RDWR | O_CREAT | O_APPEND, 0600);
    assert_true(s->log_fd >= 0);
    s->log = log_new(s->log_fd, LOG_DEBUG, LOG_LOGFMT, clock_of(s));
    assert_non_null(s->log);
}

void store_teardown(struct store *s)
{
    other_close(s);
    store_close(s);
    log_free(&s->log);
    close(s->log_fd);
    folder_remove(s->folder);
}

int store_try(struct store *s, const char *path, bool create, bool exclusive, struct db **out)
{
    const struct db_settings settings = {.path = path,
                                         .create = create,
                                         .exclusive = exclusive,
                                         .log = s->log,
                                         .clock = clock_of(s),
                                         .wal_limit = 0};

    s->err = (struct err){.code = OK};
    return db_open(out, &settings, &s->err);
}

void store_open(struct store *s)
{
    assert_ok(s, store_try(s, s->path, true, true, &s->db));
}

void store_setup_open(struct store *s)
{
    store_setup(s);
    store_open(s);
}

void store_close(struct store *s)
{
    db_close(&s->db);
    assert_null(s->db);
}

static sqlite3 *other(struct store *s)
{
    if (s->other == NULL) {
        assert_int_equal(sqlite3_open_v2(s->path, &s->other, SQLITE_OPEN_READWRITE, NULL), 0);
        sqlite3_busy_timeout(s->other, 2000);
    }
    return s->other;
}

int other_try(struct store *s, const char *sql)
{
    return sqlite3_exec(other(s), sql, NULL, NULL, NULL);
}

void other_exec(struct store *s, const char *sql)
{
    if (other_try(s, sql) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(s->other));
}

struct rows {
    char *text;
    size_t size;
    size_t used;
};

static int put_row(void *arg, int n, char **values, char **names)
{
    struct rows *r = arg;

    (void)names;
    for (int i = 0; i < n; i++) {
        const char *before = i > 0 ? "|" : r->used > 0 ? ", " : "";

        r->used += (size_t)snprintf(r->text + r->used, r->size - r->used, "%s%s", before,
                                    values[i] ? values[i] : "-");
        assert_true(r->used < r->size);
    }
    return 0;
}

const char *other_rows(struct store *s, const char *sql)
{
    struct rows r = {.text = s->text, .size = sizeof s->text};

    s->text[0] = '\0';
    if (sqlite3_exec(other(s), sql, put_row, &r, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(s->other));
    return s->text;
}

static int column_of(const struct list *l, const char *name, size_t len)
{
    for (int i = 0; i < list_columns(l); i++)
        if (strncmp(list_name(l, i), name, len) == 0 && list_name(l, i)[len] == '\0')
            return i;
    fail_msg("no column %s", name);
    return -1;
}

static void put_value(struct rows *r, const struct value *v)
{
    char *at = r->text + r->used;
    size_t left = r->size - r->used;

    if (v->kind == VALUE_INT)
        r->used += (size_t)snprintf(at, left, "%lld", (long long)v->integer);
    else if (v->kind == VALUE_NULL)
        r->used += (size_t)snprintf(at, left, "-");
    else
        r->used += (size_t)snprintf(at, left, "%.*s", (int)v->bytes.len, v->bytes.data);
    assert_true(r->used < r->size);
}

static void put_listed(struct rows *r, const struct list *l, const char *columns)
{
    for (size_t len; *columns != '\0'; columns += len) {
        columns += strspn(columns, " ");
        len = strcspn(columns, " ");
        put_value(r, list_value(l, column_of(l, columns, len)));
        r->used += (size_t)snprintf(r->text + r->used, r->size - r->used, "%s",
                                    columns[len] != '\0' ? "|" : "");
    }
}

const char *store_listed(struct store *s, const struct list_of *of, const char *columns)
{
    struct rows r = {.text = s->text, .size = sizeof s->text};
    struct list *l;
    int rc;

    s->text[0] = '\0';
    assert_ok(s, list_open(&l, s->db, of, &s->err));
    while ((rc = list_next(l, &s->err)) == 1) {
        if (r.used > 0)
            r.used += (size_t)snprintf(r.text + r.used, r.size - r.used, ", ");
        put_listed(&r, l, columns);
    }
    assert_ok(s, rc);
    list_close(&l);
    assert_null(l);
    return s->text;
}

int64_t other_int(struct store *s, const char *sql)
{
    return strtoll(other_rows(s, sql), NULL, 10);
}

void other_close(struct store *s)
{
    assert_int_equal(sqlite3_close(s->other), SQLITE_OK);
    s->other = NULL;
}

const char *store_logged(struct store *s)
{
    ssize_t n = pread(s->log_fd, s->text, sizeof s->text - 1, 0);

    assert_true(n >= 0);
    s->text[n] = '\0';
    return s->text;
}

const char *store_file(struct store *s, const char *name)
{
    static char path[256];

    snprintf(path, sizeof path, "%s/%s", s->folder, name);
    return path;
}

void store_write(struct store *s, const char *name, const char *text)
{
    folder_write(s->folder, name, text);
}

void store_copy(const char *from, const char *to)
{
    char buffer[65536];
    int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ssize_t n;

    assert_true(in >= 0 && out >= 0);
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        assert_int_equal(write(out, buffer, (size_t)n), n);
    assert_int_equal(n, 0);
    close(in);
    close(out);
}

/* migrate - business tables, applied once each, in order of name
 *
 * Foreign keys are not enforced while a migration runs, since rebuilding a table
 * (SQLite's way to change one) would otherwise delete or refuse what refers to it; all
 * of them are checked before it is committed. */
#include "store/sqlite/db_int.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 16 * 1024 * 1024, WAIT_MS = 5000, HASH_TEXT = 17 };

struct migration {
    struct db *db;          /* lent */
    const char *namespace_; /* lent */
    const char *folder;     /* lent */
    const char *name;       /* of the file; lent */
    struct buf text;        /* owned */
    char hash[HASH_TEXT];   /* of the text, hexadecimal */
};

static int line_at(const struct migration *m, const char *p)
{
    int line = 1;

    for (const char *c = m->text.data; c < p; c++)
        line += *c == '\n';
    return line;
}

/* The store's trouble keeps its code; anything else is the file's fault. */
static int refuse(const struct migration *m, int code, const char *at, const char *why,
                  struct err *err)
{
    return err_set(err, err_is_environment(code) ? code : ERR_CONFIG, "%s/%s:%d: %s", m->folder,
                   m->name, line_at(m, at), why);
}

static int read_all(FILE *f, struct buf *b)
{
    size_t n;

    do {
        char *room = buf_reserve(b, 65536);

        if (room == NULL)
            return b->len + 65536 > b->max ? ERR_LIMIT : ERR_NOMEM;
        n = fread(room, 1, 65536, f);
        b->len += n;
    } while (n > 0);
    return ferror(f) ? ERR_IO : OK;
}

static int read_file(struct migration *m, struct err *err)
{
    char path[4096];
    int rc = snprintf(path, sizeof path, "%s/%s", m->folder, m->name);
    FILE *f = rc > 0 && (size_t)rc < sizeof path ? fopen(path, "rbe") : NULL;

    if (f == NULL)
        return err_set(err, ERR_CONFIG, "%s/%s: %s", m->folder, m->name, strerror(errno));
    buf_clear(&m->text);
    rc = read_all(f, &m->text);
    (void)fclose(f); /* only read */
    if (rc == OK && m->text.len > 0 && memchr(m->text.data, '\0', m->text.len) != NULL)
        return err_set(err, ERR_CONFIG, "%s: a zero byte: not SQL text", path);
    if (rc != OK)
        return err_set(err, rc == ERR_LIMIT ? ERR_CONFIG : rc, "%s: cannot read: %s", path,
                       rc == ERR_LIMIT ? "over 16 MiB" : err_word(rc));
    snprintf(m->hash, sizeof m->hash, "%016llx",
             (unsigned long long)text_hash(TEXT_HASH_START, m->text.data, m->text.len));
    return OK;
}

/* *applied_out: it is done. A changed file that is done is an error: nobody can tell
 * which of the two the store has. */
static int look_up(const struct migration *m, bool *applied_out, struct err *err)
{
    struct query q = query_start(m->db, STATEMENT_MIGRATION_GET);
    bool same = true;
    char at[40] = "";
    int rc;

    query_text(&q, m->namespace_);
    query_text(&q, m->name);
    rc = query_row(&q, err);
    *applied_out = rc == 1;
    if (rc == 1) {
        same = slice_is(column_slice(q.stmt, 0), m->hash);
        clock_iso8601(sqlite3_column_int64(q.stmt, 1), at, sizeof at);
    }
    query_end(&q);
    if (rc >= 0 && !same)
        return err_set(err, ERR_CONFIG,
                       "%s/%s was applied at %s and has changed since: undo the change and put it "
                       "into a new file",
                       m->folder, m->name, at);
    return rc < 0 ? rc : OK;
}

static int statement_failed(const struct migration *m, int rc, const char *start, struct err *err)
{
    struct db *db = m->db;
    int offset = sqlite3_error_offset(db->work);
    bool denied = db->denied[0] != '\0';

    return refuse(m, db_code(rc), offset > 0 ? start + offset : start,
                  denied ? db->denied : sqlite3_errmsg(db->work), err);
}

static int step_all(sqlite3_stmt *stmt)
{
    int rc;

    do
        rc = sqlite3_step(stmt);
    while (rc == SQLITE_ROW);
    return rc;
}

/* Runs the statement at *p and moves *p behind it. */
static int run_statement(const struct migration *m, const char **p, const char *end,
                         struct err *err)
{
    struct db *db = m->db;
    const char *start = *p;
    sqlite3_stmt *stmt = NULL;
    int result = OK, rc;

    db->actor = ACTOR_MIGRATION;
    db->denied[0] = '\0';
    rc = sqlite3_prepare_v2(db->work, start, (int)(end - start), &stmt, p);
    if (rc == SQLITE_OK && stmt != NULL)
        rc = step_all(stmt);
    if (rc != SQLITE_OK && rc != SQLITE_DONE)
        result = statement_failed(m, rc, start, err);
    else if (!db_in_transaction(db))
        result = refuse(m, ERR_CONFIG, start, "this statement ended the transaction", err);
    (void)sqlite3_finalize(stmt); /* repeats rc */
    db->actor = ACTOR_HERALD;
    return result;
}

static int check_foreign_keys(const struct migration *m, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int result = OK;
    int rc = sqlite3_prepare_v2(m->db->work, "pragma foreign_key_check", -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        const char *child = column_text(stmt, 0), *parent = column_text(stmt, 2);

        result = err_set(err, ERR_CONFIG,
                         "%s/%s leaves row %lld of %s without its row of %s (foreign key)",
                         m->folder, m->name, (long long)sqlite3_column_int64(stmt, 1),
                         child ? child : "?", parent ? parent : "?");
    } else if (rc != SQLITE_DONE) {
        result = refuse(m, db_code(rc), m->text.data, sqlite3_errmsg(m->db->work), err);
    }
    (void)sqlite3_finalize(stmt); /* repeats rc */
    return result;
}

static int note(const struct migration *m, struct err *err)
{
    struct query q = query_start(m->db, STATEMENT_MIGRATION_ADD);

    query_text(&q, m->namespace_);
    query_text(&q, m->name);
    query_text(&q, m->hash);
    query_int(&q, clock_wall(&m->db->clock));
    return query_run(&q, err);
}

static int apply(const struct migration *m, struct err *err)
{
    const char *p = m->text.data, *end = p + m->text.len;
    int rc = db_begin(m->db, err);

    if (rc != OK)
        return rc;
    for (p = sql_skip_blank(p, end); rc == OK && p < end; p = sql_skip_blank(p, end))
        rc = run_statement(m, &p, end, err);
    if (rc == OK)
        rc = check_foreign_keys(m, err);
    if (rc == OK)
        rc = note(m, err);
    if (rc == OK)
        return db_commit(m->db, err);
    db_rollback(m->db);
    return rc;
}

/* Off cannot be set inside a transaction, so it encloses it. */
static int apply_unenforced(const struct migration *m, struct err *err)
{
    struct db *db = m->db;
    int back, rc = db_exec(db, db->work, "pragma foreign_keys = off", "migrate", err);

    if (rc != OK)
        return rc;
    (void)sqlite3_busy_timeout(db->work, WAIT_MS); /* fails for a bad handle only */
    rc = apply(m, err);
    (void)sqlite3_busy_timeout(db->work, db->exclusive ? 0 : WAIT_MS);
    back = db_exec(db, db->work, "pragma foreign_keys = on", "migrate", rc == OK ? err : NULL);
    return rc == OK ? back : rc;
}

static int one(struct migration *m, void *arg, struct err *err)
{
    int *applied_out = arg;
    bool applied = false;
    int rc = read_file(m, err);

    if (rc == OK)
        rc = look_up(m, &applied, err);
    if (rc != OK || applied)
        return rc;
    rc = apply_unenforced(m, err);
    if (rc == OK)
        (*applied_out)++;
    return rc;
}

static int is_sql(const struct dirent *d)
{
    size_t len = strlen(d->d_name);

    return d->d_name[0] != '.' && len > 4 && strcmp(d->d_name + len - 4, ".sql") == 0;
}

/* Byte order: the same in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Calls fn for each file of the folder, in order, until one fails. */
typedef int each_fn(struct migration *m, void *arg, struct err *err);

static int each_file(struct migration *m, each_fn *fn, void *arg, struct err *err)
{
    struct dirent **entries = NULL;
    int n = scandir(m->folder, &entries, is_sql, by_name);
    int rc = OK;

    if (n < 0 && errno == ENOENT) /* a router without tables of its own */
        return OK;
    if (n < 0)
        return err_set(err, ERR_CONFIG, "%s: %s", m->folder, strerror(errno));
    buf_init(&m->text, FILE_MAX);
    for (int i = 0; i < n; i++) {
        m->name = entries[i]->d_name;
        if (rc == OK)
            rc = fn(m, arg, err);
        free(entries[i]);
    }
    free(entries);
    buf_free(&m->text);
    return rc;
}

void db_migrations_of(const char *folder, char *path, size_t room)
{
    bool here = strcmp(folder, ".") == 0;

    (void)snprintf(path, room, "%s%smigrations", here ? "" : folder, here ? "" : "/");
}

int db_migrate(struct db *db, const char *folder, const char *namespace_, int *applied_out,
               struct err *err)
{
    struct migration m = {.db = db, .namespace_ = namespace_, .folder = folder};

    *applied_out = 0;
    return each_file(&m, one, applied_out, err);
}

struct judge {
    db_migration_fn *fn;
    void *arg;
    char last[256]; /* the name of the last one that was applied */
};

static int find_last(const struct migration *m, struct judge *j, struct err *err)
{
    struct query q = query_start(m->db, STATEMENT_MIGRATION_LAST);
    int rc;

    query_text(&q, m->namespace_);
    rc = query_row(&q, err);
    if (rc == 1 && column_text(q.stmt, 0) != NULL)
        snprintf(j->last, sizeof j->last, "%s", column_text(q.stmt, 0));
    query_end(&q);
    return rc < 0 ? rc : OK;
}

static int judge_one(struct migration *m, void *arg, struct err *err)
{
    struct judge *j = arg;
    bool applied = false;
    char text[1024];
    int rc = read_file(m, err);

    if (rc == OK)
        rc = look_up(m, &applied, err);
    if (rc == ERR_CONFIG) {
        j->fn(j->arg, true, err->text);
        *err = (struct err){.code = OK};
        return OK;
    }
    if (rc != OK || applied || strcmp(m->name, j->last) > 0)
        return rc;
    snprintf(text, sizeof text,
             "%s/%s is named earlier than %s, which was applied: here it comes after it, in a new "
             "store before it; give it a later name",
             m->folder, m->name, j->last);
    j->fn(j->arg, false, text);
    return OK;
}

int db_judge_migrations(struct db *db, const char *folder, const char *namespace_,
                        db_migration_fn *fn, void *arg, struct err *err)
{
    struct migration m = {.db = db, .namespace_ = namespace_, .folder = folder};
    struct judge j = {.fn = fn, .arg = arg};
    int rc = find_last(&m, &j, err);

    return rc == OK ? each_file(&m, judge_one, &j, err) : rc;
}

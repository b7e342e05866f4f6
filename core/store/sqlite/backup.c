/* backup - see backup.h. SQLite's own way of copying (sqlite.org/backup.html). */
#include "store/sqlite/backup.h"

#include "base/text.h"
#include "store/path.h"
#include "store/sqlite/db_int.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_BYTES = 8 * 1024 * 1024 };

struct backup {
    struct db *db; /* lent */
    char *to;      /* owned, as the next */
    char *part;
    sqlite3 *copy;
    sqlite3_backup *pages; /* NULL: all are there */
    bool reading;          /* the source's transaction is open */
    bool made;             /* ".part" is ours */
};

static int no_file(const char *path, const char *doing, struct err *err)
{
    return err_set(err, errno == ENOSPC ? ERR_FULL : ERR_IO, "%s: cannot %s: %s", path, doing,
                   strerror(errno));
}

/* Where the copy lies comes first: it is that disk that is full, that folder that is closed. */
static int fail_copy(struct backup *b, int rc, const char *doing, struct err *err)
{
    char words[512];

    (void)snprintf(words, sizeof words, "%s the copy of %.400s", doing, b->db->path);
    return db_fail_copy(b->to, b->copy, rc, words, err);
}

/* For its owner alone, as a store is. */
static int make_part(struct backup *b, struct err *err)
{
    int fd;

    if (access(b->to, F_OK) == 0)
        return err_set(err, ERR_CONFIG, "%s is there already: give another name, or move it away",
                       b->to);
    if (unlink(b->part) != 0 && errno != ENOENT) /* of one that was interrupted */
        return no_file(b->part, "be made anew", err);
    fd = open(b->part, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        return no_file(b->part, "be made", err);
    b->made = true;
    return close(fd) == 0 ? OK : no_file(b->part, "be made", err);
}

static int open_copy(struct backup *b, struct err *err)
{
    int rc =
        sqlite3_open_v2(b->part, &b->copy,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

    if (b->copy == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (rc == SQLITE_OK) /* what fails is given up: there is nothing to roll back to */
        rc = sqlite3_exec(b->copy, "pragma journal_mode = off", NULL, NULL, NULL);
    return rc == SQLITE_OK ? OK : fail_copy(b, rc, "open", err);
}

static int begin(struct backup *b, struct err *err)
{
    int64_t unused;
    int rc = db_exec(b->db, b->db->work, "begin", "begin a backup", err);

    b->reading = rc == OK;
    if (rc == OK) /* the moment is that of the first read */
        rc = db_number(b->db, b->db->work, "select count(*) from herald_meta", 0, &unused, err);
    if (rc != OK)
        return rc;
    b->pages = sqlite3_backup_init(b->copy, "main", b->db->work, "main");
    return b->pages != NULL ? OK : fail_copy(b, sqlite3_extended_errcode(b->copy), "begin", err);
}

int backup_open(struct backup **out, struct db *db, const char *to, struct err *err)
{
    struct backup *b = calloc(1, sizeof *b);
    int rc;

    *out = b;
    if (b == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    b->db = db;
    b->to = path_with(to, "");
    b->part = path_with(to, ".part");
    if (b->to == NULL || b->part == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    rc = make_part(b, err);
    if (rc == OK)
        rc = open_copy(b, err);
    return rc == OK ? begin(b, err) : rc;
}

static int sync_path(const char *path, int flags, struct err *err)
{
    int fd = open(path, flags | O_CLOEXEC), rc = OK;

    if (fd < 0)
        return no_file(path, "be synced", err);
    if (fsync(fd) != 0)
        rc = no_file(path, "be synced", err);
    if (close(fd) != 0 && rc == OK)
        rc = no_file(path, "be synced", err);
    return rc;
}

static int check(struct backup *b, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(b->copy, "pragma integrity_check(1)", -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt);
    if (rc != SQLITE_ROW)
        rc = fail_copy(b, rc, "check", err);
    else if (slice_is(slice_of(column_text(stmt, 0)), "ok"))
        rc = OK;
    else
        rc = err_set(err, ERR_CORRUPT, "%s is damaged, and so is its copy, which is not kept: %s",
                     b->db->path, column_text(stmt, 0));
    (void)sqlite3_finalize(stmt); /* repeats what the step said */
    return rc;
}

/* Into the folder, so that the name outlives a loss of power. */
static int name_copy(struct backup *b, struct err *err)
{
    char *folder = path_with(b->to, "");
    int rc = OK;

    if (folder == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    if (link(b->part, b->to) != 0) /* rename would replace what came meanwhile */
        rc = no_file(b->to, "be given to the copy", err);
    if (rc == OK && unlink(b->part) != 0)
        rc = no_file(b->part, "be removed", err);
    b->made = b->made && rc != OK;
    if (rc == OK)
        rc = sync_path(dirname(folder), O_RDONLY | O_DIRECTORY, err);
    free(folder);
    return rc;
}

static int finish(struct backup *b, struct err *err)
{
    int rc = sqlite3_backup_finish(b->pages);

    b->pages = NULL;
    if (rc != SQLITE_OK)
        return fail_copy(b, rc, "write", err);
    rc = db_exec(b->db, b->db->work, "commit", "end a backup", err);
    b->reading = rc != OK;
    if (rc == OK)
        rc = check(b, err);
    if (rc != OK)
        return rc;
    REQUIRE(sqlite3_close(b->copy) == SQLITE_OK); /* its WAL goes */
    b->copy = NULL;
    rc = sync_path(b->part, O_RDWR, err);
    return rc == OK ? name_copy(b, err) : rc;
}

int backup_step(struct backup *b, struct backup_progress *progress, struct err *err)
{
    int64_t page = 0;
    int rc = db_number(b->db, b->db->work, "pragma page_size", 0, &page, err);

    if (rc != OK)
        return rc;
    rc = sqlite3_backup_step(b->pages, (int)(STEP_BYTES / page));
    progress->bytes = (int64_t)sqlite3_backup_pagecount(b->pages) * page;
    progress->done = progress->bytes - (int64_t)sqlite3_backup_remaining(b->pages) * page;
    if (rc == SQLITE_OK)
        return 1;
    if (rc != SQLITE_DONE)
        return fail_copy(b, rc, "write", err);
    return finish(b, err);
}

void backup_close(struct backup **out)
{
    struct backup *b = *out;

    if (b == NULL)
        return;
    if (b->pages != NULL)
        (void)sqlite3_backup_finish(b->pages); /* it is given up */
    if (b->reading)
        (void)db_exec(b->db, b->db->work, "rollback", "end a backup", NULL);
    (void)sqlite3_close(b->copy);
    if (b->made)
        (void)unlink(b->part); /* nobody takes it for a copy */
    free(b->part);
    free(b->to);
    free(b);
    *out = NULL;
}

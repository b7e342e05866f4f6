/* epoch - a store restored from a backup must not hand out ids a second time
 *
 * Message ids are "<store id>:<outbox id>". A restored backup counts on from where
 * the backup was made, so ids that the outside has seen already would come again for
 * other messages, and every consumer's inbox would take them for duplicates. From
 * the first id after the restore on, such a store therefore has a new store id; rows
 * it still holds keep the old one, since they may be the very messages that were
 * sent. herald_epoch says which id holds above which row.
 *
 * Whether a store was restored is told by a side file, which a backup of the
 * database file does not bring along. It remembers the database's device and inode,
 * how often a router opened it (kept in the store too), and the highest outbox id the
 * outside has seen. A new epoch starts when a router opens a store and
 *
 *   the side file is absent or unreadable                               (moved, cloned)
 *   device or inode differ                                   (replaced by another file)
 *   the counts of openings differ                (overwritten by an older state of itself)
 *   the store's sequence is below the highest id seen   (the same, within one opening)
 *
 * but when this very opening made the store. A copy that was never used counts, too: all copies
 * of one template would begin with the same ids.
 *
 * A false alarm costs one row and nothing else, so doubts start a new epoch, too. Left
 * open: producers that write into a restored store before its router opens it give
 * some old ids away; the inbox's fingerprint shows those as "id used twice".
 *
 * The highest id is one aligned word of shared memory: noting it costs no system
 * call, survives the end of the process, and reaches the disk with the next checkpoint
 * or when the kernel writes it back (some 30 seconds). Power loss may take it back by
 * that much, which matters only when a restore from a backup made within the same
 * opening follows. It is never reserved ahead: that would look like a restore. */
#include "store/path.h"
#include "store/sqlite/db_int.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PAGE_BYTES = 4096 };

static const uint64_t page_magic = UINT64_C(0x31686370646c7268); /* "hrldpch1" */

struct epoch_page {
    uint64_t magic;  /* of this layout */
    uint64_t device; /* of the database file */
    uint64_t inode;
    int64_t opened;  /* as herald_meta said when a router opened the store last */
    uint64_t check;  /* over the four above */
    int64_t highest; /* highest outbox id the outside has seen; not in the check */
};

/* What the store itself says at an exclusive open. */
struct found {
    struct stat file;   /* of the database */
    int64_t sequence;   /* highest outbox id ever given */
    int64_t opened;     /* by a router, times */
    const char *reason; /* for a new epoch; NULL: none */
};

void epoch_new_id(char id[STORE_ID_LEN + 1])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    unsigned char byte;
    size_t n = 0;

    while (n < STORE_ID_LEN) {
        REQUIRE(getrandom(&byte, 1, 0) == 1);
        if (byte < 252) /* 7 x 36: the rest would favour the first letters */
            id[n++] = letters[byte % 36];
    }
    id[n] = '\0';
}

static uint64_t page_check(const struct epoch_page *p)
{
    return text_hash(TEXT_HASH_START, p, offsetof(struct epoch_page, check));
}

/* Space is allocated, not only promised: a store into a hole of a full disk would be
 * a SIGBUS. */
static int map_page(struct db *db, struct err *err)
{
    char *path = path_with(db->path, "-epoch");
    void *page = MAP_FAILED;
    int fd, failed = 0;

    if (path == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        failed = errno;
    else
        failed = posix_fallocate(fd, 0, PAGE_BYTES);
    if (failed == 0) {
        page = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        failed = page == MAP_FAILED ? errno : 0;
    }
    if (fd >= 0)
        close(fd);
    if (failed != 0)
        err_set(err, failed == ENOSPC ? ERR_FULL : ERR_IO, "%s: %s", path, strerror(failed));
    else
        db->epoch_page = page;
    free(path);
    return failed == 0 ? OK : failed == ENOSPC ? ERR_FULL : ERR_IO;
}

static const char *judge(const struct epoch_page *p, const struct found *f, bool made)
{
    if (made)
        return NULL;
    if (p->magic != page_magic || p->check != page_check(p))
        return "no side file";
    if (p->device != (uint64_t)f->file.st_dev || p->inode != (uint64_t)f->file.st_ino)
        return "another file";
    if (p->opened != f->opened)
        return "an older state";
    return f->sequence < p->highest ? "an older sequence" : NULL;
}

static int look(struct db *db, struct found *f, struct err *err)
{
    int rc;

    if (stat(db->path, &f->file) != 0)
        return err_set(err, ERR_IO, "%s: %s", db->path, strerror(errno));
    rc = db_number(db, db->work, "select seq from sqlite_sequence where name = 'herald_outbox'", 0,
                   &f->sequence, err);
    if (rc == OK)
        rc = db_number(db, db->work, "select value from herald_meta where key = 'opened'", 0,
                       &f->opened, err);
    f->reason = rc == OK ? judge(db->epoch_page, f, db->made) : NULL;
    return rc;
}

static int write_store(struct db *db, const struct found *f, struct err *err)
{
    static const char doing[] = "write the store's epoch";
    char sql[192], id[STORE_ID_LEN + 1];
    int rc = db_exec(db, db->work, "update herald_meta set value = value + 1 where key = 'opened'",
                     doing, err);

    if (rc != OK || f->reason == NULL)
        return rc;
    epoch_new_id(id);
    /* An epoch that began at the same row never gave an id in this copy of the store,
     * but may have in the one that was lost: it is replaced. */
    snprintf(sql, sizeof sql, "insert or replace into herald_epoch values (%lld, '%s')",
             (long long)f->sequence, id);
    return db_exec(db, db->work, sql, doing, err);
}

/* After the commit: a crash in between looks like an older state, a false alarm. */
static int write_page(struct db *db, const struct found *f, struct err *err)
{
    struct epoch_page *p = db->epoch_page;

    /* Of a page of its own the highest id stands: rows above it were never sent. */
    if (f->reason != NULL || db->made)
        p->highest = f->sequence;
    db->sent_before = p->highest;

    p->magic = page_magic;
    p->device = (uint64_t)f->file.st_dev;
    p->inode = (uint64_t)f->file.st_ino;
    p->opened = f->opened + 1;
    p->check = page_check(p);
    if (msync(p, PAGE_BYTES, MS_SYNC) != 0)
        return err_set(err, ERR_IO, "%s-epoch: %s", db->path, strerror(errno));
    return OK;
}

static int load(struct db *db, struct err *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db->work, "select above, store_id from herald_epoch order by above",
                                -1, &stmt, NULL);

    free(db->epochs);
    db->epochs = NULL;
    db->n_epochs = 0;
    while (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        struct epoch *more = realloc(db->epochs, (db->n_epochs + 1) * sizeof *more);
        const char *id = column_text(stmt, 1);

        rc = more == NULL || id == NULL ? SQLITE_NOMEM : SQLITE_OK;
        if (more != NULL)
            db->epochs = more;
        if (rc != SQLITE_OK)
            break;
        more[db->n_epochs].above = sqlite3_column_int64(stmt, 0);
        snprintf(more[db->n_epochs++].store_id, sizeof more->store_id, "%s", id);
    }
    (void)sqlite3_finalize(stmt); /* repeats rc */
    if (rc != SQLITE_DONE)
        return db_fail(db, db->work, rc, "read the store's epochs", err);
    if (db->n_epochs == 0)
        return err_set(err, ERR_CORRUPT, "%s: herald_epoch is empty: restore a backup", db->path);
    return OK;
}

static void tell(struct db *db, const struct found *f)
{
    log_event(db->log, LOG_WARN, "store.epoch",
              LOG_FIELDS(log_text("reason", f->reason), log_int("above", f->sequence),
                         log_text("store_id", db->epochs[db->n_epochs - 1].store_id)));
}

/* Fills in a struct found. */
static int look_and_write(struct db *db, void *arg, struct err *err)
{
    int rc = look(db, arg, err);

    return rc == OK ? write_store(db, arg, err) : rc;
}

static int renew(struct db *db, struct err *err)
{
    struct found f;
    int rc = map_page(db, err);

    if (rc == OK)
        rc = db_change(db, "write the store's epoch", look_and_write, &f, err);
    if (rc == OK)
        rc = write_page(db, &f, err);
    if (rc == OK)
        rc = load(db, err);
    if (rc == OK && f.reason != NULL)
        tell(db, &f);
    return rc;
}

int epoch_open(struct db *db, struct err *err)
{
    return db->exclusive ? renew(db, err) : load(db, err);
}

void epoch_sync(struct db *db)
{
    if (db->epoch_page != NULL)
        (void)msync(db->epoch_page, PAGE_BYTES, MS_SYNC); /* failing costs a false alarm */
}

void epoch_close(struct db *db)
{
    epoch_sync(db);
    if (db->epoch_page != NULL)
        (void)munmap(db->epoch_page, PAGE_BYTES); /* fails for wrong arguments only */
    db->epoch_page = NULL;
    free(db->epochs);
    db->epochs = NULL;
    db->n_epochs = 0;
}

const char *db_store_id(struct db *db, int64_t outbox_id)
{
    size_t i = db->n_epochs - 1;

    while (i > 0 && db->epochs[i].above >= outbox_id)
        i--;
    return db->epochs[i].store_id;
}

int64_t db_sent_before(const struct db *db)
{
    return db->sent_before;
}

void db_saw_id(struct db *db, int64_t outbox_id)
{
    if (db->epoch_page != NULL && outbox_id > db->epoch_page->highest)
        db->epoch_page->highest = outbox_id;
}

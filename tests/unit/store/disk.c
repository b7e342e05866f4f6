/* disk - see disk.h. */
#include "disk.h"

#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = 512 };

struct change {
    struct change *next; /* made later */
    int64_t at;
    int len;     /* -1: the file is cut at `at` */
    char data[]; /* len bytes */
};

struct disk_image {
    char path[256];
    char *synced; /* what was forced to the disk */
    size_t size;  /* of that */
    struct change *first, **last;
};

/* SQLite's file, which the real one follows. */
struct file {
    sqlite3_file base;
    struct disk *disk;
    struct disk_image *image; /* NULL: nobody cares for it after a boot */
    sqlite3_file *real;
};

static struct file *self(sqlite3_file *f)
{
    return (struct file *)f;
}

/* --- what would survive --- */

/* test_memory makes malloc and its like fail, but not for us. */
static void *renew(void *p, size_t size)
{
    p = reallocarray(p, 1, size);
    assert_non_null(p);
    return p;
}

static void resize(struct disk_image *i, size_t size)
{
    if (size > i->size) {
        i->synced = renew(i->synced, size);
        memset(i->synced + i->size, 0, size - i->size);
    }
    i->size = size;
}

static void apply(struct disk_image *i, const struct change *c, int from, int to)
{
    if (c->len < 0) {
        resize(i, (size_t)c->at);
        return;
    }
    if (i->size < (size_t)(c->at + to))
        resize(i, (size_t)(c->at + to));
    memcpy(i->synced + c->at + from, c->data + from, (size_t)(to - from));
}

static void apply_whole(struct disk_image *i, const struct change *c)
{
    apply(i, c, 0, c->len);
}

static void drop_changes(struct disk_image *i)
{
    while (i->first != NULL) {
        struct change *c = i->first;

        i->first = c->next;
        free(c);
    }
    i->last = &i->first;
}

static void note(struct disk_image *i, const void *data, int len, int64_t at)
{
    struct change *c = renew(NULL, sizeof *c + (len > 0 ? (size_t)len : 0));

    *c = (struct change){.at = at, .len = len};
    if (len > 0)
        memcpy(c->data, data, (size_t)len);
    *i->last = c;
    i->last = &c->next;
}

static void sync_image(struct disk_image *i)
{
    for (struct change *c = i->first; c != NULL; c = c->next)
        apply_whole(i, c);
    drop_changes(i);
}

static struct disk_image *find_image(struct disk *d, const char *path)
{
    for (int i = 0; i < DISK_FILES; i++)
        if (d->images[i] != NULL && strcmp(d->images[i]->path, path) == 0)
            return d->images[i];
    return NULL;
}

static struct disk_image *add_image(struct disk *d, const char *path, sqlite3_file *real)
{
    struct disk_image *i = renew(NULL, sizeof *i);
    sqlite3_int64 size = 0;
    int free_one = 0;

    memset(i, 0, sizeof *i);
    assert_true(snprintf(i->path, sizeof i->path, "%s", path) < (int)sizeof i->path);
    i->last = &i->first;
    assert_int_equal(real->pMethods->xFileSize(real, &size), SQLITE_OK);
    resize(i, (size_t)size);
    if (size > 0)
        assert_int_equal(real->pMethods->xRead(real, i->synced, (int)size, 0), SQLITE_OK);
    while (free_one < DISK_FILES && d->images[free_one] != NULL)
        free_one++;
    assert_true(free_one < DISK_FILES);
    d->images[free_one] = i;
    return i;
}

static void drop_image(struct disk *d, const char *path)
{
    for (int i = 0; i < DISK_FILES; i++)
        if (d->images[i] != NULL && strcmp(d->images[i]->path, path) == 0) {
            drop_changes(d->images[i]);
            free(d->images[i]->synced);
            free(d->images[i]);
            d->images[i] = NULL;
        }
}

/* --- failing --- */

/* SQLITE_OK, or what the operation answers instead. */
static int pass(struct disk *d, enum disk_op op)
{
    const struct disk_fault *f = &d->fault;

    if (d->stopped) {
        errno = EIO;
        return SQLITE_IOERR;
    }
    if (d->idle || f->nth == 0 || f->op != op)
        return SQLITE_OK;
    d->passed++;
    if (d->passed != f->nth && !(f->stays && d->passed > f->nth))
        return SQLITE_OK;
    d->failed = true;
    d->stopped = f->stops;
    errno = f->error;
    return f->result;
}

/* --- SQLite's file --- */

static int file_close(sqlite3_file *f)
{
    return self(f)->real->pMethods->xClose(self(f)->real);
}

static int file_read(sqlite3_file *f, void *data, int len, sqlite3_int64 at)
{
    int rc = pass(self(f)->disk, DISK_READ);

    return rc != SQLITE_OK ? rc : self(f)->real->pMethods->xRead(self(f)->real, data, len, at);
}

static int put(struct file *f, const void *data, int len, sqlite3_int64 at)
{
    int rc = f->real->pMethods->xWrite(f->real, data, len, at);

    if (rc == SQLITE_OK && f->image != NULL)
        note(f->image, data, len, at);
    return rc;
}

static int file_write(sqlite3_file *f, const void *data, int len, sqlite3_int64 at)
{
    struct disk *d = self(f)->disk;
    bool was_stopped = d->stopped;
    int rc = pass(d, DISK_WRITE);

    if (rc != SQLITE_OK && d->fault.halved && !was_stopped) {
        int error = errno;

        assert_int_equal(put(self(f), data, len / 2, at), SQLITE_OK);
        errno = error;
    }
    return rc != SQLITE_OK ? rc : put(self(f), data, len, at);
}

static int file_truncate(sqlite3_file *f, sqlite3_int64 size)
{
    int rc = pass(self(f)->disk, DISK_TRUNCATE);

    if (rc != SQLITE_OK)
        return rc;
    rc = self(f)->real->pMethods->xTruncate(self(f)->real, size);
    if (rc == SQLITE_OK && self(f)->image != NULL)
        note(self(f)->image, NULL, -1, size);
    return rc;
}

/* What was written stays in the real file's cache: nothing need be forced below. */
static int file_sync(sqlite3_file *f, int flags)
{
    int rc = pass(self(f)->disk, DISK_SYNC);

    (void)flags;
    if (rc == SQLITE_OK && self(f)->image != NULL)
        sync_image(self(f)->image);
    return rc;
}

static int file_size(sqlite3_file *f, sqlite3_int64 *size)
{
    return self(f)->real->pMethods->xFileSize(self(f)->real, size);
}

static int file_lock(sqlite3_file *f, int level)
{
    return self(f)->real->pMethods->xLock(self(f)->real, level);
}

static int file_unlock(sqlite3_file *f, int level)
{
    return self(f)->real->pMethods->xUnlock(self(f)->real, level);
}

static int file_check_lock(sqlite3_file *f, int *held)
{
    return self(f)->real->pMethods->xCheckReservedLock(self(f)->real, held);
}

static int file_control(sqlite3_file *f, int op, void *arg)
{
    return self(f)->real->pMethods->xFileControl(self(f)->real, op, arg);
}

static int file_sector(sqlite3_file *f)
{
    return self(f)->real->pMethods->xSectorSize(self(f)->real);
}

static int file_traits(sqlite3_file *f)
{
    return self(f)->real->pMethods->xDeviceCharacteristics(self(f)->real);
}

static int file_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **out)
{
    return self(f)->real->pMethods->xShmMap(self(f)->real, page, size, extend, out);
}

static int file_shm_lock(sqlite3_file *f, int offset, int n, int flags)
{
    return self(f)->real->pMethods->xShmLock(self(f)->real, offset, n, flags);
}

static void file_shm_barrier(sqlite3_file *f)
{
    self(f)->real->pMethods->xShmBarrier(self(f)->real);
}

static int file_shm_unmap(sqlite3_file *f, int remove_it)
{
    return self(f)->real->pMethods->xShmUnmap(self(f)->real, remove_it);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_check_lock,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* --- SQLite's file system --- */

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *out, int flags,
                     int *flags_out)
{
    struct disk *d = vfs->pAppData;
    struct file *f = self(out);
    bool kept = flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_JOURNAL);
    int rc;

    f->base.pMethods = NULL;
    if (d->stopped)
        return SQLITE_CANTOPEN;
    f->disk = d;
    f->real = (sqlite3_file *)(f + 1);
    rc = d->below->xOpen(d->below, path, f->real, flags, flags_out);
    if (rc != SQLITE_OK)
        return rc;
    f->image = !kept ? NULL : find_image(d, path);
    if (kept && f->image == NULL)
        f->image = add_image(d, path, f->real);
    f->base.pMethods = &methods;
    return SQLITE_OK;
}

static int delete_file(sqlite3_vfs *vfs, const char *path, int sync_folder)
{
    struct disk *d = vfs->pAppData;
    int rc = d->stopped ? SQLITE_IOERR_DELETE : d->below->xDelete(d->below, path, sync_folder);

    if (rc == SQLITE_OK)
        drop_image(d, path);
    return rc;
}

void disk_make(struct disk *d)
{
    memset(d, 0, sizeof *d);
    d->below = sqlite3_vfs_find(NULL);
    assert_non_null(d->below);
    d->vfs = *d->below;
    d->vfs.szOsFile += (int)sizeof(struct file);
    d->vfs.pNext = NULL;
    d->vfs.zName = "disk";
    d->vfs.pAppData = d;
    d->vfs.xOpen = open_file;
    d->vfs.xDelete = delete_file;
    assert_int_equal(sqlite3_vfs_register(&d->vfs, 0), SQLITE_OK);
}

void disk_free(struct disk *d)
{
    for (int i = 0; i < DISK_FILES; i++)
        if (d->images[i] != NULL)
            drop_image(d, d->images[i]->path);
    assert_int_equal(sqlite3_vfs_unregister(&d->vfs), SQLITE_OK);
}

void disk_fail(struct disk *d, struct disk_fault fault)
{
    d->fault = fault;
    d->passed = 0;
    d->failed = false;
}

void disk_heal(struct disk *d)
{
    d->fault.nth = 0;
}

void disk_stop(struct disk *d)
{
    d->stopped = true;
}

/* --- a boot --- */

static uint64_t dice(uint64_t *seed, uint64_t sides)
{
    *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*seed >> 33) % sides;
}

static void mix(struct disk_image *i, const struct change *c, uint64_t *seed)
{
    if (c->len < 0) {
        if (dice(seed, 2))
            apply_whole(i, c);
        return;
    }
    for (int from = 0; from < c->len; from += SECTOR)
        if (dice(seed, 2))
            apply(i, c, from, c->len - from > SECTOR ? from + SECTOR : c->len);
}

static void survive(struct disk_image *i, enum disk_loss loss, uint64_t *seed)
{
    uint64_t left = 0;

    for (struct change *c = i->first; c != NULL; c = c->next)
        left++;
    left = dice(seed, left + 1);
    for (struct change *c = i->first; c != NULL; c = c->next) {
        if (loss == DISK_KEEPS || (loss == DISK_CUTS && left-- > 0))
            apply_whole(i, c);
        else if (loss == DISK_CUTS)
            break;
        else if (loss == DISK_MIXES)
            mix(i, c, seed);
    }
    drop_changes(i);
}

static void write_image(const struct disk_image *i)
{
    FILE *f = fopen(i->path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(i->synced, 1, i->size, f), i->size);
    assert_int_equal(fclose(f), 0);
}

void disk_boot(struct disk *d, enum disk_loss loss, uint64_t seed)
{
    for (int i = 0; i < DISK_FILES; i++)
        if (d->images[i] != NULL) {
            survive(d->images[i], loss, &seed);
            write_image(d->images[i]);
        }
    disk_heal(d);
    d->stopped = false;
}

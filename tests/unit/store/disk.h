/*
 * disk - a file system for SQLite that fails as it is told, is stopped, or loses its power
 *
 * It lies over the real one, which holds what a process sees: all that was written. What
 * would still be there after a power cut is kept aside: each file as of its last sync, and
 * the writes since. A store that is there when it is first opened counts as synced.
 */
#ifndef HERALD_TESTS_DISK_H
#define HERALD_TESTS_DISK_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum disk_op { DISK_WRITE, DISK_SYNC, DISK_READ, DISK_TRUNCATE, DISK_OPS };

struct disk_fault {
    enum disk_op op;
    int nth;     /* operation of this kind, counted from here; 0: none */
    int result;  /* what it answers, of SQLite's codes */
    int error;   /* errno besides */
    bool stays;  /* all of this kind after it fail, too, until disk_heal */
    bool halved; /* half of the write is on the disk all the same */
    bool stops;  /* the process ends there: nothing works any more until disk_boot */
};

/* What a boot finds. */
enum disk_loss {
    DISK_KEEPS,  /* every write: a process has ended, not the machine */
    DISK_DROPS,  /* no write since the last sync of its file */
    DISK_CUTS,   /* some of them, the oldest */
    DISK_MIXES,  /* any sectors of any of them */
    DISK_LOSSES, /* how many of these there are */
};

enum { DISK_FILES = 4 };

struct disk_image;

struct disk {
    sqlite3_vfs vfs; /* for db_settings: vfs.zName */
    sqlite3_vfs *below;
    struct disk_fault fault;
    bool idle;  /* nothing counts now, and nothing fails */
    int passed; /* operations of the fault's kind since disk_fail */
    bool failed;
    bool stopped;
    struct disk_image *images[DISK_FILES];
};

void disk_make(struct disk *d);
void disk_free(struct disk *d);

/* Arms a fault in place of what was armed before. */
void disk_fail(struct disk *d, struct disk_fault fault);
void disk_heal(struct disk *d);

/* The process ends here. Nothing reaches the disk when its handles are closed. */
void disk_stop(struct disk *d);
/* With no handle open in this process: the files become what a boot finds. */
void disk_boot(struct disk *d, enum disk_loss loss, uint64_t seed);

#endif

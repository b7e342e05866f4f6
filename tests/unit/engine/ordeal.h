/*
 * ordeal - a turn at work on a disk that fails, and what must hold afterwards
 *
 * Each run brings some rows of a producer and some deliveries, whose handler writes and
 * emits, and works until all of it is done: a turn that pauses is tried again, a fatal one
 * ends the process, which is started again on what the disk still has. Counted in the end,
 * and after each start: what was acked took effect, what was sent out is in the outbox until
 * it is confirmed, nothing took effect twice, nothing counts as an attempt, the database is
 * whole. (docs/faults.md#invariants: I1 to I4, I7)
 */
#ifndef HERALD_TESTS_ORDEAL_H
#define HERALD_TESTS_ORDEAL_H

#include "disk.h"
#include "scene.h"

enum { ORDEAL_EACH = 3, ORDEAL_TOLD = 64 };

struct ordeal_told {
    int64_t row; /* of the outbox */
    bool answered;
};

struct ordeal {
    struct scene scene;
    struct disk disk;
    struct sqlite3 *reader; /* who counts; on the real file system */
    int runs;

    /* as the test sets them, for the runs to come */
    bool spills;         /* pages leave SQLite's cache before the commit */
    bool unsafe;         /* synchronous=NORMAL */
    bool dies_at_pause;  /* the process is killed where it would try again */
    enum disk_loss loss; /* at every end of a process */
    uint64_t seed;
    void (*arm)(bool on); /* around what is tried; NULL: nothing but the disk fails */
    void (*heal)(void);   /* what fails so works again; set with `arm` */

    /* of the last run */
    struct ordeal_told told[ORDEAL_TOLD]; /* rows that were sent out */
    size_t n_told;
    int pauses, starts; /* how often it paused, and was started again */
    int lost;           /* acked without an effect, sent without a row */
};

/* Started; and gone. */
void ordeal_setup(struct ordeal *o);
void ordeal_teardown(struct ordeal *o);

/* Opens the store anew, with the settings above; nothing is lost by this. */
void ordeal_start(struct ordeal *o);

/* One run, with what was armed before. Fails the test when something does not hold, except
 * that what is lost is only counted. */
void ordeal_run(struct ordeal *o);

#endif

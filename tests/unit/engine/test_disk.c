/* docs/faults.md#f2, #f3, #f24, #f25, #f26: the disk fails, the process is stopped or the power
 * goes at each operation of a run (turns and a checkpoint) in turn, see ordeal.h for what must
 * hold. HERALD_LONG=1 leaves no operation out and takes more seeds. */
#include "ordeal.h"

#include "check.h"

#include <errno.h>
#include <stdlib.h>

struct sum {
    int runs, pauses, starts, lost;
};

static bool is_long(void)
{
    return getenv("HERALD_LONG") != NULL;
}

static void add(struct sum *sum, const struct ordeal *o)
{
    sum->runs++;
    sum->pauses += o->pauses;
    sum->starts += o->starts;
    sum->lost += o->lost;
}

/* Runs with the fault at one operation of its kind after another, until a run has fewer of
 * them, or something is lost. */
static void sweep(struct ordeal *o, struct disk_fault fault, int first, int stride, struct sum *sum)
{
    ordeal_start(o);
    fault.nth = first;
    do {
        disk_fail(&o->disk, fault);
        ordeal_run(o);
        add(sum, o);
        fault.nth += stride;
    } while (o->disk.failed && o->lost == 0);
}

static void show(const char *what, const struct sum *sum)
{
    print_message("%s: %d runs, %d pauses, %d starts, %d lost\n", what, sum->runs, sum->pauses,
                  sum->starts, sum->lost);
    assert_int_equal(sum->lost, 0);
}

/* The fault comes once or stays for some turns, pages are written at the commit only or
 * before it, too, and the process goes on after a pause or is killed at it: a commit that
 * failed may be there afterwards. */
static struct sum fail_everywhere(struct ordeal *o, const char *what, struct disk_fault fault,
                                  int stride)
{
    struct sum sum = {0};

    for (int way = 0; way < 8; way++) {
        fault.stays = way & 1;
        o->spills = way & 2;
        o->dies_at_pause = way & 4;
        sweep(o, fault, 1 + way % stride, is_long() ? 1 : stride, &sum);
    }
    show(what, &sum);
    return sum;
}

TEST_WITH(ordeal, faults_26_a_write_fails)
{
    struct disk_fault fault = {.op = DISK_WRITE, .result = SQLITE_IOERR_WRITE, .error = EIO};
    struct sum sum;

    sum = fail_everywhere(f, "write, EIO", fault, 17);
    assert_true(sum.starts > 0); /* of a commit: it ends the process */
    assert_true(sum.pauses > 0); /* before it */
}

TEST_WITH(ordeal, faults_26_a_write_is_short)
{
    struct disk_fault fault = {
        .op = DISK_WRITE, .result = SQLITE_IOERR_WRITE, .error = EIO, .halved = true};

    fail_everywhere(f, "short write", fault, 23);
}

TEST_WITH(ordeal, faults_24_the_disk_is_full)
{
    struct disk_fault fault = {
        .op = DISK_WRITE, .result = SQLITE_FULL, .error = ENOSPC, .halved = true};
    struct sum sum;

    sum = fail_everywhere(f, "write, ENOSPC", fault, 17);
    assert_true(sum.pauses > sum.starts);
}

/* Without a kill of our own the process lives through all of it. */
TEST_WITH(ordeal, faults_25_a_file_is_at_its_limit)
{
    struct disk_fault fault = {
        .op = DISK_WRITE, .result = SQLITE_IOERR_WRITE, .error = EFBIG, .halved = true};
    struct sum sum = {0};

    for (int way = 0; way < 4; way++) {
        fault.stays = way & 1;
        f->spills = way & 2;
        sweep(f, fault, 1 + way, is_long() ? 1 : 7, &sum);
    }
    show("write, EFBIG", &sum);
    assert_int_equal(sum.starts, 0);
    assert_true(sum.pauses > 0);
}

/* Every one of them ends the process: what is on the disk cannot be told. */
TEST_WITH(ordeal, faults_26_a_sync_fails)
{
    struct disk_fault fault = {.op = DISK_SYNC, .result = SQLITE_IOERR_FSYNC, .error = EIO};
    struct sum sum;

    sum = fail_everywhere(f, "fsync, EIO", fault, 1);
    assert_int_equal(sum.starts, sum.runs - 8); /* in the last run of each sweep none failed */
    assert_int_equal(sum.pauses, 0);
}

TEST_WITH(ordeal, faults_26_a_read_fails)
{
    struct disk_fault fault = {.op = DISK_READ, .result = SQLITE_IOERR_READ, .error = EIO};

    fail_everywhere(f, "read, EIO", fault, 17);
}

TEST_WITH(ordeal, faults_26_a_truncate_fails)
{
    struct disk_fault fault = {.op = DISK_TRUNCATE, .result = SQLITE_IOERR_TRUNCATE, .error = EIO};

    fail_everywhere(f, "ftruncate, EIO", fault, 1);
}

static const struct disk_fault stop_at_write = {
    .op = DISK_WRITE, .result = SQLITE_IOERR_WRITE, .error = EIO, .halved = true, .stops = true};
static const struct disk_fault stop_at_sync = {
    .op = DISK_SYNC, .result = SQLITE_IOERR_FSYNC, .error = EIO, .stops = true};

TEST_WITH(ordeal, faults_2_killed_at_any_write_or_sync)
{
    struct sum sum = {0};

    for (int way = 0; way < 2; way++) {
        f->spills = way;
        sweep(f, stop_at_write, 1 + way, is_long() ? 1 : 3, &sum);
        sweep(f, stop_at_sync, 1, 1, &sum);
    }
    show("killed", &sum);
    assert_true(sum.starts > 20);
}

TEST_WITH(ordeal, faults_3_power_goes_at_any_write_or_sync)
{
    struct sum sum = {0};

    for (uint64_t seed = 1; seed <= (is_long() ? 6 : 2); seed++)
        for (int loss = DISK_DROPS; loss < DISK_LOSSES; loss++) {
            f->loss = (enum disk_loss)loss;
            f->seed = 1000 * seed;
            f->spills = seed % 2;
            sweep(f, stop_at_write, 1 + loss, is_long() ? 1 : 8, &sum);
            sweep(f, stop_at_sync, 1, 1, &sum);
        }
    show("power cut", &sum);
    assert_true(sum.starts > 50);
}

/* The test above can fail: with synchronous=NORMAL the same loses what was acked. */
TEST_WITH(ordeal, faults_3_less_than_full_sync_would_lose)
{
    struct sum sum = {0};

    f->loss = DISK_DROPS;
    f->unsafe = true;
    sweep(f, stop_at_write, 1, 1, &sum);
    assert_true(sum.lost > 0);
}

/* spec_clock - see spec_clock.h. */
#include "spec/spec_clock.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

/* SQLite's times count from noon of 24 November 4714 BC, in milliseconds or days. */
static const int64_t UNIX_EPOCH_MS = 210866760000000;
static const double MS_PER_DAY = 86400000.0;

struct spec_clock {
    sqlite3_vfs vfs; /* first, so that SQLite's pointer leads here */
    struct clock clock;
    char name[32];
};

static int time_ms(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    const struct spec_clock *v = (const struct spec_clock *)vfs;

    *out = UNIX_EPOCH_MS + clock_wall(&v->clock);
    return SQLITE_OK;
}

static int time_days(sqlite3_vfs *vfs, double *out)
{
    sqlite3_int64 ms;
    int rc = time_ms(vfs, &ms);

    *out = (double)ms / MS_PER_DAY;
    return rc;
}

int spec_clock_new(struct spec_clock **out, struct clock clock, struct err *err)
{
    const sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    struct spec_clock *v = calloc(1, sizeof *v);

    *out = NULL;
    if (v == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    v->vfs = *real;
    v->clock = clock;
    snprintf(v->name, sizeof v->name, "herald-%p", (void *)v);
    v->vfs.pNext = NULL;
    v->vfs.zName = v->name;
    v->vfs.xCurrentTime = time_days;
    v->vfs.xCurrentTimeInt64 = time_ms;
    if (sqlite3_vfs_register(&v->vfs, 0) != SQLITE_OK) {
        free(v);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    *out = v;
    return OK;
}

void spec_clock_free(struct spec_clock **v)
{
    if (*v == NULL)
        return;
    (void)sqlite3_vfs_unregister(&(*v)->vfs); /* it was registered */
    free(*v);
    *v = NULL;
}

const char *spec_clock_name(const struct spec_clock *v)
{
    return v->name;
}

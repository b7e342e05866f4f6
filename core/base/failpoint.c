/* failpoint - see failpoint.h. The plan is read once, from the environment; one thread
 * passes the places. */
#include "base/failpoint.h"

#ifdef HERALD_FAILPOINTS

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PLACES_MAX = 16, NAME_MAX_LEN = 48, DELAY_MS = 300 };

struct place {
    char name[NAME_MAX_LEN];
    char action[8];
    unsigned long nth; /* passes that are left until it acts; 0: it has */
};

static struct {
    bool read;
    size_t n;
    struct place places[PLACES_MAX];
} plan;

/* A plan that cannot be read would let a test pass that tested nothing. */
static _Noreturn void refuse(const char *text)
{
    fprintf(stderr, "HERALD_FAIL: cannot read \"%s\": write name:nth:kill|segv|eio|enospc|delay\n",
            text);
    _exit(2);
}

static void read_plan(void)
{
    const char *given = getenv("HERALD_FAIL");
    char *text, *rest, *part;

    plan.read = true;
    if (given == NULL)
        return;
    text = strdup(given);
    if (text == NULL)
        refuse(given);
    rest = text;
    while ((part = strsep(&rest, ",")) != NULL) {
        struct place *p = &plan.places[plan.n];

        if (plan.n == PLACES_MAX ||
            sscanf(part, "%47[^:]:%lu:%7s", p->name, &p->nth, p->action) != 3 || p->nth == 0)
            refuse(given);
        plan.n++;
    }
    free(text);
}

/* Not by raise(): where the kernel finds it, as with a bug. */
static void write_badly(void)
{
    volatile char *page = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    *page = 0;
}

static enum failpoint act(const char *action)
{
    const struct timespec pause = {0, DELAY_MS * 1000000L};

    if (strcmp(action, "eio") == 0)
        return FAILPOINT_EIO;
    if (strcmp(action, "enospc") == 0)
        return FAILPOINT_ENOSPC;
    if (strcmp(action, "delay") == 0)
        nanosleep(&pause, NULL);
    else if (strcmp(action, "kill") == 0)
        raise(SIGKILL);
    else if (strcmp(action, "segv") == 0)
        write_badly();
    else
        refuse(action);
    return FAILPOINT_PASS;
}

enum failpoint failpoint(const char *name)
{
    if (!plan.read)
        read_plan();
    for (size_t i = 0; i < plan.n; i++) {
        struct place *p = &plan.places[i];

        if (strcmp(p->name, name) == 0 && p->nth > 0 && --p->nth == 0)
            return act(p->action);
    }
    return FAILPOINT_PASS;
}

bool failpoint_is_next(const char *name)
{
    if (!plan.read)
        read_plan();
    for (size_t i = 0; i < plan.n; i++)
        if (strcmp(plan.places[i].name, name) == 0 && plan.places[i].nth == 1)
            return true;
    return false;
}

#else
/* ISO C forbids an empty translation unit. */
typedef int failpoint_is_off;
#endif

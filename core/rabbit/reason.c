/* reason - see reason.h. */
#include "rabbit/reason.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct reason {
    size_t owners; /* freed when the last one drops it */
    char text[];   /* NUL-terminated */
};

static struct reason *reason_new(const char *text)
{
    size_t size = strlen(text) + 1;
    struct reason *r = malloc(sizeof *r + size);

    if (r == NULL)
        return NULL;
    r->owners = 1;
    memcpy(r->text, text, size);
    return r;
}

struct reason *reason_take(struct reason **last, const char *text)
{
    if (*last == NULL || strcmp((*last)->text, text) != 0) {
        reason_drop(last);
        *last = reason_new(text);
    }
    return reason_share(*last);
}

struct reason *reason_share(struct reason *r)
{
    if (r != NULL)
        r->owners++;
    return r;
}

void reason_drop(struct reason **r)
{
    if (*r != NULL && --(*r)->owners == 0)
        free(*r);
    *r = NULL;
}

const char *reason_text(const struct reason *r)
{
    return r != NULL ? r->text : "the reason is lost: out of memory";
}

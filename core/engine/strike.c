/* strike - see strike.h. */
#include "engine/strike.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PATH_SIZE = 4096 };

static const char MAGIC[8] = "herald1";

/* The page. Written by one process (the store's lock sees to that), in an order that
 * leaves it readable at any instruction: `active` is set last and cleared first. */
struct page {
    char magic[8];
    uint64_t current;         /* key of the message in its handler */
    uint64_t suspect;         /* key of the one that was there when the process died */
    uint32_t strikes;         /* deaths in a row with the suspect */
    volatile uint32_t active; /* 1: `current` counts */
};

struct strike {
    struct page *page; /* mapped */
};

static uint64_t key_of(struct slice queue, struct slice id, uint64_t fingerprint)
{
    uint64_t hash = text_hash(fingerprint, queue.data, queue.len);

    return text_hash(hash, id.data, id.len) | 1; /* never 0 */
}

/* What the last process left behind becomes the suspect. */
static void judge(struct page *p)
{
    if (memcmp(p->magic, MAGIC, sizeof MAGIC) != 0) {
        *p = (struct page){.suspect = 0};
        memcpy(p->magic, MAGIC, sizeof MAGIC);
        return;
    }
    if (p->active == 0)
        return;
    p->strikes = p->current == p->suspect ? p->strikes + 1 : 1;
    p->suspect = p->current;
    p->active = 0;
}

static int map(struct strike *s, const char *path, struct err *err)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    void *page = MAP_FAILED;

    /* The blocks are taken now: a store into a hole of a full disk is SIGBUS. */
    if (fd >= 0 && (errno = posix_fallocate(fd, 0, PAGE)) == 0)
        page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page == MAP_FAILED)
        err_set(err, ERR_IO, "%s: %s: a message that crashes the router cannot be told from others",
                path, strerror(errno));
    if (fd >= 0)
        close(fd);
    s->page = page == MAP_FAILED ? NULL : page;
    return s->page ? OK : ERR_IO;
}

int strike_open(struct strike **out, const char *store, struct err *err)
{
    struct strike *s = calloc(1, sizeof *s);
    char path[PATH_SIZE];
    int rc;

    *out = NULL;
    if (s == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    snprintf(path, sizeof path, "%s-strike", store);
    rc = map(s, path, err);
    if (rc != OK) {
        free(s);
        return rc;
    }
    judge(s->page);
    *out = s;
    return OK;
}

void strike_close(struct strike **s)
{
    if (*s == NULL)
        return;
    munmap((*s)->page, PAGE);
    free(*s);
    *s = NULL;
}

void strike_enter(struct strike *s, struct slice queue, struct slice id, uint64_t fingerprint)
{
    if (s == NULL)
        return;
    s->page->current = key_of(queue, id, fingerprint);
    s->page->active = 1;
}

void strike_pause(struct strike *s)
{
    if (s != NULL)
        s->page->active = 0;
}

void strike_leave(struct strike *s)
{
    if (s == NULL)
        return;
    s->page->active = 0;
    if (s->page->current == s->page->suspect)
        strike_forget(s);
}

bool strike_any(const struct strike *s)
{
    return s != NULL && s->page->suspect != 0;
}

int strike_count(const struct strike *s, struct slice queue, struct slice id, uint64_t fingerprint)
{
    if (s == NULL || s->page->suspect == 0 || key_of(queue, id, fingerprint) != s->page->suspect)
        return 0;
    return (int)s->page->strikes;
}

void strike_forget(struct strike *s)
{
    if (s == NULL)
        return;
    s->page->suspect = 0;
    s->page->strikes = 0;
}

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

static const char MAGIC[8] = "herald2";

struct suspect {
    uint64_t key;     /* of a message; 0: none */
    uint32_t strikes; /* deaths in its handler since it last returned from it */
    uint32_t died;    /* which death of the process was the last of these */
};

/* The page. Written by one process (the store's lock sees to that), in an order that
 * leaves it readable at any instruction: `active` is set last and cleared first. */
struct page {
    char magic[8];
    uint64_t current;         /* key of the message in its handler */
    volatile uint32_t active; /* 1: `current` counts */
    uint32_t deaths;          /* of all processes */
    struct suspect suspects[STRIKES_SUSPECTS];
};

struct strike {
    struct page *page; /* mapped */
};

uint64_t strike_key(struct slice queue, struct slice id, uint64_t fingerprint)
{
    uint64_t hash = text_hash(fingerprint, queue.data, queue.len);

    return text_hash(hash, id.data, id.len) | 1;
}

static struct suspect *find(struct page *p, uint64_t key)
{
    for (size_t i = 0; i < STRIKES_SUSPECTS; i++)
        if (p->suspects[i].key == key)
            return &p->suspects[i];
    return NULL;
}

static struct suspect *place_for(struct page *p, uint64_t key)
{
    struct suspect *place = find(p, key);

    if (place != NULL)
        return place;
    place = find(p, 0);
    for (size_t i = 0; place == NULL || i < STRIKES_SUSPECTS; i++)
        if (place == NULL || (place->key != 0 && p->suspects[i].died < place->died))
            place = &p->suspects[i];
    *place = (struct suspect){.key = key};
    return place;
}

/* What the last process left behind becomes a suspect. */
static void judge(struct page *p)
{
    struct suspect *suspect;

    if (memcmp(p->magic, MAGIC, sizeof MAGIC) != 0) {
        *p = (struct page){.current = 0};
        memcpy(p->magic, MAGIC, sizeof MAGIC);
        return;
    }
    if (p->active == 0)
        return;
    suspect = place_for(p, p->current);
    suspect->strikes++;
    suspect->died = ++p->deaths;
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
    s->page->current = strike_key(queue, id, fingerprint);
    s->page->active = 1;
}

void strike_exit(struct strike *s)
{
    if (s != NULL)
        s->page->active = 0;
}

void strike_leave(struct strike *s)
{
    if (s == NULL)
        return;
    s->page->active = 0;
    strike_forget(s, s->page->current);
}

bool strike_any(const struct strike *s)
{
    for (size_t i = 0; s != NULL && i < STRIKES_SUSPECTS; i++)
        if (s->page->suspects[i].key != 0)
            return true;
    return false;
}

int strike_count(const struct strike *s, struct slice queue, struct slice id, uint64_t fingerprint)
{
    const struct suspect *suspect =
        s != NULL ? find(s->page, strike_key(queue, id, fingerprint)) : NULL;

    return suspect != NULL ? (int)suspect->strikes : 0;
}

void strike_forget(struct strike *s, uint64_t key)
{
    struct suspect *suspect = s != NULL ? find(s->page, key) : NULL;

    if (suspect != NULL && key != 0)
        *suspect = (struct suspect){.key = 0};
}

/* fair - see fair.h. */
#include "engine/fair.h"

static uint64_t hash_of(struct slice queue)
{
    return text_hash(TEXT_HASH_START, queue.data, queue.len);
}

int64_t fair_at(const struct fair *f, struct slice queue)
{
    uint64_t hash = hash_of(queue);

    for (size_t i = 0; i < f->n; i++)
        if (f->accounts[i].queue == hash && f->accounts[i].at_ms > f->now_ms)
            return f->accounts[i].at_ms;
    return f->now_ms;
}

/* An account that stands where a new one would begin need not be kept. */
static void forget_old(struct fair *f)
{
    size_t kept = 0;

    for (size_t i = 0; i < f->n; i++)
        if (f->accounts[i].at_ms > f->now_ms)
            f->accounts[kept++] = f->accounts[i];
    f->n = kept;
}

/* Where this queue's account is. When there are too many, it replaces the one that is the least
 * ahead. */
static struct fair_account *account(struct fair *f, uint64_t hash)
{
    struct fair_account *least = &f->accounts[0];

    for (size_t i = 0; i < f->n; i++) {
        if (f->accounts[i].queue == hash)
            return &f->accounts[i];
        if (f->accounts[i].at_ms < least->at_ms)
            least = &f->accounts[i];
    }
    return f->n < FAIR_ACCOUNTS ? &f->accounts[f->n++] : least;
}

int64_t fair_served(struct fair *f, struct slice queue, int64_t took_ms)
{
    int64_t at = fair_at(f, queue);

    f->now_ms = at;
    forget_old(f);
    if (took_ms > 0)
        *account(f, hash_of(queue)) = (struct fair_account){hash_of(queue), at + took_ms};
    return at + took_ms;
}

/*
 * turn_backlog - which outbox rows wait for their outlet, and whose turn it is
 * (store/outbox_backlog.h)
 *
 * A row whose outlet has no room stops the walk over the outbox, as long as that may end soon:
 * where all rows go to one outlet, or room comes again within PATIENCE_MS, nothing is written.
 * After that the walk writes such rows into the backlog of their outlet, and goes on to those of
 * other outlets. What comes later for an outlet that has a backlog joins its end, so that order is
 * kept. The backlogs are served in turn, each as far as its outlet has room. What was refused
 * before has a backlog of its own, so that it cannot keep out what is tried for the first time.
 */
#include "engine/turn_int.h"

#include "store/outbox_backlog.h"

#include <stdio.h>
#include <string.h>

enum {
    PATIENCE_MS = 250,
    QUANTUM_MIN = 16,  /* rows of a backlog at once, at least */
    LISTED_MAX = 32,   /* lines that one turn serves */
    SCOUT_MAX = 5000,  /* rows that one turn looks at ahead of the cursor */
    SCOUTED_MAX = 500, /* that it sets aside */
    PLACE_MAX = 255,   /* of an exchange's or a queue's name; more is cut */
};

struct slice backlogs_name(char room[BACKLOG_NAME_MAX], const struct outbox_row *row,
                           const struct destination *to)
{
    bool queue = to->kind == EXCHANGE_DEFAULT;
    const char *place = queue ? to->routing_key : to->exchange;
    size_t len = strlen(place);
    int n = snprintf(room, BACKLOG_NAME_MAX, "%s %.*s%s", queue ? "queue" : "exchange",
                     (int)(len > PLACE_MAX ? text_utf8_prefix(place, PLACE_MAX) : len), place,
                     row->attempts > 0 ? ", refused before" : "");

    return (struct slice){room, (size_t)n};
}

static bool same_outlet(const struct destination *a, const struct destination *b)
{
    if (a->kind == EXCHANGE_DEFAULT || b->kind == EXCHANGE_DEFAULT)
        return a->kind == b->kind && strcmp(a->routing_key, b->routing_key) == 0;
    return strcmp(a->exchange, b->exchange) == 0;
}

static bool is_lonely(const struct topology *rules)
{
    const struct destination *first = NULL;

    for (size_t i = 0; i < rules->n_routes; i++) {
        const struct route *r = &rules->routes[i];

        if (r->to_function != 0)
            return false;
        for (size_t k = 0; k < r->n_to; k++) {
            first = first != NULL ? first : &r->to[k];
            if (!same_outlet(first, &r->to[k]))
                return false;
        }
    }
    return true;
}

void backlogs_use_rules(struct turn *t)
{
    t->backlogs.counted = false;
    t->backlogs.stuck_ms = -1;
}

int backlogs_begin(struct turn *t, struct err *err)
{
    struct backlogs *l = &t->backlogs;
    char name[BACKLOG_NAME_MAX];
    size_t len = 0;
    int rc = l->ready ? OK : backlog_again(t->parts.db, err);

    l->found = rc == OK;
    l->lonely = l->counted ? l->lonely : is_lonely(rules_topology(script_rules(*t->script)));
    l->counted = true;
    l->n_known = 0;
    l->stuck = false;
    if (rc == OK)
        rc = backlog_next(t->parts.db, (struct slice){"", 0}, name, sizeof name, &len, err);
    l->any = len > 0;
    return rc;
}

int64_t backlogs_due(const struct turn *t)
{
    const struct backlogs *l = &t->backlogs;

    return l->lonely || l->stuck_ms < 0 ? INT64_MAX : t->now_ms + PATIENCE_MS;
}

void backlogs_end(struct turn *t)
{
    struct backlogs *l = &t->backlogs;

    if (!l->stuck)
        l->stuck_ms = -1;
    else if (l->stuck_ms < 0)
        l->stuck_ms = t->began_ms;
}

/* What is known of a backlog in this turn; NULL when there are too many. */
static struct backlog *look_up(struct turn *t, struct slice name)
{
    struct backlogs *l = &t->backlogs;
    uint64_t hash = text_hash(TEXT_HASH_START, name.data, name.len);
    struct backlog *own;

    for (size_t i = 0; i < l->n_known; i++)
        if (l->known[i].hash == hash)
            return &l->known[i];
    if (l->n_known == BACKLOGS_KNOWN_MAX)
        return NULL;
    own = &l->known[l->n_known++];
    *own = (struct backlog){.hash = hash};
    /* Where that cannot be read, waiting is right, too. */
    if (l->any && backlog_has_rows(t->parts.db, name, &own->waits, NULL) != OK)
        own->waits = true;
    return own;
}

/* A row whose outlet has a backlog joins it at once. Where the outlet has none, the walk waits for
 * a while before it begins one. */
enum backlog_answer backlogs_ask(struct turn *t, struct slice name, bool has_room)
{
    struct backlogs *l = &t->backlogs;
    bool patient = l->lonely || l->stuck_ms < 0 || t->began_ms - l->stuck_ms < PATIENCE_MS;
    struct backlog *own;

    if (has_room && !l->any)
        return BACKLOG_GO;
    own = look_up(t, name);
    if (own != NULL && t->share.at == SHARE_FRESH && l->flood == 0 && (own->waits || !has_room))
        l->flood = own->hash;
    if (own != NULL && own->waits)
        return BACKLOG_WAIT;
    if (own != NULL && has_room)
        return BACKLOG_GO;
    if (own == NULL || patient) {
        l->stuck = true;
        return BACKLOG_STOP;
    }
    l->any = own->waits = true;
    return BACKLOG_WAIT;
}

/* Backlogs that this turn serves. */
struct listed {
    char name[BACKLOG_NAME_MAX];
    size_t len;
    bool done; /* in this turn there is no more to do with it */
};

/* Begins behind the one where the last turn began, and goes on with the first one after the
 * last. */
static int list_backlogs(struct turn *t, struct listed *list, size_t *n_out, struct err *err)
{
    struct slice after = {t->backlogs.last_len > 0 ? t->backlogs.last : "", t->backlogs.last_len};
    bool wrapped = after.len == 0;
    int rc = OK;

    *n_out = 0;
    while (rc == OK && *n_out < LISTED_MAX) {
        struct listed *next = &list[*n_out];

        next->done = false;
        rc = backlog_next(t->parts.db, after, next->name, sizeof next->name, &next->len, err);
        if (rc != OK || (next->len == 0 && wrapped))
            break;
        if (wrapped && *n_out > 0 && next->len == list[0].len &&
            memcmp(next->name, list[0].name, next->len) == 0)
            break;
        t->backlogs.laps += next->len == 0;
        wrapped = wrapped || next->len == 0;
        after = (struct slice){next->name, next->len};
        *n_out += next->len > 0;
    }
    return rc;
}

/* When there are more than one turn serves, the next turn begins behind the last of these. It comes
 * at once, until all were served and no row went out. */
static void move_on(struct turn *t, const struct listed *list, size_t n, bool moved)
{
    const struct listed *last = &list[n == LISTED_MAX ? n - 1 : 0];
    struct backlogs *l = &t->backlogs;

    l->last_len = last->len;
    memcpy(l->last, last->name, last->len);
    if (moved || n < LISTED_MAX || l->laps > 1)
        l->laps = 0;
    else
        t->more = true;
}

/* Some rows of each. */
static int serve(struct turn *t, struct listed *list, size_t n, size_t quantum, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < n && rc == OK && t->budget > 0; i++) {
        size_t before = t->budget, most = quantum < before ? quantum : before;

        if (list[i].done)
            continue;
        t->backlogs.served = (struct slice){list[i].name, list[i].len};
        rc = outbox_claim_backlog(t->parts.db, t->backlogs.served, most, publish_row, t, err);
        list[i].done = before - t->budget < most;
    }
    t->backlogs.served = (struct slice){NULL, 0};
    return rc;
}

static bool was_passed(const struct backlogs *l, uint64_t hash)
{
    for (size_t i = 0; i < l->n_passed; i++)
        if (l->passed[i] == hash)
            return true;
    return false;
}

/* An outbox_row_fn. Rows of the outlet that stopped the walk are left to the walk, and so are all
 * later ones of it until the walk is here, so that none overtakes another. */
static bool scout_row(void *arg, const struct outbox_row *row)
{
    struct turn *t = arg;
    struct backlogs *l = &t->backlogs;
    char room[BACKLOG_NAME_MAX];
    struct destination leg;
    const struct destination *to = publish_glance(t, row, &leg);
    struct slice name;
    struct backlog *own;

    if (to == NULL || t->n_decisions >= SCOUTED_MAX || t->n_plain == TURN_ROWS_MAX)
        return false;
    name = backlogs_name(room, row, to);
    own = look_up(t, name);
    if (own == NULL || (own->hash == l->flood && l->n_passed == BACKLOGS_KNOWN_MAX))
        return false;
    if (was_passed(l, own->hash))
        return true;
    if (own->hash == l->flood) {
        l->passed[l->n_passed++] = own->hash;
        return true;
    }
    own->waits = t->more = true;
    format_note_inherited(t, row); /* as far as a glance tells: what is known already stays */
    publish_to_backlog(t, row, name);
    return true;
}

/* A flood to one outlet is long, and to write all of it into the backlog takes its time: rows of
 * other outlets behind it are found by reading ahead. */
static int scout(struct turn *t, struct err *err)
{
    struct backlogs *l = &t->backlogs;
    int rc;

    if (l->scouted <= t->cursor) {
        l->scouted = t->cursor;
        l->n_passed = 0;
    }
    rc = backlog_glance(t->parts.db, l->scouted, SCOUT_MAX, scout_row, t, &l->scouted_next, err);
    t->more = t->more || l->scouted_next - l->scouted >= SCOUT_MAX;
    return rc;
}

int backlogs_serve(struct turn *t, struct err *err)
{
    struct listed list[LISTED_MAX];
    size_t n = 0, quantum, all = t->budget, before = all + 1;
    int rc = t->backlogs.any ? list_backlogs(t, list, &n, err) : OK;

    if (rc != OK || n == 0)
        return rc;
    quantum = all / n > QUANTUM_MIN ? all / n : QUANTUM_MIN;
    while (rc == OK && t->budget > 0 && t->budget < before) {
        before = t->budget;
        rc = serve(t, list, n, quantum, err);
    }
    move_on(t, list, n, t->budget < all);
    rc = rc == OK ? scout(t, err) : rc;
    t->backlogs.flood = 0; /* the walk over fresh rows comes now, and finds it anew */
    return rc;
}

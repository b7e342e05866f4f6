/* standstill - see standstill.h. */
#include "engine/standstill.h"

#include "base/json.h"
#include "engine/engine_int.h"
#include "store/rules_taken.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    AGAIN_MIN_MS = 250,
    AGAIN_MAX_MS = 5000,
    TOLD_MAX = 5,
    TYPES_MAX = 100000,
    NAME_ROOM = 2048
};

struct standstill *standstill_new(void)
{
    struct standstill *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->over_at_ms = s->look_at_ms = s->again_at_ms = INT64_MAX;
    buf_init(&s->known, RULESET_MAX);
    past_rules_init(&s->past);
    return s;
}

void standstill_free(struct standstill **s)
{
    if (*s == NULL)
        return;
    buf_free(&(*s)->known);
    past_rules_free(&(*s)->past);
    free(*s);
    *s = NULL;
}

static int64_t mono(const struct engine *e)
{
    return clock_mono(&e->host.clock);
}

static struct slice text_of(const struct buf *b)
{
    return (struct slice){b->data, b->len};
}

/* What a set would take away, being found. */
struct losses {
    struct buf *lines;
    struct nameset types; /* of rows that wait for a route */
    bool asked;           /* they were read */
    size_t n;
    char words[900]; /* the first few */
};

static void tell(struct losses *l, const char *what, const struct ruleset_entry *r)
{
    size_t used = strlen(l->words);
    const char *second = r->name[1].data;
    char name[NAME_ROOM];
    const struct json_string members[] = {{"what", what}, {"name", name}};

    snprintf(name, sizeof name, "%s%s%s", r->name[0].data, second ? " " : "", second ? second : "");
    json_put_line(l->lines, "takes_away", members, sizeof members / sizeof members[0]);
    if (l->n++ < TOLD_MAX)
        snprintf(l->words + used, sizeof l->words - used, "%s%s \"%.100s\"%s%.60s",
                 l->n > 1 ? ", " : "", what, r->name[0].data, second ? " " : "",
                 second ? second : "");
}

static bool keep_type(void *arg, struct slice type)
{
    const struct slice name[LOOKUP_PARTS] = {type, {NULL, 0}, {NULL, 0}};

    return nameset_put(arg, name, 0); /* too many types: some are not waited for */
}

static int has_rows(struct engine *e, struct losses *l, struct slice type, bool *out,
                    struct err *err)
{
    const struct slice name[LOOKUP_PARTS] = {type, {NULL, 0}, {NULL, 0}};
    int rc = l->asked ? OK : rules_taken_types(e->db, keep_type, &l->types, err);

    l->asked = true;
    *out = rc == OK && nameset_find(&l->types, name) != NULL;
    return rc;
}

static int judge_entry(struct engine *e, struct losses *l, const struct ruleset_entry *r,
                       struct err *err)
{
    bool waited_for = false;
    int rc = OK;

    switch (r->kind) {
    case RULESET_FILE:
        tell(l, "file", r);
        break;
    case RULESET_SUBSCRIPTION:
        tell(l, "subscription", r);
        break;
    case RULESET_HANDLER:
        tell(l, "the handler of", r);
        break;
    case RULESET_ROUTE:
        rc = has_rows(e, l, r->name[0], &waited_for, err);
        if (waited_for)
            tell(l, "with rows that wait, the route of", r);
        break;
    }
    return rc;
}

static int find_losses(struct engine *e, const struct script *next, struct losses *l,
                       struct err *err)
{
    struct slice left = text_of(&e->still->known);
    struct ruleset_entry r;
    int rc = OK;

    l->types.max = TYPES_MAX;
    while (rc == OK && ruleset_next(&left, &r))
        if (ruleset_misses(next, &r))
            rc = judge_entry(e, l, &r, err);
    nameset_clear(&l->types);
    if (l->n > TOLD_MAX) {
        size_t used = strlen(l->words);

        snprintf(l->words + used, sizeof l->words - used, ", and %zu more", l->n - TOLD_MAX);
    }
    return rc;
}

/* The files are not the same as before: their standstill begins now. */
static void wait_for(struct engine *e, const char *hash, const char *words, bool ask)
{
    struct standstill *s = e->still;
    int64_t over = mono(e) + PAST_STILL_MS;

    s->waiting = true;
    snprintf(s->hash, sizeof s->hash, "%s", hash);
    s->over_at_ms = s->look_at_ms = ask ? INT64_MAX : over;
    if (s->past.stable_at_ms < s->over_at_ms)
        s->past.stable_at_ms = s->over_at_ms;
    snprintf(s->why, sizeof s->why, "the files lack %s", words);
    log_event(e->host.log, LOG_WARN, "rules.waiting",
              LOG_FIELDS(log_int("generation", e->generation), log_text("lacking", words),
                         log_text("what_now",
                                  ask ? "`herald reload` takes the files as they are"
                                      : "the files are taken when they have not changed for 10 s, "
                                        "or at once by `herald reload`")));
}

static void stop_waiting(struct standstill *s)
{
    s->waiting = false;
    s->why[0] = s->hash[0] = '\0';
    s->over_at_ms = s->look_at_ms = s->again_at_ms = INT64_MAX;
    s->again_wait_ms = 0;
}

static void remember(struct engine *e, struct buf *fresh)
{
    struct buf *known = &e->still->known;

    if (known->len == fresh->len && known->len > 0 &&
        memcmp(known->data, fresh->data, known->len) == 0) {
        buf_free(fresh);
        return;
    }
    buf_free(known);
    *known = *fresh;
    buf_init(fresh, RULESET_MAX);
    turn_remember(e->turn, text_of(known));
}

int standstill_prepare(const struct script *next, struct buf *fresh, struct err *err)
{
    buf_init(fresh, RULESET_MAX);
    if (ruleset_write(next, fresh) == OK)
        return OK;
    buf_free(fresh);
    return err_set(err, ERR_NOMEM, "out of memory for the names of the rules");
}

int standstill_begin(struct engine *e, struct err *err)
{
    struct standstill *s = e->still;
    struct buf fresh, lines;
    struct losses l = {.lines = &lines};
    int rc = rules_taken_read(e->db, &s->known, err);

    turn_use_past(e->turn, &s->past);
    if (rc == OK)
        rc = standstill_prepare(e->script, &fresh, err);
    if (rc != OK)
        return rc;
    buf_init(&lines, RULESET_MAX);
    rc = find_losses(e, e->script, &l, err);
    buf_free(&lines);
    if (rc == OK)
        past_rules_note(&s->past, text_of(&s->known), e->script, mono(e));
    if (rc == OK && l.n > 0) {
        wait_for(e, script_hash(e->script), l.words, e->settings.removed_rules == REMOVED_REFUSE);
    } else if (rc == OK) {
        s->past.stable_at_ms = mono(e) + PAST_STILL_MS;
        remember(e, &fresh);
    }
    buf_free(&fresh);
    return rc;
}

/* Whether a set that lacks something has to wait, when no person has asked for it. */
static int judge_losses(struct engine *e, const struct engine_reload *r, const struct script *next,
                        const struct losses *l, bool *wait_out, struct err *err)
{
    struct standstill *s = e->still;
    bool same = s->waiting && strcmp(s->hash, script_hash(next)) == 0;

    *wait_out = !(same && mono(e) >= s->over_at_ms);
    if (!*wait_out || same)
        return OK;
    if (r->settings->removed_rules == REMOVED_REFUSE &&
        strcmp(script_hash(e->script), script_hash(next)) != 0)
        return err_set(err, ERR_CONFIG,
                       "the files lack %s: `herald reload` takes them as they are (setting "
                       "removed_rules)",
                       l->words);
    wait_for(e, script_hash(next), l->words, r->settings->removed_rules == REMOVED_REFUSE);
    return OK;
}

int standstill_judge(struct engine *e, const struct engine_reload *r, const struct script *next,
                     struct buf *lines, bool *wait_out, struct err *err)
{
    struct losses l = {.lines = lines};
    int rc = find_losses(e, next, &l, err);

    *wait_out = false;
    if (rc == OK && l.n > 0 && r->automatic && !r->dry_run)
        rc = judge_losses(e, r, next, &l, wait_out, err);
    if (rc == OK && l.n > 0 && !*wait_out && !r->dry_run)
        log_event(e->host.log, LOG_WARN, "rules.removed",
                  LOG_FIELDS(log_int("generation", e->generation), log_text("lacking", l.words),
                             log_text("why", r->automatic ? "the files have not changed for 10 s"
                                                          : "somebody asked for it")));
    return rc;
}

void standstill_took(struct engine *e, const struct script *before, const struct script *now,
                     bool same, struct buf *fresh)
{
    struct standstill *s = e->still;
    int64_t stable = mono(e) + PAST_STILL_MS;
    struct buf old;

    past_rules_note(&s->past, text_of(&s->known), now, mono(e));
    if (before != now && standstill_prepare(before, &old, NULL) == OK) {
        past_rules_note(&s->past, text_of(&old), now, mono(e));
        buf_free(&old);
    }
    if (!same || s->past.stable_at_ms > stable)
        s->past.stable_at_ms = stable;
    stop_waiting(s);
    remember(e, fresh);
}

void standstill_spoilt(struct engine *e)
{
    struct standstill *s = e->still;

    s->again_at_ms = INT64_MAX;
    if (!s->waiting)
        return;
    s->hash[0] = '\0';
    s->over_at_ms = s->look_at_ms = INT64_MAX; /* somebody must save them again */
    snprintf(s->why, sizeof s->why,
             "the files cannot be loaded: what they lack is known once they can");
}

void standstill_again(struct engine *e, const struct err *why)
{
    struct standstill *s = e->still;
    bool first = s->again_wait_ms == 0;

    s->again_wait_ms = first ? AGAIN_MIN_MS : s->again_wait_ms * 2;
    if (s->again_wait_ms > AGAIN_MAX_MS)
        s->again_wait_ms = AGAIN_MAX_MS;
    s->again_at_ms = mono(e) + s->again_wait_ms;
    snprintf(s->why, sizeof s->why, "they could not be taken: %.900s", why->text);
    if (first)
        log_event(e->host.log, LOG_WARN, "rules.delayed",
                  LOG_FIELDS(log_int("generation", e->generation), log_text("reason", why->text),
                             log_text("what_now", "it is tried again until it works")));
}

void standstill_look(struct engine *e)
{
    struct standstill *s = e->still;
    int64_t now = mono(e);

    if ((now < s->look_at_ms && now < s->again_at_ms) || e->host.edited == NULL)
        return;
    s->again_at_ms = INT64_MAX;
    if (now >= s->look_at_ms)
        s->look_at_ms = now + PAST_STILL_MS; /* should nothing come of it */
    e->host.edited(e->host.arg);
}

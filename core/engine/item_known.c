/* item_known - whether a message was here before (item.h): by its name in the inbox, by the name
 * that herald 0.1.0 gave it, or by its age */
#include "engine/item.h"

#include "base/failpoint.h"
#include "store/inbox.h"

#include <inttypes.h>
#include <stdio.h>

/* After an upgrade the queues that the first rules listen to start where all queues were. */
static int inherit_floors(struct turn *t, struct err *err)
{
    const struct topology *all;
    int64_t floor;
    int rc;

    if (t->floors_inherited || t->script == NULL)
        return OK;
    all = rules_topology(script_rules(*t->script));
    rc = inbox_inherited(t->parts.db, &floor, err);
    for (size_t n = 0; rc == OK && floor > 0 && n < all->n_subscriptions; n++)
        rc = inbox_inherit(t->parts.db, slice_of(all->subscriptions[n].queue), floor, err);
    return rc == OK && floor > 0 ? inbox_bequeath(t->parts.db, err) : rc;
}

int known_begin(struct turn *t, struct err *err)
{
    int rc = inherit_floors(t, err);

    if (rc == OK)
        rc = inbox_floor(t->parts.db, &t->inbox_floor, err);
    return rc == OK ? inbox_has_old(t->parts.db, &t->old_ids, err) : rc;
}

/* Without a message id 0.1.0 named a message by the body's id, wherever there was one, and by the
 * older fingerprint. */
static int look_for_old_name(const struct turn *t, const struct item *i, struct inbox_seen *seen,
                             struct err *err)
{
    char name[IDENTITY_MAX];
    int n;

    if (!t->old_ids || i->received.id.data != NULL || i->in_body.data == NULL ||
        i->in_body.len > IN_BODY_MAX)
        return OK;
    n = snprintf(name, sizeof name, "%.*s#%016" PRIx64, (int)i->in_body.len, i->in_body.data,
                 message_hash(&i->message));
    return inbox_look(t->parts.db, i->queue, (struct slice){name, (size_t)n}, seen, err);
}

static bool is_of(const struct item *i, const struct fingerprint *f)
{
    return f->bits == i->fingerprint.bits ||
           (f->version == FINGERPRINT_OF_READ && f->bits == message_hash(&i->message));
}

int item_enter(struct turn *t, struct item *i, bool *go_on, struct err *err)
{
    struct inbox_seen seen = {.known = false};
    int rc = look_for_old_name(t, i, &seen, err);
    bool is_old = seen.known; /* and told from all others by that name */

    *go_on = rc == OK && !is_old;
    if (*go_on && i->identity.data == NULL) {
        t->delta.unidentified++;
        return OK;
    }
    if (*go_on)
        rc = inbox_enter(t->parts.db, i->queue, i->identity, i->fingerprint, t->now_ms, &seen, err);
    if (rc == OK)
        failpoint("inbox_entered");
    if (rc != OK || !seen.known)
        return rc;
    *go_on = false;
    if (!is_old && !is_of(i, &seen.fingerprint))
        return item_id_used_twice(t, i, err);
    t->delta.duplicates++;
    item_log(t, LOG_INFO, "message.duplicate", i,
             seen.state == INBOX_DONE      ? "handled before"
             : seen.state == INBOX_WAITING ? "its retry waits"
                                           : "it is a dead letter");
    return OK;
}

/* Its key may have been there once and gone: nobody can tell a repeat from a late one. */
int item_floor(const struct turn *t, const struct item *i, int64_t *floor_out, struct err *err)
{
    int64_t sent_s = i->received.timestamp_s;
    int rc;

    *floor_out = 0;
    if (i->identity.data == NULL || sent_s <= 0 || sent_s >= t->inbox_floor / 1000)
        return OK;
    rc = inbox_floor_of(t->parts.db, i->queue, floor_out, err);
    if (sent_s >= *floor_out / 1000)
        *floor_out = 0;
    return rc;
}

int item_bury_old(struct turn *t, const struct item *i, int64_t floor, struct err *err)
{
    char sent[32], since[32], why[320];

    clock_iso8601(i->received.timestamp_s * 1000, sent, sizeof sent);
    clock_iso8601(floor, since, sizeof since);
    snprintf(why, sizeof why,
             "too old to tell: sent at %s, and ids are remembered since %s only, so it may have "
             "been handled before: look whether it has had its effect, replay it if not, drop it "
             "if so (setting inbox_window)",
             sent, since);
    return item_bury(t, i, why, NULL, 0, err);
}

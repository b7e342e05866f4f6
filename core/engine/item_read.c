/* item_read - what a message is before its handler is called (item.h): its type and keys, its
 * identity, both of which may be asked of functions of the rules, and whether it was here before:
 * by its identity in the inbox, by the one that herald 0.1.0 gave it, or by its age */
#include "engine/item.h"

#include "base/failpoint.h"
#include "base/message_keys.h"
#include "base/unpack.h"
#include "store/inbox.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct script_message item_as_seen(const struct item *i)
{
    return (struct script_message){
        .message = &i->message,
        .raw = i->received.body,
        .content_type = i->received.content_type,
        .subscription = i->subscription,
        .queue = i->queue,
        .exchange = i->exchange,
        .routing_key = i->routing_key,
        .attempt = i->attempt,
        .redelivered = i->redelivered,
        .trace = trace_context_is(&i->trace) ? &i->trace : NULL,
    };
}

/* As it was received: that is the same at the next start, whatever the rules make of it.
 * A body is looked at only where there is no id. */
static uint64_t strike_fingerprint(const struct message *received)
{
    return received->id.data != NULL ? 0 : message_hash(received);
}

int item_strikes(const struct turn *t, struct slice queue, const struct message *received)
{
    if (!strike_any(t->parts.strike))
        return 0;
    return strike_count(t->parts.strike, queue, received->id, strike_fingerprint(received));
}

uint64_t item_strike_key(const struct item *i)
{
    return strike_key(i->queue, i->received.id, strike_fingerprint(&i->received));
}

void item_strike_words(char *out, size_t size)
{
    snprintf(out, size,
             "crashed the router %d times in a row in its handler: it was not run again; mend the "
             "handler, then replay it (herald dead replay)",
             STRIKES_MAX);
}

/* Log lines of the rules' functions say which message they are about. */
void item_begin_call(struct turn *t, const struct item *i)
{
    struct slice id = i->identity.data != NULL ? i->identity : i->message.id;

    t->caution.asking = false;
    t->bridge.about = (struct bridge_about){.message_id = id,
                                            .generation = t->generation,
                                            .hash = script_hash(*t->script),
                                            .trace = trace_context_is(&i->trace) ? &i->trace : NULL,
                                            .span = i->span};
    strike_enter(t->parts.strike, i->queue, i->received.id, strike_fingerprint(&i->received));
    watchdog_enter(t->parts.watchdog, "a handler");
}

void item_end_call(struct turn *t, bool last)
{
    watchdog_leave(t->parts.watchdog);
    if (last)
        strike_leave(t->parts.strike);
    else
        strike_exit(t->parts.strike);
    t->bridge.about = (struct bridge_about){.hash = NULL};
}

/* A function of the rules failed that is asked before the handler. A mistake of its own counts as
 * one of the handler. Anything else has the turn run again with this message alone, as in a
 * handler, and counts as this message's mistake when it happens again. */
static int asked_in_vain(struct turn *t, int rc, struct err *err)
{
    if (rc == ERR_SCRIPT)
        return err->code = rc;
    t->caution.asking = true;
    t->outcome.verdict = rc == ERR_NOMEM ? SCRIPT_NOMEM : SCRIPT_ENVIRONMENT;
    t->outcome.code = rc;
    snprintf(t->outcome.error, sizeof t->outcome.error, "%s", err->text);
    return rc;
}

/* A message that has its verdict already is not shown to a function of the rules once more: the
 * culprit of a turn that is run again, which failed in such a function, and what has crashed the
 * router too often. */
static int may_be_asked(const struct turn *t, const struct item *i, struct err *err)
{
    if (handle_condemns(t) && t->caution.asking)
        return err_set(err, ERR_SCRIPT, "%s", t->caution.verdict.error);
    if (!i->condemned)
        return OK;
    item_strike_words(err->text, sizeof err->text);
    return err->code = ERR_INPUT;
}

static int check_expiry(const struct turn *t, int64_t expires_at, struct err *err)
{
    char at[32];

    if (expires_at == 0 || expires_at > t->now_ms)
        return OK;
    clock_iso8601(expires_at, at, sizeof at);
    return err_set(err, ERR_INPUT, "expired: its sender wanted nothing of it from %s on", at);
}

/* What the function says of the message as it was received. */
static int ask_envelope(struct turn *t, struct item *i, struct err *err)
{
    const struct script_message m = item_as_seen(i);
    struct script_reading reading;
    int rc = may_be_asked(t, i, err);

    if (rc != OK)
        return rc;
    item_begin_call(t, i);
    rc = script_envelope(*t->script, &m, &reading, err);
    item_end_call(t, false);
    if (rc == ERR_INPUT)
        return err->code;
    if (rc != OK)
        return asked_in_vain(t, rc, err);
    i->message = reading.message;
    i->due_at = reading.due_at;
    return check_expiry(t, reading.expires_at, err);
}

static int read_raw(struct item *i, struct err *err)
{
    if (i->message.type.len == 0)
        i->message.type = i->routing_key.len > 0 ? i->routing_key : i->exchange;
    return i->message.type.len > 0 ? OK
                                   : err_set(err, ERR_INPUT,
                                             "no type: neither the property `type` nor a routing "
                                             "key nor an exchange says what it is");
}

static int read_envelope(struct turn *t, struct item *i, struct err *err)
{
    switch (i->subscription ? i->subscription->envelope : ENVELOPE_AUTO) {
    case ENVELOPE_FUNCTION:
        return ask_envelope(t, i, err);
    case ENVELOPE_RAW:
        return read_raw(i, err);
    case ENVELOPE_AUTO:
        break;
    }
    if (message_resolve(&i->message, &t->envelope, err) != OK)
        return err->code;
    i->in_body = t->envelope.id;
    i->enveloped = t->envelope.type.data != NULL;
    return OK;
}

/* What was received stays as it came. */
static int unpack(struct turn *t, struct item *i, struct err *err)
{
    bool raw = i->subscription != NULL && i->subscription->envelope == ENVELOPE_RAW;
    int rc;

    if (raw || !unpack_is_due(&i->received))
        return OK;
    rc = unpack_body(&t->unpacked, i->received.body, (size_t)t->settings->message_max, err);
    if (rc == OK)
        i->message.body = (struct slice){t->unpacked.data, t->unpacked.len};
    return rc;
}

static bool has_key_paths(const struct item *i)
{
    const struct subscription *s = i->subscription;

    return s != NULL && (s->key_path[0] || s->key_path[1] || s->key_path[2]);
}

/* Fills type, keys and id. ERR_INPUT: nobody can read it, a dead letter with these words. */
int item_read(struct turn *t, struct item *i, struct err *err)
{
    int rc;

    i->in_body = (struct slice){NULL, 0};
    i->enveloped = i->read = false;
    if (i->message.body.len > (size_t)t->settings->message_max)
        return err_set(err, ERR_INPUT,
                       "body of %zu bytes is over the limit of %zu (message_max): it is kept here, "
                       "and no rule is asked about it",
                       i->message.body.len, (size_t)t->settings->message_max);
    rc = unpack(t, i, err);
    if (rc == OK)
        rc = read_envelope(t, i, err);
    if (rc == OK && has_key_paths(i))
        rc = message_keys_find(&i->message, i->subscription->key_path, t->key_tapes, err);
    i->read = rc == OK;
    return rc;
}

/* A message that came without an id gets its identity from the rules' own function, whose words
 * are checked to be short enough. */
static int ask_identity(struct turn *t, struct item *i, struct err *err)
{
    const struct script_message m = item_as_seen(i);
    struct slice id = {NULL, 0};
    int rc = may_be_asked(t, i, err);

    if (rc != OK)
        return rc;
    item_begin_call(t, i);
    rc = script_identity(*t->script, &m, &id, err);
    item_end_call(t, false);
    if (rc != OK)
        return asked_in_vain(t, rc, err);
    if (id.data != NULL && id.len < sizeof i->identity_text) {
        memcpy(i->identity_text, id.data, id.len);
        i->identity = (struct slice){i->identity_text, id.len};
    }
    return OK;
}

/* Said once to each set of rules: until 0.1.0 any id of a body was its message's identity. */
static void tell_body_id(struct turn *t, const struct item *i)
{
    if (i->in_body.data == NULL || t->told_body_ids == t->generation)
        return;
    t->told_body_ids = t->generation;
    item_log(t, LOG_WARN, "message.body_id", i,
             "it has no message id, and the id in its body names it only beside messageType: a "
             "repeat of it would be handled again. identity = \"body.id\" in herald.subscribe has "
             "that id name it, and identity = function() return nil end says that nothing does");
}

static void identify_by_body(struct item *i)
{
    int n = snprintf(i->identity_text, sizeof i->identity_text, "%.*s#%016" PRIx64,
                     (int)i->in_body.len, i->in_body.data, i->fingerprint.bits);

    i->identity = (struct slice){i->identity_text, (size_t)n};
}

/* Without an AMQP message id the identity is what the rules' function says, or the id of an
 * envelope together with the fingerprint, since the services that send such bodies number per
 * table. Any other id in a body is that of what the message is about, and is the identity only on
 * request. */
int item_identify(struct turn *t, struct item *i, struct err *err)
{
    const struct subscription *s = i->subscription;

    i->identity = i->message.id;
    if (i->identity.data != NULL)
        return OK;
    if (s->identity != 0)
        return ask_identity(t, i, err);
    if (!i->enveloped && !s->identity_in_body)
        tell_body_id(t, i);
    else if (i->in_body.data != NULL && i->in_body.len <= IN_BODY_MAX)
        identify_by_body(i);
    return OK;
}

/* Who judged that a message cannot be read: the core (0), or a generation of the rules. */
int64_t item_reader(const struct turn *t, const struct item *i)
{
    bool asked = i->subscription->envelope == ENVELOPE_FUNCTION || i->subscription->identity != 0;

    return asked ? t->generation : 0;
}

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

int item_read_begin(struct turn *t, struct err *err)
{
    int rc = inherit_floors(t, err);

    if (rc == OK)
        rc = inbox_floor(t->parts.db, &t->inbox_floor, err);
    return rc == OK ? inbox_has_old(t->parts.db, &t->old_ids, err) : rc;
}

/* Without a message id the identity in 0.1.0 was the body's id, wherever there was one, with the
 * older fingerprint. */
static int look_for_old_identity(const struct turn *t, const struct item *i,
                                 struct inbox_seen *seen, struct err *err)
{
    char old[IDENTITY_MAX];
    int n;

    if (!t->old_ids || i->received.id.data != NULL || i->in_body.data == NULL ||
        i->in_body.len > IN_BODY_MAX)
        return OK;
    n = snprintf(old, sizeof old, "%.*s#%016" PRIx64, (int)i->in_body.len, i->in_body.data,
                 message_hash(&i->message));
    return inbox_look(t->parts.db, i->queue, (struct slice){old, (size_t)n}, seen, err);
}

static bool is_of(const struct item *i, const struct fingerprint *f)
{
    return f->bits == i->fingerprint.bits ||
           (f->version == FINGERPRINT_OF_READ && f->bits == message_hash(&i->message));
}

int item_enter(struct turn *t, struct item *i, bool *go_on, struct err *err)
{
    struct inbox_seen seen = {.known = false};
    int rc = look_for_old_identity(t, i, &seen, err);
    bool is_old = seen.known; /* and told from all others by that identity */

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

/* Its inbox row may have been there once and gone: nobody can tell a repeat from a late one. */
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

int item_dead_letter_old(struct turn *t, const struct item *i, int64_t floor, struct err *err)
{
    char sent[32], since[32], why[320];

    clock_iso8601(i->received.timestamp_s * 1000, sent, sizeof sent);
    clock_iso8601(floor, since, sizeof since);
    snprintf(why, sizeof why,
             "too old to tell: sent at %s, and ids are remembered since %s only, so it may have "
             "been handled before: look whether it has had its effect, replay it if not, drop it "
             "if so (setting inbox_window)",
             sent, since);
    return item_dead_letter(t, i, why, NULL, 0, err);
}

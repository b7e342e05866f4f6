/* script_dispatch - script_call: a handler between its subscription's hooks, its message, its
 * transaction, its time.
 *
 * One door for preparation and handler together: what is lent holds a serial number
 * only, so there is nothing to take back but the call itself. */
#include "script/lib_msg.h"
#include "script/lib_tx.h"
#include "script/protect.h"
#include "script/script_call.h"

enum { HANDLER = 1, MSG, TX }; /* stack: the argument of protect, what is lent */

static void call_one(lua_State *L, int function, const char *who, const char *origin)
{
    call_push_function(L, function);
    lua_pushvalue(L, MSG);
    lua_pushvalue(L, TX);
    lua_call(L, 2, 2);
    call_check_nothing(L, who, origin);
}

/* Runs under protect. */
static int run_handler(lua_State *L)
{
    const struct handler *h = lua_touserdata(L, HANDLER);
    const struct subscription *s = script_of(L)->call.message->subscription;

    lib_msg_push(L);
    lib_tx_push(L);
    if (s != NULL && s->before != 0)
        call_one(L, s->before, "before in herald.subscribe", s->origin);
    call_one(L, h->ref, "the handler", h->origin);
    if (s != NULL && s->after != 0)
        call_one(L, s->after, "after in herald.subscribe", s->origin);
    return 0;
}

static void judge(const struct state *st, int rc, const struct handler *h,
                  struct script_outcome *out)
{
    out->code = OK;
    if (rc == OK) {
        out->verdict = SCRIPT_DONE;
        return;
    }
    if (rc == ERR_SCRIPT)
        return; /* protect told a plain error from a verdict */
    out->delay_ms = -1;
    if (rc == ERR_LIMIT && st->end.code == ERR_LIMIT) {
        out->verdict = SCRIPT_FAILED;
    } else if (rc == st->end.code) {
        out->code = rc;
        out->verdict = rc == ERR_TX_LOST ? SCRIPT_TX_LOST : SCRIPT_ENVIRONMENT;
    } else {
        out->verdict = SCRIPT_NOMEM;
        if (!protect_has_place(out->error)) /* it ran out between two looks of the hook */
            protect_put_place(out->error, sizeof out->error, h->origin);
    }
}

void script_call(struct script *s, const struct handler *h, const struct script_message *m,
                 struct script_outcome *out)
{
    int rc;

    call_begin(s, m, h->timeout_ms);
    rc = protect(s->state, run_handler, (void *)(uintptr_t)h, out);
    judge(s->state, rc, h, out);
    call_end(s);
}

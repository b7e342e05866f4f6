/* dispatch - script_call: a handler, its message, its transaction, its time.
 *
 * One door for preparation and handler together: what is lent holds a serial number
 * only, so there is nothing to take back but the call itself. */
#include "script/cursor.h"
#include "script/lib_msg.h"
#include "script/lib_tx.h"
#include "script/protect.h"
#include "script/script_int.h"
#include "script/statement.h"

/* Runs under protect. */
static int run_handler(lua_State *L)
{
    const struct handler *h = lua_touserdata(L, 1);

    lua_rawgeti(L, LUA_REGISTRYINDEX, h->ref);
    lib_msg_push(L);
    lib_tx_push(L);
    lua_call(L, 2, 0);
    return 0;
}

static void begin(struct script *s, const struct script_message *m)
{
    s->call.serial++;
    s->call.message = m;
    state_start(s->state, s->settings.handler_ms);
}

/* Takes back what was lent, on every path. */
static void end(struct script *s)
{
    cursor_close_all(s);
    statement_finish(s);
    s->call.message = NULL;
    state_stop(s->state);
}

static void judge(const struct state *st, int rc, struct script_outcome *out)
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
    }
}

void script_call(struct script *s, const struct handler *h, const struct script_message *m,
                 struct script_outcome *out)
{
    int rc;

    REQUIRE(s->call.message == NULL);
    begin(s, m);
    rc = protect(s->state, run_handler, (void *)(uintptr_t)h, out);
    judge(s->state, rc, out);
    end(s);
}

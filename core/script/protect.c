/* protect - see protect.h. */
#include "script/protect.h"

#include "script/verdict.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdio.h>
#include <string.h>

enum { FRAMES_MAX = 12 };

/* Copies what a script said into a fixed text: cut at a whole character, without bytes
 * that a log or a store would choke on. */
static void copy_text(char *out, size_t size, const char *text, size_t len)
{
    size_t n = len < size - 1 ? len : size - 1, i = 0;

    while (i < n) {
        size_t good = text_utf8_prefix(text + i, n - i);

        for (size_t end = i + good; i < end; i++)
            out[i] = text[i] == '\0' ? '?' : text[i];
        if (i == n || n < len) /* a cut in the middle of a character ends the text */
            break;
        out[i++] = '?';
    }
    out[i] = '\0';
}

static int to_text(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    return 1;
}

/* A raw field "message" is what most error objects carry. */
static bool message_field(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TTABLE)
        return false;
    lua_pushliteral(L, "message");
    lua_rawget(L, index);
    return lua_type(L, -1) == LUA_TSTRING;
}

/* Puts words for any error value; a __tostring may itself fail, and is not asked when
 * the call is ended. */
static void describe(lua_State *L, int index, char *out, size_t size)
{
    const char *text;
    size_t len;
    bool asked = lua_type(L, index) == LUA_TSTRING || lua_type(L, index) == LUA_TNUMBER;

    lua_pushvalue(L, index);
    if (!asked && luaL_getmetafield(L, index, "__tostring") != LUA_TNIL &&
        state_of(L)->end.code == OK) {
        lua_pushcfunction(L, to_text);
        lua_pushvalue(L, index);
        asked = lua_pcall(L, 1, 1, 0) == LUA_OK;
    } else if (!asked) {
        asked = message_field(L, index);
    }
    text = asked ? lua_tolstring(L, -1, &len) : NULL;
    if (text != NULL)
        copy_text(out, size, text, len);
    else
        snprintf(out, size,
                 "the error is a %s without words: raise a string, or a table with a "
                 "field message or a __tostring that works",
                 luaL_typename(L, index));
}

static size_t put_frame(char *out, size_t size, const lua_Debug *ar)
{
    int n;

    if (ar->name != NULL)
        n = snprintf(out, size, "%s:%d in '%s'\n", ar->short_src, ar->currentline, ar->name);
    else if (*ar->what == 'm')
        n = snprintf(out, size, "%s:%d in the file's own code\n", ar->short_src, ar->currentline);
    else
        n = snprintf(out, size, "%s:%d in the function of line %d\n", ar->short_src,
                     ar->currentline, ar->linedefined);
    return n > 0 && (size_t)n < size ? (size_t)n : 0;
}

bool protect_has_place(const char *text)
{
    const char *p = text + strcspn(text, ":\n");

    return *p == ':' && isdigit((unsigned char)p[1]) && p[1 + strspn(p + 1, "0123456789")] == ':';
}

void protect_put_place(char *text, size_t size, const char *place)
{
    size_t n = strlen(place), len = strlen(text);

    if (n + 2 >= size)
        return;
    if (n + 2 + len >= size)
        len = text_utf8_prefix(text, size - 1 - n - 2);
    memmove(text + n + 2, text, len);
    memcpy(text, place, n);
    memcpy(text + n, ": ", 2);
    text[n + 2 + len] = '\0';
}

/* Puts the place of the nearest code of a rule's author before words that name none. */
static void add_place(lua_State *L, char *text, size_t size)
{
    char place[LUA_IDSIZE + 16];
    lua_Debug ar;

    if (!state_find_place(L, 1, &ar))
        return;
    snprintf(place, sizeof place, "%s:%d", ar.short_src, ar.currentline);
    protect_put_place(text, size, place);
}

/* Lua's own words for this name neither the limit nor what it is about. */
static void explain_overflow(char *text, size_t size)
{
    static const char words[] = "C stack overflow";
    size_t len = strlen(text), tail = sizeof words - 1;

    if (len >= tail && strcmp(text + len - tail, words) == 0)
        snprintf(text + len, size - len,
                 ": over 200 calls through C deep (pcall, metamethods, callbacks), a fixed limit: "
                 "does a function call itself for ever?");
}

/* Only frames of Lua code: what C lies between says nothing to a rule's author. */
static void trace(lua_State *L, char *out, size_t size)
{
    lua_Debug ar;
    size_t used = 0;
    int shown = 0;

    for (int level = 1; shown < FRAMES_MAX && lua_getstack(L, level, &ar); level++) {
        size_t n;

        if (!state_is_place(L, &ar))
            continue;
        lua_getinfo(L, "n", &ar);
        n = put_frame(out + used, size - used, &ar);
        if (n == 0)
            break;
        used += n;
        shown++;
    }
    out[used > 0 ? used - 1 : 0] = '\0';
}

/* Called by Lua at the place of the error, before anything is unwound. An error raised
 * by a __close during unwinding comes here again, and the last word counts. */
static int on_error(lua_State *L)
{
    struct script_outcome *out = state_of(L)->out;
    const char *text;
    size_t len;

    out->traceback[0] = '\0';
    if (verdict_read(L, 1, out)) {
        text = lua_tolstring(L, -1, &len);
        copy_text(out->error, sizeof out->error, text ? text : "", text ? len : 0);
        lua_settop(L, 1);
        return 1;
    }
    out->verdict = SCRIPT_FAILED;
    describe(L, 1, out->error, sizeof out->error);
    if (!protect_has_place(out->error))
        add_place(L, out->error, sizeof out->error);
    explain_overflow(out->error, sizeof out->error);
    trace(L, out->traceback, sizeof out->traceback);
    lua_settop(L, 1);
    return 1;
}

/* The host's failure, or the time limit, is what the caller must hear of; memory only
 * where the call was not ended by the host. */
static int judge(const struct state *st, int status, struct script_outcome *out)
{
    int rc = ERR_SCRIPT;

    if (status == LUA_OK) {
        rc = OK;
    } else if (status == LUA_ERRMEM) {
        rc = ERR_NOMEM;
        if (st->refused > 0)
            snprintf(out->error, sizeof out->error,
                     "%sthe rules need more memory than the limit of %zu bytes (setting "
                     "handler_memory; all rules of a generation share it)",
                     st->short_of, st->max);
        else
            snprintf(out->error, sizeof out->error,
                     "the machine has no memory for the rules (%zu of %zu bytes in use)", st->used,
                     st->max);
    } else if (status != LUA_ERRRUN) {
        snprintf(out->error, sizeof out->error,
                 "an error while an error was handled: look at xpcall's handler and __close");
    }
    if (st->end.code == OK || (rc == ERR_NOMEM && st->end.code == ERR_LIMIT))
        return rc;
    snprintf(out->error, sizeof out->error, "%s", st->end.text);
    return st->end.code;
}

int protect(struct state *st, lua_CFunction fn, void *arg, struct script_outcome *out)
{
    lua_State *L = st->L;
    struct script_outcome *outer = st->out;
    int base = lua_gettop(L), status;

    out->error[0] = out->traceback[0] = '\0';
    out->verdict = SCRIPT_FAILED;
    out->delay_ms = -1;
    if (!lua_checkstack(L, 3)) { /* the only way to grow that does not raise */
        snprintf(out->error, sizeof out->error, "no memory for the Lua stack");
        return ERR_NOMEM;
    }
    st->out = out;
    lua_pushcfunction(L, on_error); /* light C functions: nothing is allocated */
    lua_pushcfunction(L, fn);
    lua_pushlightuserdata(L, arg);
    status = lua_pcall(L, 1, 0, base + 1);
    st->out = outer;
    lua_settop(L, base);
    return judge(st, status, out);
}

/* lib_system - herald.core for the command line: the folder, the terminal, secrets, durations,
 * URLs, texts (cli.h). */
#include "base/buf.h"
#include "base/clock.h"
#include "base/credential.h"
#include "base/err.h"
#include "base/json_bytes.h"
#include "base/text.h"
#include "face/cli.h"
#include "http/http_address.h"
#include "rabbit/rabbit.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* chdir(path) -> true, or nil and why */
static int change_folder(lua_State *L)
{
    if (chdir(luaL_checkstring(L, 1)) != 0) {
        lua_pushnil(L);
        lua_pushstring(L, strerror(errno));
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* getcwd() -> the folder, absolute */
static int current_folder(lua_State *L)
{
    char path[4096];

    lua_pushstring(L, getcwd(path, sizeof path) ? path : ".");
    return 1;
}

/* duration("30s") -> milliseconds, or nil */
static int duration(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    int64_t ms;

    if (text_duration_ms((struct slice){text, len}, &ms) != 0)
        return 0;
    lua_pushinteger(L, ms);
    return 1;
}

/* address("127.0.0.1:9121") -> true, and whether only this machine reaches it; or nil and what is
 * wrong */
static int address(lua_State *L)
{
    struct http_address at;
    struct err err = {0};

    if (http_address_read(luaL_checkstring(L, 1), &at, &err) == OK) {
        lua_pushboolean(L, 1);
        lua_pushboolean(L, http_address_is_near(&at));
        return 2;
    }
    lua_pushnil(L);
    lua_pushstring(L, err.text);
    return 2;
}

/* broker_url("amqp://...") -> true, or nil and what is wrong */
static int broker_url(lua_State *L)
{
    struct err err = {0};

    if (rabbit_check_url(luaL_checkstring(L, 1), &err) != OK) {
        lua_pushnil(L);
        lua_pushstring(L, err.text);
        return 2;
    }
    lua_pushboolean(L, 1);
    return 1;
}

/* guard_secrets(): this process holds some */
static int guard_secrets(lua_State *L)
{
    (void)L;
    credential_guard();
    return 0;
}

/* sleep(ms); a signal makes it shorter */
static int sleep_ms(lua_State *L)
{
    lua_Integer ms = luaL_checkinteger(L, 1);
    struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    (void)nanosleep(&pause, NULL);
    return 0;
}

/* now() -> milliseconds since 1970 */
static int now(lua_State *L)
{
    const struct clock clock = clock_real();

    lua_pushinteger(L, clock_wall(&clock));
    return 1;
}

/* stderr_is_terminal() -> whether somebody watches */
static int stderr_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(STDERR_FILENO) == 1);
    return 1;
}

/* stdout_is_terminal() -> the same of what is printed */
static int stdout_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(STDOUT_FILENO) == 1);
    return 1;
}

/* utc("2026-01-31T12:00:00Z") -> milliseconds since 1970, or nil */
static int utc(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    int64_t ms;

    if (text_utc_ms((struct slice){text, len}, &ms) != 0)
        return 0;
    lua_pushinteger(L, ms);
    return 1;
}

/* json_string(text) -> the text quoted for JSON */
static int json_string(lua_State *L)
{
    size_t len;
    const char *text = luaL_checklstring(L, 1, &len);
    struct buf *b = cli_push_buf(L, 6 * len + 2);

    if (json_put_string(b, text, len) != OK)
        return luaL_error(L, "a text of %d bytes is too long to print", (int)len);
    lua_pushlstring(L, b->data, b->len);
    return 1;
}

/* base64(bytes) -> their digits */
static int base64(lua_State *L)
{
    size_t len;
    const char *bytes = luaL_checklstring(L, 1, &len);
    struct buf *b = cli_push_buf(L, len / 3 * 4 + 8);

    if (json_put_base64(b, bytes, len) != OK)
        return luaL_error(L, "out of memory for %d bytes", (int)len);
    lua_pushlstring(L, b->data ? b->data : "", b->len);
    return 1;
}

void cli_add_system(lua_State *L)
{
    static const luaL_Reg functions[] = {{"chdir", change_folder},
                                         {"getcwd", current_folder},
                                         {"duration", duration},
                                         {"address", address},
                                         {"broker_url", broker_url},
                                         {"guard_secrets", guard_secrets},
                                         {"utc", utc},
                                         {"now", now},
                                         {"sleep", sleep_ms},
                                         {"stderr_is_terminal", stderr_is_terminal},
                                         {"stdout_is_terminal", stdout_is_terminal},
                                         {"json_string", json_string},
                                         {"base64", base64},
                                         {NULL, NULL}};

    lua_pushliteral(L, HERALD_VERSION);
    lua_setfield(L, -2, "version");
    luaL_setfuncs(L, functions, 0);
}

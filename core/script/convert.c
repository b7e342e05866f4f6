/* convert - see convert.h. */
#include "script/convert.h"

#include <lauxlib.h>

#define BLOB_CLASS "herald.blob"
#define NUMBER_CLASS "herald.number"

/* Its address is the key of herald.null in the registry. */
static const char null_key = 0;

static int null_tostring(lua_State *L)
{
    lua_pushliteral(L, "herald.null");
    return 1;
}

static int blob_tostring(lua_State *L)
{
    luaL_checkudata(L, 1, BLOB_CLASS);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

static int number_tostring(lua_State *L)
{
    luaL_checkudata(L, 1, NUMBER_CLASS);
    lua_getiuservalue(L, 1, 1);
    return 1;
}

static int number_concat(lua_State *L)
{
    for (int i = 1; i <= 2; i++)
        if (luaL_testudata(L, i, NUMBER_CLASS) != NULL) {
            lua_getiuservalue(L, i, 1);
            lua_replace(L, i);
        }
    lua_settop(L, 2);
    lua_concat(L, 2);
    return 1;
}

/* Asked of two userdata that are not the same one: by the texts of two of this class. */
static int same_text(lua_State *L, const char *class)
{
    bool both = luaL_testudata(L, 1, class) != NULL && luaL_testudata(L, 2, class) != NULL;

    if (both) {
        lua_getiuservalue(L, 1, 1);
        lua_getiuservalue(L, 2, 1);
    }
    lua_pushboolean(L, both && lua_rawequal(L, -1, -2));
    return 1;
}

static int number_eq(lua_State *L)
{
    return same_text(L, NUMBER_CLASS);
}

static int blob_eq(lua_State *L)
{
    return same_text(L, BLOB_CLASS);
}

static void make_number_class(lua_State *L)
{
    static const luaL_Reg methods[] = {{"__tostring", number_tostring},
                                       {"__concat", number_concat},
                                       {"__eq", number_eq},
                                       {NULL, NULL}};

    luaL_newmetatable(L, NUMBER_CLASS);
    luaL_setfuncs(L, methods, 0);
    lua_pushliteral(L, NUMBER_CLASS); /* how rules tell it, and cannot change it */
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
}

void convert_open(lua_State *L)
{
    lua_newuserdatauv(L, 0, 0);
    lua_createtable(L, 0, 3);
    lua_pushcfunction(L, null_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushliteral(L, "herald.null");
    lua_setfield(L, -2, "__name"); /* "attempt to index a herald.null value" */
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_setmetatable(L, -2);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
    luaL_newmetatable(L, BLOB_CLASS);
    lua_pushcfunction(L, blob_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushcfunction(L, blob_eq);
    lua_setfield(L, -2, "__eq");
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    make_number_class(L);
}

/* In the place of the string on top. */
static void make_of_text(lua_State *L, const char *class)
{
    lua_newuserdatauv(L, 0, 1);
    luaL_setmetatable(L, class);
    lua_insert(L, -2);
    lua_setiuservalue(L, -2, 1);
}

static bool text_in(lua_State *L, int index, const char *class, struct slice *out)
{
    if (luaL_testudata(L, index, class) == NULL)
        return false;
    lua_getiuservalue(L, index, 1);
    out->data = lua_tolstring(L, -1, &out->len);
    lua_pop(L, 1); /* the value still holds it */
    return true;
}

void convert_make_number(lua_State *L)
{
    make_of_text(L, NUMBER_CLASS);
}

bool convert_number_text(lua_State *L, int index, struct slice *out)
{
    return text_in(L, index, NUMBER_CLASS, out);
}

bool convert_blob_bytes(lua_State *L, int index, struct slice *out)
{
    return text_in(L, index, BLOB_CLASS, out);
}

int convert_blob(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TSTRING);
    lua_pushvalue(L, 1);
    convert_make_blob(L);
    return 1;
}

void convert_make_blob(lua_State *L)
{
    make_of_text(L, BLOB_CLASS);
}

void convert_push_null(lua_State *L)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key);
}

bool convert_is_null(lua_State *L, int index)
{
    bool is;

    if (lua_type(L, index) != LUA_TUSERDATA)
        return false;
    index = lua_absindex(L, index);
    convert_push_null(L);
    is = lua_rawequal(L, index, -1);
    lua_pop(L, 1);
    return is;
}

void convert_push_slice(lua_State *L, struct slice s)
{
    if (s.data == NULL)
        lua_pushnil(L);
    else
        lua_pushlstring(L, s.data, s.len);
}

void convert_set_slice(lua_State *L, const char *name, struct slice s)
{
    if (s.data == NULL)
        return;
    lua_pushlstring(L, s.data, s.len);
    lua_setfield(L, -2, name);
}

void convert_set_integer(lua_State *L, const char *name, int64_t n)
{
    lua_pushinteger(L, n);
    lua_setfield(L, -2, name);
}

void convert_push(lua_State *L, const struct value *v)
{
    switch (v->kind) {
    case VALUE_INT:
        lua_pushinteger(L, v->integer);
        return;
    case VALUE_REAL:
        lua_pushnumber(L, v->real);
        return;
    case VALUE_TEXT:
    case VALUE_BLOB:
        lua_pushlstring(L, v->bytes.data ? v->bytes.data : "", v->bytes.len);
        return;
    case VALUE_NULL:
        break;
    }
    lua_pushnil(L);
}

static void number_to_value(lua_State *L, int index, struct value *out)
{
    if (lua_isinteger(L, index))
        *out = (struct value){.kind = VALUE_INT, .integer = lua_tointeger(L, index)};
    else
        *out = (struct value){.kind = VALUE_REAL, .real = lua_tonumber(L, index)};
}

static bool blob_to_value(lua_State *L, int index, struct value *out)
{
    if (!convert_blob_bytes(L, index, &out->bytes))
        return false;
    out->kind = VALUE_BLOB;
    return true;
}

static bool number_to_text(lua_State *L, int index, struct value *out)
{
    if (!convert_number_text(L, index, &out->bytes))
        return false;
    out->kind = VALUE_TEXT;
    return true;
}

bool convert_to_value(lua_State *L, int index, struct value *out)
{
    *out = (struct value){.kind = VALUE_NULL};
    switch (lua_type(L, index)) {
    case LUA_TNIL:
        return true;
    case LUA_TBOOLEAN:
        *out = (struct value){.kind = VALUE_INT, .integer = lua_toboolean(L, index)};
        return true;
    case LUA_TNUMBER:
        number_to_value(L, index, out);
        return true;
    case LUA_TSTRING:
        out->bytes.data = lua_tolstring(L, index, &out->bytes.len);
        out->kind = text_is_utf8(out->bytes.data, out->bytes.len) ? VALUE_TEXT : VALUE_BLOB;
        return true;
    case LUA_TUSERDATA:
        return convert_is_null(L, index) || blob_to_value(L, index, out) ||
               number_to_text(L, index, out);
    default:
        return false;
    }
}

bool convert_to_key(lua_State *L, int index, struct slice *out)
{
    *out = (struct slice){NULL, 0};
    if (lua_isnoneornil(L, index) || convert_is_null(L, index))
        return true;
    if (convert_number_text(L, index, out))
        return true;
    if (lua_type(L, index) != LUA_TSTRING && !lua_isinteger(L, index))
        return false;
    out->data = lua_tolstring(L, index, &out->len);
    return true;
}

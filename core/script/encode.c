/* encode - see encode.h. */
#include "script/encode.h"

#include "base/json_bytes.h"
#include "base/message.h"
#include "base/text.h"
#include "script/convert.h"
#include "script/decode.h"
#include "script/state.h"

#include <lauxlib.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS_MAX = 64 * 1024 * 1024, KEPT = 1024 * 1024, PATH_MAX_BYTES = 200 };

/* One value on the way down from the root: the path of an error, and the tables that
 * must not come again. */
struct place {
    const struct place *parent; /* NULL: the root */
    struct slice key;           /* member of an object; absent: `item` counts */
    lua_Integer item;           /* place in an array */
    const void *table;          /* identity of the table here; NULL: none */
    int depth;
};

static void encode_value(lua_State *L, struct encoder *e, int index, struct place *here);

void encoder_init(struct encoder *e)
{
    buf_init(&e->out, MESSAGE_BODY_MAX);
    buf_init(&e->keys, KEYS_MAX);
}

void encoder_free(struct encoder *e)
{
    buf_free(&e->out);
    buf_free(&e->keys);
}

static void put_path(struct buf *path, const struct place *p)
{
    if (p->parent != NULL)
        put_path(path, p->parent);
    if (p->key.data == NULL)
        buf_printf(path, "[%lld]", (long long)p->item);
    else
        buf_printf(path, "%s%.*s", p->parent ? "." : "", (int)(p->key.len < 64 ? p->key.len : 64),
                   p->key.data);
}

/* RAISES "cannot write body.items[3] as JSON: why". The path is built in e->keys, which
 * nobody needs any more. */
static _Noreturn void refuse(lua_State *L, struct encoder *e, const struct place *p,
                             const char *why)
{
    buf_clear(&e->keys);
    put_path(&e->keys, p);
    lua_pushlstring(L, e->keys.data ? e->keys.data : "",
                    e->keys.len < PATH_MAX_BYTES ? e->keys.len : PATH_MAX_BYTES);
    luaL_error(L, "cannot write %s as JSON: %s", lua_tostring(L, -1), why);
    abort(); /* luaL_error does not return */
}

/* A buffer that failed because of its ceiling can still be grown up to it. */
static bool hit_ceiling(struct buf *b)
{
    buf_clear(b);
    return buf_reserve(b, b->max) != NULL;
}

/* RAISES when an append did not fit. */
static void check_room(lua_State *L, struct encoder *e)
{
    struct buf *b = e->out.failed ? &e->out : &e->keys;
    struct err err;

    if (!b->failed)
        return;
    if (hit_ceiling(b))
        luaL_error(L, "JSON is over the limit of %d bytes", MESSAGE_BODY_MAX);
    err_set(&err, ERR_NOMEM, "out of memory while writing JSON");
    state_end(L, &err);
}

static void encode_number(lua_State *L, struct encoder *e, int index, const struct place *here)
{
    double value = lua_tonumber(L, index);

    if (lua_isinteger(L, index))
        buf_printf(&e->out, "%lld", (long long)lua_tointeger(L, index));
    else if (isfinite(value))
        json_put_real(&e->out, value);
    else
        refuse(L, e, here, isnan(value) ? "it is not a number (nan)" : "it is infinite");
}

static void encode_string(lua_State *L, struct encoder *e, struct slice s, const struct place *here)
{
    if (!text_is_utf8(s.data, s.len))
        refuse(L, e, here, "it is not UTF-8 text");
    json_put_string(&e->out, s.data, s.len);
}

static bool is_marked(lua_State *L, int index)
{
    bool marked;

    if (!lua_getmetatable(L, index))
        return false;
    decode_push_array_mark(L);
    marked = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return marked;
}

/* What the keys of a table are. */
struct shape {
    lua_Integer items; /* keys that are positive integers */
    lua_Integer last;  /* the highest of them */
    size_t members;    /* keys that are strings; they are in e->keys */
};

static void refuse_key(lua_State *L, struct encoder *e, int key, const struct place *here)
{
    char why[96];

    if (lua_type(L, key) == LUA_TNUMBER)
        snprintf(why, sizeof why, "a key is the number %.14g: keys are strings, or 1 to n",
                 lua_tonumber(L, key));
    else
        snprintf(why, sizeof why, "a key is a %s: keys are strings, or 1 to n",
                 luaL_typename(L, key));
    refuse(L, e, here, why);
}

/* Walks the keys once; the strings' slices are lent by the table, which nobody changes
 * meanwhile. */
static struct shape look(lua_State *L, struct encoder *e, int index, const struct place *here)
{
    struct shape s = {0};

    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (lua_type(L, -1) == LUA_TSTRING) {
            struct slice key;

            key.data = lua_tolstring(L, -1, &key.len);
            buf_append(&e->keys, &key, sizeof key);
            s.members++;
        } else if (lua_isinteger(L, -1) && lua_tointeger(L, -1) > 0) {
            s.items++;
            if (lua_tointeger(L, -1) > s.last)
                s.last = lua_tointeger(L, -1);
        } else {
            refuse_key(L, e, lua_gettop(L), here);
        }
    }
    check_room(L, e);
    return s;
}

static void check_array(lua_State *L, struct encoder *e, const struct shape *s,
                        const struct place *here)
{
    if (s->members > 0)
        refuse(L, e, here, "it has list items and named fields");
    if (s->last != s->items)
        refuse(L, e, here, "the list has holes; put herald.null there");
}

static void encode_array(lua_State *L, struct encoder *e, int index, lua_Integer items,
                         const struct place *here)
{
    struct place item = {.parent = here, .depth = here->depth + 1};

    buf_append(&e->out, "[", 1);
    for (lua_Integer i = 1; i <= items; i++) {
        if (i > 1)
            buf_append(&e->out, ",", 1);
        item.item = i;
        lua_rawgeti(L, index, i);
        encode_value(L, e, lua_gettop(L), &item);
        lua_pop(L, 1);
    }
    buf_append(&e->out, "]", 1);
}

static int compare_keys(const void *a, const void *b)
{
    const struct slice *x = a, *y = b;
    int order = memcmp(x->data, y->data, x->len < y->len ? x->len : y->len);

    return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

/* `first` is where this object's keys start in e->keys; deeper ones come behind. */
static void encode_object(lua_State *L, struct encoder *e, int index, size_t first, size_t members,
                          const struct place *here)
{
    struct place member = {.parent = here, .depth = here->depth + 1};

    if (members > 1)
        qsort(e->keys.data + first, members, sizeof(struct slice), compare_keys);
    buf_append(&e->out, "{", 1);
    for (size_t i = 0; i < members; i++) {
        if (i > 0)
            buf_append(&e->out, ",", 1);
        memcpy(&member.key, e->keys.data + first + i * sizeof member.key, sizeof member.key);
        encode_string(L, e, member.key, &member);
        buf_append(&e->out, ":", 1);
        lua_pushlstring(L, member.key.data, member.key.len);
        lua_rawget(L, index);
        encode_value(L, e, lua_gettop(L), &member);
        lua_pop(L, 1);
    }
    buf_append(&e->out, "}", 1);
}

static void check_way_down(lua_State *L, struct encoder *e, const struct place *here)
{
    if (here->depth >= JSON_DEPTH_MAX)
        refuse(L, e, here, "it is nested too deeply");
    for (const struct place *p = here->parent; p != NULL; p = p->parent)
        if (p->table == here->table)
            refuse(L, e, here, "it refers back to a table it is part of");
}

static void encode_table(lua_State *L, struct encoder *e, int index, struct place *here)
{
    size_t first = e->keys.len;
    struct shape s;

    here->table = lua_topointer(L, index);
    check_way_down(L, e, here);
    luaL_checkstack(L, 6, "JSON is nested too deeply");
    s = look(L, e, index, here);
    if (s.items > 0 || is_marked(L, index)) {
        check_array(L, e, &s, here);
        encode_array(L, e, index, s.items, here);
    } else {
        encode_object(L, e, index, first, s.members, here);
    }
    here->table = NULL;
    e->keys.len = first;
    check_room(L, e);
}

static void encode_value(lua_State *L, struct encoder *e, int index, struct place *here)
{
    char why[64];
    struct slice s;

    switch (lua_type(L, index)) {
    case LUA_TNIL:
        buf_append(&e->out, "null", 4);
        return;
    case LUA_TBOOLEAN:
        buf_text(&e->out, lua_toboolean(L, index) ? "true" : "false");
        return;
    case LUA_TNUMBER:
        encode_number(L, e, index, here);
        return;
    case LUA_TSTRING:
        s.data = lua_tolstring(L, index, &s.len);
        encode_string(L, e, s, here);
        return;
    case LUA_TTABLE:
        encode_table(L, e, index, here);
        return;
    default:
        break;
    }
    if (convert_is_null(L, index)) {
        buf_append(&e->out, "null", 4);
        return;
    }
    if (convert_number_text(L, index, &s)) {
        buf_append(&e->out, s.data, s.len);
        return;
    }
    if (convert_blob_bytes(L, index, &s)) {
        if (!e->blobs)
            refuse(L, e, here, "it is a herald.blob, and JSON has no bytes");
        json_put_bytes(&e->out, s.data, s.len);
        return;
    }
    snprintf(why, sizeof why, "it is a %s", luaL_typename(L, index));
    refuse(L, e, here, why);
}

static void empty(struct buf *b)
{
    if (b->cap > KEPT)
        buf_free(b);
    buf_clear(b);
}

static void encode(lua_State *L, struct encoder *e, int index, const char *name, bool blobs)
{
    struct place root = {.key = slice_of(name)};

    e->blobs = blobs;
    empty(&e->out);
    empty(&e->keys);
    luaL_checkstack(L, 6, NULL);
    encode_value(L, e, lua_absindex(L, index), &root);
    check_room(L, e);
}

void encode_json(lua_State *L, struct encoder *e, int index, const char *name)
{
    encode(L, e, index, name, false);
}

void encode_headers(lua_State *L, struct encoder *e, int index, const char *name)
{
    encode(L, e, index, name, true);
}

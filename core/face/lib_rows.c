/*
 * lib_rows - herald.core for the command line: the outbox and retries (cli.h)
 *
 * Rows are shown without their bodies, so what a listing takes is bounded by --limit.
 */
#include "base/message.h"
#include "face/cli_store.h"
#include "store/lane.h"
#include "store/outbox.h"
#include "store/retry.h"
#include "store/rows.h"

#include <lauxlib.h>
#include <unistd.h>

/* Lists of either kind are copied while the store is read, and pushed afterwards. */
struct copies {
    struct arena *arena;
    struct retry_view *retries;
    struct outbox_view *outbox;
    size_t n;
    bool full; /* memory ran out */
};

static bool keep_all(struct arena *a, struct slice *const *slices, size_t n, struct slice *key)
{
    bool kept = true;

    for (size_t i = 0; i < n; i++)
        kept = kept && arena_keep(a, slices[i]);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        kept = kept && arena_keep(a, &key[i]);
    return kept;
}

static bool copy_retry(void *arg, const struct retry_view *row)
{
    struct copies *all = arg;
    struct retry_view *copy = &all->retries[all->n];
    struct slice *const slices[] = {&copy->queue, &copy->message_id, &copy->type,
                                    &copy->error, &copy->lane,       &copy->tries};

    *copy = *row;
    all->full = !keep_all(all->arena, slices, sizeof slices / sizeof slices[0], copy->key);
    all->n += all->full ? 0 : 1;
    return !all->full;
}

static bool copy_outbox(void *arg, const struct outbox_view *row)
{
    struct copies *all = arg;
    struct outbox_view *copy = &all->outbox[all->n];
    struct slice *const slices[] = {&copy->message_id, &copy->type,     &copy->name,
                                    &copy->reason,     &copy->exchange, &copy->routing_key,
                                    &copy->lane,       &copy->outlet};

    *copy = *row;
    all->full = !keep_all(all->arena, slices, sizeof slices / sizeof slices[0], copy->key);
    all->n += all->full ? 0 : 1;
    return !all->full;
}

static void set_keys(lua_State *L, const struct slice key[3])
{
    cli_set_slice(L, "key1", key[0]);
    cli_set_slice(L, "key2", key[1]);
    cli_set_slice(L, "key3", key[2]);
}

static void push_retry(lua_State *L, const struct copies *all, size_t i)
{
    const struct retry_view *r = &all->retries[i];

    lua_newtable(L);
    cli_set_integer(L, "id", r->id);
    cli_set_integer(L, "due_at", r->due_at);
    cli_set_integer(L, "first_at", r->first_at);
    cli_set_integer(L, "attempts", r->attempts);
    cli_set_integer(L, "generation", r->generation);
    cli_set_slice(L, "queue", r->queue);
    cli_set_slice(L, "message_id", r->message_id);
    cli_set_slice(L, "type", r->type);
    cli_set_slice(L, "error", r->error);
    cli_set_slice(L, "lane", r->lane);
    set_keys(L, r->key);
    cli_set_tries(L, all->arena, r->tries);
    lua_pushboolean(L, r->due_at == LANE_HELD);
    lua_setfield(L, -2, "behind");
    lua_pushboolean(L, r->orphaned);
    lua_setfield(L, -2, "orphaned");
}

static const char *state_word(enum outbox_state state)
{
    switch (state) {
    case OUTBOX_FRESH:
        return "fresh";
    case OUTBOX_POSTPONED:
        return "postponed";
    case OUTBOX_SCHEDULED:
        return "scheduled";
    case OUTBOX_BEHIND:
        return "behind";
    case OUTBOX_WAITING:
        return "waiting";
    case OUTBOX_AGAIN:
        break;
    }
    return "again";
}

static void push_outbox(lua_State *L, const struct copies *all, size_t i)
{
    const struct outbox_view *r = &all->outbox[i];

    lua_newtable(L);
    cli_set_integer(L, "id", r->id);
    cli_set_integer(L, "due_at", r->due_at);
    cli_set_integer(L, "created_at", r->created_at);
    cli_set_integer(L, "attempts", r->attempts);
    cli_set_slice(L, "state", slice_of(state_word(r->state)));
    cli_set_slice(L, "message_id", r->message_id);
    cli_set_slice(L, "type", r->type);
    cli_set_slice(L, "name", r->name);
    cli_set_slice(L, "reason", r->reason);
    cli_set_slice(L, "exchange", r->exchange);
    cli_set_slice(L, "routing_key", r->routing_key);
    cli_set_slice(L, "lane", r->lane);
    cli_set_slice(L, "outlet", r->outlet);
    set_keys(L, r->key);
}

static void make_room(struct cli_store *s, enum pick_table table, size_t limit, struct copies *all,
                      struct err *err)
{
    *all = (struct copies){.arena = &s->arena};
    if (table == PICK_RETRY)
        all->retries = arena_take(&s->arena, limit * sizeof *all->retries);
    else
        all->outbox = arena_take(&s->arena, limit * sizeof *all->outbox);
    if (all->retries == NULL && all->outbox == NULL)
        err_set(err, ERR_NOMEM, "out of memory: use a smaller --limit");
}

static void read_rows(struct cli_store *s, enum pick_table table, const struct pick *p,
                      int64_t after, size_t limit, struct copies *all, struct err *err)
{
    if (table == PICK_RETRY)
        rows_retries(s->db, p, after, limit, copy_retry, all, err);
    else
        rows_outbox(s->db, p, after, limit, copy_outbox, all, err);
    if (err->code == OK && all->full)
        err_set(err, ERR_LIMIT, "these rows take over 512 MiB: use a smaller --limit");
}

/* (path, pick with after and limit) -> list of rows, or nil, kind, why */
static int list_rows(lua_State *L, enum pick_table table)
{
    const char *path = luaL_checkstring(L, 1);
    struct pick p = cli_get_pick(L, 2);
    int64_t after = cli_get_integer(L, 2, "after", 0);
    size_t limit = (size_t)cli_get_integer(L, 2, "limit", 100);
    struct err err = {0};
    struct copies all = {.n = 0};
    struct cli_store *s = cli_store_open(L, path, false, &err);

    if (err.code == OK)
        make_room(s, table, limit, &all, &err);
    if (err.code == OK)
        read_rows(s, table, &p, after, limit, &all, &err);
    db_close(&s->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    lua_createtable(L, (int)all.n, 0);
    for (size_t i = 0; i < all.n; i++) {
        (table == PICK_RETRY ? push_retry : push_outbox)(L, &all, i);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* What a listing leaves out. */
struct rest {
    struct arena *arena;
    struct message message;
    struct slice exchange; /* of a retry; a listing of the outbox has a leg's */
    struct slice routing_key;
    bool kept; /* it fitted */
};

static bool copy_retry_rest(void *arg, const struct retry_row *row)
{
    struct rest *r = arg;

    r->message = row->message;
    r->exchange = row->exchange;
    r->routing_key = row->routing_key;
    r->kept = message_keep(r->arena, &r->message) && arena_keep(r->arena, &r->exchange) &&
              arena_keep(r->arena, &r->routing_key);
    return false;
}

static bool copy_outbox_rest(void *arg, const struct outbox_row *row)
{
    struct rest *r = arg;

    r->message = row->message;
    r->kept = message_keep(r->arena, &r->message);
    return false;
}

static void read_one(struct cli_store *s, enum pick_table table, int64_t id, struct copies *all,
                     struct rest *rest, struct err *err)
{
    const struct pick this = {.ids = &id, .n_ids = 1, .group = -1};

    make_room(s, table, 1, all, err);
    if (err->code == OK)
        read_rows(s, table, &this, 0, 1, all, err);
    if (err->code == OK && all->n == 1 && table == PICK_RETRY)
        retry_get(s->db, id, copy_retry_rest, rest, err);
    else if (err->code == OK && all->n == 1)
        outbox_look(s->db, id, copy_outbox_rest, rest, err);
    if (err->code == ERR_NOT_FOUND || (err->code == OK && all->n == 0))
        err_set(err, ERR_NOT_FOUND, "no %s %lld: `herald %s list` shows those there are",
                table == PICK_RETRY ? "retry" : "outbox row", (long long)id,
                table == PICK_RETRY ? "retries" : "outbox");
    if (err->code == OK && !rest->kept)
        err_set(err, ERR_NOMEM, "out of memory");
}

static void show_as_seen(struct message *m, const struct retry_view *seen)
{
    m->type = seen->type;
    for (int i = 0; i < MESSAGE_KEYS; i++)
        m->key[i] = seen->key[i];
}

/* (path, id) -> the row, whole, or nil, kind, why */
static int get_row(lua_State *L, enum pick_table table)
{
    const char *path = luaL_checkstring(L, 1);
    int64_t id = luaL_checkinteger(L, 2);
    struct err err = {0};
    struct copies all = {.n = 0};
    struct cli_store *s = cli_store_open(L, path, false, &err);
    struct rest rest = {.arena = &s->arena};

    if (err.code == OK)
        read_one(s, table, id, &all, &rest, &err);
    db_close(&s->db);
    if (err.code != OK)
        return cli_push_error(L, &err);
    (table == PICK_RETRY ? push_retry : push_outbox)(L, &all, 0);
    if (table == PICK_RETRY) /* as the listing has them */
        show_as_seen(&rest.message, &all.retries[0]);
    cli_set_message(L, &rest.message);
    cli_set_slice(L, "exchange", rest.exchange);
    cli_set_slice(L, "routing_key", rest.routing_key);
    return 1;
}

static int get_retry(lua_State *L)
{
    return get_row(L, PICK_RETRY);
}

static int get_outbox(lua_State *L)
{
    return get_row(L, PICK_OUTBOX);
}

static int list_retries(lua_State *L)
{
    return list_rows(L, PICK_RETRY);
}

static int list_outbox(lua_State *L)
{
    return list_rows(L, PICK_OUTBOX);
}

static int retries_now(lua_State *L)
{
    return cli_change(L, PICK_RETRY, retry_now);
}

static int retries_drop(lua_State *L)
{
    return cli_change(L, PICK_RETRY, retry_drop);
}

static int outbox_retry(lua_State *L)
{
    return cli_change(L, PICK_OUTBOX, outbox_now);
}

static int outbox_remove(lua_State *L)
{
    return cli_change(L, PICK_OUTBOX, outbox_drop);
}

/* stderr_is_terminal() -> whether somebody watches */
static int stderr_is_terminal(lua_State *L)
{
    lua_pushboolean(L, isatty(STDERR_FILENO) == 1);
    return 1;
}

void cli_add_rows(lua_State *L)
{
    static const luaL_Reg functions[] = {{"retries_list", list_retries},
                                         {"retries_get", get_retry},
                                         {"retries_now", retries_now},
                                         {"retries_drop", retries_drop},
                                         {"outbox_list", list_outbox},
                                         {"outbox_get", get_outbox},
                                         {"outbox_retry", outbox_retry},
                                         {"outbox_drop", outbox_remove},
                                         {"stderr_is_terminal", stderr_is_terminal},
                                         {NULL, NULL}};

    luaL_setfuncs(L, functions, 0);
}

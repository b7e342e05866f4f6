/* admin - see admin.h. */
#include "face/admin.h"

#include "base/json.h"
#include "face/clerk.h"
#include "face/guard.h"
#include "script/builtin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    BODY_MAX = 64 * 1024,
    MESSAGES_MAX = 17 * 1024 * 1024, /* a message of 16 MiB and what belongs to it */
    HEAD_MAX = 24 * 1024,
    KEY_MAX = 128,
    FILE_NAME_MAX = 64,
    ALLOW_MAX = 32,
};

struct admin {
    struct admin_door door;
    struct guard *guard;
    struct clerks *clerks;
    struct http_server *server;
};

/* A request that a clerk works on. */
struct errand {
    struct admin *admin;
    struct http_request *request;
};

/* In every answer of this door (docs/admin.md#who-may). */
static const struct http_field guards[] = {
    {"Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; "
                                "frame-ancestors 'none'; object-src 'none'"},
    {"X-Frame-Options", "DENY"},
    {"Referrer-Policy", "no-referrer"},
    {"Cross-Origin-Opener-Policy", "same-origin"},
    {"Cross-Origin-Resource-Policy", "same-origin"},
    {NULL, NULL},
};

/* What a refused request is told. */
struct refusal {
    unsigned status;
    const char *what, *where, *what_now;
    struct http_field field; /* of the answer, or without name */
};

static void refuse(struct http_request *r, struct refusal why)
{
    const struct http_field fields[] = {why.field, {NULL, NULL}};
    struct http_answer a;

    http_answer_init(&a);
    a.status = why.status;
    a.fields = fields;
    a.type = "application/json";
    json_add_object(&a.body, NULL);
    json_add_object(&a.body, "error");
    json_add_string(&a.body, "what", why.what);
    if (why.where != NULL)
        json_add_string(&a.body, "where", why.where);
    json_add_string(&a.body, "do", why.what_now);
    json_end(&a.body, "}}");
    http_request_answer(r, &a);
}

static bool is_read(const struct http_request *r)
{
    return strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
}

static bool begins_with(const char *text, const char *start)
{
    return strncmp(text, start, strlen(start)) == 0;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text), n = strlen(end);

    return len >= n && strcmp(text + len - n, end) == 0;
}

#define DESCRIPTION "/v1/openapi.json"

static bool is_api(const char *path)
{
    return begins_with(path, "/v1/") && strcmp(path, DESCRIPTION) != 0;
}

/* The type of a file of the page by its name; NULL: it has none of these. */
static const char *type_of(const char *path)
{
    static const char *const types[][2] = {
        {".html", "text/html; charset=utf-8"},
        {".css", "text/css; charset=utf-8"},
        {".js", "text/javascript; charset=utf-8"},
        {".svg", "image/svg+xml"},
        {".json", "application/json"},
    };

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (ends_with(path, types[i][0]))
            return types[i][1];
    return NULL;
}

/* "/page/app.js" is scripts/page/app.js, which the binary has as "page.app.js". NULL: no such file.
 */
static const struct embedded *find_file(const char *path, const char **type_out)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-_.";
    char name[FILE_NAME_MAX];
    const char *file = path;

    if (strcmp(path, DESCRIPTION) == 0)
        file = "openapi.json";
    else if (strcmp(path, "/") == 0)
        file = "page/index.html";
    else if (begins_with(path, "/page/") && path[6 + strspn(path + 6, letters)] == '\0')
        file = path + 1;
    else
        return NULL;
    *type_out = type_of(file);
    if (*type_out == NULL || strlen(file) >= sizeof name)
        return NULL;
    (void)snprintf(name, sizeof name, "%s", file); /* it has the room */
    if (begins_with(name, "page/"))
        name[4] = '.';
    return embedded_find(name);
}

static void send_file(struct http_request *r, const struct embedded *file, const char *type)
{
    struct http_answer a;

    http_answer_init(&a);
    a.type = type;
    (void)buf_append(&a.body, file->bytes, file->len); /* a failure is remembered */
    http_request_answer(r, &a);
}

/* What lies outside of the API: read alone, and nothing of a message. */
static void answer_plain(struct admin *d, struct http_request *r)
{
    const char *type;
    const struct embedded *file = find_file(r->path, &type);

    if (file == NULL && !health_answers(r->path))
        refuse(r, (struct refusal){.status = 404,
                                   .what = "there is no such path",
                                   .where = r->path,
                                   .what_now = "GET " DESCRIPTION " names those there are"});
    else if (!is_read(r))
        refuse(r, (struct refusal){.status = 405,
                                   .what = "it can only be read",
                                   .where = r->method,
                                   .what_now = "use GET",
                                   .field = {"Allow", "GET, HEAD"}});
    else if (file != NULL)
        send_file(r, file, type);
    else
        health_answer(d->door.health, r);
}

static void note_refused(struct admin *d, const struct http_request *r, const char *why)
{
    log_event(d->door.log, LOG_WARN, "admin.refused",
              LOG_FIELDS(log_text("reason", why), log_text("method", r->method),
                         log_text("path", r->path)));
}

static bool judge_rights(struct admin *d, struct http_request *r)
{
    enum guard_right right = guard_right(d->guard, http_request_header(r, "Authorization"));

    if (right == GUARD_NONE) {
        note_refused(d, r, "no token, or none that is known");
        refuse(r, (struct refusal){.status = 401,
                                   .what = "a token is wanted, or this is none",
                                   .where = "Authorization",
                                   .what_now =
                                       "send \"Authorization: Bearer TOKEN\" with what the file of "
                                       "admin.token_file or admin.read_token_file has",
                                   .field = {"WWW-Authenticate", "Bearer realm=\"herald\""}});
        return false;
    }
    if (right == GUARD_ALL || is_read(r))
        return true;
    note_refused(d, r, "its token may only look");
    refuse(r, (struct refusal){.status = 403,
                               .what = "this token may only look",
                               .where = "Authorization",
                               .what_now = "use the token of admin.token_file"});
    return false;
}

static bool is_json(const char *type)
{
    static const char json[] = "application/json";

    return type != NULL && begins_with(type, json) && strchr("; ", type[sizeof json - 1]) != NULL;
}

/* A page of somebody else's can have a browser send a POST, but not these headers. */
static bool judge_post(struct admin *d, struct http_request *r)
{
    const char *own = http_request_header(r, "X-Herald");

    if (own == NULL || strcmp(own, "1") != 0) {
        note_refused(d, r, "no X-Herald: 1");
        refuse(r,
               (struct refusal){.status = 403,
                                .what = "a POST needs the header X-Herald: 1",
                                .where = "X-Herald",
                                .what_now = "send it: no other web site can make a browser do so"});
        return false;
    }
    if (!is_json(http_request_header(r, "Content-Type"))) {
        refuse(r, (struct refusal){
                      .status = 415,
                      .what = "a POST brings JSON",
                      .where = "Content-Type",
                      .what_now = "send \"Content-Type: application/json\", and {} where there "
                                  "is nothing to say"});
        return false;
    }
    return true;
}

static bool judge_method(struct http_request *r)
{
    if (is_read(r) || strcmp(r->method, "POST") == 0)
        return true;
    refuse(r, (struct refusal){.status = 405,
                               .what = "no path has this method",
                               .where = r->method,
                               .what_now = "use GET or POST",
                               .field = {"Allow", "GET, HEAD, POST"}});
    return false;
}

static bool judge_source(struct admin *d, struct http_request *r)
{
    const char *host = http_request_header(r, "Host");

    if (!guard_knows_host(d->guard, host)) {
        note_refused(d, r, "Host is unknown");
        refuse(r, (struct refusal){.status = 421,
                                   .what = "the router is not known by this name",
                                   .where = "Host",
                                   .what_now =
                                       "ask for its address, or add the name to admin.hosts in "
                                       "herald.lua"});
        return false;
    }
    if (guard_knows_origin(http_request_header(r, "Origin"), host))
        return true;
    note_refused(d, r, "Origin is another");
    refuse(r, (struct refusal){.status = 403,
                               .what = "a page of another site asks",
                               .where = "Origin",
                               .what_now = "open the router's own page"});
    return false;
}

static bool judge_rate(struct admin *d, struct http_request *r)
{
    struct clock clock = clock_real();

    if (guard_admits(d->guard, clock_mono(&clock)))
        return true;
    refuse(r, (struct refusal){.status = 429,
                               .what = "too many requests in a second",
                               .where = r->path,
                               .what_now = "ask less often, or raise admin.rate in herald.lua",
                               .field = {"Retry-After", "1"}});
    return false;
}

static size_t room_for(const struct http_request *r)
{
    if (is_read(r))
        return 0;
    if (strcmp(r->path, "/v1/messages") == 0 ||
        (begins_with(r->path, "/v1/dead/") && ends_with(r->path, "/edit")))
        return MESSAGES_MAX;
    return BODY_MAX;
}

/* An http_request_fn. Rights come before what costs more than a look at the headers. */
static void begin(void *arg, struct http_request *r)
{
    struct admin *d = arg;

    if (!judge_source(d, r))
        return;
    if (!is_api(r->path)) {
        if (!is_read(r)) /* before a body is refused as too large */
            answer_plain(d, r);
        return;
    }
    if (judge_rights(d, r) && judge_method(r) && (is_read(r) || judge_post(d, r)) &&
        judge_rate(d, r))
        r->body_max = room_for(r);
}

/* A clerk_answer_fn. */
static void on_answer(void *arg, struct clerk_answer *answer)
{
    struct errand *e = arg;
    struct http_request *r = e->request;
    struct http_field fields[] = {{NULL, NULL}, {NULL, NULL}};
    struct http_answer a;
    char allow[ALLOW_MAX];

    http_answer_init(&a);
    a.status = answer->status;
    a.type = "application/json";
    a.fields = fields;
    a.body = answer->body;
    buf_init(&answer->body, 0); /* taken over */
    if (answer->allow.data != NULL) {
        (void)snprintf(allow, sizeof allow, "%.*s", (int)answer->allow.len, answer->allow.data);
        fields[0] = (struct http_field){"Allow", allow};
    } else if (answer->replayed) {
        fields[0] = (struct http_field){"Idempotent-Replayed", "true"};
    } else if (answer->status == 503) {
        fields[0] = (struct http_field){"Retry-After", "1"};
    }
    if (!is_read(r))
        log_event(e->admin->door.log, LOG_INFO, "admin.asked",
                  LOG_FIELDS(log_text("path", r->path), log_int("status", answer->status)));
    http_request_answer(r, &a);
    free(e);
}

static void put_head(const struct admin *d, const struct http_request *r, const char *key,
                     struct buf *head)
{
    const struct settings *s = d->door.settings;

    json_add_string(head, "method", r->method);
    json_add_string(head, "path", r->path);
    json_add_string(head, "query", r->query);
    if (key != NULL)
        json_add_string(head, "key", key);
    json_add_string(head, "store", s->store);
    json_add_string(head, "socket", s->socket);
    json_add_int(head, "history", s->history_ms);
}

static bool judge_key(struct http_request *r, const char *key)
{
    if (key == NULL || (key[0] != '\0' && strlen(key) <= KEY_MAX && text_is_utf8(key, strlen(key))))
        return true;
    refuse(r, (struct refusal){.status = 400,
                               .what = "a key has 1 to 128 bytes of UTF-8",
                               .where = "Idempotency-Key",
                               .what_now = "send a shorter one"});
    return false;
}

/* False: nobody has time or memory for it. */
static bool hand_on(struct admin *d, struct http_request *r, const char *key)
{
    struct errand *e = calloc(1, sizeof *e);
    struct buf head;
    bool taken = false;

    buf_init(&head, HEAD_MAX);
    put_head(d, r, key, &head);
    if (e != NULL && !head.failed) {
        *e = (struct errand){.admin = d, .request = r};
        taken = clerks_ask(d->clerks, (struct slice){head.data, head.len}, r->body, on_answer, e);
    }
    buf_free(&head);
    if (!taken)
        free(e);
    return taken;
}

/* An http_request_fn. */
static void complete(void *arg, struct http_request *r)
{
    struct admin *d = arg;
    const char *key = http_request_header(r, "Idempotency-Key");

    if (!is_api(r->path))
        answer_plain(d, r);
    else if (judge_key(r, key) && !hand_on(d, r, key))
        refuse(r, (struct refusal){.status = 503,
                                   .what = "too many ask at once",
                                   .where = r->path,
                                   .what_now = "ask again in a second",
                                   .field = {"Retry-After", "1"}});
}

static int open_door(struct admin *d, struct err *err)
{
    const struct http_settings http = {.loop = d->door.loop,
                                       .address = d->door.settings->admin.listen,
                                       .fields = guards,
                                       .begin = begin,
                                       .complete = complete,
                                       .arg = d};
    int rc = guard_new(&d->guard, &d->door.settings->admin, err);

    if (rc == OK)
        rc = clerks_new(&d->clerks, d->door.loop, d->door.log, err);
    return rc == OK ? http_server_start(&d->server, &http, err) : rc;
}

int admin_start(struct admin **out, const struct admin_door *door, struct err *err)
{
    struct admin *d = calloc(1, sizeof *d);
    int rc;

    *out = d;
    if (d == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    d->door = *door;
    rc = open_door(d, err);
    if (rc == OK)
        log_event(door->log, LOG_INFO, "admin.listening",
                  LOG_FIELDS(log_text("address", door->settings->admin.listen),
                             log_int("port", (int64_t)http_server_port(d->server))));
    else
        (void)err_prefix(err, "admin");
    return rc;
}

void admin_stop(struct admin **out)
{
    struct admin *d = *out;

    *out = NULL;
    if (d == NULL)
        return;
    clerks_stop(&d->clerks); /* first: they hold requests of the server's */
    http_server_stop(&d->server);
    guard_free(&d->guard);
    free(d);
}

/* message_keys - see message_keys.h. */
#include "base/message_keys.h"

#include "base/json.h"

#include <string.h>

static const char *const places[] = {"body", "headers"};

/* The value at the end of a path such as ".order.id"; NULL: there is none. */
static const struct json_token *follow(const struct json *j, const char *path)
{
    const struct json_token *value = j->tape;
    char name[256];

    while (value != NULL && *path == '.') {
        size_t len = strcspn(++path, ".");

        if (len == 0 || len >= sizeof name)
            return NULL;
        memcpy(name, path, len);
        name[len] = '\0';
        value = json_member(j, value, name);
        path += len;
    }
    return value;
}

static int take(struct slice *key, const struct json *j, const char *path, const char *whole,
                struct err *err)
{
    const struct json_token *value = follow(j, path);

    if (value == NULL || value->kind == JSON_NULL)
        return OK;
    if (value->kind != JSON_STRING && value->kind != JSON_INTEGER)
        return err_set(err, ERR_INPUT,
                       "%s is neither a string nor an integer: it cannot be a business key", whole);
    *key = json_text(j, value);
    return OK;
}

/* What lies behind "body" or "headers" in the path; NULL: it begins otherwise. */
static const char *inside(const char *path, const char *place)
{
    size_t len = strlen(place);

    return path != NULL && strncmp(path, place, len) == 0 && path[len] == '.' ? path + len : NULL;
}

static int find_in(struct message *m, const char *const path[MESSAGE_KEYS], const char *place,
                   struct slice text, struct buf *tape, struct err *err)
{
    struct json j;
    bool parsed = false;
    int rc = OK;

    for (int i = 0; i < MESSAGE_KEYS && rc == OK; i++) {
        const char *rest = inside(path[i], place);

        if (rest == NULL || text.len == 0)
            continue;
        if (!parsed)
            rc = json_parse(&j, tape, text.data, text.len, err);
        parsed = true;
        if (rc == OK)
            rc = take(&m->key[i], &j, rest, path[i], err);
    }
    return rc;
}

int message_keys_find(struct message *m, const char *const path[MESSAGE_KEYS], struct buf tapes[2],
                      struct err *err)
{
    const struct slice body = message_is_json(m) ? message_text(m) : (struct slice){NULL, 0};
    int rc = find_in(m, path, places[0], body, &tapes[0], err);

    return rc == OK ? find_in(m, path, places[1], m->headers, &tapes[1], err) : rc;
}

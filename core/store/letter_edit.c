/* letter_edit - see letter_edit.h. */
#include "store/letter_edit.h"

#include "base/json.h"
#include "store/sqlite/db_int.h"

#include <string.h>

enum { SHORT_MAX = 255, EDIT_MEMORY = 8 * MESSAGE_BODY_MAX };

static const char *const key_names[] = {"--key1", "--key2", "--key3"};
static const char *const members[] = {"businessKey1", "businessKey2", "businessKey3"};

/* A letter that is being mended, in memory of its own. */
struct mended {
    struct arena arena;
    struct envelope envelope; /* lends what the body says */
    enum letter_side side;
    struct message message;
    bool kept; /* it fitted */
};

static bool keep(void *arg, const struct letter *letter)
{
    struct mended *m = arg;

    m->side = letter->side;
    m->message = letter->message;
    m->kept = message_keep(&m->arena, &m->message);
    return false;
}

static int check_text(const char *name, struct slice s, struct err *err)
{
    if (s.data != NULL && !text_is_utf8(s.data, s.len))
        return err_set(err, ERR_INPUT, "%s is not UTF-8 text", name);
    return OK;
}

static int check_words(const struct letter_edit *edit, struct err *err)
{
    int rc = check_text("--type", edit->type, err);

    if (rc == OK && edit->type.data != NULL && (edit->type.len == 0 || edit->type.len > SHORT_MAX))
        rc = err_set(err, ERR_INPUT, "--type must have 1 to %d bytes", SHORT_MAX);
    for (int i = 0; i < MESSAGE_KEYS && rc == OK; i++)
        rc = check_text(key_names[i], edit->key[i], err);
    return rc;
}

static int check_header(const struct header_edit *h, struct err *err)
{
    int rc = check_text("the header's name", h->name, err);

    if (rc == OK)
        rc = check_text("the header's value", h->value, err);
    if (rc == OK && (h->name.len == 0 || h->name.len > SHORT_MAX))
        rc = err_set(err, ERR_INPUT, "a header's name has 1 to %d bytes", SHORT_MAX);
    for (size_t i = 0; i < h->name.len && rc == OK; i++)
        if (h->name.data[i] == '"' || h->name.data[i] == '\\' ||
            (unsigned char)h->name.data[i] < 32)
            rc = err_set(err, ERR_INPUT, "a header's name has no quotes and no control characters");
    return rc == OK ? OK : err_prefix(err, "--header");
}

/* SQLite's own JSON functions keep the other headers as they are. */
static int set_header(struct db *db, int64_t id, const struct header_edit *h, struct err *err)
{
    bool set = h->value.data != NULL;
    struct query q = query_start(db, set ? STATEMENT_LETTER_HEADER : STATEMENT_LETTER_NO_HEADER);

    query_slice(&q, h->name);
    if (set)
        query_slice(&q, h->value);
    query_int(&q, id);
    return query_run(&q, err);
}

static int set_headers(struct db *db, int64_t id, const struct letter_edit *edit, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; i < edit->n_headers && rc == OK; i++) {
        rc = check_header(&edit->headers[i], err);
        if (rc == OK)
            rc = set_header(db, id, &edit->headers[i], err);
    }
    return rc;
}

static int apply(struct mended *m, const struct letter_edit *edit, struct err *err)
{
    int rc = check_words(edit, err);

    if (edit->type.data != NULL)
        m->message.type = edit->type;
    for (int i = 0; i < MESSAGE_KEYS; i++)
        if (edit->key[i].data != NULL)
            m->message.key[i] = edit->key[i];
    if (edit->body.data != NULL)
        m->message.body = edit->body;
    return rc;
}

/* Whoever reads the message reads the body first, so a word that it contradicts would do
 * nothing. */
static int check_said_twice(const char *option, const char *member, struct slice wanted,
                            struct slice got, struct err *err)
{
    if (wanted.data == NULL || slice_equal(wanted, got))
        return OK;
    return err_set(err, ERR_INPUT,
                   "%s would change nothing: the body says \"%s\":\"%.*s\", and the body comes "
                   "first. Give --body, too",
                   option, member, (int)(got.len < 200 ? got.len : 200), got.data ? got.data : "");
}

/* As a consumer will: what it cannot read is refused here. */
static int check_result(struct mended *m, const struct letter_edit *edit, struct err *err)
{
    struct message *r = &m->message;
    int rc;

    if (edit->body.data != NULL && edit->body.len == 0) /* of a variable that was not set */
        return err_set(err, ERR_INPUT, "--body: it is empty");
    rc = message_resolve(r, &m->envelope, err);
    if (rc != OK)
        return edit->body.data != NULL ? err_prefix(err, "--body") : rc;
    rc = check_said_twice("--type", "messageType", edit->type, r->type, err);
    for (int i = 0; i < MESSAGE_KEYS && rc == OK; i++)
        rc = check_said_twice(key_names[i], members[i], edit->key[i], r->key[i], err);
    if (rc == OK && r->type.len > SHORT_MAX)
        rc = err_set(err, ERR_INPUT, "its type has %zu bytes, over the limit of %d", r->type.len,
                     SHORT_MAX);
    if (rc == OK && message_size(r) > MESSAGE_BODY_MAX)
        rc = err_set(err, ERR_INPUT,
                     "body, headers, properties and keys together are over the limit of %d "
                     "bytes",
                     MESSAGE_BODY_MAX);
    return rc;
}

static int write_back(struct db *db, int64_t id, const struct message *m, struct err *err)
{
    struct query q = query_start(db, STATEMENT_LETTER_EDIT);

    query_slice(&q, m->type);
    for (int i = 0; i < MESSAGE_KEYS; i++)
        query_slice(&q, m->key[i]);
    query_blob(&q, m->body);
    query_int(&q, id);
    return query_run(&q, err);
}

static int mend(struct db *db, int64_t id, const struct letter_edit *edit, struct mended *m,
                struct err *err)
{
    int rc = set_headers(db, id, edit, err);

    if (rc == OK)
        rc = letter_get(db, id, keep, m, err);
    if (rc == OK && !m->kept)
        rc = err_set(err, ERR_NOMEM, "out of memory");
    if (rc == OK)
        rc = apply(m, edit, err);
    if (rc == OK)
        rc = check_result(m, edit, err);
    return rc == OK ? write_back(db, id, &m->message, err) : rc;
}

int letter_edit(struct db *db, int64_t id, const struct letter_edit *edit, bool dry_run,
                struct err *err)
{
    struct mended m = {.kept = false};
    int rc = db_begin(db, err);

    if (rc != OK)
        return rc;
    arena_init(&m.arena, EDIT_MEMORY);
    envelope_init(&m.envelope);
    rc = mend(db, id, edit, &m, err);
    if (rc == OK && !dry_run)
        rc = db_commit(db, err);
    else
        db_rollback(db);
    envelope_free(&m.envelope);
    arena_free(&m.arena);
    return rc;
}

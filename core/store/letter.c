/* letter - see letter.h. */
#include "store/letter.h"

#include "base/error_group.h"
#include "store/sqlite/db_int.h"
#include "store/tries.h"

static const char *const sides[] = {[LETTER_INBOX] = "inbox", [LETTER_OUTBOX] = "outbox"};

/* An absent queue is kept as '': nulls are never equal, and a letter of side outbox
 * must be kept once, too. */
static struct slice queue_of(const struct letter *letter)
{
    return letter->queue.data != NULL ? letter->queue : slice_of("");
}

/* The id of the letter that was there first. */
static int find(struct db *db, const struct letter *letter, int64_t *id_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_LETTER_FIND);

    query_text(&q, sides[letter->side]);
    query_slice(&q, queue_of(letter));
    query_slice(&q, letter->identity);
    query_int(&q, (int64_t)letter->fingerprint.bits);
    return query_get_int(&q, id_out, err);
}

static int insert(struct db *db, const struct letter *letter, const char *error, struct slice tries,
                  struct err *err)
{
    struct query q = query_start(db, STATEMENT_LETTER_ADD);

    query_text(&q, sides[letter->side]);
    query_slice(&q, queue_of(letter));
    query_slice(&q, letter->identity);
    query_fingerprint(&q, letter->fingerprint);
    query_int(&q, letter->attempts);
    query_text(&q, error);
    query_text(&q, letter->traceback);
    query_int(&q, letter->generation);
    query_int(&q, letter->at);
    query_message(&q, &letter->message, letter->exchange, letter->routing_key);
    query_int(&q, error_group(sides[letter->side], queue_of(letter), slice_of(error)));
    query_text(&q, letter->leg_kind);
    query_slice(&q, letter->lane);
    query_int(&q, letter->holds);
    query_int(&q, letter->place);
    query_text(&q, letter->format);
    query_int(&q, letter->reply_until);
    query_slice(&q, tries);
    return query_run(&q, err);
}

int letter_add(struct db *db, const struct letter *letter, int64_t *id_out, bool *added_out,
               struct err *err)
{
    bool added;
    const char *error = letter->error;
    struct tried last = {.at = letter->at,
                         .attempt = letter->attempts,
                         .generation = letter->generation,
                         .traceback = slice_of(letter->traceback)};
    struct buf tries;
    int rc = tries_begin(&tries, letter->tries, err);

    if (error == NULL || error[0] == '\0') /* nobody should, but error("") in a handler can */
        error = "(no reason given)";
    last.error = slice_of(error);
    if (rc == OK)
        rc = tries_add(&tries, &last, err);
    if (rc == OK)
        rc = insert(db, letter, error, (struct slice){tries.data, tries.len}, err);
    buf_free(&tries);
    if (rc != OK)
        return rc;
    added = sqlite3_changes64(db->work) > 0;
    if (added_out != NULL)
        *added_out = added;
    if (id_out == NULL)
        return OK;
    *id_out = sqlite3_last_insert_rowid(db->work);
    return added ? OK : find(db, letter, id_out, err);
}

static void read_letter(sqlite3_stmt *stmt, struct letter *letter)
{
    int c = 0;

    letter->id = sqlite3_column_int64(stmt, c++);
    letter->side = slice_is(column_slice(stmt, c++), "outbox") ? LETTER_OUTBOX : LETTER_INBOX;
    letter->queue = column_slice(stmt, c++);
    if (letter->queue.len == 0)
        letter->queue = (struct slice){NULL, 0};
    letter->identity = column_slice(stmt, c++);
    letter->fingerprint = column_fingerprint(stmt, c);
    c += 2;
    letter->attempts = sqlite3_column_int(stmt, c++);
    letter->error = column_text(stmt, c++);
    if (letter->error == NULL) /* out of memory */
        letter->error = "?";
    letter->traceback = column_text(stmt, c++);
    letter->generation = sqlite3_column_int64(stmt, c++);
    letter->at = sqlite3_column_int64(stmt, c++);
    c = column_message(stmt, c, &letter->message, &letter->exchange, &letter->routing_key);
    letter->leg_kind = column_text(stmt, c++);
    letter->lane = column_slice(stmt, c++);
    letter->holds = sqlite3_column_int(stmt, c++) != 0;
    letter->place = sqlite3_column_int64(stmt, c++);
    letter->format = column_text(stmt, c++);
    letter->reply_until = sqlite3_column_int64(stmt, c++);
    letter->tries = column_slice(stmt, c);
}

int letter_newest(struct db *db, size_t limit, letter_fn *fn, void *arg, struct err *err)
{
    struct query q = query_start(db, STATEMENT_LETTER_NEWEST);
    struct letter letter = {.id = 0};
    int rc;

    query_int(&q, (int64_t)limit);
    while ((rc = query_row(&q, err)) == 1) {
        read_letter(q.stmt, &letter);
        if (!fn(arg, &letter))
            break;
    }
    query_end(&q);
    return rc < 0 ? rc : OK;
}

int letter_get(struct db *db, int64_t id, letter_fn *fn, void *arg, struct err *err)
{
    struct query q = query_start(db, STATEMENT_LETTER_GET);
    struct letter letter = {.id = 0};
    int rc;

    query_int(&q, id);
    rc = query_row(&q, err);
    if (rc == 1) {
        read_letter(q.stmt, &letter);
        (void)fn(arg, &letter); /* there is nothing to stop */
    }
    query_end(&q);
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "no dead letter %lld", (long long)id);
    return rc == 1 ? OK : rc;
}

int letter_count(struct db *db, int64_t *count_out, struct err *err)
{
    struct query q = query_start(db, STATEMENT_COUNT_GET);

    *count_out = 0;
    query_text(&q, "dead");
    return query_get_int(&q, count_out, err);
}

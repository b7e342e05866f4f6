/* outbox_format - the form of a framework that a row's message has by now (outbox.h) */
#include "store/outbox.h"

#include "store/sqlite/db_int.h"

int outbox_keep_format(struct db *db, int64_t id, const char *format, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_KEEP_FORMAT);

    query_text(&q, format);
    query_int(&q, id);
    return query_run(&q, err);
}

int outbox_set_headers(struct db *db, int64_t id, struct slice headers, struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_HEADERS);

    query_slice(&q, headers);
    query_int(&q, id);
    return query_run(&q, err);
}

int outbox_set_format(struct db *db, int64_t id, const char *format, const struct message *m,
                      struct err *err)
{
    struct query q = query_start(db, STATEMENT_OUTBOX_FORMAT);

    query_text(&q, format);
    query_blob(&q, m->body);
    query_slice(&q, m->headers);
    query_slice(&q, m->properties);
    query_int(&q, id);
    return query_run(&q, err);
}

int outbox_set_no_format(struct db *db, const int64_t *ids, size_t n, struct err *err)
{
    int rc = OK;

    for (size_t i = 0; rc == OK && i < n; i++) {
        struct query q = query_start(db, STATEMENT_OUTBOX_NO_FORMAT);

        query_int(&q, ids[i]);
        rc = query_run(&q, err);
    }
    return rc;
}

/*
 * producer - an order service in one file
 *
 *     cc -I../../include producer.c -lsqlite3 -o producer
 *     ./producer store.db 16
 *
 * Marks an order as paid and tells the world about it, in one transaction: either both
 * happen or neither. Whatever becomes of this program after the commit, a herald that
 * runs on the same store sends the message.
 */
#include "herald.h"

#include <stdio.h>

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

/* The business: a table of orders and a row that changes. */
static int pay(sqlite3 *db, const char *order)
{
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db,
                                "insert into orders(id, status) values (?, 'paid') "
                                "on conflict(id) do update set status = 'paid'",
                                -1, &stmt, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_bind_text(stmt, 1, order, -1, SQLITE_STATIC);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(stmt) == SQLITE_DONE ? SQLITE_OK : sqlite3_errcode(db);
    (void)sqlite3_finalize(stmt); /* repeats the step's result */
    return rc;
}

static int pay_and_tell(sqlite3 *db, const char *order)
{
    const struct herald_message message = {
        .type = "payresult_notify", .business_key1 = order, .business_key2 = "60201"};
    sqlite3_int64 id = 0;
    int rc = run(db, "begin immediate");

    if (rc != SQLITE_OK)
        return rc;
    rc = run(db, "create table if not exists orders (id text primary key, status text not null)");
    if (rc == SQLITE_OK)
        rc = pay(db, order);
    if (rc == SQLITE_OK)
        rc = herald_outbox_add(db, &message, &id);
    if (rc == SQLITE_OK)
        rc = run(db, "commit");
    if (rc == SQLITE_OK)
        printf("order %s is paid; its message is outbox row %lld\n", order, (long long)id);
    return rc;
}

int main(int argc, char **argv)
{
    sqlite3 *db = NULL;
    int rc;

    if (argc != 3) {
        fprintf(stderr, "usage: producer <store> <order id>\n");
        return 2;
    }
    rc = sqlite3_open_v2(argv[1], &db, SQLITE_OPEN_READWRITE, NULL);
    if (rc == SQLITE_OK)
        rc = herald_prepare_connection(db);
    if (rc == SQLITE_OK)
        rc = pay_and_tell(db, argv[2]);
    if (rc != SQLITE_OK)
        fprintf(stderr, "producer: %s\n", db ? sqlite3_errmsg(db) : "out of memory");
    (void)sqlite3_close(db); /* rolls back what did not commit */
    return rc == SQLITE_OK ? 0 : 1;
}

/* beside - another program's connection to a store */
#ifndef HERALD_TESTS_BESIDE_H
#define HERALD_TESTS_BESIDE_H

struct sqlite3;

/* To herald.db in the folder; closed by the caller. */
struct sqlite3 *beside_open(const char *folder);

/* The first column of the first row as text; "" for null or no row. Valid until the next call of
 * either. The second opens a connection for it. */
const char *beside_ask(struct sqlite3 *db, const char *sql);
const char *beside_sql(const char *folder, const char *sql);

#endif

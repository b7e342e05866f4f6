/*
 * path - the names of a store's files
 *
 * The side files go by the database's real name, so that a symbolic link to a store
 * leads to the same lock. SQLite does the same for its -wal.
 */
#ifndef HERALD_STORE_PATH_H
#define HERALD_STORE_PATH_H

/* Absolute, without symbolic links; the last part need not exist. Owned by the
 * caller. NULL: the folder does not exist or memory ran out (errno says). */
char *path_resolve(const char *path);

/* path + suffix, owned by the caller; NULL when out of memory. */
char *path_with(const char *path, const char *suffix);

#endif

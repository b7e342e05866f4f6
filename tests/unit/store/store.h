/* store - a store in a folder of its own, and another program that uses it */
#ifndef HERALD_TESTS_STORE_H
#define HERALD_TESTS_STORE_H

#include "check.h"
#include "store/list.h"

#include <sqlite3.h>

struct store {
    char folder[64];
    char path[96];
    struct db *db;   /* the router's; NULL: closed */
    sqlite3 *other;  /* a foreign program's connection; made by the first other_ call */
    struct err err;  /* of the last call */
    int64_t now_ms;  /* what both clocks say; moves by itself a little */
    struct log *log; /* writes to log_fd */
    int log_fd;      /* of the file "log" in the folder */
    char text[8192]; /* for answers */
};

/* A new folder, no store yet; and all of it gone. */
void store_setup(struct store *s);
void store_teardown(struct store *s);

/* Opens as the router, making what is absent. */
void store_open(struct store *s);
void store_setup_open(struct store *s);
#define TEST_OPENED(name) TEST_FROM(store, store_setup_open, name)

/* Any way of opening; the result in s->db and s->err. */
int store_try(struct store *s, const char *path, bool create, bool exclusive, struct db **out);
void store_close(struct store *s);

/* SQL by a foreign program; must succeed. */
void other_exec(struct store *s, const char *sql);
/* The same and its SQLite result code. */
int other_try(struct store *s, const char *sql);
/* First column of the first row. */
int64_t other_int(struct store *s, const char *sql);
/* Rows as "a|b, c|d"; null as "-". Lent until the next call. */
const char *other_rows(struct store *s, const char *sql);
void other_close(struct store *s);

/* A listing in the same way: of its rows the columns that are named, apart by blanks. */
const char *store_listed(struct store *s, const struct list_of *of, const char *columns);

/* All that was logged. */
const char *store_logged(struct store *s);

/* Path of a file in the folder; lent until the next call. */
const char *store_file(struct store *s, const char *name);
void store_write(struct store *s, const char *name, const char *text);
/* Copies the database as `cp` would, over what is there. */
void store_copy(const char *from, const char *to);

/* Shows the words where a call failed. */
#define assert_ok(s, call)                                                                         \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_ != OK)                                                                             \
            fail_msg("%s: %s: %s", #call, err_word(rc_), (s)->err.text);                           \
    } while (0)

/* The code, and a piece of the words. */
#define assert_refused(s, call, code_, words)                                                      \
    do {                                                                                           \
        int rc_ = (call);                                                                          \
        if (rc_ != (code_) || strstr((s)->err.text, words) == NULL)                                \
            fail_msg("%s: %s: %s", #call, err_word(rc_), (s)->err.text);                           \
    } while (0)

#define assert_contains(text, piece)                                                               \
    do {                                                                                           \
        const char *text_ = (text);                                                                \
        if (strstr(text_, piece) == NULL)                                                          \
            fail_msg("\"%s\" is not in \"%s\"", piece, text_);                                     \
    } while (0)

#endif

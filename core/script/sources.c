/* sources - see sources.h. */
#include "script/sources.h"

#include "base/buf.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 16384, TEXT_ROOM = SOURCES_FILE_MAX + READ_SIZE };

/* Names of one folder's rules/, sorted. */
struct names {
    char **name;
    size_t n;
    size_t room;
};

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory while reading rules");
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->name[i]);
    free(names->name);
}

/* "x.lua" and not ".x.lua", which is what editors leave behind. */
static bool is_rule_name(const char *name)
{
    size_t len = strlen(name);

    return name[0] != '.' && len > 4 && strcmp(name + len - 4, ".lua") == 0;
}

static int add_name(struct names *names, const char *name)
{
    char *copy;

    if (names->n == names->room) {
        size_t room = names->room ? names->room * 2 : 16;
        char **moved = realloc(names->name, room * sizeof *moved);

        if (moved == NULL)
            return ERR_NOMEM;
        names->name = moved;
        names->room = room;
    }
    copy = strdup(name);
    if (copy == NULL)
        return ERR_NOMEM;
    names->name[names->n++] = copy;
    return OK;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list(const char *path, struct names *names, struct err *err)
{
    struct dirent *entry;
    int rc = OK;
    DIR *dir = opendir(path);

    if (dir == NULL)
        return err_set(err, ERR_CONFIG,
                       "cannot read the rules folder %s: %s; a router keeps its rules in "
                       "rules/*.lua: create the folder, or name another router with -C",
                       path, strerror(errno));
    while (rc == OK && (entry = readdir(dir)) != NULL)
        if (is_rule_name(entry->d_name) && add_name(names, entry->d_name) != OK)
            rc = no_memory(err);
    closedir(dir);
    if (names->n > 1)
        qsort(names->name, names->n, sizeof names->name[0], compare_names);
    return rc;
}

static int read_all(int fd, const char *path, struct buf *text, struct err *err)
{
    for (;;) {
        char *room = buf_reserve(text, READ_SIZE);
        ssize_t got;

        if (room == NULL && text->len > SOURCES_FILE_MAX)
            return err_set(err, ERR_CONFIG, "%s: over the limit of %d bytes for a rule file", path,
                           SOURCES_FILE_MAX);
        if (room == NULL)
            return no_memory(err);
        got = read(fd, room, READ_SIZE);
        if (got == 0)
            return OK;
        if (got < 0 && errno != EINTR)
            return err_set(err, ERR_CONFIG, "cannot read %s: %s", path, strerror(errno));
        if (got > 0)
            text->len += (size_t)got;
    }
}

/* Sets *text when the path is a regular file, or a link to one; else *regular is false.
 * O_NONBLOCK: a named pipe must not hold the load up. */
static int read_file(const char *path, struct buf *text, bool *regular, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = OK;

    *regular = false;
    if (fd < 0)
        return err_set(err, ERR_CONFIG, "cannot read %s: %s", path, strerror(errno));
    if (fstat(fd, &st) != 0)
        rc = err_set(err, ERR_CONFIG, "cannot read %s: %s", path, strerror(errno));
    else if (S_ISREG(st.st_mode)) {
        *regular = true;
        rc = read_all(fd, path, text, err);
    }
    close(fd);
    return rc;
}

static int add_source(struct sources *s, const char *namespace_, const char *name, struct buf *text,
                      struct err *err)
{
    struct source *moved = realloc(s->files, (s->n + 1) * sizeof *moved);
    size_t size = strlen(namespace_) + strlen(name) + sizeof "@/rules/";
    char *chunk = malloc(size);

    if (moved != NULL)
        s->files = moved;
    if (moved == NULL || chunk == NULL) {
        free(chunk);
        return no_memory(err);
    }
    snprintf(chunk, size, "@%s%srules/%s", namespace_, *namespace_ ? "/" : "", name);
    s->files[s->n++] = (struct source){.chunk = chunk, .text = text->data, .len = text->len};
    buf_init(text, TEXT_ROOM); /* the file owns the bytes */
    return OK;
}

static int read_folder(struct sources *s, const struct script_folder *folder, struct err *err)
{
    char path[PATH_MAX];
    struct names names = {0};
    int rc;

    snprintf(path, sizeof path, "%s/rules", folder->path);
    rc = list(path, &names, err);
    for (size_t i = 0; rc == OK && i < names.n; i++) {
        char file[PATH_MAX];
        struct buf text;
        bool regular;

        buf_init(&text, TEXT_ROOM);
        if (snprintf(file, sizeof file, "%s/%s", path, names.name[i]) >= (int)sizeof file)
            rc = err_set(err, ERR_CONFIG, "path too long: %s", path);
        else
            rc = read_file(file, &text, &regular, err);
        if (rc == OK && regular)
            rc = add_source(s, folder->namespace_ ? folder->namespace_ : "", names.name[i], &text,
                            err);
        buf_free(&text);
    }
    free_names(&names);
    return rc;
}

static void make_hash(struct sources *s)
{
    uint64_t hash = TEXT_HASH_START;

    for (size_t i = 0; i < s->n; i++) {
        hash = text_hash(hash, s->files[i].chunk, strlen(s->files[i].chunk));
        hash = text_hash(hash, s->files[i].text, s->files[i].len);
    }
    snprintf(s->hash, sizeof s->hash, "%012llx", (unsigned long long)(hash >> 16));
}

int sources_read(struct sources *s, const struct script_folder *folders, size_t n, struct err *err)
{
    int rc = OK;

    *s = (struct sources){.files = NULL};
    for (size_t i = 0; rc == OK && i < n; i++)
        rc = read_folder(s, &folders[i], err);
    if (rc != OK) {
        sources_free(s);
        return rc;
    }
    make_hash(s);
    return OK;
}

void sources_free(struct sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->files[i].chunk);
        free(s->files[i].text);
    }
    free(s->files);
    *s = (struct sources){.files = NULL};
}

struct slice source_code(const struct source *f)
{
    if (f->len >= 3 && memcmp(f->text, "\xef\xbb\xbf", 3) == 0)
        return (struct slice){f->text + 3, f->len - 3};
    return (struct slice){f->text ? f->text : "", f->len};
}

/* sources - see sources.h. */
#include "script/sources.h"

#include "base/buf.h"
#include "script/folder_above.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_SIZE = 16384, DEPTH_MAX = 16, TEXT_ROOM = SOURCES_FILE_MAX + READ_SIZE };

/* Names of one folder, sorted. */
struct names {
    char **name;
    size_t n;
    size_t room;
};

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory while reading rules");
}

static int cannot_read(const char *path, int error, struct err *err)
{
    if (error == EACCES)
        return err_set(err, ERR_CONFIG,
                       "cannot read %s: %s: let the user that herald runs as (uid %ld) read it",
                       path, strerror(error), (long)geteuid());
    return err_set(err, ERR_CONFIG, "cannot read %s: %s", path, strerror(error));
}

static void free_names(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->name[i]);
    free(names->name);
}

static bool is_lua_name(const char *name)
{
    size_t len = strlen(name);

    return len > 4 && strcmp(name + len - 4, ".lua") == 0;
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

/* All names, sorted, but hidden ones, which are what editors leave behind. */
static int list(const char *path, DIR *dir, struct names *names, struct err *err)
{
    struct dirent *entry;
    int rc = OK;

    errno = 0;
    while (rc == OK && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && add_name(names, entry->d_name) != OK)
            rc = no_memory(err);
        errno = 0;
    }
    if (rc == OK && errno != 0)
        rc = cannot_read(path, errno, err);
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

/* True when nothing has that name: an editor that renames its copy over a file takes it
 * away for a moment, and what is not there is no rule. A link to nothing is there. */
static bool is_gone(const char *path)
{
    struct stat st;

    return lstat(path, &st) != 0 && errno == ENOENT;
}

static bool is_inside(const char *target, const char *folder)
{
    size_t len = strlen(folder);

    return strncmp(target, folder, len) == 0 && (target[len] == '/' || len == 1);
}

/* A link that leads out of the router's folder would make the rules depend on what
 * nobody looks at when they are reviewed, copied or watched. */
static int check_link(const char *root, const char *path, struct err *err)
{
    char *inside = realpath(root, NULL), *target = realpath(path, NULL);
    int rc = OK;

    if (inside == NULL || target == NULL)
        rc = cannot_read(path, errno, err);
    else if (!is_inside(target, inside))
        rc = err_set(err, ERR_CONFIG,
                     "%s is a link that leads out of the router's folder, to %s: copy the file "
                     "into the folder",
                     path, target);
    free(inside);
    free(target);
    return rc;
}

/* O_NONBLOCK: a named pipe must not hold the load up. Anything but a regular file has no
 * text. */
static int read_file(const char *path, struct buf *text, bool *regular, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc = OK;

    *regular = false;
    if (fd < 0)
        return cannot_read(path, errno, err);
    if (fstat(fd, &st) != 0)
        rc = cannot_read(path, errno, err);
    else if (S_ISREG(st.st_mode)) {
        *regular = true;
        rc = read_all(fd, path, text, err);
    }
    close(fd);
    return rc;
}

/* Where a walk through a folder is: the names of a file for the disk and for people. */
struct walk {
    struct sources *sources;
    const char *folder; /* the router's, or an include's */
    const char *root;   /* the router's: links stay within */
    const char *prefix; /* "" or "learning/" */
    bool module;        /* below lib/: run only when it is required */
    int depth;
};

static int add_source(const struct walk *w, const char *name, struct buf *text, struct err *err)
{
    struct sources *s = w->sources;
    size_t size = strlen(w->prefix) + strlen(name) + sizeof "@";
    struct source *moved;
    char *chunk;

    if (s->n == SOURCES_FILES_MAX)
        return err_set(err, ERR_CONFIG, "%s%s: more than %d files of rules", w->prefix, name,
                       SOURCES_FILES_MAX);
    moved = realloc(s->files, (s->n + 1) * sizeof *moved);
    chunk = malloc(size);
    if (moved != NULL)
        s->files = moved;
    if (moved == NULL || chunk == NULL) {
        free(chunk);
        return no_memory(err);
    }
    snprintf(chunk, size, "@%s%s", w->prefix, name);
    s->files[s->n++] = (struct source){.chunk = chunk,
                                       .text = text->data,
                                       .len = text->len,
                                       .prefix = strlen(w->prefix),
                                       .module = w->module};
    buf_init(text, TEXT_ROOM); /* the file owns the bytes */
    return OK;
}

static int add_file(const struct walk *w, const char *name, const char *path, struct err *err)
{
    struct buf text;
    bool regular = false;
    int rc;

    rc = check_link(w->root, path, err);
    buf_init(&text, TEXT_ROOM);
    if (rc == OK)
        rc = read_file(path, &text, &regular, err);
    if (rc == OK && regular)
        rc = add_source(w, name, &text, err);
    buf_free(&text);
    return rc == ERR_CONFIG && is_gone(path) ? OK : rc;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int walk_folder(const struct walk *w, const char *name, DIR *dir, struct err *err);

static int walk_entry(const struct walk *w, const char *name, struct err *err)
{
    struct walk below = *w;
    char path[PATH_MAX];
    DIR *dir;

    if (snprintf(path, sizeof path, "%s/%s", w->folder, name) >= (int)sizeof path)
        return err_set(err, ERR_CONFIG, "path too long: %s", name);
    if (is_lua_name(name))
        return add_file(w, name, path, err);
    if (!w->module || !is_folder(path))
        return OK;
    if (++below.depth > DEPTH_MAX)
        return err_set(err, ERR_CONFIG, "%s: folders below lib/ go at most %d deep", path,
                       DEPTH_MAX);
    dir = opendir(path);
    if (dir == NULL)
        return cannot_read(path, errno, err);
    return walk_folder(&below, name, dir, err);
}

/* Closes `dir`. */
static int walk_folder(const struct walk *w, const char *name, DIR *dir, struct err *err)
{
    struct names names = {0};
    int rc = list(name, dir, &names, err);

    closedir(dir);
    for (size_t i = 0; rc == OK && i < names.n; i++) {
        char below[PATH_MAX];

        if (snprintf(below, sizeof below, "%s/%s", name, names.name[i]) >= (int)sizeof below)
            rc = err_set(err, ERR_CONFIG, "path too long: %s", name);
        else
            rc = walk_entry(w, below, err);
    }
    free_names(&names);
    return rc;
}

static DIR *open_below(const char *folder, const char *name)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return opendir(path);
}

/* A router need not have any. */
static int read_modules(struct walk *w, struct err *err)
{
    DIR *dir = open_below(w->folder, "lib");
    char path[PATH_MAX + sizeof "/lib"];

    w->module = true;
    if (dir != NULL)
        return walk_folder(w, "lib", dir, err);
    if (errno == ENOENT || errno == ENOTDIR)
        return OK;
    snprintf(path, sizeof path, "%s/lib", w->folder);
    return cannot_read(path, errno, err);
}

static int read_folder(struct sources *s, const struct script_folder *folder, struct err *err)
{
    const char *name = folder->namespace_ ? folder->namespace_ : "";
    char prefix[PATH_MAX], root[PATH_MAX];
    struct walk w = {.sources = s, .folder = folder->path, .root = root, .prefix = prefix};
    DIR *dir = open_below(folder->path, "rules");
    int rc;

    snprintf(prefix, sizeof prefix, "%s%s", name, *name ? "/" : "");
    (void)folder_above_of(folder, root, sizeof root); /* itself where nothing is above */
    if (dir == NULL)
        return err_set(err, ERR_CONFIG,
                       "cannot read the rules folder %s/rules: %s; a router keeps its rules in "
                       "rules/*.lua: create the folder, or name another router with -C",
                       folder->path, strerror(errno));
    rc = walk_folder(&w, "rules", dir, err);
    return rc == OK ? read_modules(&w, err) : rc;
}

/* What the folders share lies above them, and belongs to none of them. */
static int read_shared(struct sources *s, const struct script_folder *folders, size_t n,
                       struct err *err)
{
    int rc = OK;

    for (size_t i = 0; rc == OK && i < n; i++) {
        char root[PATH_MAX];
        struct walk w = {.sources = s, .folder = root, .root = root, .prefix = ""};

        if (folder_above_is_next(folders, n, i, root, sizeof root))
            rc = read_modules(&w, err);
    }
    return rc;
}

static void name_source(const void *list, size_t i, struct slice name[LOOKUP_PARTS])
{
    name[0] = slice_of(((const struct source *)list + i)->chunk);
    name[1] = name[2] = slice_of(NULL);
}

/* Past the next end of a line; "\r\n" and "\n\r" are one, as in Lua. */
static size_t next_line(struct slice code, size_t at)
{
    while (at < code.len && code.data[at] != '\n' && code.data[at] != '\r')
        at++;
    if (at + 1 < code.len && (code.data[at + 1] == '\n' || code.data[at + 1] == '\r') &&
        code.data[at + 1] != code.data[at])
        at++;
    return at < code.len ? at + 1 : code.len;
}

/* Asked for each function that is declared: a walk from the start would be one too many. */
static bool find_lines(struct source *f)
{
    struct slice code = source_code(f);
    size_t n = 1;

    for (size_t at = 0; at < code.len; at = next_line(code, at))
        n++;
    f->lines = calloc(n, sizeof *f->lines);
    if (f->lines == NULL)
        return false;
    f->n_lines = n - 1;
    for (size_t i = 1; i < n; i++)
        f->lines[i] = next_line(code, f->lines[i - 1]);
    return true;
}

struct slice source_lines(const struct source *f, int first, int last)
{
    struct slice code = source_code(f);
    size_t from = first > 0 ? (size_t)first - 1 : f->n_lines;
    size_t to = last > 0 && (size_t)last < f->n_lines ? (size_t)last : f->n_lines;

    if (from >= to)
        return (struct slice){code.data, 0};
    return (struct slice){code.data + f->lines[from], f->lines[to] - f->lines[from]};
}

static int index_files(struct sources *s, struct err *err)
{
    for (size_t i = 0; i < s->n; i++) {
        struct slice name[LOOKUP_PARTS];

        name_source(s->files, i, name);
        if (!find_lines(&s->files[i]) || lookup_add(&s->by_chunk, name) != OK)
            return no_memory(err);
    }
    return OK;
}

static void make_hash(struct sources *s)
{
    uint64_t hash = TEXT_HASH_START;

    for (size_t i = 0; i < s->n; i++) {
        hash = text_hash(hash, s->files[i].chunk, strlen(s->files[i].chunk) + 1);
        hash = text_hash(hash, &s->files[i].len, sizeof s->files[i].len);
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
    if (rc == OK)
        rc = read_shared(s, folders, n, err);
    if (rc == OK)
        rc = index_files(s, err);
    if (rc != OK) {
        sources_free(s);
        return rc;
    }
    make_hash(s);
    return OK;
}

const struct source *sources_find(const struct sources *s, const char *chunk)
{
    const struct slice name[] = {slice_of(chunk), {NULL, 0}, {NULL, 0}};
    size_t i = lookup_find(&s->by_chunk, name, name_source, s->files);

    return i == LOOKUP_NONE ? NULL : &s->files[i];
}

void sources_free(struct sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        free(s->files[i].chunk);
        free(s->files[i].text);
        free(s->files[i].lines);
    }
    free(s->files);
    lookup_free(&s->by_chunk);
    *s = (struct sources){.files = NULL};
}

struct slice source_code(const struct source *f)
{
    if (f->len >= 3 && memcmp(f->text, "\xef\xbb\xbf", 3) == 0)
        return (struct slice){f->text + 3, f->len - 3};
    return (struct slice){f->text ? f->text : "", f->len};
}

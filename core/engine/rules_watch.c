/* rules_watch - see rules_watch.h. */
#include "engine/rules_watch.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { QUIET_MS = 200, LOOK_EVERY_MS = 2000, DEPTH_MAX = 16, SPOTS_MAX = 1000 };

/* One folder that is watched. */
struct spot {
    uv_fs_event_t event;
    struct rules_watch *watch;
    struct spot *next;
    dev_t device; /* which folder it was: a path may come to name another one */
    ino_t inode;
    char path[];
};

struct rules_watch {
    uv_loop_t *loop; /* lent */
    struct log *log; /* lent */
    rules_watch_fn *fn;
    void *arg;
    char **folders; /* owned */
    size_t n_folders;
    struct spot *spots; /* watched now */
    size_t n_spots;
    uv_timer_t quiet; /* runs after an event */
    uv_timer_t look;  /* looks for folders that came and went */
    int open;         /* handles not closed yet */
    bool stopping;
    bool blind;  /* a folder is not watched: the machine's limit */
    bool warned; /* of that */
};

static void free_when_closed(struct rules_watch *w)
{
    if (--w->open > 0 || !w->stopping)
        return;
    for (size_t i = 0; i < w->n_folders; i++)
        free(w->folders[i]);
    free(w->folders);
    free(w);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free_when_closed(handle->data);
}

static void on_spot_closed(uv_handle_t *handle)
{
    struct spot *s = handle->data;
    struct rules_watch *w = s->watch;

    free(s);
    free_when_closed(w);
}

static void on_quiet(uv_timer_t *timer);

/* A timer of a running watch cannot fail to start. */
static void something_happened(struct rules_watch *w)
{
    (void)uv_timer_start(&w->quiet, on_quiet, QUIET_MS, 0);
}

static void on_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    const struct spot *s = handle->data;

    (void)name;
    (void)events;
    (void)status; /* an overflow is a reason to look, too */
    something_happened(s->watch);
}

/* A folder that went away meanwhile is found again by on_look. */
static void cannot_watch(struct rules_watch *w, const char *path, int rc)
{
    if (rc == UV_ENOENT || rc == UV_ENOTDIR)
        return;
    w->blind = true;
    if (!w->warned)
        log_event(w->log, LOG_WARN, "rules.unwatched",
                  LOG_FIELDS(log_text("folder", path), log_text("reason", uv_strerror(rc)),
                             log_text("what_now", "changes are not noticed: use `herald reload`")));
    w->warned = true;
}

static void watch_spot(struct rules_watch *w, const char *path, const struct stat *st)
{
    struct spot *s = calloc(1, sizeof *s + strlen(path) + 1);
    int rc = s ? uv_fs_event_init(w->loop, &s->event) : UV_ENOMEM;

    if (rc == 0) {
        s->watch = w;
        s->event.data = s;
        s->device = st->st_dev;
        s->inode = st->st_ino;
        memcpy(s->path, path, strlen(path) + 1);
        w->open++;
        rc = uv_fs_event_start(&s->event, on_event, path, 0);
        if (rc == 0) {
            s->next = w->spots;
            w->spots = s;
            w->n_spots++;
            return;
        }
        uv_close((uv_handle_t *)&s->event, on_spot_closed);
    } else {
        free(s);
    }
    cannot_watch(w, path, rc);
}

/* Walks over a folder and, for lib/, those below. Returns false to stop. */
typedef bool spot_fn(struct rules_watch *w, const char *path, const struct stat *st);

static bool each_below(struct rules_watch *w, const char *path, int depth, spot_fn *fn)
{
    DIR *dir = depth > 0 ? opendir(path) : NULL;
    struct dirent *entry;
    bool go_on = true;

    while (dir != NULL && go_on && (entry = readdir(dir)) != NULL) {
        char below[PATH_MAX];
        struct stat st;

        if (entry->d_name[0] == '.' ||
            snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below ||
            stat(below, &st) != 0 || !S_ISDIR(st.st_mode))
            continue;
        go_on = fn(w, below, &st) && each_below(w, below, depth - 1, fn);
    }
    if (dir != NULL)
        closedir(dir);
    return go_on;
}

static bool each_spot(struct rules_watch *w, spot_fn *fn)
{
    static const struct {
        const char *name;
        int depth;
    } below[] = {{"rules", 0}, {"lib", DEPTH_MAX}};

    for (size_t i = 0; i < w->n_folders; i++) {
        for (size_t k = 0; k < sizeof below / sizeof below[0]; k++) {
            char path[PATH_MAX];
            struct stat st;

            if (snprintf(path, sizeof path, "%s/%s", w->folders[i], below[k].name) >=
                    (int)sizeof path ||
                stat(path, &st) != 0 || !S_ISDIR(st.st_mode))
                continue;
            if (!fn(w, path, &st) || !each_below(w, path, below[k].depth, fn))
                return false;
        }
    }
    return true;
}

static bool add_spot(struct rules_watch *w, const char *path, const struct stat *st)
{
    if (w->n_spots < SPOTS_MAX)
        watch_spot(w, path, st);
    return w->n_spots < SPOTS_MAX;
}

static void forget_spots(struct rules_watch *w)
{
    while (w->spots != NULL) {
        struct spot *s = w->spots;

        w->spots = s->next;
        uv_close((uv_handle_t *)&s->event, on_spot_closed);
    }
    w->n_spots = 0;
}

static void watch_anew(struct rules_watch *w)
{
    forget_spots(w);
    w->blind = false;
    (void)each_spot(w, add_spot); /* stopping early is no failure */
}

static bool is_watched(struct rules_watch *w, const char *path, const struct stat *st)
{
    for (const struct spot *s = w->spots; s != NULL; s = s->next)
        if (s->device == st->st_dev && s->inode == st->st_ino && strcmp(s->path, path) == 0)
            return true;
    return false;
}

/* The watch is set first and the folder read second, so a change in between is an event. */
static void on_quiet(uv_timer_t *timer)
{
    struct rules_watch *w = timer->data;

    watch_anew(w);
    w->fn(w->arg);
}

static bool is_gone(const struct rules_watch *w)
{
    for (const struct spot *s = w->spots; s != NULL; s = s->next) {
        struct stat st;

        if (stat(s->path, &st) != 0)
            return true;
    }
    return false;
}

/* While it cannot watch: by now other programs may have given back some of the machine's
 * watches. */
static void on_look(uv_timer_t *timer)
{
    struct rules_watch *w = timer->data;
    bool was_blind = w->blind;

    if (was_blind)
        watch_anew(w);
    if (w->blind || uv_is_active((uv_handle_t *)&w->quiet))
        return;
    if (was_blind || !each_spot(w, is_watched) || is_gone(w))
        something_happened(w);
}

static int copy_folders(struct rules_watch *w, const char *const *folders, size_t n)
{
    w->folders = calloc(n > 0 ? n : 1, sizeof *w->folders);
    if (w->folders == NULL)
        return ERR_NOMEM;
    for (w->n_folders = 0; w->n_folders < n; w->n_folders++) {
        w->folders[w->n_folders] = strdup(folders[w->n_folders]);
        if (w->folders[w->n_folders] == NULL)
            return ERR_NOMEM;
    }
    return OK;
}

int rules_watch_start(struct rules_watch **out, uv_loop_t *loop, struct log *log,
                      const char *const *folders, size_t n, rules_watch_fn *fn, void *arg,
                      struct err *err)
{
    struct rules_watch *w = calloc(1, sizeof *w);

    *out = NULL;
    if (w == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    w->loop = loop;
    w->log = log;
    w->fn = fn;
    w->arg = arg;
    if (copy_folders(w, folders, n) != OK) {
        w->stopping = true;
        w->open = 1;
        free_when_closed(w);
        return err_set(err, ERR_NOMEM, "out of memory");
    }
    /* Neither can fail: they only link a struct into the loop. */
    uv_timer_init(loop, &w->quiet);
    uv_timer_init(loop, &w->look);
    w->quiet.data = w->look.data = w;
    w->open = 2;
    uv_timer_start(&w->look, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    watch_anew(w);
    *out = w;
    return OK;
}

void rules_watch_stop(struct rules_watch **out)
{
    struct rules_watch *w = *out;

    if (w == NULL)
        return;
    *out = NULL;
    w->stopping = true;
    forget_spots(w);
    uv_close((uv_handle_t *)&w->quiet, on_timer_closed);
    uv_close((uv_handle_t *)&w->look, on_timer_closed);
}

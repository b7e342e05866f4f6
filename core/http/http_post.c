/* http_post - see http_post.h. */
#include "http/http_post.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

enum { CONNECT_MS = 3000, ANSWER_MS = 10000, STATUS_TOO_MANY = 429, STATUS_LATE = 408 };

/* What is used of it, by its names. */
struct library {
    void *handle;
    CURLcode (*init)(long flags);
    CURL *(*new)(void);
    CURLcode (*set)(CURL *c, CURLoption option, ...);
    CURLcode (*perform)(CURL *c);
    CURLcode (*get)(CURL *c, CURLINFO info, ...);
    void (*free)(CURL *c);
    const char *(*words)(CURLcode code);
    struct curl_slist *(*append)(struct curl_slist *list, const char *text);
    void (*free_list)(struct curl_slist *list);
};

struct post {
    struct library lib;
    CURL *curl;
    struct curl_slist *headers;
    atomic_bool *hurry; /* of the request at hand */
    char why[CURL_ERROR_SIZE];
};

/* What is between a pointer to an object and one to a function POSIX leaves to a copy. */
static bool find(struct library *lib, const char *name, void *place)
{
    void *found = dlsym(lib->handle, name);

    memcpy(place, &found, sizeof found);
    return found != NULL;
}

static int load(struct library *lib, struct err *err)
{
    lib->handle = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (lib->handle == NULL)
        return err_set(err, ERR_CONFIG, "libcurl cannot be loaded (package libcurl4): %s",
                       dlerror());
    if (!find(lib, "curl_global_init", &lib->init) || !find(lib, "curl_easy_init", &lib->new) ||
        !find(lib, "curl_easy_setopt", &lib->set) ||
        !find(lib, "curl_easy_perform", &lib->perform) ||
        !find(lib, "curl_easy_getinfo", &lib->get) || !find(lib, "curl_easy_cleanup", &lib->free) ||
        !find(lib, "curl_easy_strerror", &lib->words) ||
        !find(lib, "curl_slist_append", &lib->append) ||
        !find(lib, "curl_slist_free_all", &lib->free_list))
        return err_set(err, ERR_CONFIG, "libcurl is none that herald knows: %s", dlerror());
    return lib->init(CURL_GLOBAL_DEFAULT) == CURLE_OK
               ? OK
               : err_set(err, ERR_CONFIG, "libcurl does not start");
}

/* The library stays: what it has loaded is not made to go. */
static void close_post(void *arg)
{
    struct post *p = arg;

    if (p->headers != NULL)
        p->lib.free_list(p->headers);
    if (p->curl != NULL)
        p->lib.free(p->curl);
    free(p);
}

/* What the collector answers is of no use. */
static size_t swallow(char *data, size_t size, size_t n, void *arg)
{
    (void)data;
    (void)arg;
    return size * n;
}

static int look_at_hurry(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    const struct post *p = arg;

    (void)a;
    (void)b;
    (void)c;
    (void)d;
    return atomic_load(p->hurry) ? 1 : 0;
}

static bool set_headers(struct post *p)
{
    p->headers = p->lib.append(NULL, "Content-Type: application/json");
    return p->headers != NULL &&
           p->lib.append(p->headers, "Expect:") != NULL; /* no waiting for a word before the body */
}

static int set_options(struct post *p, const char *url, struct err *err)
{
    CURLcode rc = p->lib.set(p->curl, CURLOPT_URL, url);

    if (rc == CURLE_OK)
        rc = p->lib.set(p->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    if (rc == CURLE_OK)
        rc = p->lib.set(p->curl, CURLOPT_HTTPHEADER, p->headers);
    p->lib.set(p->curl, CURLOPT_USERAGENT, "herald/" HERALD_VERSION);
    p->lib.set(p->curl, CURLOPT_NOSIGNAL, 1L);
    p->lib.set(p->curl, CURLOPT_QUICK_EXIT, 1L); /* else the end waits for a resolver's thread */
    p->lib.set(p->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    p->lib.set(p->curl, CURLOPT_TIMEOUT_MS, (long)ANSWER_MS);
    p->lib.set(p->curl, CURLOPT_WRITEFUNCTION, swallow);
    p->lib.set(p->curl, CURLOPT_ERRORBUFFER, p->why);
    p->lib.set(p->curl, CURLOPT_NOPROGRESS, 0L);
    p->lib.set(p->curl, CURLOPT_XFERINFOFUNCTION, look_at_hurry);
    p->lib.set(p->curl, CURLOPT_XFERINFODATA, p);
    return rc == CURLE_OK ? OK : err_set(err, ERR_CONFIG, "libcurl: %s", p->lib.words(rc));
}

/* Of a request that is wrong in itself the collector says so (4xx); what else it says may pass. */
static int judge(long status, struct err *err)
{
    if (status >= 200 && status < 300)
        return OK;
    return err_set(err,
                   status >= 400 && status < 500 && status != STATUS_TOO_MANY &&
                           status != STATUS_LATE
                       ? ERR_INPUT
                       : ERR_IO,
                   "the collector answers with status %ld", status);
}

static int send_line(void *arg, const char *line, size_t len, atomic_bool *hurry, struct err *err)
{
    struct post *p = arg;
    long status = 0;
    CURLcode rc;

    p->hurry = hurry;
    p->why[0] = '\0';
    p->lib.set(p->curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)len);
    p->lib.set(p->curl, CURLOPT_POSTFIELDS, line);
    rc = p->lib.perform(p->curl);
    if (rc != CURLE_OK)
        return err_set(err, ERR_IO, "the collector cannot be reached: %s",
                       p->why[0] != '\0' ? p->why : p->lib.words(rc));
    p->lib.get(p->curl, CURLINFO_RESPONSE_CODE, &status);
    return judge(status, err);
}

static int make(struct post *p, const char *url, struct err *err)
{
    int rc = load(&p->lib, err);

    if (rc != OK)
        return rc;
    p->curl = p->lib.new();
    if (p->curl == NULL || !set_headers(p))
        return err_set(err, ERR_NOMEM, "out of memory");
    return set_options(p, url, err);
}

int http_post_open(struct span_sink *out, const char *url, struct err *err)
{
    struct post *p = calloc(1, sizeof *p);
    int rc;

    if (p == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    rc = make(p, url, err);
    if (rc != OK) {
        close_post(p);
        return rc;
    }
    *out = (struct span_sink){.send = send_line, .close = close_post, .arg = p};
    return OK;
}

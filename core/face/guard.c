/* guard - see guard.h. */
#include "face/guard.h"

#include "base/credential.h"
#include "base/text.h"
#include "http/http_address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { TOKEN_MIN = 16, TOKEN_MAX = 4096, HOST_MAX = 256, SECOND_MS = 1000 };

/* A token, as its file had it last. */
struct token {
    const char *file; /* NULL: there is none */
    const char *what;
    uint64_t stamp;
    struct buf text; /* empty: nobody has it */
};

struct guard {
    const struct admin_settings *settings;
    struct token all, look;
    bool at_socket;  /* which no browser reaches */
    int64_t room;    /* requests that may come at once, times SECOND_MS */
    int64_t last_ms; /* when that was so */
};

static int read_token(struct token *t, struct err *err)
{
    int rc;

    if (t->file == NULL)
        return OK;
    credential_wipe(&t->text);
    buf_init(&t->text, TOKEN_MAX + 1);
    t->stamp = credential_stamp(TEXT_HASH_START, t->file);
    rc = credential_read(t->what, t->file, &t->text, err);
    if (rc == OK && t->text.len < TOKEN_MIN)
        rc = err_set(err, ERR_CONFIG, "%s %s has %zu bytes: a token has %d at least", t->what,
                     t->file, t->text.len, TOKEN_MIN);
    if (rc != OK)
        credential_wipe(&t->text);
    return rc;
}

/* One that cannot be read any more is nobody's. */
static void refresh(struct token *t)
{
    struct err unused = {0};

    if (t->file != NULL && credential_stamp(TEXT_HASH_START, t->file) != t->stamp)
        (void)read_token(t, &unused);
}

int guard_new(struct guard **out, const struct admin_settings *settings, struct err *err)
{
    struct guard *g = calloc(1, sizeof *g);
    struct http_address at;
    int rc;

    *out = g;
    if (g == NULL)
        return err_set(err, ERR_NOMEM, "out of memory");
    g->settings = settings;
    g->all = (struct token){.file = settings->token_file, .what = "admin.token_file"};
    g->look = (struct token){.file = settings->read_token_file, .what = "admin.read_token_file"};
    g->room = 2 * settings->rate * SECOND_MS;
    rc = http_address_read(settings->listen, &at, err);
    g->at_socket = rc == OK && http_address_is_unix(&at);
    if (rc == OK)
        rc = read_token(&g->all, err);
    if (rc == OK)
        rc = read_token(&g->look, err);
    return rc;
}

void guard_free(struct guard **out)
{
    if (*out == NULL)
        return;
    credential_wipe(&(*out)->all.text);
    credential_wipe(&(*out)->look.text);
    free(*out);
    *out = NULL;
}

/* The name in "name:port"; false: it is none. */
static bool cut_port(const char *host, char out[static HOST_MAX])
{
    const char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
    size_t len;

    if (host[0] == '[' && end == NULL)
        return false;
    len = end == NULL ? strlen(host) : (size_t)(end - host);
    if (len == 0 || len >= HOST_MAX)
        return false;
    memcpy(out, host, len);
    out[len] = '\0';
    return true;
}

static bool is_listed(const char *names, const char *name)
{
    size_t len = strlen(name);

    for (const char *at = names; at != NULL && *at != '\0';) {
        size_t n = strcspn(at, " ");

        if (n == len && strncasecmp(at, name, len) == 0)
            return true;
        at += n;
        at += strspn(at, " ");
    }
    return false;
}

bool guard_knows_host(const struct guard *g, const char *host)
{
    struct in_addr four;
    char name[HOST_MAX];

    if (g->at_socket)
        return true;
    if (host == NULL || !cut_port(host, name))
        return false;
    return name[0] == '[' || inet_pton(AF_INET, name, &four) == 1 ||
           strcasecmp(name, "localhost") == 0 || is_listed(g->settings->hosts, name);
}

bool guard_knows_origin(const char *origin, const char *host)
{
    static const char *const schemes[] = {"http://", "https://"};

    if (origin == NULL)
        return true;
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
        size_t len = strlen(schemes[i]);

        if (host != NULL && strncmp(origin, schemes[i], len) == 0 &&
            strcasecmp(origin + len, host) == 0)
            return true;
    }
    return false;
}

/* Takes as long whichever byte differs; how long a token is, is no secret. */
static bool is_same(const struct buf *token, struct slice given)
{
    volatile unsigned char differ = 0;

    if (token->len == 0 || given.len != token->len)
        return false;
    for (size_t i = 0; i < given.len; i++)
        differ = (unsigned char)(differ | (token->data[i] ^ given.data[i]));
    return differ == 0;
}

enum guard_right guard_right(struct guard *g, const char *authorization)
{
    static const char scheme[] = "Bearer ";
    struct slice given;
    bool all, look;

    if (g->all.file == NULL && g->look.file == NULL)
        return GUARD_ALL;
    refresh(&g->all);
    refresh(&g->look);
    if (authorization == NULL || strncasecmp(authorization, scheme, sizeof scheme - 1) != 0)
        return GUARD_NONE;
    given = slice_of(authorization + sizeof scheme - 1);
    all = is_same(&g->all.text, given);
    look = is_same(&g->look.text, given);
    return all ? GUARD_ALL : look ? GUARD_LOOK : GUARD_NONE;
}

/* A bucket that a second fills with `rate`, and that holds twice that. */
bool guard_admits(struct guard *g, int64_t mono_ms)
{
    int64_t most = 2 * g->settings->rate * SECOND_MS;

    if (g->last_ms > 0)
        g->room += (mono_ms - g->last_ms) * g->settings->rate;
    g->last_ms = mono_ms;
    if (g->room > most)
        g->room = most;
    if (g->room < SECOND_MS)
        return false;
    g->room -= SECOND_MS;
    return true;
}

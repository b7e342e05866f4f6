/* script - see script.h. */
#include "script/script_int.h"

#include "base/json.h"
#include "script/decode.h"
#include "script/loader.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

/* A body, and then some for names. */
enum { ANSWERS_MAX = 2 * MESSAGE_BODY_MAX };

static int no_memory(struct err *err)
{
    return err_set(err, ERR_NOMEM, "out of memory");
}

static struct script *new_script(const struct script_settings *settings)
{
    struct script *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->settings = *settings;
    s->settings.folders = NULL;
    s->settings.n_folders = 0;
    buf_init(&s->tape, JSON_TAPE_MAX);
    encoder_init(&s->encoder);
    arena_init(&s->answers, ANSWERS_MAX);
    arena_init(&s->identities, ANSWERS_MAX);
    return s;
}

int script_load(struct script **out, const struct script_settings *settings, struct err *err)
{
    struct script *s = new_script(settings);
    int rc;

    if (s == NULL)
        return no_memory(err);
    rc = sources_read(&s->sources, settings->folders, settings->n_folders, err);
    if (rc == OK) {
        s->rules = rules_new();
        rc = s->rules ? loader_run(s, s->rules, &s->state, err) : no_memory(err);
    }
    if (rc == OK)
        *out = s;
    else
        script_free(&s);
    return rc;
}

void script_free(struct script **script)
{
    struct script *s = *script;

    if (s == NULL)
        return;
    state_free(&s->state);
    rules_free(&s->rules);
    sources_free(&s->sources);
    buf_free(&s->tape);
    encoder_free(&s->encoder);
    arena_free(&s->answers);
    arena_free(&s->identities);
    free(s);
    *script = NULL;
}

int script_rebuild(struct script **script, struct err *err)
{
    struct script *s = *script;
    struct rules *rules = rules_new();
    struct state *state = NULL;
    int rc = rules ? loader_run(s, rules, &state, err) : no_memory(err);

    if (rc == OK) {
        state_free(&s->state);
        s->state = state;
        rules_take_handlers(s->rules, rules);
    }
    rules_free(&rules);
    return rc;
}

const struct rules *script_rules(const struct script *s)
{
    return s->rules;
}

const char *script_hash(const struct script *s)
{
    return s->sources.hash;
}

const char *script_file(const struct script *s, size_t i)
{
    return i < s->sources.n ? s->sources.files[i].chunk + 1 : NULL;
}

bool script_has_file(const struct script *s, const char *name)
{
    char chunk[PATH_MAX + 1];

    return snprintf(chunk, sizeof chunk, "@%s", name) < (int)sizeof chunk &&
           sources_find(&s->sources, chunk) != NULL;
}

size_t script_memory(const struct script *s)
{
    return s->state->used;
}

void script_step(struct script *s)
{
    lua_gc(s->state->L, LUA_GCSTEP, 0);
}

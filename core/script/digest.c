/* digest - see digest.h. */
#include "script/digest.h"

#include "script/script_int.h"

#include <string.h>

uint64_t digest_text(uint64_t hash, const char *text)
{
    return text != NULL ? text_hash(hash, text, strlen(text) + 1) : text_hash(hash, "\1", 2);
}

uint64_t digest_number(uint64_t hash, int64_t number)
{
    return text_hash(hash, &number, sizeof number);
}

uint64_t digest_retry(uint64_t hash, const struct retry_policy *p)
{
    const double shares[] = {p->factor, p->jitter};

    hash = digest_number(hash, p->attempts);
    hash = digest_number(hash, p->delay_max_ms);
    hash = digest_number(hash, p->max_age_ms);
    hash = text_hash(hash, shares, sizeof shares);
    return text_hash(hash, p->delay_ms, p->n_delays * sizeof p->delay_ms[0]);
}

/* The lines of a function, as they stand in its file. What load() made has no file: its
 * text is the name of its source. */
static struct slice function_lines(const struct script *s, const lua_Debug *ar)
{
    const struct source *f = sources_find(&s->sources, ar->source);

    return f ? source_lines(f, ar->linedefined, ar->lastlinedefined) : slice_of(ar->source);
}

uint64_t digest_function(lua_State *L, uint64_t hash, int index)
{
    struct slice lines;
    lua_Debug ar;

    if (!lua_isfunction(L, index))
        return text_hash(hash, "", 1);
    lua_pushvalue(L, index);
    lua_getinfo(L, ">S", &ar);
    lines = function_lines(script_of(L), &ar);
    return text_hash(hash, lines.data, lines.len);
}

/* fingerprint - see fingerprint.h. */
#include "script/fingerprint.h"

#include "script/script_int.h"

#include <string.h>

uint64_t fingerprint_text(uint64_t hash, const char *text)
{
    return text != NULL ? text_hash(hash, text, strlen(text) + 1) : text_hash(hash, "\1", 2);
}

uint64_t fingerprint_number(uint64_t hash, int64_t number)
{
    return text_hash(hash, &number, sizeof number);
}

uint64_t fingerprint_retry(uint64_t hash, const struct retry_policy *p)
{
    const double shares[] = {p->factor, p->jitter};

    hash = fingerprint_number(hash, p->attempts);
    hash = fingerprint_number(hash, p->delay_max_ms);
    hash = fingerprint_number(hash, p->max_age_ms);
    hash = text_hash(hash, shares, sizeof shares);
    return text_hash(hash, p->delay_ms, p->n_delays * sizeof p->delay_ms[0]);
}

/* Past the next end of a line; "\r\n" and "\n\r" are one, as in Lua. */
static const char *next_line(const char *p, const char *end)
{
    while (p < end && *p != '\n' && *p != '\r')
        p++;
    if (p < end && end - p > 1 && (p[1] == '\n' || p[1] == '\r') && p[1] != *p)
        p++;
    return p < end ? p + 1 : end;
}

/* The lines of a function, as they stand in its file. What load() made has no file: its
 * text is the name of its source. */
static struct slice function_lines(const struct script *s, const lua_Debug *ar)
{
    const struct source *f = sources_find(&s->sources, ar->source);
    struct slice code = f ? source_code(f) : slice_of(ar->source);
    const char *p = code.data, *end = code.data + code.len, *first = end;

    if (f == NULL)
        return code;
    for (int line = 1; p < end && line <= ar->lastlinedefined; line++) {
        if (line == ar->linedefined)
            first = p;
        p = next_line(p, end);
    }
    return (struct slice){first, (size_t)(p > first ? p - first : 0)};
}

uint64_t fingerprint_function(lua_State *L, uint64_t hash, int index)
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

/* arguments - see arguments.h. A copy is one block: the list, and its texts behind it. */
#include "base/arguments.h"

#include "base/err.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const struct argument *arguments_find(const struct arguments *a, const char *name)
{
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->list[i].name, name) == 0)
            return &a->list[i];
    return NULL;
}

static bool argument_same(const struct argument *a, const struct argument *b)
{
    return a->kind == b->kind && a->number == b->number && strcmp(a->name, b->name) == 0 &&
           strcmp(a->text, b->text) == 0;
}

bool arguments_same(const struct arguments *a, const struct arguments *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!argument_same(&a->list[i], &b->list[i]))
            return false;
    return true;
}

/* Puts the text at *at, which moves behind it. */
static const char *put(char **at, const char *text)
{
    const size_t size = strlen(text) + 1;
    char *there = memcpy(*at, text, size);

    *at += size;
    return there;
}

int arguments_copy(const struct arguments *from, struct arguments *to)
{
    size_t size = from->n * sizeof *from->list;
    struct argument *list;
    char *at;

    *to = (struct arguments){.n = 0};
    if (from->n == 0)
        return OK;
    for (size_t i = 0; i < from->n; i++)
        size += strlen(from->list[i].name) + strlen(from->list[i].text) + 2;
    list = malloc(size);
    if (list == NULL)
        return ERR_NOMEM;
    at = (char *)&list[from->n];
    for (size_t i = 0; i < from->n; i++) {
        list[i] = from->list[i];
        list[i].name = put(&at, from->list[i].name);
        list[i].text = put(&at, from->list[i].text);
    }
    *to = (struct arguments){list, from->n};
    return OK;
}

void arguments_free(struct arguments *a)
{
    free((void *)(uintptr_t)a->list);
    *a = (struct arguments){.n = 0};
}

const char *argument_words(const struct argument *a, char *out, size_t size)
{
    if (a->kind == ARGUMENT_TEXT)
        snprintf(out, size, "%s = \"%s\"", a->name, a->text);
    else if (a->kind == ARGUMENT_FLAG)
        snprintf(out, size, "%s = %s", a->name, a->number != 0 ? "true" : "false");
    else
        snprintf(out, size, "%s = %lld", a->name, (long long)a->number);
    return out;
}

const char *arguments_words(const struct arguments *a, char *out, size_t size)
{
    out[0] = '\0';
    for (size_t i = 0; i < a->n; i++) {
        const size_t used = strlen(out);

        snprintf(out + used, size - used, "%s", i > 0 ? ", " : "");
        argument_words(&a->list[i], out + strlen(out), size - strlen(out));
    }
    return out;
}

/* path - see path.h. */
#include "store/path.h"

#include <errno.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *path_with(const char *path, const char *suffix)
{
    char *out;

    return asprintf(&out, "%s%s", path, suffix) < 0 ? NULL : out;
}

/* The real name of the folder, then the file's own. Two copies, since dirname and
 * basename write into theirs. */
static char *resolve_new(const char *path)
{
    char *for_folder = strdup(path), *for_name = strdup(path);
    char *folder = NULL, *out = NULL;

    if (for_folder != NULL && for_name != NULL)
        folder = realpath(dirname(for_folder), NULL);
    if (folder != NULL && asprintf(&out, "%s/%s", folder, basename(for_name)) < 0)
        out = NULL;
    free(folder);
    free(for_folder);
    free(for_name);
    return out;
}

char *path_resolve(const char *path)
{
    char *out = realpath(path, NULL);

    return out == NULL && errno == ENOENT ? resolve_new(path) : out;
}

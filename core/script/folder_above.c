/* folder_above - see folder_above.h. */
#include "script/folder_above.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

bool folder_above_of(const struct script_folder *folder, char *out, size_t size)
{
    const char *name = folder->namespace_ ? folder->namespace_ : "";
    size_t len = strlen(folder->path), tail = strlen(name);
    size_t rest = len > tail ? len - tail : 0;

    snprintf(out, size, "%s", folder->path);
    if (tail == 0 || len < tail || len >= size || strcmp(folder->path + rest, name) != 0 ||
        (rest > 0 && folder->path[rest - 1] != '/'))
        return false;
    if (rest == 0)
        snprintf(out, size, ".");
    else
        out[rest > 1 ? rest - 1 : 1] = '\0';
    return true;
}

bool folder_above_is_next(const struct script_folder *folders, size_t n, size_t i, char *out,
                          size_t size)
{
    if (!folder_above_of(&folders[i], out, size))
        return false;
    for (size_t k = 0; k < n; k++) {
        char other[PATH_MAX];
        bool included = folder_above_of(&folders[k], other, sizeof other);

        if (strcmp(folders[k].path, out) == 0)
            return false;
        if (included && strcmp(other, out) == 0 &&
            (k < i || strcmp(folders[k].namespace_, "lib") == 0))
            return false;
    }
    return true;
}

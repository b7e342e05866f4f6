/*
 * folder_above - the router's own folder, where rules come from folders that it includes
 *
 * Its lib/ is shared: every included folder may require what lies there.
 */
#ifndef HERALD_SCRIPT_FOLDER_ABOVE_H
#define HERALD_SCRIPT_FOLDER_ABOVE_H

#include "script/script_types.h"

#include <stdbool.h>

/* "/srv/shop" of the include "/srv/shop/learning", "." of "learning"; false, and the folder's own
 * path, where it is the router's. What does not fit into `out` is cut off. */
bool folder_above_of(const struct script_folder *folder, char *out, size_t size);

/* True when the folder above folders[i] is none of them and above none before it: what is shared
 * is taken once. An include called "lib" is an include, and nothing is shared. */
bool folder_above_is_next(const struct script_folder *folders, size_t n, size_t i, char *out,
                          size_t size);

#endif

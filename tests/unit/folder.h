/* folder - a temporary folder, and files in it */
#ifndef HERALD_TESTS_FOLDER_H
#define HERALD_TESTS_FOLDER_H

#include <stddef.h>

/* A new one; and all of it gone. */
void folder_make(char folder[64]);
void folder_remove(const char *folder);

/* A folder in it, and a file with these bytes or this text, with the folders above them. */
void folder_add(const char *folder, const char *name);
void folder_put(const char *folder, const char *name, const void *bytes, size_t len);
void folder_write(const char *folder, const char *name, const char *text);

#endif

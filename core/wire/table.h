/*
 * table - AMQP field tables: checked, made from JSON, turned into JSON
 *
 *   size (4)  { name (1 + n)  kind (1)  value } ...
 *
 * rabbitmq-c 0.11 decodes nested tables by recursion without a limit
 * (docs/field-notes.md#hostile-bytes), so table_check walks every table before the library sees it.
 *
 * | JSON             | AMQP                     | back to JSON                        |
 * | ---------------- | ------------------------ | ----------------------------------- |
 * | string           | S                        | string; of bytes that are not UTF-8 as x |
 * | {"base64": "..."} | x                       | the same                            |
 * | 64-bit integer   | I where it fits, else l  | integer (also b B s u I i l L T)    |
 * | larger integer   | S, its digits            | string                              |
 * | real             | d                        | shortest text that reads the same   |
 * | true, false      | t                        | true, false                         |
 * | null             | V                        | null                                |
 * | object, array    | F, A                     | object, array                       |
 * | -                | D                        | number with its decimals            |
 * | -                | d, f that are no numbers | "nan", "inf", "-inf"                |
 */
#ifndef HERALD_WIRE_TABLE_H
#define HERALD_WIRE_TABLE_H

#include "base/buf.h"
#include "base/err.h"
#include "base/text.h"
#include "wire/rabbitmq.h"

#include <stdbool.h>
#include <stddef.h>

enum {
    TABLE_DEPTH_MAX = 64,    /* tables and arrays within each other, the outermost included */
    TABLE_FIELDS_MAX = 1024, /* fields and array items in all that are sent; what comes is bounded
                              * by its frame */
    TABLE_NAME_MAX = 255,    /* bytes of a field's name */
};

/* Walks the table at the start of the bytes, its size included. OK and *size_out,
 * ERR_LIMIT (too deep) or ERR_INPUT (damaged) with the reason. A
 * table whose own size fits in the bytes sets *size_out even then. */
int table_check(const char *bytes, size_t len, size_t *size_out, struct err *err);

/* Makes byte arrays of the tables and arrays that lie too deep in a table of ERR_LIMIT, which is
 * like others then. Kind and size of such a value stand where they stood. */
void table_flatten(char *bytes, size_t len);

/* True: the top-level field of this name is left out. A callback that takes the
 * value notes it in its arg; `text` is NULL where the value is no string. */
typedef bool table_take_fn(void *arg, struct slice name, const struct slice *text);

/* Appends the fields of a JSON object, without a size before them. OK, ERR_INPUT
 * with the reason, ERR_NOMEM, or ERR_LIMIT of the buffer. `take` may be NULL. */
int table_from_json(struct buf *out, struct slice json, table_take_fn *take, void *arg,
                    struct err *err);

/* True: the field of this name is left out of the JSON text. */
typedef bool table_skip_fn(void *arg, const amqp_table_entry_t *entry);

/* Appends a JSON object of the table's fields; of two of one name the last counts.
 * For tables that passed table_check. OK, ERR_NOMEM or ERR_LIMIT. */
int table_to_json(struct buf *out, const amqp_table_t *table, table_skip_fn *skip, void *arg);

/* True where the value is an integer of any width, which *out then holds in decimal. */
bool table_integer(const amqp_field_value_t *value, char out[static 24]);

#endif

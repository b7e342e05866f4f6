/* Header tables as a broker may send them: what table_check lets pass is decoded by the library,
 * becomes JSON that can be read, and a table again. */
#include "base/buf.h"
#include "base/json.h"
#include "wire/rabbitmq.h"
#include "wire/table.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool take_all(void *arg, struct slice name, const struct slice *text)
{
    (void)arg, (void)name, (void)text;
    return false;
}

static bool skip_none(void *arg, const amqp_table_entry_t *entry)
{
    (void)arg, (void)entry;
    return false;
}

static void there_and_back(const amqp_table_t *table)
{
    struct buf text, tape, bytes;
    struct json j;
    struct err err;

    buf_init(&text, 1 << 20);
    buf_init(&tape, JSON_TAPE_MAX);
    buf_init(&bytes, 1 << 20);
    if (table_to_json(&text, table, skip_none, NULL) == OK) {
        if (json_parse(&j, &tape, text.data, text.len, &err) != OK)
            abort(); /* what we write we can read */
        (void)table_from_json(&bytes, (struct slice){text.data, text.len}, take_all, NULL, &err);
    }
    buf_free(&text);
    buf_free(&tape);
    buf_free(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *bytes = malloc(size + 1);
    size_t whole = 0, offset = 0;
    amqp_pool_t pool;
    amqp_table_t table;
    struct err err;
    int rc;

    if (bytes == NULL)
        return 0;
    memcpy(bytes, data, size);
    rc = table_check(bytes, size, &whole, &err);
    if (rc == ERR_LIMIT)
        table_flatten(bytes, whole);
    if (rc == OK || rc == ERR_LIMIT) {
        init_amqp_pool(&pool, 4096);
        if (amqp_decode_table((amqp_bytes_t){whole, bytes}, &pool, &table, &offset) == 0)
            there_and_back(&table);
        empty_amqp_pool(&pool);
    }
    free(bytes);
    return 0;
}

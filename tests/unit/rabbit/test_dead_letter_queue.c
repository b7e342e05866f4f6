/* Where the broker puts what it gave up on, and what it says about it. */
#include "check.h"
#include "rabbit/dead_letter_queue.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

TEST(a_queue_has_one_beside_it_unless_its_name_is_too_long)
{
    char name[DEAD_LETTER_QUEUE_NAME_MAX], long_name[DEAD_LETTER_QUEUE_NAME_MAX] = "";

    assert_true(dead_letter_queue_name("paynotify_queue", name));
    assert_string_equal(name, "paynotify_queue.herald-dead");
    memset(long_name, 'q', 243);
    assert_true(dead_letter_queue_name(long_name, name));
    assert_int_equal(strlen(name), 255);
    long_name[243] = 'q';
    assert_false(dead_letter_queue_name(long_name, name));
    assert_string_equal(name, "");
}

TEST(a_dead_letter_queue_has_none_of_its_own)
{
    char name[DEAD_LETTER_QUEUE_NAME_MAX];

    assert_false(dead_letter_queue_name("q.herald-dead", name));
    assert_false(dead_letter_queue_name(".herald-dead", name));
    assert_true(dead_letter_queue_name("herald-dead", name));
}

static amqp_table_entry_t text(const char *key, const char *value)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_UTF8, .value.bytes = amqp_cstring_bytes(value)}};
}

static amqp_table_entry_t list(const char *key, amqp_field_value_t *items, int n)
{
    return (amqp_table_entry_t){
        .key = amqp_cstring_bytes(key),
        .value = {.kind = AMQP_FIELD_KIND_ARRAY, .value.array = {n, items}}};
}

static amqp_field_value_t table(amqp_table_entry_t *entries, int n)
{
    return (amqp_field_value_t){.kind = AMQP_FIELD_KIND_TABLE, .value.table = {n, entries}};
}

/* What is read where `reason` stands for a death in q, behind one in another queue. */
static struct dead_lettered read_reason(const char *reason)
{
    amqp_field_value_t key = {.kind = AMQP_FIELD_KIND_UTF8,
                              .value.bytes = amqp_cstring_bytes("paid.60201")};
    amqp_table_entry_t other[] = {text("queue", "p"), text("reason", "expired")};
    amqp_table_entry_t mine[] = {text("reason", reason), text("queue", "q"), text("exchange", "x"),
                                 list("routing-keys", &key, 1)};
    amqp_field_value_t deaths[] = {table(other, 2), table(mine, 4)};
    amqp_table_entry_t headers[] = {text("business-key-1", "16"), list("x-death", deaths, 2)};
    const amqp_table_t all = {2, headers};
    struct dead_lettered out;

    dead_letter_queue_read(&all, "q", &out);
    assert_true(slice_is(out.exchange, "x"));
    assert_true(slice_is(out.routing_key, "paid.60201"));
    return out;
}

TEST(each_reason_is_put_in_words)
{
    char odd[300];

    assert_non_null(strstr(read_reason("delivery_limit").why, "(delivery limit)"));
    assert_non_null(strstr(read_reason("rejected").why, "a consumer rejected it"));
    assert_non_null(strstr(read_reason("expired").why, "its time to live was over"));
    assert_non_null(strstr(read_reason("maxlen").why, "the queue was full"));
    assert_string_equal(read_reason("").why, "the broker gave up on it: reason \"\"");
    memset(odd, 'o', sizeof odd - 1);
    odd[sizeof odd - 1] = '\0';
    assert_true(strlen(read_reason(odd).why) < 150);
}

/* Somebody put it there, or wrote an x-death of his own. */
TEST(headers_of_any_shape_are_read)
{
    amqp_field_value_t number = {.kind = AMQP_FIELD_KIND_I32, .value.i32 = 7};
    amqp_table_entry_t no_reason[] = {text("queue", "q"),
                                      list("routing-keys", &number, 1),
                                      {.key = amqp_cstring_bytes("exchange"), .value = number}};
    amqp_field_value_t deaths[] = {number, table(NULL, 0), table(no_reason, 3)};
    amqp_table_entry_t headers[] = {text("x-death", "none")};
    amqp_table_t all = {0, NULL};
    struct dead_lettered out;

    dead_letter_queue_read(&all, "q", &out);
    assert_non_null(strstr(out.why, "does not say how it got there"));
    assert_null(out.exchange.data);
    all = (amqp_table_t){1, headers};
    dead_letter_queue_read(&all, "q", &out);
    assert_non_null(strstr(out.why, "does not say how it got there"));
    headers[0] = list("x-death", deaths, 3);
    dead_letter_queue_read(&all, "q", &out);
    assert_string_equal(out.why, "the broker gave up on it: reason \"\"");
    assert_null(out.exchange.data);
    assert_null(out.routing_key.data);
}

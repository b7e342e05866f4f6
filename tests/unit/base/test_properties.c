/* What an outbox row sets of AMQP's properties. */
#include "base/properties.h"
#include "check.h"

#include <stdio.h>
#include <string.h>

/* As a message that came with them has it, or why they are refused. */
static const char *read(const char *json)
{
    static char out[PROPERTIES_JSON_MAX];
    struct err err = {.code = OK};
    struct properties p;
    struct buf text;

    properties_init(&p);
    buf_init(&text, PROPERTIES_JSON_MAX);
    if (properties_read(&p, slice_of(json), &err) == OK) {
        struct slice type = p.text[PROPERTY_CONTENT_TYPE];

        properties_write(&text, &p, true);
        snprintf(out, sizeof out, "%.*s%s%.*s", (int)text.len, text.data ? text.data : "",
                 type.data != NULL ? " " : "", (int)type.len, type.data ? type.data : "");
    } else {
        snprintf(out, sizeof out, "%s", err.text);
    }
    buf_free(&text);
    properties_free(&p);
    return out;
}

TEST(a_row_sets_what_amqp_has)
{
    assert_string_equal(read("{\"app_id\":\"shop\",\"priority\":255,\"expiration\":\"60000\","
                             "\"correlation_id\":7,\"reply_to\":\"answers\",\"delivery_mode\":1,"
                             "\"content_encoding\":\"utf-8\",\"content_type\":\"text/plain\"}"),
                        "{\"content_encoding\":\"utf-8\",\"correlation_id\":\"7\","
                        "\"reply_to\":\"answers\",\"expiration\":\"60000\",\"app_id\":\"shop\","
                        "\"priority\":255,\"delivery_mode\":1} text/plain");
    assert_string_equal(read("{\"expiration\":0,\"priority\":0}"),
                        "{\"expiration\":\"0\",\"priority\":0}");
    assert_string_equal(read("{\"delivery_mode\":2,\"reply_to\":null,\"priority\":null}"), "");
    assert_string_equal(read("{\"correlation_id\":\"\"}"), "{\"correlation_id\":\"\"}");
    assert_string_equal(read("{}"), "");
    assert_string_equal(read(NULL), "");
}

#define BETWEEN ": it must be a whole number from 0 to 255"
#define EXPIRES ": it must be a whole number of milliseconds from 0 to 4294967295"

TEST(what_amqp_would_not_take_is_refused_by_its_name)
{
    static const char *const cases[][2] = {
        {"{\"prioritty\":1}", "properties: unknown property 'prioritty': did you mean 'priority'?"},
        {"{\"replyTo\":1}", "properties: unknown property 'replyTo': did you mean 'reply_to'?"},
        {"{\"user_id\":\"u\"}",
         "properties: unknown property 'user_id' (known: app_id, content_encoding, content_type, "
         "correlation_id, delivery_mode, expiration, priority, reply_to)"},
        {"{\"priority\":256}", "properties: priority is 256" BETWEEN},
        {"{\"priority\":-1}", "properties: priority is -1" BETWEEN},
        {"{\"priority\":5.0}", "properties: priority is 5.0" BETWEEN},
        {"{\"priority\":\"5\"}", "properties: priority is \"5\"" BETWEEN},
        {"{\"priority\":{}}", "properties: priority is an object" BETWEEN},
        {"{\"delivery_mode\":3}",
         "properties: delivery_mode is 3: it must be 1 (transient) or 2 (persistent)"},
        {"{\"expiration\":\"-1\"}", "properties: expiration is \"-1\"" EXPIRES},
        {"{\"expiration\":\"1m\"}", "properties: expiration is \"1m\"" EXPIRES},
        {"{\"expiration\":\"\"}", "properties: expiration is \"\"" EXPIRES},
        {"{\"expiration\":4294967296}", "properties: expiration is 4294967296" EXPIRES},
        {"{\"app_id\":true}", "properties: app_id is true: it must be a string"},
        {"{\"app_id\":[]}", "properties: app_id is an array: it must be a string"},
        {"{\"reply_to\":\"amq.rabbitmq.reply-to\"}",
         "properties: reply_to is \"amq.rabbitmq.reply-to\", which herald does not listen to: name "
         "a queue"},
        {"[]", "properties: not a JSON object"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_string_equal(read(cases[i][0]), cases[i][1]);
    assert_non_null(strstr(read("priority=1"), "properties: bad JSON"));
}

TEST(texts_have_255_bytes_at_most)
{
    char json[400] = "{\"correlation_id\":\"";

    memset(json + strlen(json), 'c', 255);
    strcat(json, "\"}");
    assert_string_equal(read(json), json);
    memcpy(json + strlen(json) - 2, "c\"}", 4);
    assert_string_equal(read(json),
                        "properties: correlation_id has 256 bytes; AMQP takes 255 at most");
}

/* What the consumers of some frameworks are sent. */
#include "base/format.h"
#include "base/properties.h"
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT INT64_C(1769860800123) /* 2026-01-31T12:00:00.123Z */

static struct message message(const char *type, const char *body)
{
    return (struct message){.id = slice_of("shop:1"),
                            .type = slice_of(type),
                            .key = {slice_of("16"), {NULL, 0}, {NULL, 0}},
                            .body = slice_of(body)};
}

/* "body headers properties", or why not. */
static const char *formed(const char *format, const struct message *m)
{
    static char out[4096];
    struct err err = {.code = OK};
    struct formatted f;

    formatted_init(&f);
    if (format_message(&f, format_of(format), m, AT, &err) == OK)
        snprintf(out, sizeof out, "%.*s %.*s %.*s", (int)f.body.len, f.body.data,
                 (int)f.headers.len, f.headers.len > 0 ? f.headers.data : "", (int)f.properties.len,
                 f.properties.len > 0 ? f.properties.data : "");
    else
        snprintf(out, sizeof out, "%s", err.text);
    formatted_free(&f);
    return out;
}

TEST(formats_have_names)
{
    for (int f = FORMAT_NONE; f < FORMATS; f++)
        assert_int_equal(format_of(format_name((enum message_format)f)), f);
    assert_int_equal(format_of(NULL), FORMAT_NONE);
    assert_int_equal(format_of("nest"), FORMAT_NONE);
}

#define JSON "{\"content_type\":\"application/json\"}"

TEST(nestjs_gets_a_pattern_and_data)
{
    struct message m = message("order.paid", "{ \"n\":1.50 }");

    assert_string_equal(formed("nestjs", &m),
                        "{\"pattern\":\"order.paid\",\"data\":{ \"n\":1.50 }}  " JSON);
    m.properties =
        slice_of("{\"reply_to\":\"q\",\"correlation_id\":7,\"content_type\":\"text/x\"}");
    m.headers = slice_of(" { } ");
    assert_string_equal(formed("nestjs", &m),
                        "{\"pattern\":\"order.paid\",\"data\":{ \"n\":1.50 },\"id\":\"7\"}  {} "
                        "{\"content_type\":\"application/json\",\"correlation_id\":\"7\","
                        "\"reply_to\":\"q\"}");
    m.body = slice_of("no");
    assert_string_equal(formed("nestjs", &m),
                        "the body is no JSON, which format = \"nestjs\" needs");
}

#define EMBED "{\"callbacks\":null,\"errbacks\":null,\"chain\":null,\"chord\":null}]"
#define TASK "\"lang\":\"py\",\"root_id\":\"shop:1\"}"
#define UTF8 "{\"content_type\":\"application/json\",\"content_encoding\":\"utf-8\","

TEST(celery_gets_arguments)
{
    struct message m = message("shop.tasks.bill", "{\"x\":1}");

    assert_string_equal(formed("celery", &m),
                        "[[],{\"x\":1}," EMBED
                        " {\"task\":\"shop.tasks.bill\",\"id\":\"shop:1\"," TASK " " UTF8
                        "\"correlation_id\":\"shop:1\"}");
    m.body = slice_of("[1,2]");
    m.headers = slice_of("{\"task\" : \"other\", \"id\":\"mine\", \"h\":null }\n");
    m.properties = slice_of("{\"correlation_id\":\"c\",\"priority\":0,\"delivery_mode\":2}");
    assert_string_equal(formed("celery", &m),
                        "[[1,2],{}," EMBED
                        " {\"task\" : \"other\", \"id\":\"mine\", \"h\":null," TASK " " UTF8
                        "\"correlation_id\":\"c\",\"priority\":0,\"delivery_mode\":2}");
    m.body = slice_of("\"one\"");
    assert_non_null(strstr(formed("celery", &m), "[[\"one\"],{}," EMBED));
    m.body = slice_of("");
    assert_string_equal(formed("celery", &m),
                        "the body is no JSON, which format = \"celery\" needs");
}

TEST(cloudevents_have_their_attributes)
{
    struct message m = message("order.paid", "[1]");

    assert_string_equal(
        formed("cloudevents", &m),
        "{\"specversion\":\"1.0\",\"id\":\"shop:1\",\"source\":\"herald\",\"type\":\"order.paid\","
        "\"time\":\"2026-01-31T12:00:00.123Z\",\"subject\":\"16\","
        "\"datacontenttype\":\"application/json\",\"data\":[1]}  "
        "{\"content_type\":\"application/cloudevents+json; charset=utf-8\"}");
    m.body = (struct slice){"\xff\0", 2};
    m.key[0] = (struct slice){NULL, 0};
    m.headers = slice_of("{\"content-type\":\"image/png\"}");
    m.properties = slice_of("{\"app_id\":\"/shop\"}");
    assert_string_equal(
        formed("cloudevents", &m),
        "{\"specversion\":\"1.0\",\"id\":\"shop:1\",\"source\":\"/shop\",\"type\":\"order.paid\","
        "\"time\":\"2026-01-31T12:00:00.123Z\",\"datacontenttype\":\"image/png\","
        "\"data_base64\":\"/wA=\"} {\"content-type\":\"image/png\"} "
        "{\"content_type\":\"application/cloudevents+json; charset=utf-8\",\"app_id\":\"/shop\"}");
}

#define GUID "0d3f7a52-9c1e-4b8a-8f60-2b1c3d4e5f60"

TEST(masstransit_gets_its_envelope)
{
    struct message m = message("Shop.Orders.OrderPaid", "{\"id\":1}");
    char first[4096];

    snprintf(first, sizeof first, "%s", formed("masstransit", &m));
    assert_string_equal(formed("masstransit", &m), first); /* a made id is always the same */
    m.id = slice_of("shop:2");
    assert_string_not_equal(formed("masstransit", &m), first);
    m.id = slice_of(GUID);
    m.properties = slice_of("{\"correlation_id\":\"" GUID "\"}");
    assert_string_equal(
        formed("masstransit", &m),
        "{\"messageId\":\"" GUID "\",\"conversationId\":\"" GUID "\",\"correlationId\":\"" GUID
        "\",\"messageType\":[\"urn:message:Shop.Orders:OrderPaid\"],\"message\":{\"id\":1},"
        "\"sentTime\":\"2026-01-31T12:00:00.123Z\",\"headers\":{}}  "
        "{\"content_type\":\"application/vnd.masstransit+json\",\"correlation_id\":\"" GUID "\"}");
    m.type = slice_of("Shop.Orders:Paid.V2");
    assert_non_null(strstr(formed("masstransit", &m), "[\"urn:message:Shop.Orders:Paid.V2\"]"));
    m.type = slice_of("urn:message:A:B");
    assert_non_null(strstr(formed("masstransit", &m), "[\"urn:message:A:B\"]"));
    m.body = slice_of("[]");
    assert_string_equal(formed("masstransit", &m),
                        "the body is no JSON object, which format = \"masstransit\" needs");
}

TEST(others_need_headers_and_leave_the_body)
{
    struct message m = message("App\\Message\\Paid", "as it is");

    assert_string_equal(formed("symfony", &m), "as it is {\"type\":\"App\\\\Message\\\\Paid\"} ");
    assert_string_equal(formed("cap", &m),
                        "as it is {\"cap-msg-id\":\"shop:1\",\"cap-msg-name\":"
                        "\"App\\\\Message\\\\Paid\",\"cap-senttime\":\"2026-01-31T12:00:00.123Z\","
                        "\"cap-corr-id\":\"shop:1\",\"cap-corr-seq\":\"0\"} ");
    assert_string_equal(formed("spring", &m),
                        "as it is {\"__TypeId__\":\"App\\\\Message\\\\Paid\"} "
                        "{\"content_encoding\":\"UTF-8\"}");
    m.headers = slice_of("{\"type\":\"mine\"}");
    assert_string_equal(formed("symfony", &m), "as it is {\"type\":\"mine\"} ");
}

TEST(what_cannot_be_formed_says_why)
{
    struct message m = message("t", "{}");
    char *large = malloc(MESSAGE_BODY_MAX);

    assert_non_null(large);
    m.headers = slice_of("[]");
    assert_string_equal(formed("cap", &m), "headers: not a JSON object");
    m.headers = slice_of("{");
    assert_non_null(strstr(formed("nestjs", &m), "headers: bad JSON"));
    m.headers = (struct slice){NULL, 0};
    m.properties = slice_of("{\"priority\":256}");
    assert_string_equal(formed("cap", &m),
                        "properties: priority is 256: it must be a whole number from 0 to 255");
    m.properties = (struct slice){NULL, 0};
    memset(large, 'x', MESSAGE_BODY_MAX);
    m.body = (struct slice){large, MESSAGE_BODY_MAX};
    assert_non_null(strstr(formed("symfony", &m), "in format \"symfony\" the message has 167772"));
    free(large);
}

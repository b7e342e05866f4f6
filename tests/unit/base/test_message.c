/* What a body says about its message, and the body that stands for none. */
#include "base/message.h"

#include "check.h"

#include <stdio.h>
#include <string.h>

static void put(char *out, size_t size, const char *name, struct slice s)
{
    size_t used = strlen(out);

    if (s.data != NULL)
        snprintf(out + used, size - used, "%s=%.*s ", name, (int)s.len, s.data);
}

/* The resolved message as text. */
static void assert_resolved(struct message m, const char *body, const char *want)
{
    struct envelope e;
    struct err err = {0};
    char story[256] = "";

    envelope_init(&e);
    m.body = slice_of(body);
    assert_int_equal(message_resolve(&m, &e, &err), OK);
    put(story, sizeof story, "type", m.type);
    put(story, sizeof story, "1", m.key[0]);
    put(story, sizeof story, "2", m.key[1]);
    put(story, sizeof story, "3", m.key[2]);
    put(story, sizeof story, "id", e.id);
    assert_string_equal(story, want);
    envelope_free(&e);
}

static void assert_refused(struct message m, const char *body, const char *want)
{
    struct envelope e;
    struct err err = {0};

    envelope_init(&e);
    m.body = slice_of(body);
    assert_int_equal(message_resolve(&m, &e, &err), ERR_INPUT);
    if (strstr(err.text, want) == NULL)
        fail_msg("wanted \"%s\" in \"%s\"", want, err.text);
    envelope_free(&e);
}

static const struct message nothing;

TEST(the_body_of_the_existing_services_is_an_envelope)
{
    assert_resolved(nothing,
                    "{\"businessKey1\":\"16\",\"businessKey2\":\"60201\",\"id\":1,"
                    "\"messageType\":\"payresult_notify\"}",
                    "type=payresult_notify 1=16 2=60201 id=1 ");
}

TEST(integer_keys_become_text_and_nulls_are_absent)
{
    assert_resolved(nothing,
                    "{\"businessKey1\":1624350000000000001,\"businessKey2\":60201,"
                    "\"businessKey3\":null,\"messageType\":\"t\",\"returnDate\":1700000000000,"
                    "\"more\":{\"businessKey3\":\"no\",\"list\":[{\"id\":9}]}}",
                    "type=t 1=1624350000000000001 2=60201 ");
}

TEST(properties_fill_what_the_body_lacks)
{
    const struct message m = {.type = slice_of("from_property"),
                              .key = {slice_of("p1"), slice_of("p2"), {NULL, 0}}};

    assert_resolved(m, "{\"total\":1}", "type=from_property 1=p1 2=p2 ");
    assert_resolved(m, "{\"messageType\":\"own\",\"businessKey1\":\"b1\"}", "type=own 1=b1 2=p2 ");
    assert_resolved(m, "[{\"messageType\":\"not a field\"}]", "type=from_property 1=p1 2=p2 ");
    assert_resolved(m, "7", "type=from_property 1=p1 2=p2 ");
}

TEST(a_body_that_is_not_json_by_its_content_type_is_left_alone)
{
    const struct message m = {.type = slice_of("t"), .content_type = slice_of("text/plain")};

    assert_resolved(m, "hello \xff", "type=t ");
}

static struct message of_type(const char *content_type)
{
    return (struct message){.content_type = slice_of(content_type)};
}

/* As MessageBuilder.withBody and convertAndSend of the existing services say it, and others. */
TEST(an_object_is_read_whatever_its_sender_calls_its_bytes)
{
    static const char body[] = " {\"messageType\":\"paid\",\"businessKey1\":\"16\"}";
    static const char *const types[] = {"application/octet-stream",
                                        "Application/Octet-Stream; x=1",
                                        "text/plain",
                                        "text/plain; charset=UTF-8",
                                        "text/xml",
                                        "application/json",
                                        "APPLICATION/JSON;charset=utf-8",
                                        "text/json",
                                        "application/x-json",
                                        "application/vnd.masstransit+json",
                                        "application/cloudevents+json; charset=utf-8",
                                        "",
                                        NULL};

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct message m = of_type(types[i]);

        assert_resolved(m, body, "type=paid 1=16 ");
        m.body = slice_of(body);
        assert_true(message_is_json(&m));
    }
}

TEST(a_byte_order_mark_is_no_part_of_the_text)
{
    static const char *const types[] = {"application/json", "text/plain", NULL};
    static const char body[] = "\xef\xbb\xbf \n{\"messageType\":\"paid\"}";

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct message m = of_type(types[i]);

        assert_resolved(m, body, "type=paid ");
        m.body = slice_of(body);
        assert_true(message_is_json(&m));
        assert_true(slice_is(message_text(&m), body + 3));
    }
}

TEST(what_is_not_json_is_left_to_the_properties)
{
    static const struct {
        const char *type, *body;
    } cases[] = {
        {"application/octet-stream", "[1"},
        {"application/octet-stream", ""},
        {"text/plain", "[INFO] started"},
        {"text/plain", "7"},
        {"application/jsonlines", "{\"messageType\":\"a\"}\n{\"messageType\":\"b\"}"},
        {"application/json-seq", "{"},
        {"image/png", "{\"messageType\":\"a\"}"},
        {NULL, ""},
        {NULL, " \n"},
        {NULL, "plain text"},
        {NULL, "\x1f\x8b\x08"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct message m = of_type(cases[i].type);

        m.type = slice_of("t");
        assert_resolved(m, cases[i].body, "type=t ");
        m.body = slice_of(cases[i].body);
        assert_false(message_is_json(&m));
    }
}

/* Nothing is due of them, but what can be read is a value. */
TEST(a_scalar_without_content_type_is_read)
{
    static const char *const bodies[] = {"7", "\"text\"", "null", "[1]"};

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct message m = {.body = slice_of(bodies[i])};

        assert_true(message_is_json(&m));
    }
}

TEST(odd_fields_are_no_envelope_where_the_properties_name_the_message)
{
    static const char *const bodies[] = {"{\"id\":1.5}", "{\"messageType\":[\"urn:message:A\"]}",
                                         "{\"businessKey1\":{}}"};

    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        struct message m = {.type = slice_of("t"), .id = slice_of("m1")};

        assert_resolved(m, bodies[i], "type=t ");
        m.id = slice_of(NULL);
        assert_refused(m, bodies[i], "bad envelope: ");
    }
    assert_resolved((struct message){.type = slice_of("t"), .id = slice_of("m1")},
                    "{\"id\":1.5,\"messageType\":\"own\",\"businessKey2\":7}", "type=own 2=7 ");
}

TEST(the_reason_says_what_was_looked_for_and_the_option)
{
    assert_refused(of_type("text/plain"), "{\"messageType\":\"t\"", "bad JSON at byte");
    assert_refused(of_type("application/octet-stream"), "paid",
                   "the AMQP property \"type\" is not set, and the body (content type "
                   "\"application/octet-stream\") has no \"messageType\" to find: it is no JSON "
                   "object: what its sender means is for the subscription's option `envelope`");
    assert_refused(of_type("image/png"), "{\"messageType\":\"t\"}",
                   "(content type \"image/png\") has no \"messageType\" to find: its content type");
    assert_refused(of_type("application/json"), "{\"id\":1}",
                   "neither \"messageType\" in the body (JSON, content type \"application/json\")");
    assert_refused(nothing, "hello", "it is neither a JSON object nor an array");
    assert_refused(nothing, "", "it is empty");
}

TEST(what_cannot_be_an_envelope_is_refused)
{
    assert_refused(nothing, "{}", "no message type");
    assert_refused(nothing, "{broken", "bad JSON at byte");
    assert_refused(nothing, "[broken", "bad JSON at byte");
    assert_refused(of_type("application/json"), "hello", "bad JSON at byte");
    assert_refused(of_type("application/json"), "", "the body is empty where JSON is due");
    assert_refused(of_type("application/json"), "\x1f\x8b\x08",
                   "looks compressed (gzip): have its sender say so by content_encoding");
    assert_refused(of_type("application/json"), "\x78\x9c\x01", "looks compressed (zlib)");
    assert_refused(nothing, "{\"messageType\":\"\"}", "no message type");
    assert_refused(nothing, "{\"messageType\":{}}", "messageType is an object");
    assert_refused(nothing, "{\"businessKey1\":[1]}", "businessKey1 is an array");
    assert_refused(nothing, "{\"businessKey2\":true}", "businessKey2 is a boolean");
    assert_refused(nothing, "{\"id\":1.5}", "id is a number with a fraction");
}

TEST(the_fingerprint_tells_messages_of_one_id_apart)
{
    struct message a = {.type = slice_of("t"), .key = {slice_of("1")}, .body = slice_of("{}")};
    struct message b = a;

    assert_true(message_hash(&a) == message_hash(&b));
    b.key[0] = slice_of("2");
    assert_true(message_hash(&a) != message_hash(&b));
    b = a;
    b.key[1] = slice_of("");
    assert_true(message_hash(&a) != message_hash(&b));
    b = a;
    b.body = slice_of("{} ");
    assert_true(message_hash(&a) != message_hash(&b));
}

TEST(a_null_body_goes_out_as_the_services_expect_it)
{
    struct message m = {.type = slice_of("payresult_notify"),
                        .key = {slice_of("16"), slice_of("60201"), {NULL, 0}}};
    struct buf b;

    buf_init(&b, 1024);
    assert_int_equal(message_default_body(&b, &m, 1), OK);
    buf_append(&b, "", 1);
    assert_string_equal(b.data, "{\"businessKey1\":\"16\",\"businessKey2\":\"60201\",\"id\":1,"
                                "\"messageType\":\"payresult_notify\"}");
    buf_free(&b);
}

TEST(a_header_may_name_the_content_type)
{
    struct buf out;

    buf_init(&out, 64);
    assert_true(message_content_type(slice_of("{\"a\":{\"content-type\":\"no\"},"
                                              "\"content-type\":\"text/plain\",\"b\":1}"),
                                     &out));
    assert_int_equal(out.len, strlen("text/plain"));
    assert_memory_equal(out.data, "text/plain", out.len);
    assert_false(message_content_type(slice_of("{\"content-type\":7}"), &out));
    assert_false(message_content_type(slice_of("{\"a\":[\"content-type\",\"x\"]}"), &out));
    assert_false(message_content_type(slice_of("{broken"), &out));
    assert_false(message_content_type(slice_of(NULL), &out));
    buf_free(&out);
}

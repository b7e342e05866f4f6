/* Messages to AMQP's bytes and back, through rabbitmq-c's own decoder. */
#include "check.h"
#include "wire/bytes.h"
#include "wire/codec.h"
#include "wire/link.h"
#include "wire/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void append(char *out, size_t size, const char *name, struct slice s)
{
    size_t used = strlen(out);

    if (s.data != NULL)
        snprintf(out + used, size - used, " %s=%.*s", name, (int)s.len, s.data);
}

/* A message as text: only what is present. */
static const char *spell(const struct message *m)
{
    static char out[4096];
    size_t used;

    out[0] = '\0';
    append(out, sizeof out, "id", m->id);
    append(out, sizeof out, "type", m->type);
    append(out, sizeof out, "k1", m->key[0]);
    append(out, sizeof out, "k2", m->key[1]);
    append(out, sizeof out, "k3", m->key[2]);
    append(out, sizeof out, "content", m->content_type);
    append(out, sizeof out, "headers", m->headers);
    append(out, sizeof out, "properties", m->properties);
    append(out, sizeof out, "body", m->body);
    used = strlen(out);
    if (m->timestamp_s != 0)
        snprintf(out + used, sizeof out - used, " at=%lld", (long long)m->timestamp_s);
    return out[0] == ' ' ? out + 1 : out;
}

/* The frames of one content: its pieces and what they say. */
struct seen {
    int frames;
    amqp_pool_t pool;
    amqp_method_t method;
    const amqp_basic_properties_t *properties;
    struct slice damaged;
    struct err fault;
    uint64_t body_size;
    struct buf body;
    size_t largest; /* frame */
};

static int see_frame(void *arg, const struct frame *f, struct err *err)
{
    struct seen *s = arg;

    s->frames++;
    assert_int_equal(f->channel, 3);
    if (f->payload.len + FRAME_OVERHEAD > s->largest)
        s->largest = f->payload.len + FRAME_OVERHEAD;
    if (f->type == FRAME_METHOD)
        return codec_decode_method(f->payload, &s->pool, &s->method, err);
    if (f->type == FRAME_BODY)
        return buf_append(&s->body, f->payload.data, f->payload.len);
    if (codec_body_size(f->payload, &s->body_size, err) != OK)
        return ERR_INPUT;
    return codec_decode_properties(f->payload, &s->pool, &s->properties, &s->damaged, &s->fault,
                                   err);
}

static void begin_seen(struct seen *s)
{
    *s = (struct seen){.frames = 0};
    init_amqp_pool(&s->pool, 4096);
    buf_init(&s->body, 32 << 20);
}

static void end_seen(struct seen *s)
{
    empty_amqp_pool(&s->pool);
    buf_free(&s->body);
}

static void look(struct seen *s, const struct buf *bytes)
{
    struct frame_reader r;
    struct err err;

    begin_seen(s);
    frame_reader_init(&r);
    r.frame_max = FRAME_MAX_MOST;
    assert_int_equal(frame_reader_feed(&r, bytes->data, bytes->len, see_frame, s, &err), OK);
    frame_reader_free(&r);
}

/* Published and received again. */
static const char *round_trip(const struct message *m)
{
    static char out[4096];
    struct buf bytes, scratch;
    struct err err = {.code = OK};
    struct message back;
    struct seen s;

    buf_init(&bytes, 1 << 20);
    buf_init(&scratch, 1 << 20);
    if (codec_publish(&bytes, 3, "x", "k", m, 131072, &err) != OK) {
        assert_int_equal(bytes.len, 0);
        buf_free(&bytes);
        snprintf(out, sizeof out, "%s", err.text);
        return out;
    }
    look(&s, &bytes);
    struct codec_content content = {
        .method = &s.method,
        .properties = s.properties,
        .body = {s.body.len > 0 ? s.body.data : "", s.body.len},
    };
    assert_int_equal(s.body_size, m->body.len);
    assert_int_equal(codec_message(&content, &back, &scratch, &err), OK);
    snprintf(out, sizeof out, "%s", spell(&back));
    end_seen(&s);
    buf_free(&bytes);
    buf_free(&scratch);
    return out;
}

TEST(a_message_arrives_as_it_was_published)
{
    struct message m = {
        .id = slice_of("shop:42"),
        .type = slice_of("payresult_notify"),
        .key = {slice_of("16"), slice_of("60201"), {NULL, 0}},
        .body = slice_of("{\"id\":1}"),
        .timestamp_s = 1700000000,
    };

    assert_string_equal(round_trip(&m), "id=shop:42 type=payresult_notify k1=16 k2=60201 "
                                        "content=application/json body={\"id\":1} at=1700000000");
    m.key[2] = slice_of("");
    m.headers = slice_of("{\"a\":[1,{\"b\":null}],\"n\":9007199254740993}");
    m.content_type = slice_of("text/plain");
    assert_string_equal(round_trip(&m), "id=shop:42 type=payresult_notify k1=16 k2=60201 k3= "
                                        "content=text/plain headers={\"a\":[1,{\"b\":null}],"
                                        "\"n\":9007199254740993} body={\"id\":1} at=1700000000");
}

TEST(properties_of_a_row_go_out_as_amqps)
{
    struct message m = {.id = slice_of("shop:42"),
                        .key = {slice_of("16"), {NULL, 0}, {NULL, 0}},
                        .type = slice_of("t"),
                        .timestamp_s = 1700000000,
                        .headers = slice_of("{\"priority\":9,\"content-type\":\"text/html\"}")};

    m.properties = slice_of("{\"app_id\":\"shop\",\"priority\":5,\"expiration\":60000,"
                            "\"correlation_id\":\"c\",\"reply_to\":\"r\",\"delivery_mode\":1,"
                            "\"content_encoding\":\"utf-8\",\"content_type\":\"text/plain\"}");
    assert_string_equal(
        round_trip(&m),
        "id=shop:42 type=t k1=16 content=text/plain headers={\"priority\":9} "
        "properties={\"content_encoding\":\"utf-8\",\"correlation_id\":\"c\","
        "\"reply_to\":\"r\",\"expiration\":\"60000\",\"app_id\":\"shop\",\"priority\":5,"
        "\"delivery_mode\":1} body= at=1700000000");
    m.properties = slice_of("{\"priority\":0,\"delivery_mode\":2}");
    m.headers = (struct slice){NULL, 0};
    assert_string_equal(round_trip(&m), "id=shop:42 type=t k1=16 content=application/json "
                                        "properties={\"priority\":0} body= at=1700000000");
    m.properties = slice_of("{\"priority\":256}");
    assert_string_equal(round_trip(&m),
                        "properties: priority is 256: it must be a whole number from 0 to 255");
    m.properties = slice_of("");
    assert_non_null(strstr(round_trip(&m), "content=application/json"));
}

TEST(what_is_absent_stays_absent)
{
    struct message m = {.timestamp_s = 0};

    assert_string_equal(round_trip(&m), "content=application/json body=");
    m.headers = slice_of("{}");
    assert_string_equal(round_trip(&m), "content=application/json body=");
}

TEST(a_header_may_name_the_content_type)
{
    struct message m = {.content_type = slice_of("text/plain")};

    m.headers = slice_of("{\"content-type\":\"image/png\",\"a\":1}");
    assert_string_equal(round_trip(&m), "content=image/png headers={\"a\":1} body=");
    m.headers = slice_of("{\"a\":1,\"content_type\":\"image/gif\"}");
    assert_string_equal(round_trip(&m), "content=image/gif headers={\"a\":1} body=");
    m.headers = slice_of("{\"content_type\":7}");
    assert_string_equal(round_trip(&m),
                        "headers: the content type must be a string of at most 255 bytes");
    m.headers = slice_of("{\"content_type\":{}}");
    assert_string_equal(round_trip(&m), "headers: an object or array where a plain value is due");
}

TEST(a_business_key_is_not_written_twice)
{
    struct message m = {.key = {slice_of("16"), {NULL, 0}, {NULL, 0}}};

    m.headers = slice_of("{\"business-key-1\":\"other\",\"business-key-2\":60201}");
    assert_string_equal(round_trip(&m), "k1=16 k2=60201 content=application/json body=");
}

TEST(what_does_not_fit_is_refused_with_the_reason)
{
    static char big[140000];
    struct message m = {.timestamp_s = 0};

    memset(big, 'a', sizeof big);
    m.id = (struct slice){big, 255};
    m.type = (struct slice){big, 256};
    assert_string_equal(round_trip(&m), "the message type has 256 bytes; AMQP takes 255 at most");
    m.type = (struct slice){NULL, 0};
    m.content_type = (struct slice){big, 256};
    assert_string_equal(round_trip(&m), "the content type has 256 bytes; AMQP takes 255 at most");
    m.content_type = (struct slice){NULL, 0};
    m.key[0] = (struct slice){big, sizeof big};
    assert_non_null(strstr(round_trip(&m), "do not fit in the broker's frame of 131072"));
    m.key[0] = (struct slice){NULL, 0};
    memcpy(big, "{\"a\":\"", 6);
    memcpy(big + sizeof big - 2, "\"}", 2);
    m.headers = (struct slice){big, sizeof big};
    assert_string_equal(round_trip(&m), "headers do not fit in a frame of 131072 bytes");
    m.headers = slice_of("{\"a\":}");
    assert_non_null(strstr(round_trip(&m), "headers: bad JSON at byte"));
    m.headers = (struct slice){NULL, 0};
    m.body = (struct slice){big, MESSAGE_BODY_MAX + 1};
    assert_non_null(strstr(round_trip(&m), "is over the limit of 16777216"));
}

TEST(bodies_fill_their_frames_to_the_last_byte)
{
    static char body[3 * (8192 - FRAME_OVERHEAD) + 1];
    const size_t most = 8192 - FRAME_OVERHEAD;
    const size_t sizes[][2] = {{0, 0},        {1, 1},        {most, 1},
                               {most + 1, 2}, {3 * most, 3}, {3 * most + 1, 4}};

    for (size_t i = 0; i < sizeof body; i++)
        body[i] = (char)(i * 7);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct message m = {.body = {body, sizes[i][0]}};
        struct buf bytes;
        struct err err;
        struct seen s;

        buf_init(&bytes, 1 << 20);
        assert_int_equal(codec_publish(&bytes, 3, "", "", &m, 8192, &err), OK);
        look(&s, &bytes);
        assert_int_equal(s.frames, 2 + (int)sizes[i][1]);
        assert_true(s.largest <= 8192);
        assert_int_equal(s.body.len, m.body.len);
        if (m.body.len > 0)
            assert_memory_equal(s.body.data, body, m.body.len);
        end_seen(&s);
        buf_free(&bytes);
    }
}

TEST(publishes_are_mandatory)
{
    struct message m = {.body = slice_of("x")};
    const amqp_basic_publish_t *publish;
    struct buf bytes;
    struct err err;
    struct seen s;

    buf_init(&bytes, 1 << 20);
    assert_int_equal(codec_publish(&bytes, 3, "exchange", "key", &m, 8192, &err), OK);
    look(&s, &bytes);
    publish = s.method.decoded;
    assert_int_equal(s.method.id, AMQP_BASIC_PUBLISH_METHOD);
    assert_true(publish->mandatory);
    assert_false(publish->immediate);
    assert_memory_equal(publish->exchange.bytes, "exchange", 8);
    assert_memory_equal(publish->routing_key.bytes, "key", 3);
    end_seen(&s);
    buf_clear(&bytes);
    /* What the broker hands over without a queue would come back. */
    assert_int_equal(codec_publish(&bytes, 3, "", "amq.rabbitmq.reply-to.g1", &m, 8192, &err), OK);
    look(&s, &bytes);
    publish = s.method.decoded;
    assert_false(publish->mandatory);
    end_seen(&s);
    buf_free(&bytes);
}

TEST(a_full_buffer_stays_as_it_was)
{
    struct message m = {.body = slice_of("0123456789")};
    amqp_basic_ack_t ack = {.delivery_tag = 1};
    struct buf bytes;
    struct err err;

    for (size_t max = 1; max < 77; max++) { /* 77 is what the publish needs */
        buf_init(&bytes, max);
        assert_int_equal(codec_publish(&bytes, 3, "x", "k", &m, 8192, &err), ERR_LIMIT);
        assert_int_equal(codec_method(&bytes, 3, AMQP_BASIC_ACK_METHOD, &ack, &err), ERR_LIMIT);
        assert_int_equal(bytes.len, 0);
        assert_false(bytes.failed);
        buf_free(&bytes);
    }
}

TEST(a_name_that_is_too_long_cannot_be_sent)
{
    char name[256];
    amqp_queue_declare_t declare = {.queue = {sizeof name, name}};
    struct buf bytes;
    struct err err;

    memset(name, 'q', sizeof name);
    buf_init(&bytes, 1 << 20);
    assert_int_equal(codec_method(&bytes, 1, AMQP_QUEUE_DECLARE_METHOD, &declare, &err), ERR_INPUT);
    assert_int_equal(bytes.len, 0);
    buf_free(&bytes);
}

/* A header frame's payload with these properties bytes (flags included). */
static size_t header_payload(char *out, const char *properties, size_t len)
{
    char *p = put64(put16(put16(out, AMQP_BASIC_CLASS), 0), 0);

    return (size_t)(put_bytes(p, properties, len) - out);
}

/* What a consumer gets of such a header: the message, or the error. */
static const char *receive(const char *properties, size_t len)
{
    static char out[4096];
    char *payload = malloc(len + 12);
    struct codec_content content = {.body = slice_of("b")};
    struct err err = {.code = OK}, fault = {.code = OK};
    struct message m;
    struct buf scratch;
    amqp_pool_t pool;

    assert_non_null(payload);
    init_amqp_pool(&pool, 4096);
    buf_init(&scratch, 1 << 20);
    if (codec_decode_properties((struct slice){payload, header_payload(payload, properties, len)},
                                &pool, &content.properties, &content.damaged, &fault, &err) != OK) {
        snprintf(out, sizeof out, "ERROR %s", err.text);
    } else {
        content.headers_fault = fault.code != OK ? fault.text : NULL;
        if (codec_message(&content, &m, &scratch, &err) == OK)
            snprintf(out, sizeof out, "%s", spell(&m));
        else
            snprintf(out, sizeof out, "%s | %s", spell(&m), err.text);
    }
    buf_free(&scratch);
    empty_amqp_pool(&pool);
    free(payload);
    return out;
}

#define RECEIVE(bytes) receive(bytes, sizeof(bytes) - 1)

TEST(integer_keys_become_text_and_other_kinds_stay_headers)
{
    assert_string_equal(RECEIVE("\x20\0\0\0\0\x1b\x0e"
                                "business-key-1l\0\0\0\0\0\0\0\x10\1zV"),
                        "k1=16 headers={\"z\":null} body=b");
    assert_string_equal(RECEIVE("\x20\0\0\0\0\x11\x0e"
                                "business-key-2t\1"),
                        "headers={\"business-key-2\":true} body=b");
    assert_string_equal(RECEIVE("\x20\0\0\0\0\x10\x0e"
                                "business-key-3V"),
                        "body=b");
    assert_string_equal(RECEIVE("\x20\0\0\0\0\x11\x0e"
                                "business-key-4t\1"),
                        "headers={\"business-key-4\":true} body=b");
}

TEST(headers_nobody_can_read_cost_the_headers_and_not_the_message)
{
    /* content type, a table with an unknown kind, message id */
    assert_string_equal(RECEIVE("\xa0\x80\x03"
                                "a/b\0\0\0\3\1xZ\2id"),
                        "id=id content=a/b properties={\"headers\":\"\\u0000\\u0000\\u0000\\u0003"
                        "\\u0001xZ\"} body=b | damaged header table: a value of unknown kind 0x5a");
    assert_string_equal(RECEIVE("\x20\x80\0\0\0\x0c\1xF\0\0\0\5\1yF\0\0\2id"),
                        "id=id properties={\"headers\":\"\\u0000\\u0000\\u0000\\f\\u0001xF\\u0000"
                        "\\u0000\\u0000\\u0005\\u0001yF\\u0000\\u0000\"} body=b | "
                        "damaged header table: a value ends beyond its table");
}

TEST(properties_of_no_use_to_herald_are_kept)
{
    /* encoding, mode, priority, correlation id, reply to, expiration, id, user, application */
    assert_string_equal(RECEIVE("\x5f\x98\4gzip\1\7\2c\xff\1r\0026\x30\2id\1u\1a"),
                        "id=id properties={\"content_encoding\":\"gzip\",\"correlation_id\":"
                        "{\"base64\":\"Y/8=\"},\"reply_to\":\"r\",\"expiration\":\"60\","
                        "\"user_id\":\"u\",\"app_id\":\"a\",\"priority\":7,\"delivery_mode\":1} "
                        "body=b");
    assert_string_equal(RECEIVE("\x10\x80\2\2id"),
                        "id=id body=b"); /* persistent, as it should be */
}

TEST(a_header_that_is_cut_off_ends_the_connection)
{
    assert_string_equal(RECEIVE("\x20\0\0\0\1\0"),
                        "ERROR damaged header table: it ends beyond its frame");
    assert_string_equal(RECEIVE("\xa0\0\x10"
                                "ab"),
                        "ERROR a content header that ends early");
    assert_string_equal(RECEIVE("\xa0\0"), "ERROR a content header that ends early");
    assert_string_equal(RECEIVE("\0\x80\5ab"), "ERROR a content header that cannot be decoded");
    assert_string_equal(RECEIVE("\0\1\0\0"), "ERROR a content header with unknown properties");
}

TEST(text_that_is_not_utf8_is_reported)
{
    assert_string_equal(RECEIVE("\0\x80\2a\xff"), "id=a\xff body=b | the message id is not UTF-8");
}

TEST(any_bent_header_does_no_harm)
{
    static const char whole[] =
        "\xa0\xf0\3a/"
        "b\0\0\0\x1c\1aF\0\0\0\x0a\1bI\0\0\0\1\1cV\1dA\0\0\0\1V\1eV\1\2id\0\0\0\0\0\0\0\1";
    char bent[sizeof whole];

    for (size_t len = 2; len < sizeof whole; len++) {
        for (size_t i = 0; i < len; i++) {
            for (int bit = 0; bit < 8; bit++) {
                memcpy(bent, whole, len);
                bent[i] = (char)(bent[i] ^ 1 << bit);
                (void)receive(bent, len);
            }
        }
    }
}

TEST(a_message_moves_into_one_block)
{
    struct message m = {
        .id = slice_of("i"),
        .type = slice_of("t"),
        .key = {slice_of("1"), {NULL, 0}, slice_of("")},
        .body = slice_of("body"),
    };
    char before[256];
    char block[7];

    snprintf(before, sizeof before, "%s", spell(&m));
    assert_int_equal(codec_message_size(&m), sizeof block);
    assert_ptr_equal(codec_message_move(&m, block), block + sizeof block);
    assert_string_equal(spell(&m), before);
    assert_ptr_equal(m.id.data, block);
    assert_null(m.key[1].data);
    assert_non_null(m.key[2].data);
}

TEST(only_what_a_server_sends_is_taken_from_it)
{
    assert_true(codec_is_from_server(AMQP_BASIC_DELIVER_METHOD));
    assert_true(codec_is_from_server(AMQP_BASIC_ACK_METHOD));
    assert_false(codec_is_from_server(AMQP_QUEUE_DECLARE_METHOD)); /* holds a table */
    assert_false(codec_is_from_server(AMQP_CONNECTION_START_OK_METHOD));
    assert_false(codec_is_from_server(AMQP_BASIC_GET_OK_METHOD));
    assert_false(codec_is_from_server(0xffffffff));
}

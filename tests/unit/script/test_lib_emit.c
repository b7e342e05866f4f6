/* tx:emit: what becomes an outbox row. */
#include "fake_host.h"

static const char *emitted(struct scene *s, const char *spec)
{
    char body[1024];

    s->fake.emitted[0] = '\0';
    snprintf(body, sizeof body, "assert(tx:emit(%s))", spec);
    RUNS(s, body);
    return s->fake.emitted;
}

TEST_WITH(scene, an_emit_becomes_a_message)
{
    assert_string_equal(emitted(f, "{ type = 'enrolled' }"), " type=enrolled");
    assert_string_equal(emitted(f, "{ type = 't', business_key1 = 16, business_key2 = '60201',\n"
                                   "business_key3 = '', message_id = 9007199254740993 }"),
                        " type=t key1=16 key2=60201 key3= id=9007199254740993");
    assert_string_equal(emitted(f, "{ type = 't', body = 'as it is' }"), " type=t body=as it is");
    assert_string_equal(emitted(f, "{ type = 't', body = { b = 1, a = { 1.0, herald.null } } }"),
                        " type=t body={\"a\":[1.0,null],\"b\":1}");
    assert_string_equal(emitted(f, "{ type = 't', headers = { z = 'x', n = 5, b = true }, body = "
                                   "{} }"),
                        " type=t headers={\"b\":true,\"n\":5,\"z\":\"x\"} body={}");
    assert_string_equal(emitted(f, "{ type = 't', headers = {}, business_key1 = herald.null,\n"
                                   "body = herald.null }"),
                        " type=t");
    assert_string_equal(emitted(f, "{ type = 't', headers = { f = 1.5, v = herald.null,\n"
                                   "t = { a = herald.json.array { 1, { b = 2 } } } } }"),
                        " type=t headers={\"f\":1.5,\"t\":{\"a\":[1,{\"b\":2}]},\"v\":null}");
    assert_string_equal(emitted(f, "{ type = 't', headers = { s = herald.blob '\\xff\"', t = {\n"
                                   "herald.blob 'a' }, u = { base64 = 'YQ==' } } }"),
                        " type=t headers={\"s\":{\"base64\":\"/yI=\"},\"t\":[{\"base64\":"
                        "\"YQ==\"}],\"u\":{\"base64\":\"YQ==\"}}");
    RUNS(f, "assert(tx:emit { type = 'x' } + 1 == tx:emit { type = 'x' })");
}

TEST_WITH(scene, an_emit_sets_properties)
{
    assert_string_equal(
        emitted(f, "{ type = 't', body = 'b', headers = { priority = 9 }, properties = {\n"
                   "priority = 5, expiration = 60000, correlation_id = 7, app_id = 'shop' } }"),
        " type=t headers={\"priority\":9} properties={\"app_id\":\"shop\",\"correlation_id\":7,"
        "\"expiration\":60000,\"priority\":5} body=b");
    assert_string_equal(
        emitted(f, "{ type = 't', reply_to = 'q', delivery_mode = 1, app_id = herald.null,\n"
                   "properties = { content_type = 'text/plain', content_encoding = 'utf-8' } }"),
        " type=t properties={\"app_id\":null,\"content_encoding\":\"utf-8\",\"content_type\":"
        "\"text/plain\",\"delivery_mode\":1,\"reply_to\":\"q\"}");
    assert_string_equal(emitted(f, "{ type = 't', properties = {} }"), " type=t");
    assert_string_equal(emitted(f, "{ type = 't', properties = herald.null }"), " type=t");
}

#define DELAY                                                                                      \
    "tx:emit: delay is a whole number with ms, s, m, h or d, such as \"15m\", of 100 years at "    \
    "most"

TEST_WITH(scene, an_emit_has_its_time_and_its_key)
{
    assert_string_equal(emitted(f, "{ type = 't', key = 16, at = '2026-01-31T12:00:00Z' }"),
                        " type=t due=1769860800000 key=16");
    assert_string_equal(emitted(f, "{ type = 't', at = 100000000005, delay = nil }"),
                        " type=t due=100000000005");
    assert_string_equal(emitted(f, "{ type = 't', delay = '0s' }"), " type=t");
    RUNS(f, "assert(tx:cancel('waits') == true)\nassert(tx:cancel('sent') == false)\n"
            "assert(tx:cancel('none') == nil)\nassert(not pcall(tx.cancel, tx, ''))");
}

TEST_WITH(scene, mistakes_are_named)
{
    static const struct {
        const char *spec, *words;
    } cases[] = {
        {"{}", "tx:emit needs a type, such as type = \"course_enrolled\""},
        {"{ type = '' }", "tx:emit needs a type, such as type = \"course_enrolled\""},
        {"{ type = true }", "tx:emit: type is a boolean, not a string or an integer"},
        {"{ type = 't', business_key1 = 1.5 }",
         "tx:emit: business_key1 is a number, not a string or an integer"},
        {"{ type = 't', business_key1 = {} }",
         "tx:emit: business_key1 is a table, not a string or an integer"},
        {"{ type = 't', business_key1 = '\\xff' }", "tx:emit: business_key1 is not UTF-8 text"},
        {"{ type = ('t'):rep(256) }", "tx:emit: type is longer than 255 bytes"},
        {"{ type = 't', message_id = ('t'):rep(256) }",
         "tx:emit: message_id is longer than 255 bytes"},
        {"{ type = 't', businessKey1 = 1 }",
         "unknown key 'businessKey1' in tx:emit: did you mean 'business_key1'?"},
        {"{ type = 't', bodi = 1 }", "unknown key 'bodi' in tx:emit: did you mean 'body'?"},
        {"{ type = 't', 5 }", "tx:emit takes a table of named fields; a key is a number"},
        {"{ type = 't', body = 5 }",
         "tx:emit: body is a number, not a table (written as JSON) or a string"},
        {"{ type = 't', body = { items = { { price = print } } } }",
         "cannot write body.items[1].price as JSON: it is a function"},
        {"{ type = 't', headers = 5 }", "tx:emit: headers is a number, not a table"},
        {"{ type = 't', headers = { x = print } }",
         "tx:emit: headers.x is a function: strings, numbers, booleans, herald.blob, herald.null "
         "and tables of "
         "them travel"},
        {"{ type = 't', headers = { x = { y = print } } }",
         "cannot write headers.x.y as JSON: it is a function"},
        {"{ type = 't', headers = { x = math.huge } }",
         "cannot write headers.x as JSON: it is infinite"},
        {"{ type = 't', replyto = 'q' }",
         "unknown key 'replyto' in tx:emit: did you mean 'reply_to'?"},
        {"{ type = 't', expiration = '1m' }",
         "tx:emit: properties: expiration is \"1m\": it must be a whole number of milliseconds "
         "from 0 to 4294967295"},
        {"{ type = 't', priority = 5, properties = { priority = 5 } }",
         "tx:emit: priority is given twice, as a field and in properties"},
        {"{ type = 't', properties = 5 }", "tx:emit: properties is a number, not a table"},
        {"{ type = 't', properties = { priority = 256 } }",
         "tx:emit: properties: priority is 256: it must be a whole number from 0 to 255"},
        {"{ type = 't', properties = { replyto = 'q' } }",
         "tx:emit: properties: unknown property 'replyto': did you mean 'reply_to'?"},
        {"{ type = 't', headers = { 'x' } }", "tx:emit: headers are named; a key is a number"},
        {"{ type = 't', headers = { [''] = 'x' } }", "tx:emit: a header's name has 1 to 255 bytes"},
        {"{ type = 't', delay = '-5s' }", DELAY},
        {"{ type = 't', delay = '101000d' }", DELAY},
        {"{ type = 't', delay = 5 }", DELAY},
        {"{ type = 't', at = 1769860800 }",
         "tx:emit: at is 1769860800, which is a time in seconds: it takes milliseconds since 1970 "
         "(times 1000), or a text such as \"2026-01-31T12:00:00Z\""},
        {"{ type = 't', delay = '5s', at = 100000000005 }",
         "tx:emit: delay and at exclude each other"},
        {"{ type = 't', at = -1 }",
         "tx:emit: at is in ms since 1970, above 0 and before the year 10000"},
        {"{ type = 't', at = '2026-02-29T12:00:00Z' }",
         "tx:emit: at is ms since 1970 or a time such as \"2026-01-31T12:00:00Z\" or "
         "\"2026-01-31T20:00:00.000+08:00\""},
        {"{ type = 't', key = '' }", "tx:emit: key is empty; it has 1 to 255 bytes"},
        {"{ type = 't', key = ('k'):rep(10240) }", "tx:emit: key is longer than 255 bytes"},
        {"'t'", "bad argument #1 to 'emit' (table expected, got string)"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[512], words[512];

        snprintf(body, sizeof body, "tx:emit(%s)", cases[i].spec);
        snprintf(words, sizeof words, "rules/a.lua:3: %s", cases[i].words);
        FAILS(f, body, words);
    }
    assert_int_equal(f->fake.emits, 0);
}

static const char *replied(struct scene *s, const char *properties, const char *arguments)
{
    char body[1024];

    s->message.properties = slice_of(properties);
    s->fake.emitted[0] = '\0';
    snprintf(body, sizeof body, "assert(tx:reply(%s))", arguments);
    return run(s, body) == SCRIPT_DONE ? s->fake.emitted : s->out.error;
}

#define ASKED "{\"correlation_id\":\"c-7\",\"reply_to\":\"answers\"}"

TEST_WITH(scene, an_answer_goes_to_who_asked)
{
    static const char same[] = " type=reply properties={\"correlation_id\":\"c-7\"} body=";
    char want[200];

    snprintf(want, sizeof want, "%s%s to=answers", same, "{\"price\":99}");
    assert_string_equal(replied(f, ASKED, "{ price = 99 }"), want);
    snprintf(want, sizeof want, "%s%s to=answers", same, "as it is");
    assert_string_equal(replied(f, ASKED, "'as it is', nil"), want);
    snprintf(want, sizeof want, "%s%s to=answers", same, "null");
    assert_string_equal(replied(f, ASKED, "herald.null, {}"), want);
    snprintf(want, sizeof want, "%s%s to=answers", same, "12");
    assert_string_equal(replied(f, ASKED, "12, { properties = herald.null }"), want);
    assert_string_equal(replied(f, ASKED,
                                "true, { type = 'priced', headers = { a = 1 },\n"
                                "priority = 1, properties = { content_type = 'text/plain' } }"),
                        " type=priced headers={\"a\":1} properties={\"content_type\":"
                        "\"text/plain\",\"correlation_id\":\"c-7\",\"priority\":1} body=true "
                        "to=answers");
    assert_string_equal(replied(f, ASKED, "{ price = 99 }, { format = 'nestjs' }"),
                        " type=reply properties={\"correlation_id\":\"c-7\"} body={\"id\":"
                        "\"c-7\",\"isDisposed\":true,\"response\":{\"price\":99}} to=answers");
    assert_non_null(strstr(replied(f, ASKED, "'text', { format = 'nestjs' }"),
                           "\"isDisposed\":true,\"response\":\"text\"} to=answers"));
    assert_string_equal(replied(f, "{\"reply_to\":\"amq.rabbitmq.reply-to.g1\"}", "''"),
                        " type=reply body= to=amq.rabbitmq.reply-to.g1");
}

TEST_WITH(scene, an_answer_is_wanted_as_long_as_its_request)
{
    assert_non_null(
        strstr(replied(f, "{\"reply_to\":\"a\",\"expiration\":\"0\"}", "''"), " until="));
    assert_null(
        strstr(replied(f, "{\"reply_to\":\"a\",\"expiration\":\"soon\"}", "''"), " until="));
    assert_null(
        strstr(replied(f, "{\"reply_to\":\"a\",\"expiration\":\"99999999999\"}", "''"), " until="));
}

TEST_WITH(scene, who_asks_for_no_answer_gets_none)
{
    static const char *const cases[][3] = {
        {NULL, "{}", "tx:reply: the message has no reply_to: whoever sent it waits for no answer"},
        {"{\"correlation_id\":\"c\"}", "{}",
         "tx:reply: the message has no reply_to: whoever sent it waits for no answer"},
        {"{\"reply_to\":\"\"}", "{}",
         "tx:reply: the message has no reply_to: whoever sent it waits for no answer"},
        {"{\"reply_to\":\"a\\u0000b\"}", "{}",
         "tx:reply: the message's reply_to is no name of a queue"},
        {"{\"reply_to\":{\"base64\":\"/w==\"}}", "{}",
         "tx:reply: the message's reply_to is not UTF-8 text"},
        {ASKED, "",
         "tx:reply needs a body: a string goes as it is, anything else is written as JSON"},
        {ASKED, "{ x = print }", "cannot write body.x as JSON: it is a function"},
        {ASKED, "{}, { header = {} }",
         "unknown key 'header' in the options of tx:reply: did you mean 'headers'?"},
        {ASKED, "{}, { format = 'spring' }",
         "tx:reply: format is spring, not \"nestjs\": others take the answer as it is"},
        {ASKED, "{}, { headers = 5 }", "tx:reply: headers is a number, not a table"},
        {ASKED, "{}, { properties = 5 }", "tx:reply: properties is a number, not a table"},
        {ASKED, "{}, { properties = { priority = -1 } }",
         "tx:reply: properties: priority is -1: it must be a whole number from 0 to 255"},
        {ASKED, "{}, { correlation_id = 'mine' }",
         "tx:reply: the correlation_id is that of the message: leave it out"},
        {ASKED, "{}, { properties = { correlation_id = 'mine' } }",
         "tx:reply: the correlation_id is that of the message: leave it out"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char words[300];

        snprintf(words, sizeof words, "rules/a.lua:3: %s", cases[i][2]);
        assert_string_equal(replied(f, cases[i][0], cases[i][1]), words);
    }
    assert_int_equal(f->fake.emits, 0);
}

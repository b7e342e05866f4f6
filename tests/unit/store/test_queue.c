/* The embedded broker routes as AMQP says. */
#include "store.h"

#include "store/queue.h"

#include <stdio.h>
#include <string.h>

static char names[8][32];
static size_t n_names;

/* destination has no const: its owner elsewhere frees it */
static struct destination to(enum exchange_kind kind, const char *exchange, const char *key)
{
    char *x = names[n_names++ % 8], *k = names[n_names++ % 8];

    snprintf(x, 32, "%s", exchange);
    snprintf(k, 32, "%s", key);
    return (struct destination){.kind = kind, .exchange = x, .routing_key = k};
}

static void bound(struct store *s, const char *queue, enum exchange_kind kind, const char *exchange,
                  const char *key)
{
    const struct destination from = to(kind, exchange, key);

    assert_ok(s, queue_declare(s->db, queue, &s->err));
    assert_ok(s, queue_declare_exchange(s->db, exchange, kind, &s->err));
    assert_ok(s, queue_bind(s->db, queue, &from, &s->err));
}

/* Publishes and says which queues got it: "2: a b". */
static const char *publish(struct store *s, enum exchange_kind kind, const char *exchange,
                           const char *key)
{
    static char text[512];
    const struct destination d = to(kind, exchange, key);
    const struct message m = {.type = slice_of("t"), .body = slice_of("b")};
    size_t n;

    assert_ok(s, queue_publish(s->db, &d, &m, &n, &s->err));
    snprintf(text, sizeof text, "%zu: %s", n,
             other_rows(s, "select group_concat(queue, ' ') from herald_queue_item"));
    other_exec(s, "delete from herald_queue_item");
    return text;
}

TEST_OPENED(the_default_exchange_goes_by_the_name_of_the_queue)
{
    const struct destination own = to(EXCHANGE_DEFAULT, "", "q");
    const struct destination foreign = to(EXCHANGE_DEFAULT, "", "other");

    assert_ok(f, queue_declare(f->db, "q", &f->err));
    assert_ok(f, queue_declare(f->db, "q", &f->err));
    assert_string_equal(publish(f, EXCHANGE_DEFAULT, "", "q"), "1: q");
    assert_string_equal(publish(f, EXCHANGE_DEFAULT, "", "nobody"), "0: -");
    assert_ok(f, queue_bind(f->db, "q", &own, &f->err));
    assert_refused(f, queue_bind(f->db, "q", &foreign, &f->err), ERR_BROKER, "default exchange");
}

TEST_OPENED(fanout_reaches_every_queue_once)
{
    bound(f, "b", EXCHANGE_FANOUT, "x", "");
    bound(f, "a", EXCHANGE_FANOUT, "x", "");
    bound(f, "a", EXCHANGE_FANOUT, "x", "twice");
    bound(f, "c", EXCHANGE_FANOUT, "y", "");
    assert_string_equal(publish(f, EXCHANGE_FANOUT, "x", "whatever"), "2: a b");
}

TEST_OPENED(direct_compares_keys)
{
    bound(f, "a", EXCHANGE_DIRECT, "x", "red");
    bound(f, "a", EXCHANGE_DIRECT, "x", "blue");
    bound(f, "b", EXCHANGE_DIRECT, "x", "blue");
    assert_string_equal(publish(f, EXCHANGE_DIRECT, "x", "red"), "1: a");
    assert_string_equal(publish(f, EXCHANGE_DIRECT, "x", "blue"), "2: a b");
    assert_string_equal(publish(f, EXCHANGE_DIRECT, "x", "re"), "0: -");
    assert_string_equal(publish(f, EXCHANGE_DIRECT, "x", ""), "0: -");
}

TEST_WITH(store, topic_patterns_match_words)
{
    static const struct {
        const char *pattern, *key;
        bool matches;
    } cases[] = {
        {"a.b", "a.b", true},
        {"a.b", "a.c", false},
        {"a.b", "a", false},
        {"a", "a.b", false},
        {"*", "a", true},
        {"*", "", false},
        {"*", "a.b", false},
        {"*.b", "a.b", true},
        {"a.*", "a", false},
        {"a.*", "a.", true}, /* an empty word is a word */
        {"#", "", true},
        {"#", "a", true},
        {"#", "a.b.c", true},
        {"a.#", "a", true},
        {"a.#", "a.b.c", true},
        {"a.#", "ab", false},
        {"#.c", "c", true},
        {"#.c", "a.b.c", true},
        {"#.c", "a.b", false},
        {"a.#.c", "a.c", true},
        {"a.#.c", "a.c.b.c", true},
        {"a.#.c", "a.c.b", false},
        {"#.*", "a", true},
        {"#.*", "", false},
        {"*.#", "", false},
        {"#.#", "", true},
        {"#.b.#", "a.b.c", true},
        {"#.b.#", "a.c", false},
        {"*.*.#.c", "a.b.c", true},
        {"*.*.#.c", "a.c", false},
        {"", "", true},
        {"", "a", false},
    };

    store_open(f);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *got;

        bound(f, "q", EXCHANGE_TOPIC, "x", cases[i].pattern);
        got = publish(f, EXCHANGE_TOPIC, "x", cases[i].key);
        if ((strcmp(got, "1: q") == 0) != cases[i].matches)
            fail_msg("\"%s\" and \"%s\": %s", cases[i].pattern, cases[i].key, got);
        other_exec(f, "delete from herald_binding");
    }
}

TEST_OPENED(what_is_not_there_is_told)
{
    const struct destination d = to(EXCHANGE_FANOUT, "x", "");
    const struct message m = {.type = slice_of("t")};
    size_t n;

    assert_refused(f, queue_publish(f->db, &d, &m, &n, &f->err), ERR_BROKER, "no exchange x");
    assert_refused(f, queue_bind(f->db, "q", &d, &f->err), ERR_BROKER, "no queue q");
    assert_ok(f, queue_declare(f->db, "q", &f->err));
    assert_refused(f, queue_bind(f->db, "q", &d, &f->err), ERR_BROKER, "no exchange x");
}

/* The exchange takes from another one by this key. */
static void chained(struct store *s, enum exchange_kind kind, const char *exchange,
                    enum exchange_kind source_kind, const char *source, const char *key)
{
    const struct destination from = to(source_kind, source, key);

    assert_ok(s, queue_declare_exchange(s->db, exchange, kind, &s->err));
    assert_ok(s, queue_declare_exchange(s->db, source, source_kind, &s->err));
    assert_ok(s, queue_bind_exchange(s->db, exchange, &from, &s->err));
    assert_ok(s, queue_bind_exchange(s->db, exchange, &from, &s->err));
}

static bool reaches(struct store *s, struct destination d)
{
    bool is;

    assert_ok(s, queue_reaches(s->db, &d, &is, &s->err));
    return is;
}

TEST_OPENED(exchanges_take_from_exchanges_and_each_queue_gets_it_once)
{
    bound(f, "a", EXCHANGE_FANOUT, "all", "");
    bound(f, "b", EXCHANGE_FANOUT, "orders", "");
    bound(f, "a", EXCHANGE_FANOUT, "orders", "");
    bound(f, "c", EXCHANGE_DIRECT, "paid", "order.paid");
    chained(f, EXCHANGE_FANOUT, "orders", EXCHANGE_TOPIC, "events", "order.*");
    chained(f, EXCHANGE_FANOUT, "all", EXCHANGE_TOPIC, "events", "#");
    chained(f, EXCHANGE_DIRECT, "paid", EXCHANGE_FANOUT, "orders", "");
    chained(f, EXCHANGE_TOPIC, "events", EXCHANGE_FANOUT, "all", ""); /* a circle */
    assert_string_equal(publish(f, EXCHANGE_TOPIC, "events", "order.new"), "2: a b");
    assert_string_equal(publish(f, EXCHANGE_TOPIC, "events", "order.paid"), "3: a b c");
    assert_string_equal(publish(f, EXCHANGE_TOPIC, "events", "refund"), "1: a");
    assert_string_equal(publish(f, EXCHANGE_FANOUT, "orders", "x"), "2: a b");
    assert_true(reaches(f, to(EXCHANGE_TOPIC, "events", "refund")));
    assert_false(reaches(f, to(EXCHANGE_DIRECT, "paid", "refund")));
}

TEST_OPENED(an_exchange_keeps_its_kind)
{
    assert_ok(f, queue_declare_exchange(f->db, "x", EXCHANGE_TOPIC, &f->err));
    assert_ok(f, queue_declare_exchange(f->db, "x", EXCHANGE_TOPIC, &f->err));
    assert_refused(f, queue_declare_exchange(f->db, "x", EXCHANGE_FANOUT, &f->err), ERR_BROKER,
                   "is topic, not fanout");
}

TEST_OPENED(what_reaches_a_queue_is_told_without_a_message)
{
    const struct destination bound = to(EXCHANGE_TOPIC, "x", "a.*");

    assert_ok(f, queue_declare(f->db, "q", &f->err));
    assert_ok(f, queue_declare_exchange(f->db, "x", EXCHANGE_TOPIC, &f->err));
    assert_false(reaches(f, to(EXCHANGE_TOPIC, "x", "a.b")));
    assert_ok(f, queue_bind(f->db, "q", &bound, &f->err));
    assert_true(reaches(f, to(EXCHANGE_TOPIC, "x", "a.b")));
    assert_false(reaches(f, to(EXCHANGE_TOPIC, "x", "b.a")));
    assert_false(reaches(f, to(EXCHANGE_FANOUT, "nothing", "")));
    assert_true(reaches(f, to(EXCHANGE_DEFAULT, "", "q")));
    assert_false(reaches(f, to(EXCHANGE_DEFAULT, "", "p")));
    assert_int_equal(other_int(f, "select count(*) from herald_queue_item"), 0);
}

static bool note(void *arg, const struct queue_item *item)
{
    char *text = arg;

    snprintf(text + strlen(text), 128, "%lld:%.*s:%.*s:%.*s ", (long long)item->id,
             (int)item->message.body.len, item->message.body.data, (int)item->exchange.len,
             item->exchange.data, (int)item->routing_key.len, item->routing_key.data);
    return true;
}

TEST_OPENED(items_are_seen_in_order_until_they_are_removed)
{
    const struct destination d = to(EXCHANGE_DEFAULT, "", "q");
    struct message m = {.type = slice_of("t")};
    char text[256] = "";
    size_t n;

    assert_ok(f, queue_declare(f->db, "q", &f->err));
    for (int i = 0; i < 4; i++) {
        m.body = (struct slice){&"abcd"[i], 1};
        assert_ok(f, queue_publish(f->db, &d, &m, &n, &f->err));
    }
    assert_ok(f, queue_remove(f->db, 2, &f->err));
    assert_ok(f, queue_peek(f->db, "q", 1, 1, note, text, &f->err));
    assert_ok(f, queue_peek(f->db, "q", 3, 10, note, text, &f->err));
    assert_ok(f, queue_peek(f->db, "p", 0, 10, note, text, &f->err));
    assert_string_equal(text, "3:c::q 4:d::q ");
}

/* Rows of the outbox from their insert to the broker's word. */
#include "store.h"

#include "store/letter.h"
#include "store/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What claims handed out: "1 2 3"; stops before the row with the id `stop`. */
struct claimed {
    char text[1024];
    int64_t stop;
    struct store *store; /* of which store ids are replaced by "store" */
    bool whole;          /* note the messages, too */
};

static void put(struct claimed *c, const char *what, size_t len)
{
    size_t used = strlen(c->text);

    snprintf(c->text + used, sizeof c->text - used, "%.*s", (int)len, what);
}

static void put_slice(struct claimed *c, const char *before, struct slice s)
{
    put(c, before, strlen(before));
    if (s.data == NULL)
        put(c, "-", 1);
    else
        put(c, s.data, s.len);
}

static bool note(void *arg, const struct outbox_row *row)
{
    struct claimed *c = arg;
    const struct message *m = &row->message;
    char id[32];
    int n = snprintf(id, sizeof id, "%s%lld", c->text[0] ? " " : "", (long long)row->id);

    if (row->id == c->stop)
        return false;
    put(c, id, (size_t)n);
    if (c->whole) {
        put_slice(c, "|", m->id);
        put_slice(c, "|", m->type);
        put_slice(c, "|", m->key[0]);
        put_slice(c, "|", m->body);
        put_slice(c, "|", m->headers);
    }
    return true;
}

static int64_t claim(struct store *s, int64_t after, size_t limit, int64_t stop, const char *want)
{
    struct claimed c = {.stop = stop};
    int64_t last;

    assert_ok(s, outbox_claim(s->db, after, limit, note, &c, &last, &s->err));
    assert_string_equal(c.text, want);
    return last;
}

static void claim_due(struct store *s, int64_t cursor, int64_t now_ms, size_t limit,
                      const char *want)
{
    struct claimed c = {.stop = 0};

    assert_ok(s, outbox_claim_due(s->db, cursor, now_ms, limit, note, &c, &s->err));
    assert_string_equal(c.text, want);
}

static void begin(struct store *s)
{
    assert_ok(s, db_begin(s->db, &s->err));
}

static void commit(struct store *s)
{
    assert_ok(s, db_commit(s->db, &s->err));
}

static void rows(struct store *s, int n)
{
    char sql[192];

    snprintf(sql, sizeof sql,
             "with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) "
             "insert into herald_outbox(type) select 't' from n",
             n);
    other_exec(s, sql);
}

TEST_OPENED(rows_are_claimed_in_order_behind_the_cursor)
{
    rows(f, 5);
    assert_int_equal(claim(f, 0, 2, 0, "1 2"), 2);
    assert_int_equal(claim(f, 2, 100, 0, "3 4 5"), 5);
    assert_int_equal(claim(f, 5, 100, 0, ""), 5);
}

TEST_OPENED(a_refused_row_stays_in_front_of_the_cursor)
{
    rows(f, 5);
    assert_int_equal(claim(f, 0, 100, 3, "1 2"), 2);
    assert_int_equal(claim(f, 0, 100, 1, ""), 0);
}

TEST_OPENED(rows_that_are_due_later_are_passed_over)
{
    other_exec(f, "insert into herald_outbox(type, due_at) "
                  "values ('t', 0), ('t', 500), ('t', 0), ('t', 300)");
    assert_int_equal(claim(f, 0, 100, 0, "1 3"), 4);
}

TEST_OPENED(due_rows_come_by_time_and_become_fresh)
{
    int64_t due_at;

    other_exec(f, "insert into herald_outbox(type, due_at) "
                  "values ('t', 0), ('t', 500), ('t', 300), ('t', 400)");
    assert_ok(f, outbox_next_due(f->db, &due_at, &f->err));
    assert_int_equal(due_at, 300);
    claim_due(f, 4, 299, 10, "");
    begin(f);
    claim_due(f, 4, 450, 1, "3");
    claim_due(f, 4, 450, 10, "4");
    commit(f);
    assert_string_equal(other_rows(f, "select id, due_at from herald_outbox"),
                        "1|0, 2|500, 3|0, 4|0");
    begin(f);
    claim_due(f, 4, 500, 10, "2");
    commit(f);
    assert_ok(f, outbox_next_due(f->db, &due_at, &f->err));
    assert_true(due_at == INT64_MAX);
}

TEST_OPENED(due_rows_above_the_cursor_wait_for_it)
{
    other_exec(f, "insert into herald_outbox(type, due_at) values ('t', 1), ('t', 2), ('t', 3)");
    begin(f);
    claim_due(f, 0, 100, 10, "");
    claim_due(f, 2, 100, 10, "1 2");
    assert_int_equal(claim(f, 2, 10, 0, ""), 3);
    claim_due(f, 3, 100, 10, "3");
    commit(f);
}

TEST_OPENED(a_due_row_that_is_refused_stays_due)
{
    struct claimed c = {.stop = 2};

    other_exec(f, "insert into herald_outbox(type, due_at) values ('t', 1), ('t', 2), ('t', 3)");
    begin(f);
    assert_ok(f, outbox_claim_due(f->db, 3, 100, 10, note, &c, &f->err));
    commit(f);
    assert_string_equal(c.text, "1");
    assert_string_equal(other_rows(f, "select due_at from herald_outbox"), "0, 2, 3");
}

TEST_OPENED(what_a_producer_leaves_out_is_made)
{
    struct claimed c = {.whole = true};
    char want[512];
    int64_t last;

    other_exec(f, "insert into herald_outbox(type, business_key1, business_key2) "
                  "values ('payresult_notify', '16', '60201')");
    assert_ok(f, outbox_claim(f->db, 0, 1, note, &c, &last, &f->err));
    snprintf(want, sizeof want,
             "1|%s:1|payresult_notify|16|{\"businessKey1\":\"16\",\"businessKey2\":\"60201\","
             "\"id\":1,\"messageType\":\"payresult_notify\"}|-",
             db_store_id(f->db, 1));
    assert_string_equal(c.text, want);
}

TEST_OPENED(what_a_producer_gives_goes_out_verbatim)
{
    struct claimed c = {.whole = true};
    int64_t last;

    other_exec(f, "insert into herald_outbox(type, business_key1, body, headers, message_id) values"
                  " ('t', 16, '{ \"a\": 99.90 }', '{\"h\":1}', 'mine'), ('t', '', x'', '', 7)");
    assert_ok(f, outbox_claim(f->db, 0, 2, note, &c, &last, &f->err));
    assert_string_equal(c.text, "1|mine|t|16|{ \"a\": 99.90 }|{\"h\":1} 2|7|t|||");
}

TEST_OPENED(an_added_row_keeps_every_byte)
{
    const struct message m = {.type = slice_of("t"),
                              .key = {slice_of("k"), {NULL, 0}, slice_of("")},
                              .body = {"a\0b", 3},
                              .headers = slice_of("{}")};
    int64_t id;

    begin(f);
    assert_ok(f, outbox_add(f->db, &m, 77, &id, &f->err));
    commit(f);
    assert_int_equal(id, 1);
    assert_string_equal(other_rows(f, "select type, business_key1, business_key2, business_key3, "
                                      "hex(body), headers, message_id, due_at, "
                                      "created_at between 1000000 and 1001000, attempts "
                                      "from herald_outbox"),
                        "t|k|-||610062|{}|-|77|1|0");
}

static bool see_properties(void *arg, const struct outbox_row *row)
{
    put_slice(arg, row->id > 1 ? " " : "", row->message.properties);
    return true;
}

TEST_OPENED(properties_are_of_the_row_and_of_its_size)
{
    const struct message m = {.type = slice_of("t"), .properties = slice_of("{\"priority\":5}")};
    struct claimed c = {.whole = false};
    int64_t last;

    other_exec(f, "insert into herald_outbox(type, properties) values ('t', '{\"app_id\":1}')");
    begin(f);
    assert_ok(f, outbox_add(f->db, &m, 0, NULL, &f->err));
    commit(f);
    assert_ok(f, outbox_claim(f->db, 0, 2, see_properties, &c, &last, &f->err));
    assert_string_equal(c.text, "{\"app_id\":1} {\"priority\":5}");
    other_exec(f, "insert into herald_outbox(type, body, properties) values ('t', "
                  "zeroblob(16777216 - 3), '{}')");
    assert_int_equal(sqlite3_exec(f->other,
                                  "insert into herald_outbox(type, body, properties) values ('t', "
                                  "zeroblob(16777216 - 2), '{}')",
                                  NULL, NULL, NULL),
                     SQLITE_CONSTRAINT);
}

TEST_OPENED(confirms_delete_in_any_order_and_with_gaps)
{
    int64_t ids[] = {9, 1, 3, 2, 7, 3, 20};

    rows(f, 10);
    begin(f);
    assert_ok(f, outbox_confirm(f->db, ids, 7, &f->err));
    assert_ok(f, outbox_confirm(f->db, NULL, 0, &f->err));
    commit(f);
    assert_string_equal(other_rows(f, "select id from herald_outbox"), "4, 5, 6, 8, 10");
}

static void postpone(struct store *s, int64_t id, enum outbox_trouble trouble, const char *reason,
                     int64_t due_at)
{
    assert_ok(s, outbox_postpone(s->db, id, trouble, reason, due_at, &s->err));
}

TEST_OPENED(only_a_refusal_is_an_attempt)
{
    struct outbox_record r;

    rows(f, 1);
    begin(f);
    assert_ok(f, outbox_record(f->db, 1, &r, &f->err));
    assert_true(r.attempts == 0 && r.refused_at == 0 && r.first_sent_at == 0);
    postpone(f, 1, OUTBOX_BACKLOG, "resting", 4000);
    assert_ok(f, outbox_record(f->db, 1, &r, &f->err));
    assert_true(r.attempts == 0 && r.refused_at == 0 && r.first_sent_at == 0);
    postpone(f, 1, OUTBOX_REFUSED, "nacked", 5000);
    postpone(f, 1, OUTBOX_REFUSED, "returned", 6000);
    postpone(f, 1, OUTBOX_UNHEARD, "cut", 7000);
    postpone(f, 1, OUTBOX_UNHEARD, "cut again", 8000);
    postpone(f, 99, OUTBOX_REFUSED, "gone already", 6000);
    assert_ok(f, outbox_record(f->db, 1, &r, &f->err));
    assert_int_equal(r.attempts, 2);
    assert_in_range(r.refused_at, 1000000, 1001000);
    assert_true(r.first_sent_at > r.refused_at); /* this clock moves with each look */
    assert_int_equal(outbox_record(f->db, 99, &r, &f->err), ERR_NOT_FOUND);
    commit(f);
    assert_string_equal(other_rows(f, "select due_at, reason, attempts from herald_outbox"),
                        "8000|cut again|2");
}

TEST_OPENED(a_letter_of_a_row_that_may_have_been_sent_says_so)
{
    rows(f, 2);
    begin(f);
    postpone(f, 1, OUTBOX_UNHEARD, "cut", 7000);
    assert_ok(f, outbox_park(f->db, 1, "too old", 4444, NULL, &f->err));
    assert_ok(f, outbox_park(f->db, 2, "no route", 4444, NULL, &f->err));
    commit(f);
    assert_string_equal(other_rows(f, "select attempts, error from herald_dead"),
                        "1|too old, 0|no route");
}

TEST_OPENED(a_parked_row_is_a_whole_dead_letter)
{
    bool parked = true;
    char want[128];

    other_exec(f, "insert into herald_outbox(type, business_key1, headers) "
                  "values ('t', 'k', '{\"a\":1}')");
    begin(f);
    postpone(f, 1, OUTBOX_REFUSED, "nacked", 5000);
    assert_ok(f, outbox_park(f->db, 1, "no route for type \"t\"", 4444, NULL, &f->err));
    assert_ok(f, outbox_park(f->db, 1, "again", 4445, &parked, &f->err)); /* gone: no error */
    assert_false(parked);
    commit(f);
    assert_int_equal(other_int(f, "select count(*) from herald_outbox"), 0);
    snprintf(want, sizeof want, "outbox||%s:1|%s:1|1|no route for type \"t\"|4444|t|k|{\"a\":1}",
             db_store_id(f->db, 1), db_store_id(f->db, 1));
    assert_string_equal(other_rows(f, "select side, queue, identity, message_id, attempts, error, "
                                      "at, type, business_key1, headers from herald_dead"),
                        want);
    assert_string_equal(other_rows(f, "select body from herald_dead"),
                        "{\"businessKey1\":\"k\",\"id\":1,\"messageType\":\"t\"}");
}

static struct outbox_counts counts(struct store *s)
{
    struct outbox_counts c;

    assert_ok(s, outbox_count(s->db, &c, &s->err));
    return c;
}

static void confirm_up_to(struct store *s, int64_t first, int64_t last)
{
    size_t n = (size_t)(last - first + 1);
    int64_t *ids = calloc(n, sizeof *ids);

    assert_non_null(ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = first + (int64_t)i;
    begin(s);
    assert_ok(s, outbox_confirm(s->db, ids, n, &s->err));
    commit(s);
    free(ids);
}

struct legs {
    struct store *store;
    const struct destination *to;
    size_t n;
};

static bool add_legs(void *arg, const struct outbox_row *row)
{
    struct legs *l = arg;

    for (size_t i = 0; i < l->n; i++)
        assert_ok(l->store,
                  outbox_add_leg(l->store->db, row, &l->to[i], row->lane, &l->store->err));
    return false;
}

/* A row with one leg for each kind of destination. */
static void split(struct store *s)
{
    static char none[] = "", x[] = "x", y[] = "y", q[] = "q", key[] = "a.b";
    static const struct destination to[] = {{EXCHANGE_FANOUT, x, none},
                                            {EXCHANGE_TOPIC, y, key},
                                            {EXCHANGE_DIRECT, y, key},
                                            {EXCHANGE_DEFAULT, none, q}};
    struct legs l = {s, to, 4};

    begin(s);
    assert_ok(s, outbox_look(s->db, 1, add_legs, &l, &s->err));
    commit(s);
}

static bool note_leg(void *arg, const struct outbox_row *row)
{
    struct claimed *c = arg;

    put_slice(c, " ", slice_of(row->leg_kind));
    put_slice(c, "|", slice_of(row->leg_exchange));
    put_slice(c, "|", slice_of(row->leg_routing_key));
    return true;
}

TEST_OPENED(a_leg_is_the_row_once_more_for_one_destination)
{
    struct claimed c = {.stop = 0};
    int64_t last;

    other_exec(f, "insert into herald_outbox(type, business_key1, headers, created_at, attempts, "
                  "reason) values ('t', '16', '{\"h\":1}', 77, 3, 'why')");
    split(f);
    assert_ok(f, outbox_claim(f->db, 1, 10, note_leg, &c, &last, &f->err));
    assert_string_equal(c.text, " fanout|x| topic|y|a.b direct|y|a.b queue||q");
    assert_string_equal(
        other_rows(f, "select distinct o.type, o.business_key1, o.headers, cast(o.body as text), "
                      "o.message_id = e.store_id || ':1', o.created_at, o.due_at, o.attempts, "
                      "o.reason from herald_outbox o, herald_epoch e where o.id > 1"),
        "t|16|{\"h\":1}|{\"businessKey1\":\"16\",\"id\":1,\"messageType\":\"t\"}|1|77|0|0|-");
    assert_refused(f, outbox_look(f->db, 99, note_leg, &c, &f->err), ERR_NOT_FOUND, "99");
}

/* Letters are kept once; these are several. */
TEST_OPENED(parked_legs_are_letters_of_their_own)
{
    rows(f, 1);
    split(f);
    begin(f);
    for (int64_t id = 1; id <= 5; id++)
        assert_ok(f, outbox_park(f->db, id, "why", 4444, NULL, &f->err));
    commit(f);
    assert_string_equal(other_rows(f, "select exchange, routing_key from herald_dead order by id"),
                        "-|-, x|, y|a.b, |q"); /* two of them go to one place */
    assert_int_equal(other_int(f, "select count(distinct message_id) from herald_dead"), 1);
}

TEST_OPENED(pending_rows_are_counted_without_counting)
{
    assert_int_equal(counts(f).pending, 0);
    assert_int_equal(counts(f).oldest_at, 0);
    other_exec(f, "insert into herald_outbox(type, created_at) values ('t', 4711)");
    assert_int_equal(counts(f).pending, 1);
    assert_int_equal(counts(f).oldest_at, 4711);
    rows(f, 4999);
    assert_int_equal(counts(f).pending, 5000);
    confirm_up_to(f, 1, 2000);
    assert_int_equal(counts(f).pending, 3000);
    other_exec(f, "delete from herald_outbox where id > 4500"); /* somebody's hand */
    assert_int_equal(counts(f).pending, 3000);                  /* an estimate */
    confirm_up_to(f, 2001, 4000);
    assert_int_equal(counts(f).pending, 500); /* few: exact */
    confirm_up_to(f, 4001, 4500);
    rows(f, 2000);
    assert_int_equal(counts(f).pending, 2000); /* was empty: exact again */
}

TEST_OPENED(a_rolled_back_confirm_is_not_counted)
{
    int64_t ids[] = {1, 2, 3};

    rows(f, 3000);
    begin(f);
    assert_ok(f, outbox_confirm(f->db, ids, 3, &f->err));
    db_rollback(f->db);
    assert_int_equal(counts(f).pending, 3000);
}

TEST_OPENED(ids_are_never_used_again)
{
    rows(f, 3);
    confirm_up_to(f, 1, 3);
    rows(f, 1);
    assert_string_equal(other_rows(f, "select id from herald_outbox"), "4");
}

static int64_t add_named(struct store *s, const char *key, int64_t due_at)
{
    const struct message m = {.type = slice_of("t")};
    int64_t id;

    assert_ok(s, outbox_add_keyed(s->db, &m, due_at, slice_of(key), &id, &s->err));
    return id;
}

TEST_OPENED(a_key_replaces_and_an_old_confirm_leaves_the_new_row)
{
    struct outbox_counts counts;
    int64_t first;

    rows(f, 2);
    begin(f);
    first = add_named(f, "k", 0);
    assert_int_equal(add_named(f, "k", 77), first + 1);
    assert_int_equal(add_named(f, "other", 0), first + 2);
    assert_ok(f, outbox_confirm(f->db, &first, 1, &f->err));
    commit(f);
    assert_string_equal(other_rows(f, "select id, due_at from herald_outbox where key = 'k'"),
                        "4|77");
    other_exec(f, "insert into herald_outbox(type, key) values ('t', 'k')");
    assert_string_equal(other_rows(f, "select id, due_at from herald_outbox where key = 'k'"),
                        "6|0");
    assert_int_equal(other_int(f, "select value from herald_meta where key = 'outbox_removed'"), 2);
    assert_ok(f, outbox_count(f->db, &counts, &f->err));
    assert_int_equal(counts.pending, 4);
}

TEST_OPENED(a_key_reaches_the_legs_of_its_row)
{
    int64_t row = 1;

    other_exec(f, "insert into herald_outbox(type, key) values ('t', 'k')");
    split(f);
    begin(f);
    assert_ok(f, outbox_confirm(f->db, &row, 1, &f->err));
    commit(f);
    assert_int_equal(other_int(f, "select count(*) from herald_outbox where key = 'k'"), 4);
    begin(f);
    (void)add_named(f, "k", 0);
    commit(f);
    assert_string_equal(other_rows(f, "select id, leg_kind from herald_outbox"), "6|-");
}

TEST_OPENED(a_cancel_says_whether_the_row_was_sent)
{
    enum cancelled was;

    begin(f);
    (void)add_named(f, "sent", 0);
    (void)add_named(f, "waits", 77);
    (void)add_named(f, "fresh", 0);
    assert_ok(f, outbox_cancel(f->db, slice_of("sent"), 2, &was, &f->err));
    assert_int_equal(was, CANCEL_SENT);
    assert_ok(f, outbox_cancel(f->db, slice_of("waits"), 2, &was, &f->err));
    assert_int_equal(was, CANCEL_DONE);
    assert_ok(f, outbox_cancel(f->db, slice_of("fresh"), 2, &was, &f->err));
    assert_int_equal(was, CANCEL_DONE);
    assert_ok(f, outbox_cancel(f->db, slice_of("fresh"), 2, &was, &f->err));
    assert_int_equal(was, CANCEL_NONE);
    commit(f);
    assert_int_equal(other_int(f, "select count(*) from herald_outbox"), 0);
}

TEST_OPENED(a_cancel_after_a_publish_of_unknown_outcome_says_so)
{
    enum cancelled was;

    other_exec(f, "insert into herald_outbox(type, key, due_at, first_sent_at, attempts) values"
                  "('t', 'unknown', 77, 5, 1), ('t', 'refused', 77, null, 1)");
    begin(f);
    assert_ok(f, outbox_cancel(f->db, slice_of("unknown"), 2, &was, &f->err));
    assert_int_equal(was, CANCEL_SENT);
    assert_ok(f, outbox_cancel(f->db, slice_of("refused"), 2, &was, &f->err));
    assert_int_equal(was, CANCEL_DONE);
    commit(f);
    assert_int_equal(other_int(f, "select count(*) from herald_outbox"), 0);
}

TEST_OPENED(a_key_of_the_wrong_size_is_refused)
{
    const struct message m = {.type = slice_of("t")};
    char big[10240];

    memset(big, 'k', sizeof big);
    begin(f);
    assert_int_not_equal(
        outbox_add_keyed(f->db, &m, 0, (struct slice){big, sizeof big}, NULL, &f->err), OK);
    assert_non_null(strstr(f->err.text, "1 to 255 bytes"));
    assert_int_not_equal(outbox_add_keyed(f->db, &m, 0, slice_of(""), NULL, &f->err), OK);
    assert_ok(f, outbox_add_keyed(f->db, &m, 0, (struct slice){big, 255}, NULL, &f->err));
    commit(f);
}

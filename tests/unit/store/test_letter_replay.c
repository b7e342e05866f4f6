/* What people do with dead letters. */
#include "store.h"

#include "base/error_group.h"
#include "store/inbox.h"
#include "store/lane.h"
#include "store/letter_replay.h"
#include "store/outbox.h"
#include "store/retry.h"
#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct letter inbox_letter = {
    .side = LETTER_INBOX,
    .queue = {"q", 1},
    .identity = {"m", 1},
    .message = {.id = {"m", 1},
                .type = {"t", 1},
                .key = {{"16", 2}, {"60201", 5}, {NULL, 0}},
                .body = {"{}", 2},
                .headers = {"{\"a\":1}", 7},
                .timestamp_s = 500},
    .exchange = {"x", 1},
    .routing_key = {"rk", 2},
    .fingerprint = {7, FINGERPRINT_OF_RECEIVED},
    .attempts = 3,
    .error = "no choice '16'",
    .generation = 4,
    .at = 1234,
};

static const struct pick everything = {.group = -1};

/* As the engine leaves it: the letter, and its inbox row. */
static int64_t bury(struct store *s, const struct letter *l)
{
    int64_t id;

    assert_ok(s, letter_add(s->db, l, &id, NULL, &s->err));
    if (l->side == LETTER_INBOX && l->identity.data != NULL)
        assert_ok(
            s, inbox_set(s->db, l->queue, l->identity, l->fingerprint, INBOX_DEAD, l->at, &s->err));
    return id;
}

/* Letters m0, m1, ... */
static void bury_many(struct store *s, int n, const char *error)
{
    struct letter l = inbox_letter;
    char id[24];

    other_exec(s, "select 1"); /* opens the other handle before the transaction */
    assert_ok(s, db_begin(s->db, &s->err));
    for (int i = 0; i < n; i++) {
        snprintf(id, sizeof id, "m%d", i);
        l.identity = l.message.id = slice_of(id);
        l.error = error;
        (void)bury(s, &l);
    }
    assert_ok(s, db_commit(s->db, &s->err));
}

/* All that is meant, as the command line does it; *batches_out: in how many transactions. */
static size_t pass(struct store *s, const struct pick *p, pick_fn *fn, size_t *batches_out)
{
    size_t n, passed, changed = 0, batches = 0;
    struct picked done;
    int64_t *ids;

    assert_ok(s, pick_ids(s->db, PICK_LETTERS, p, 0, SIZE_MAX, &ids, &n, &s->err));
    for (size_t at = 0; at < n; at += passed, batches++) {
        assert_ok(s, pick_batch(s->db, ids + at, n - at, fn, &passed, &done, &s->err));
        assert_true(passed > 0 && passed <= PICK_BATCH);
        changed += done.changed;
    }
    free(ids);
    if (batches_out != NULL)
        *batches_out = batches;
    return changed;
}

static size_t once(struct store *s, const struct pick *p, pick_fn *fn)
{
    return pass(s, p, fn, NULL);
}

TEST_OPENED(a_replayed_delivery_becomes_a_retry_that_is_due)
{
    (void)bury(f, &inbox_letter);
    f->now_ms = 9000;
    assert_int_equal(once(f, &everything, letter_replay), 1);
    assert_string_equal(other_rows(f, "select queue, identity, fingerprint, attempts, error, "
                                      "generation, message_id, type, business_key1, business_key2, "
                                      "business_key3, body, headers, timestamp_s, exchange, "
                                      "routing_key from herald_retry"),
                        "q|m|7|0|no choice '16'|4|m|t|16|60201|-|{}|{\"a\":1}|500|x|rk");
    assert_int_equal(other_int(f, "select due_at between 9000 and 9100 and first_at = due_at "
                                  "from herald_retry"),
                     1);
    assert_string_equal(other_rows(f, "select state, fingerprint from herald_inbox"), "1|7");
    assert_int_equal(other_int(f, "select count(*) from herald_dead"), 0);
}

TEST_OPENED(a_second_replay_finds_nothing)
{
    const int64_t ids[] = {1, 2};
    const struct pick these = {.ids = ids, .n_ids = 2, .group = -1};

    (void)bury(f, &inbox_letter);
    assert_int_equal(once(f, &these, letter_replay), 1);
    assert_int_equal(once(f, &these, letter_replay), 0);
    assert_int_equal(once(f, &everything, letter_replay), 0);
    assert_int_equal(other_int(f, "select count(*) from herald_retry"), 1);
}

TEST_OPENED(a_letter_without_identity_has_no_inbox_row)
{
    struct letter l = inbox_letter;

    l.identity = (struct slice){NULL, 0};
    (void)bury(f, &l);
    assert_int_equal(once(f, &everything, letter_replay), 1);
    assert_string_equal(other_rows(f, "select identity, message_id from herald_retry"), "-|m");
    assert_int_equal(other_int(f, "select count(*) from herald_inbox"), 0);
}

/* docs/design.md#identity, "id used twice": the inbox row is the first message's. */
TEST_OPENED(a_letter_whose_id_another_has_leaves_the_inbox_alone)
{
    struct letter l = inbox_letter;

    assert_ok(f, inbox_set(f->db, l.queue, l.identity, (struct fingerprint){99, 2}, INBOX_DONE, 1,
                           &f->err));
    assert_ok(f, letter_add(f->db, &l, NULL, NULL, &f->err));
    assert_int_equal(once(f, &everything, letter_replay), 1);
    assert_string_equal(other_rows(f, "select state, fingerprint from herald_inbox"), "0|99");
    assert_string_equal(other_rows(f, "select identity, message_id from herald_retry"), "-|m");
}

TEST_OPENED(an_inbox_row_that_was_lost_is_made_anew)
{
    assert_ok(f, letter_add(f->db, &inbox_letter, NULL, NULL, &f->err));
    assert_int_equal(once(f, &everything, letter_replay), 1);
    assert_string_equal(other_rows(f, "select message_id, state from herald_inbox"), "m|1");
}

TEST_OPENED(a_replayed_row_goes_into_the_outbox)
{
    struct letter l = inbox_letter;

    l.side = LETTER_OUTBOX;
    l.queue = (struct slice){NULL, 0};
    (void)bury(f, &l);
    assert_int_equal(once(f, &everything, letter_replay), 1);
    assert_string_equal(other_rows(f,
                                   "select type, business_key1, business_key2, body, headers, "
                                   "message_id, due_at, attempts, created_at from herald_outbox"),
                        "t|16|60201|{}|{\"a\":1}|m|0|0|500000");
    assert_int_equal(other_int(f, "select count(*) from herald_dead"), 0);
    assert_int_equal(other_int(f, "select count(*) from herald_retry"), 0);
}

TEST_OPENED(a_row_that_was_never_sent_is_dated_anew)
{
    struct letter l = inbox_letter;

    l.side = LETTER_OUTBOX;
    l.attempts = 0;
    (void)bury(f, &l);
    assert_int_equal(once(f, &everything, letter_replay), 1);
    assert_int_equal(other_int(f, "select created_at > 900000 from herald_outbox"), 1);
}

TEST_OPENED(a_replayed_row_keeps_its_properties_and_its_format)
{
    other_exec(f, "insert into herald_outbox(type, body, properties, format, reply_until, leg_kind)"
                  " values ('t', '1', '{\"priority\":5}', 'cap', null, null),"
                  " ('t', '2', '{\"priority\":6}', null, 77, 'queue'),"
                  " ('t', '3', null, null, null, null), ('t', '4', null, null, null, null);"
                  "update herald_outbox set attempts = 1 where id = 3");
    assert_ok(f, db_begin(f->db, &f->err));
    for (int64_t id = 1; id <= 4; id++)
        assert_ok(f, outbox_park(f->db, id, "no route", 5000, NULL, &f->err));
    assert_ok(f, db_commit(f->db, &f->err));
    assert_int_equal(once(f, &everything, letter_replay), 4);
    assert_string_equal(other_rows(f, "select body, properties, format, reply_until from "
                                      "herald_outbox order by body"),
                        "1|{\"priority\":5}|cap|-, 2|{\"priority\":6}|-|77, 3|-||-, 4|-|-|-");
}

TEST_OPENED(a_parked_leg_stays_a_leg)
{
    int64_t n;

    other_exec(f, "insert into herald_outbox(type, message_id, leg_kind, leg_exchange, "
                  "leg_routing_key, lane) values ('t', 'm', 'topic', 'x', 'a.b', 'k > x:a.b'), "
                  "('t', 'm', 'queue', '', 'q', null)");
    for (int64_t id = 1; id <= 2; id++)
        assert_ok(f, outbox_park(f->db, id, "no such exchange", 5, NULL, &f->err));
    assert_ok(f, letter_count(f->db, &n, &f->err));
    assert_int_equal(n, 2);
    assert_int_equal(once(f, &everything, letter_replay), 2);
    assert_string_equal(other_rows(f, "select message_id, leg_kind, leg_exchange, leg_routing_key, "
                                      "lane from herald_outbox"),
                        "m|topic|x|a.b|k > x:a.b, m|queue||q|-");
}

/* One that became a letter while another one was the first of its lane. */
TEST_OPENED(a_letter_keeps_its_place_in_the_lane_that_it_holds)
{
    struct letter l = inbox_letter;
    struct retry_row row = {
        .queue = slice_of("q"), .due_at = 1, .error = "e", .unidentified = true};

    row.lane = l.lane = slice_of("k");
    assert_ok(f, retry_add(f->db, &row, &f->err)); /* the first */
    l.holds = true;
    assert_ok(f, retry_place(f->db, 0, &l.place, &f->err));
    (void)bury(f, &l);
    row.due_at = LANE_BEHIND;
    assert_ok(f, retry_add(f->db, &row, &f->err)); /* came after the letter */
    assert_int_equal(once(f, &everything, letter_replay), 1);
    assert_string_equal(other_rows(f, "select id, due_at = 1, identity from herald_retry"),
                        "1|1|-, 2|0|m, 3|0|-");
    assert_ok(f, retry_remove(f->db, 1, &f->err));
    assert_string_equal(other_rows(f, "select id, due_at = 1 from herald_retry"), "2|1, 3|0");
}

TEST_OPENED(a_dropped_letter_leaves_its_id_known)
{
    struct inbox_seen seen;

    (void)bury(f, &inbox_letter);
    assert_int_equal(once(f, &everything, letter_drop), 1);
    assert_int_equal(other_int(f, "select count(*) from herald_dead"), 0);
    assert_int_equal(other_int(f, "select count(*) from herald_retry"), 0);
    assert_ok(f, inbox_enter(f->db, slice_of("q"), slice_of("m"), (struct fingerprint){7, 2}, 1,
                             &seen, &f->err));
    assert_true(seen.known);
    assert_int_equal(seen.state, INBOX_DONE); /* so it is pruned one day */
}

TEST_OPENED(batches_are_bounded_and_together_reach_all)
{
    size_t batches;

    bury_many(f, 2 * PICK_BATCH + 7, "it broke");
    assert_int_equal(pass(f, &everything, letter_replay, &batches), 2 * PICK_BATCH + 7);
    assert_int_equal(batches, 3);
    assert_int_equal(other_int(f, "select count(distinct message_id) from herald_retry"),
                     2 * PICK_BATCH + 7);
    assert_int_equal(other_int(f, "select count(*) from herald_dead"), 0);
}

/* The ids were noted, then somebody else was faster. */
TEST_OPENED(a_letter_that_is_gone_is_passed_over)
{
    const int64_t ids[] = {1, 2, 3};
    struct picked done;
    size_t passed;

    bury_many(f, 3, "it broke");
    other_exec(f, "delete from herald_dead where id = 2");
    assert_ok(f, pick_batch(f->db, ids, 3, letter_replay, &passed, &done, &f->err));
    assert_int_equal(passed, 3);
    assert_int_equal(done.changed, 2);
    assert_ok(f, pick_batch(f->db, ids, 3, letter_drop, &passed, &done, &f->err));
    assert_int_equal(done.changed, 0);
    assert_int_equal(f->err.code, OK);
    assert_int_equal(other_int(f, "select count(*) from herald_retry"), 2);
}

TEST_OPENED(large_letters_make_small_batches)
{
    struct letter l = inbox_letter;
    const size_t large = PICK_BATCH_BYTES / 2 + 1;
    char *body = calloc(1, large);
    size_t batches;

    assert_non_null(body);
    l.message.body = (struct slice){body, large};
    l.identity = (struct slice){NULL, 0};
    for (int i = 0; i < 3; i++)
        (void)bury(f, &l);
    assert_int_equal(pass(f, &everything, letter_replay, &batches), 3);
    assert_int_equal(batches, 2);
    free(body);
}

/* A crash, or a letter that cannot be moved, in the middle of a batch. */
TEST_OPENED(a_batch_that_fails_changes_nothing)
{
    const int64_t ids[] = {1, 2, 3};
    struct picked done;
    size_t passed;

    bury_many(f, 3, "it broke");
    other_exec(f, "create trigger no before insert on herald_retry when new.message_id = 'm1' "
                  "begin select raise(abort, 'not this one'); end");
    assert_refused(f, pick_batch(f->db, ids, 3, letter_replay, &passed, &done, &f->err), ERR_FAILED,
                   "not this one");
    assert_contains(f->err.text, "dead letter 2");
    assert_int_equal(passed, 0);
    assert_int_equal(done.changed, 0);
    assert_string_equal(other_rows(f, "select (select count(*) from herald_dead), (select count(*) "
                                      "from herald_retry), (select group_concat(distinct state) "
                                      "from herald_inbox)"),
                        "3|0|2");
}

TEST_OPENED(filters_choose_letters)
{
    const struct letter three[] = {
        inbox_letter,
        {.side = LETTER_INBOX,
         .queue = {"r", 1},
         .identity = {"n", 1},
         .message = {.type = {"u", 1}},
         .error = "no course '17'",
         .at = 2000},
        {.side = LETTER_OUTBOX, .identity = {"o", 1}, .error = "no route", .at = 3000},
    };
    const int64_t ids[] = {3, 1, 9};
    const struct {
        struct pick pick;
        const char *want;
    } cases[] = {
        {{.group = -1}, "1, 2, 3"},
        {{.group = -1, .ids = ids, .n_ids = 3}, "1, 3"},
        {{.group = -1, .type = {"u", 1}}, "2"},
        {{.group = -1, .order_type = {"60201", 5}}, "1"},
        {{.group = -1, .queue = {"r", 1}}, "2"},
        {{.group = -1, .side = {"outbox", 6}}, "3"},
        {{.group = -1, .error = {"no ", 3}}, "1, 2, 3"},
        {{.group = -1, .error = {"course", 6}}, "2"},
        {{.group = -1, .error = {"%", 1}}, ""},
        {{.group = -1, .before_ms = 2000}, "1"},
        {{.group = -1, .since_ms = 2000}, "2, 3"},
        {{.group = -1, .since_ms = 2000, .side = {"inbox", 5}}, "2"},
        {{.group = error_group("inbox", slice_of("r"), slice_of("no course '99'"))}, "2"},
        {{.group = 12345}, ""},
    };
    struct list_of page = {.view = LIST_LETTERS, .limit = 10};

    for (size_t i = 0; i < 3; i++)
        (void)bury(f, &three[i]);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        page.pick = cases[i].pick;
        assert_string_equal(store_listed(f, &page, "id"), cases[i].want);
    }
    page = (struct list_of){.view = LIST_LETTERS, .pick = everything, .after = 1, .limit = 1};
    assert_string_equal(store_listed(f, &page, "id"), "2");
}

static const char *groups(struct store *s)
{
    const struct list_of all = {.view = LIST_LETTER_GROUPS, .limit = 10};

    return store_listed(s, &all, "side queue count first_at last_at error");
}

TEST_OPENED(groups_count_their_letters)
{
    struct letter l = inbox_letter;
    const int64_t second = 2;
    const struct pick one = {.ids = &second, .n_ids = 1, .group = -1};

    assert_string_equal(groups(f), "");
    (void)bury(f, &l);
    l.identity = l.message.id = slice_of("n");
    l.error = "no choice '17'";
    l.at = 1500;
    (void)bury(f, &l);
    (void)bury(f, &l); /* the same once more: kept once */
    l.side = LETTER_OUTBOX;
    l.error = "no route";
    (void)bury(f, &l);
    assert_string_equal(groups(f), "inbox|q|2|1234|1500|no choice '16', "
                                   "outbox|q|1|1500|1500|no route");
    assert_int_equal(once(f, &one, letter_drop), 1);
    assert_string_equal(groups(f), "outbox|q|1|1500|1500|no route, "
                                   "inbox|q|1|1234|1500|no choice '16'");
    assert_int_equal(once(f, &everything, letter_replay), 2);
    assert_string_equal(groups(f), "");
}

/* What version 3 and later ones added is taken away again. */
TEST_OPENED(letters_of_an_older_store_are_grouped_when_the_router_takes_it)
{
    struct letter l = inbox_letter;
    char before[1024];

    bury_many(f, 3, "no choice '1'");
    l.error = "no route";
    l.side = LETTER_OUTBOX;
    l.queue = (struct slice){NULL, 0};
    (void)bury(f, &l);
    snprintf(before, sizeof before, "%s", groups(f));
    store_close(f);
    other_exec(
        f,
        "drop trigger herald_outbox_id_given; drop trigger herald_outbox_id_stays;"
        "drop trigger herald_outbox_never_due;"
        "drop trigger herald_dead_grouped; drop trigger herald_outbox_replaces; drop "
        "trigger herald_dead_ungrouped; drop trigger herald_outbox_leaves_lane;"
        "drop trigger herald_retry_leaves_lane; drop trigger herald_retry_released;"
        "drop trigger herald_outbox_released; drop index herald_outbox_first;"
        "drop index herald_retry_first;"
        "drop trigger herald_dead_leaves_lane; drop trigger herald_dead_released;"
        "drop index herald_outbox_lane; drop index herald_retry_lane;"
        "drop index herald_dead_holds;"
        "alter table herald_outbox drop column lane;"
        "alter table herald_outbox drop column refused_at;"
        "alter table herald_retry drop column lane;"
        "alter table herald_retry drop column tries;"
        "alter table herald_dead drop column lane;"
        "alter table herald_dead drop column holds;"
        "alter table herald_dead drop column tries;"
        "drop index herald_retry_queue; alter table herald_dead drop column place; drop index "
        "herald_outbox_backlog; alter table herald_outbox "
        "drop column outlet;"
        "alter table herald_retry drop column properties;"
        "alter table herald_dead drop column properties;"
        "alter table herald_queue_item drop column properties;"
        "alter table herald_recent drop column properties;"
        "drop table herald_history; drop table herald_dead_group; drop index herald_dead_by_group;"
        "drop index herald_dead_key1; drop index herald_dead_message; drop index "
        "herald_dead_identity;"
        "alter table herald_dead drop column error_group;"
        "alter table herald_dead drop column leg_kind;"
        "alter table herald_outbox drop column properties;"
        "alter table herald_outbox drop column format;"
        "alter table herald_outbox drop column reply_until;"
        "alter table herald_dead drop column format;"
        "alter table herald_dead drop column reply_until;"
        "drop table herald_inbox_floor; drop table herald_exchange_binding;"
        "alter table herald_retry drop column read_type;"
        "alter table herald_retry drop column read_key1;"
        "alter table herald_retry drop column read_key2;"
        "alter table herald_retry drop column read_key3;"
        "drop index herald_inbox_old; alter table herald_outbox drop column dated_at;"
        "alter table herald_inbox drop column fingerprint_version;"
        "alter table herald_retry drop column fingerprint_version;"
        "alter table herald_retry drop column unnamed;"
        "alter table herald_dead drop column fingerprint_version;"
        "update herald_meta set value = 2 where key = 'schema_version'");
    other_close(f);
    assert_refused(f, store_try(f, f->path, false, false, &f->db), ERR_CONFIG, "when it starts");
    store_open(f);
    assert_contains(store_logged(f), "store.upgraded from=2 to=");
    assert_string_equal(groups(f), before);
    assert_contains(before, "inbox|q|3|");
    assert_int_equal(once(f, &everything, letter_drop), 4);
    assert_string_equal(groups(f), "");
}

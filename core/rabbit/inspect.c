/* inspect - see inspect.h. The questions are listed first, so that each thing is asked
 * for once however many rules name it; the answers drive the rest. */
#include "rabbit/inspect_int.h"

#include "rabbit/channel.h"
#include "rabbit/dead_letter_queue.h"
#include "rabbit/explain.h"
#include "rabbit/inspect_arguments.h"
#include "rabbit/inspect_queue.h"
#include "rabbit/words.h"
#include "wire/tcp.h"
#include "wire/url.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HEARTBEAT_S = 10,
    BACKOFF_MS = 200, /* between two hosts of the URL */
    LOOK_MS = 20,     /* how often the link is looked at; below the least back-off */
    PROBE_MS = 5000,  /* patience with a consume */
    TEXT_MAX = 900,   /* broker's words and ours in one line */
};

static void on_timer_closed(uv_handle_t *handle)
{
    ((struct inspection *)handle->data)->left--;
}

static void on_closed(void *arg)
{
    ((struct inspection *)arg)->left--;
}

static void end(struct inspection *in)
{
    if (in->ending)
        return;
    in->ending = true;
    in->left = 2;
    link_close(in->link);
    uv_close((uv_handle_t *)&in->timer, on_timer_closed);
}

static void give_up(struct inspection *in, const char *why)
{
    if (in->ending)
        return;
    in->rc = err_set(in->err, ERR_BROKER, "%s", why);
    end(in);
}

static void end_when_probed(struct inspection *in)
{
    const char *origin;

    if (in->asked_all && probes_waiting(in->probes, 0, &origin) == NULL)
        end(in);
}

/* These queues are not consumed, even if all else is well. */
static void tell_silent(struct inspection *in)
{
    const char *queue, *origin;
    char text[TEXT_MAX];

    for (size_t n = 0; (queue = probes_waiting(in->probes, n, &origin)) != NULL; n++) {
        snprintf(text, sizeof text,
                 "queue \"%s\" is there, but the broker does not answer a consume: it has lost its "
                 "quorum or its leader, so start the cluster's other nodes",
                 queue);
        in->finding(in->arg, INSPECT_ERROR, origin, text);
    }
    end(in);
}

static void tell(const struct inspection *in, enum inspect_severity severity, const char *text)
{
    in->finding(in->arg, severity, in->questions[in->at].origin, text);
}

static enum queue_form form_of(const struct inspection *in)
{
    const struct question *q = &in->questions[in->at];

    if (!in->stating)
        return QUEUE_AS_IT_IS;
    if (in->plain || q->kind != ASK_QUEUE)
        return QUEUE_QUORUM_PLAIN;
    return ask_queue_form(q->name, q->queue_type, &q->rule->arguments);
}

static int send_question(struct inspection *in, struct err *err)
{
    const struct question *q = &in->questions[in->at];
    int rc = in->open ? OK : channel_open(in->link, CHANNEL_DECLARE, err);

    if (rc != OK)
        return rc;
    in->open = true;
    if (q->kind == ASK_EXCHANGE)
        return ask_exchange(in->link, CHANNEL_DECLARE, q->name, q->exchange_kind, !in->stating,
                            err);
    if (inspect_is_probed(in) && in->stating)
        return inspect_ask_queue(in, err);
    return ask_queue(in->link, CHANNEL_DECLARE, q->name, form_of(in),
                     q->rule != NULL ? &q->rule->arguments : &(struct arguments){.n = 0}, err);
}

/* A router opens a channel for each queue, one for the dead-letter queue beside it, and one to
 * declare; what it publishes to takes turns on the channels that there are. */
static void tell_of_channels(struct inspection *in)
{
    const size_t most = link_channel_max(in->link);
    size_t queues = 0;
    char text[TEXT_MAX];

    for (size_t i = 0; i < in->n_questions; i++)
        queues += in->questions[i].kind == ASK_QUEUE;
    if (queues + 1 > most)
        snprintf(
            text, sizeof text,
            "the broker allows %zu channels on a connection (channel_max), and %zu "
            "subscriptions want %zu: %zu queues would not be consumed; raise it there, or take "
            "queues to another router",
            most, queues, queues + 1, queues + 1 - most);
    else if (2 * queues + 1 > most)
        snprintf(text, sizeof text,
                 "the broker allows %zu channels on a connection (channel_max), and %zu "
                 "subscriptions want %zu with their dead-letter queues: up to %zu of those would "
                 "not be consumed; raise it there, or take queues to another router",
                 most, queues, 2 * queues + 1, 2 * queues + 1 - most);
    else
        return;
    in->finding(in->arg, INSPECT_WARNING, "", text);
}

/* Every question is answered; a consume may not be. */
static void finish(struct inspection *in)
{
    const int64_t patience = clock_mono(&in->settings->clock) + PROBE_MS;

    tell_of_channels(in);
    in->asked_all = true;
    in->deadline_ms = patience < in->deadline_ms ? patience : in->deadline_ms;
    end_when_probed(in);
}

static void ask(struct inspection *in, bool stating)
{
    struct err err = {.code = OK};

    in->stating = stating;
    if (in->at == in->n_questions)
        finish(in);
    else if (send_question(in, &err) != OK)
        give_up(in, err.text);
}

static void next(struct inspection *in)
{
    in->at++;
    in->plain = false;
    in->empty = false;
    in->found.queue = NULL;
    ask(in, false);
}

/* The queue is known to be a quorum one. */
static void probe(struct inspection *in)
{
    const struct question *q = &in->questions[in->at];
    struct err err = {.code = OK};

    if (in->empty && probes_add(in->probes, q->name, q->origin, &err) != OK)
        give_up(in, err.text);
}

/* The queue is there. */
static void on_queue(struct inspection *in, const amqp_queue_declare_ok_t *ok)
{
    const struct question *q = &in->questions[in->at];
    char text[TEXT_MAX];

    if (q->kind == ASK_QUEUE && !in->stating && ok->consumer_count > 0) {
        snprintf(text, sizeof text,
                 "queue \"%s\": %u consumer%s already take%s from it (a running router counts): "
                 "messages are shared with them",
                 q->name, (unsigned)ok->consumer_count, ok->consumer_count == 1 ? "" : "s",
                 ok->consumer_count == 1 ? "s" : "");
        tell(in, INSPECT_NOTE, text);
    }
    if (in->plain)
        inspect_tell_unguarded(in);
    if (q->kind == ASK_QUEUE && !in->stating) {
        in->empty = ok->message_count == 0;
        ask(in, true);
        return;
    }
    if (in->stating && q->queue_type == QUEUE_QUORUM)
        probe(in);
    next(in);
}

static void on_exchange(struct inspection *in)
{
    if (in->stating)
        next(in);
    else
        ask(in, true);
}

static void tell_absent_exchange(const struct inspection *in)
{
    const struct question *q = &in->questions[in->at];
    char text[TEXT_MAX];

    snprintf(text, sizeof text, "exchange \"%s\" will be created as durable %s%s", q->name,
             exchange_kind_word(q->exchange_kind),
             q->sent_to_alone ? ", and a route leads there where no queue is bound: subscribe "
                                "to it, or start the service that listens there"
                              : "");
    tell(in, q->sent_to_alone ? INSPECT_WARNING : INSPECT_NOTE, text);
}

/* ", with dead-letter queue "q.herald-dead", and x-max-length = 10" */
static void tell_absent_queue(const struct inspection *in)
{
    const struct question *q = &in->questions[in->at];
    const enum queue_type type = q->queue_type == QUEUE_ANY ? QUEUE_QUORUM : q->queue_type;
    const struct arguments *a = &q->rule->arguments;
    const bool guarded = ask_queue_form(q->name, type, a) == QUEUE_QUORUM_DEAD_LETTERING;
    char text[TEXT_MAX], dead[DEAD_LETTER_QUEUE_NAME_MAX], words[ARGUMENT_WORDS_MAX];

    snprintf(text, sizeof text, "queue \"%s\" will be created as %s%s%s%s%s%s", q->name,
             explain_queue_type(type), guarded ? ", with dead-letter queue \"" : "",
             guarded && dead_letter_queue_name(q->name, dead) ? dead : "", guarded ? "\"" : "",
             a->n > 0 ? ", with " : "", arguments_words(a, words, sizeof words));
    tell(in, INSPECT_NOTE, text);
    inspect_tell_refused_arguments(in, type);
    inspect_tell_exclusive(in, type == QUEUE_QUORUM);
}

static void tell_absent(struct inspection *in)
{
    const struct question *q = &in->questions[in->at];
    char text[TEXT_MAX];

    if (q->kind == ASK_EXCHANGE) {
        tell_absent_exchange(in);
    } else if (q->kind == ASK_QUEUE) {
        tell_absent_queue(in);
    } else {
        snprintf(text, sizeof text,
                 "route to queue \"%s\", which does not exist: subscribe to it, or have it made by "
                 "the service that takes from it",
                 q->name);
        tell(in, INSPECT_ERROR, text);
    }
}

static void tell_refused(struct inspection *in, uint16_t code, const char *broker)
{
    const struct question *q = &in->questions[in->at];
    struct refusal refusal = {
        .code = code,
        .text = broker,
        .what = q->kind == ASK_EXCHANGE ? "exchange" : "queue",
        .name = q->name,
        .queue_type = q->queue_type,
    };
    char text[TEXT_MAX];

    tell(in, INSPECT_ERROR, explain_refusal(&refusal, text, sizeof text));
}

/* The queue is not to be had with a dead-letter queue: it is asked for without, as a router
 * does. */
static bool is_unguarded(const struct inspection *in, const char *broker)
{
    return in->questions[in->at].kind == ASK_QUEUE && form_of(in) == QUEUE_QUORUM_DEAD_LETTERING &&
           explain_is_of_dead_letters(broker);
}

/* What it is, bit by bit. */
static void hear_queue(struct inspection *in, const char *broker)
{
    if (queue_probe_hear(&in->found, broker)) {
        ask(in, true);
        return;
    }
    inspect_tell_queue(in);
    if (strcmp(in->found.type, "quorum") == 0)
        probe(in);
    next(in);
}

static void on_refusal(struct inspection *in, const amqp_channel_close_t *close)
{
    const struct question *q = &in->questions[in->at];
    const uint16_t code = close->reply_code;
    /* A user who may not make it is not told what it is, and need not know: a router only asks
     * passively for what exists. */
    const bool of_known_exchange = q->kind == ASK_EXCHANGE && in->stating;
    char broker[TEXT_MAX / 2], text[TEXT_MAX];

    channel_why(close, broker, sizeof broker);
    if (inspect_is_probed(in) && in->stating) {
        hear_queue(in, broker);
        return;
    }
    if (is_unguarded(in, broker)) {
        in->plain = true;
        ask(in, true);
        return;
    }
    if (!in->stating && words_of(broker) == WORDS_ABSENT)
        tell_absent(in);
    else if (of_known_exchange && code == AMQP_PRECONDITION_FAILED)
        tell(in, INSPECT_WARNING, explain_exchange(q->name, broker, text, sizeof text));
    else if (!of_known_exchange || code != AMQP_ACCESS_REFUSED)
        tell_refused(in, code, broker);
    next(in);
}

static void on_channel_closed(struct inspection *in, const amqp_channel_close_t *close)
{
    struct err err = {.code = OK};

    in->open = false;
    if (channel_close_ok(in->link, CHANNEL_DECLARE, &err) != OK)
        give_up(in, err.text);
    else
        on_refusal(in, close);
}

static void on_method(void *arg, uint16_t channel, const amqp_method_t *method)
{
    struct inspection *in = arg;

    struct err err = {.code = OK};

    if (in->ending)
        return;
    if (channel != CHANNEL_DECLARE) {
        if (probes_method(in->probes, channel, method, &err) != OK)
            give_up(in, err.text);
        else
            end_when_probed(in);
        return;
    }
    switch (method->id) {
    case AMQP_EXCHANGE_DECLARE_OK_METHOD:
        on_exchange(in);
        break;
    case AMQP_QUEUE_DECLARE_OK_METHOD:
        on_queue(in, method->decoded);
        break;
    case AMQP_CHANNEL_CLOSE_METHOD:
        on_channel_closed(in, method->decoded);
        break;
    default: /* open-ok needs no answer */
        break;
    }
}

static void on_up(void *arg)
{
    const struct inspection *in = arg;

    if (in->settings->server != NULL)
        snprintf(in->settings->server, in->settings->server_room, "%s", link_server(in->link));
    ask(arg, false);
}

static void on_down(void *arg, const struct err *why)
{
    give_up(arg, why->text);
}

static void on_content(void *arg, const struct codec_content *content)
{
    struct inspection *in = arg;
    struct err err = {.code = OK};

    if (!in->ending && probes_content(in->probes, content, &err) != OK)
        give_up(in, err.text);
}

static void on_blocked(void *arg, const char *reason)
{
    (void)arg, (void)reason; /* declarations are answered all the same */
}

static void on_read_done(void *arg)
{
    (void)arg; /* the link sends by itself what its events have encoded */
}

static const struct link_events events = {
    .up = on_up,
    .down = on_down,
    .method = on_method,
    .content = on_content,
    .blocked = on_blocked,
    .read_done = on_read_done,
    .closed = on_closed,
};

static const struct stream_factory *base_streams(const struct inspection *in)
{
    if (in->tls != NULL)
        return tls_streams(in->tls);
    return in->settings->streams != NULL ? in->settings->streams : &tcp_streams;
}

static struct stream *open_stream(void *arg, uv_loop_t *loop, const char *host, uint16_t port,
                                  const struct stream_events *stream_events, void *events_arg,
                                  struct err *err)
{
    struct inspection *in = arg;
    const struct stream_factory *base = base_streams(in);

    in->tries++;
    return base->open(base->arg, loop, host, port, stream_events, events_arg, err);
}

/* A link tries for ever and tells nobody of a connection that did not come about: one
 * try for each host is enough here. */
static bool is_hopeless(const struct inspection *in)
{
    return strcmp(link_state_word(in->link), "waiting") == 0 && link_error(in->link)[0] != '\0' &&
           in->tries >= in->n_hosts;
}

static void on_look(uv_timer_t *timer)
{
    struct inspection *in = timer->data;
    char why[TEXT_MAX];

    if (!is_hopeless(in) && clock_mono(&in->settings->clock) < in->deadline_ms)
        return;
    if (in->asked_all) {
        tell_silent(in);
        return;
    }
    snprintf(why, sizeof why, "%s", link_error(in->link));
    if (why[0] == '\0')
        snprintf(why, sizeof why, "the broker did not answer within %lld ms%s%s%s",
                 (long long)in->settings->timeout_ms,
                 link_is_up(in->link) ? " a question about \"" : "",
                 link_is_up(in->link) ? in->questions[in->at].name : "",
                 link_is_up(in->link) ? "\"" : "");
    give_up(in, why);
}

static void tell_of_bindings(const struct inspection *in, const struct topology *t)
{
    size_t bindings = 0, of_exchanges = 0;

    for (size_t i = 0; i < t->n_subscriptions; i++) {
        of_exchanges += t->subscriptions[i].n_sources;
        for (size_t k = 0; k < t->subscriptions[i].n_from; k++)
            bindings += t->subscriptions[i].from[k].kind != EXCHANGE_DEFAULT;
    }
    if (of_exchanges > 0)
        in->finding(in->arg, INSPECT_NOTE, "",
                    "bindings, of queues and of exchanges to exchanges, cannot be seen over AMQP: "
                    "they were not compared; those that the rules name are made at the start, "
                    "others stay");
    else if (bindings > 0)
        in->finding(in->arg, INSPECT_NOTE, "",
                    "bindings cannot be seen over AMQP: they were not compared; those that the "
                    "rules name are made at the start, others stay");
}

/* Runs the loop until nothing of the link and the timer is left on it. */
static int converse(struct inspection *in, const struct url *url)
{
    const struct inspect_settings *s = in->settings;
    struct link_settings settings = {
        .loop = s->loop,
        .log = s->log,
        .clock = s->clock,
        .url = url,
        .name = "herald check",
        .heartbeat_s = HEARTBEAT_S,
        .connect_timeout_ms = s->timeout_ms,
        .backoff_min_ms = BACKOFF_MS,
        .backoff_max_ms = BACKOFF_MS,
        .body_max = MESSAGE_KEPT_MAX,
        .password_file = s->password_file,
        .streams = &in->streams,
    };

    in->streams = (struct stream_factory){open_stream, in, base_streams(in)->certificate};
    in->n_hosts = url->n_hosts;
    in->link = link_new(&settings, &events, in);
    in->probes = in->link != NULL ? probes_new(in->link) : NULL;
    if (in->probes == NULL) {
        link_free(&in->link);
        return err_set(in->err, ERR_NOMEM, "out of memory for a link");
    }
    if (uv_timer_init(s->loop, &in->timer) != 0) {
        probes_free(&in->probes);
        link_free(&in->link);
        return err_set(in->err, ERR_FAILED, "no timer for the inspection");
    }
    in->timer.data = in;
    in->deadline_ms = clock_mono(&s->clock) + s->timeout_ms;
    REQUIRE(uv_timer_start(&in->timer, on_look, LOOK_MS, LOOK_MS) == 0);
    link_open(in->link);
    while (!in->ending || in->left > 0)
        uv_run(s->loop, UV_RUN_ONCE);
    probes_free(&in->probes);
    link_free(&in->link);
    return in->rc;
}

static int make_tls(struct inspection *in, const struct url *url)
{
    const struct inspect_settings *s = in->settings;

    if (!url->tls)
        return OK;
    in->tls = tls_new(s->tls, s->streams != NULL ? s->streams : &tcp_streams);
    return in->tls != NULL ? OK : ERR_NOMEM;
}

int inspect_run(const struct inspect_settings *settings, const struct topology *t,
                inspect_finding_fn *finding, void *arg, struct err *err)
{
    struct inspection in = {.settings = settings, .finding = finding, .arg = arg, .err = err};
    struct url url;
    int rc = url_parse(settings->url, &url, err);

    if (rc != OK)
        return rc;
    rc = make_tls(&in, &url);
    if (rc == OK)
        rc = inspect_list(&in, t);
    if (rc == OK)
        rc = converse(&in, &url);
    else
        err_set(err, rc, "out of memory for an inspection");
    if (rc == OK)
        tell_of_bindings(&in, t);
    free(in.questions);
    tls_free(&in.tls);
    url_free(&url);
    return rc;
}

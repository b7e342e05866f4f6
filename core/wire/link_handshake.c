/*
 * link_handshake - the way to RUN, and the words for each way to fail on it
 *
 *   we                     the broker
 *   "AMQP" 0 0 9 1  ---->
 *                   <----  connection.start       STEP_START
 *   start-ok        ---->
 *                   <----  connection.tune        STEP_TUNE  (or close 403)
 *   tune-ok, open   ---->
 *                   <----  connection.open-ok     STEP_OPEN_OK  (or close 530)
 */
#include "base/credential.h"
#include "base/log.h"
#include "wire/link_int.h"

#include <stdio.h>
#include <string.h>

#define WHERE_TO_LOOK "check `broker` in herald.lua or HERALD_BROKER"

enum { RESPONSE_MAX = 64 * 1024 };

static amqp_field_value_t text_value(const char *text)
{
    amqp_field_value_t v = {.kind = AMQP_FIELD_KIND_UTF8};

    v.value.bytes = amqp_cstring_bytes(text);
    return v;
}

static amqp_table_entry_t text_entry(const char *key, const char *text)
{
    return (amqp_table_entry_t){.key = amqp_cstring_bytes(key), .value = text_value(text)};
}

static amqp_table_entry_t true_entry(const char *key)
{
    amqp_table_entry_t e = {.key = amqp_cstring_bytes(key)};

    e.value.kind = AMQP_FIELD_KIND_BOOLEAN;
    e.value.value.boolean = 1;
    return e;
}

/* "\0user\0password": SASL's PLAIN. The file is read each time, as the password may be another
 * one now. */
static int put_plain(const struct link *l, struct buf *out, struct err *err)
{
    const struct url *url = l->settings.url;
    int rc;

    buf_append(out, "", 1);
    buf_text(out, url->user);
    rc = buf_append(out, "", 1);
    if (rc == OK && l->settings.password_file != NULL)
        return credential_read("the password (password_file)", l->settings.password_file, out, err);
    if (rc == OK)
        rc = buf_text(out, url->password);
    return rc == OK ? OK
                    : err_set(err, rc, "user and password are longer than %d bytes", RESPONSE_MAX);
}

static int send_start_ok(struct link *l, const char *mechanism, amqp_bytes_t response,
                         struct err *err)
{
    /* Without consumer_cancel_notify a deleted queue means silence for ever, without
     * authentication_failure_close a wrong password is a connection that just ends. */
    amqp_table_entry_t can[] = {
        true_entry("consumer_cancel_notify"),       true_entry("connection.blocked"),
        true_entry("publisher_confirms"),           true_entry("basic.nack"),
        true_entry("authentication_failure_close"), true_entry("exchange_exchange_bindings"),
    };
    amqp_table_entry_t properties[] = {
        text_entry("product", "herald"),
        text_entry("version", HERALD_VERSION),
        text_entry("platform", "C"),
        text_entry("connection_name", l->name),
        {.key = amqp_cstring_bytes("capabilities")},
    };
    amqp_connection_start_ok_t ok = {
        .client_properties = {sizeof properties / sizeof properties[0], properties},
        .mechanism = amqp_cstring_bytes(mechanism),
        .response = response,
        .locale = amqp_cstring_bytes("en_US"),
    };

    properties[4].value.kind = AMQP_FIELD_KIND_TABLE;
    properties[4].value.value.table = (amqp_table_t){sizeof can / sizeof can[0], can};
    return codec_method(&l->out, 0, AMQP_CONNECTION_START_OK_METHOD, &ok, err);
}

/* True when a list of words parted by spaces has this one. */
static bool has_word(amqp_bytes_t list, const char *word)
{
    const char *at = list.bytes, *end = at + list.len;
    const size_t len = strlen(word);

    while (at < end) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        const char *stop = space != NULL ? space : end;

        if ((size_t)(stop - at) == len && memcmp(at, word, len) == 0)
            return true;
        at = stop + 1;
    }
    return false;
}

/* The text of one of the server's properties, "" when it is none. */
static struct slice property(const amqp_table_t *properties, const char *key)
{
    for (int i = 0; i < properties->num_entries; i++) {
        const amqp_table_entry_t *e = &properties->entries[i];

        if (e->value.kind == AMQP_FIELD_KIND_UTF8 && e->key.len == strlen(key) &&
            memcmp(e->key.bytes, key, e->key.len) == 0)
            return (struct slice){e->value.value.bytes.bytes, e->value.value.bytes.len};
    }
    return (struct slice){"", 0};
}

/* "RabbitMQ 3.10.8", as far as the server says. */
static void note_server(struct link *l, const amqp_table_t *properties)
{
    struct slice product = property(properties, "product");
    struct slice version = property(properties, "version");

    snprintf(l->server, sizeof l->server, "%.*s %.*s", product.len < 24 ? (int)product.len : 24,
             product.data, version.len < 24 ? (int)version.len : 24, version.data);
}

/* Who has a certificate and names no user is who the certificate says. */
static const char *choose_mechanism(const struct link *l, amqp_bytes_t offered)
{
    const struct link_settings *s = &l->settings;

    if (s->streams->certificate && s->url->anonymous && has_word(offered, "EXTERNAL"))
        return "EXTERNAL";
    return has_word(offered, "PLAIN") ? "PLAIN" : NULL;
}

static int refuse_mechanisms(const struct link *l, amqp_bytes_t offered, struct err *err)
{
    char peer[300];

    return err_set(err, ERR_BROKER,
                   "%s does not offer the login mechanism PLAIN (it offers \"%.*s\"): %s",
                   link_peer(l, peer), (int)offered.len, (const char *)offered.bytes,
                   has_word(offered, "EXTERNAL")
                       ? "for EXTERNAL give a certificate by tls = { cert = ... }, and no user in "
                         "`broker`"
                       : "enable auth_mechanisms PLAIN on the broker");
}

static int log_in(struct link *l, const char *mechanism, struct err *err)
{
    struct buf response;
    int rc = OK;

    buf_init(&response, RESPONSE_MAX);
    l->by_certificate = strcmp(mechanism, "EXTERNAL") == 0;
    if (!l->by_certificate)
        rc = put_plain(l, &response, err);
    if (rc == OK)
        rc = send_start_ok(l, mechanism, (amqp_bytes_t){response.len, response.data}, err);
    credential_wipe(&response);
    return rc;
}

static int on_start(struct link *l, const amqp_connection_start_t *start, struct err *err)
{
    const char *mechanism = choose_mechanism(l, start->mechanisms);
    char peer[300];

    if (start->version_major != 0 || start->version_minor != 9)
        return err_set(err, ERR_BROKER, "%s speaks AMQP %u-%u and not 0-9-1", link_peer(l, peer),
                       start->version_major, start->version_minor);
    if (mechanism == NULL)
        return refuse_mechanisms(l, start->mechanisms, err);
    note_server(l, &start->server_properties);
    l->step = STEP_TUNE;
    return log_in(l, mechanism, err);
}

/* A frame is kept in memory as a whole, so there is a limit to what we agree to. */
static uint32_t agree_frame_max(uint32_t offered)
{
    if (offered == 0)
        return FRAME_MAX_START;
    return offered < FRAME_MAX_MOST ? offered : FRAME_MAX_MOST;
}

static int send_open(struct link *l, uint16_t heartbeat_s, struct err *err)
{
    amqp_connection_tune_ok_t ok = {l->channel_max, l->frame_max, heartbeat_s};
    amqp_connection_open_t open = {
        .virtual_host = amqp_cstring_bytes(l->settings.url->vhost),
        .capabilities = amqp_empty_bytes,
        .insist = 0,
    };
    int rc = codec_method(&l->out, 0, AMQP_CONNECTION_TUNE_OK_METHOD, &ok, err);

    return rc != OK ? rc : codec_method(&l->out, 0, AMQP_CONNECTION_OPEN_METHOD, &open, err);
}

static int on_tune(struct link *l, const amqp_connection_tune_t *tune, struct err *err)
{
    const struct link_settings *s = &l->settings;
    int wanted_s = s->url->heartbeat_s >= 0 ? s->url->heartbeat_s : s->heartbeat_s;
    uint16_t heartbeat_s = heartbeat_agree(wanted_s, tune->heartbeat);
    char peer[300];

    l->frame_max = agree_frame_max(tune->frame_max);
    if (l->frame_max < FRAME_MAX_LEAST)
        return err_set(
            err, ERR_BROKER,
            "%s allows frames of %u bytes only: set frame_max on the broker to %d or more",
            link_peer(l, peer), (unsigned)l->frame_max, FRAME_MAX_LEAST);
    l->channel_max = tune->channel_max != 0 ? tune->channel_max : UINT16_MAX;
    l->reader.frame_max = l->frame_max;
    heartbeat_start(&l->heartbeat, heartbeat_s, clock_mono(&s->clock));
    l->step = STEP_OPEN_OK;
    return send_open(l, heartbeat_s, err);
}

int handshake_begin(struct link *l, struct err *err)
{
    l->step = STEP_START;
    return codec_protocol_header(&l->out, err);
}

static int refuse_user(const struct link *l, const char *words, struct err *err)
{
    const char *file = l->settings.password_file;
    char peer[300];

    if (l->by_certificate)
        return err_set(err, ERR_BROKER,
                       "the user of our certificate (tls.cert) was refused by %s (%s): make a user "
                       "of that name there (see ssl_cert_login_from), or name one in `broker`",
                       link_peer(l, peer), words);
    return err_set(err, ERR_BROKER,
                   "user '%s' was refused by %s (%s): wrong user or password, %s%s",
                   l->settings.url->user, link_peer(l, peer), words,
                   file != NULL ? "check `broker` and the password_file " : WHERE_TO_LOOK,
                   file != NULL ? file : "");
}

static int refuse_vhost(const struct link *l, const char *words, struct err *err)
{
    char peer[300];

    return err_set(err, ERR_BROKER,
                   "vhost '%s' on %s was refused to user '%s' (%s): it must exist and the user "
                   "must have permissions on it, " WHERE_TO_LOOK,
                   l->settings.url->vhost, link_peer(l, peer), l->settings.url->user, words);
}

int handshake_closed(struct link *l, const amqp_connection_close_t *close, struct err *err)
{
    amqp_connection_close_ok_t ok = {0};
    char words[300], peer[300];

    snprintf(words, sizeof words, "%u %.*s", (unsigned)close->reply_code,
             (int)close->reply_text.len, (const char *)close->reply_text.bytes);
    l->fault = ((amqp_method_number_t)close->class_id << 16) | close->method_id;
    if (codec_method(&l->out, 0, AMQP_CONNECTION_CLOSE_OK_METHOD, &ok, err) == OK)
        link_flush(l);
    if (l->state == LINK_HANDSHAKE && l->step == STEP_TUNE)
        return refuse_user(l, words, err);
    if (l->state == LINK_HANDSHAKE && l->step == STEP_OPEN_OK)
        return refuse_vhost(l, words, err);
    return err_set(err, ERR_BROKER, "%s closed the connection: %s", link_peer(l, peer), words);
}

static bool is_awaited(const struct link *l, amqp_method_number_t id)
{
    static const amqp_method_number_t awaited[] = {
        [STEP_START] = AMQP_CONNECTION_START_METHOD,
        [STEP_TUNE] = AMQP_CONNECTION_TUNE_METHOD,
        [STEP_OPEN_OK] = AMQP_CONNECTION_OPEN_OK_METHOD,
    };

    return awaited[l->step] == id;
}

int handshake_method(struct link *l, const amqp_method_t *m, struct err *err)
{
    char peer[300];

    if (m->id == AMQP_CONNECTION_CLOSE_METHOD)
        return handshake_closed(l, m->decoded, err);
    if (m->id == AMQP_CONNECTION_SECURE_METHOD)
        return err_set(err, ERR_BROKER, "%s asks for more than herald needs at login",
                       link_peer(l, peer));
    if (!is_awaited(l, m->id))
        return err_set(err, ERR_INPUT, "%s in the middle of the handshake",
                       amqp_method_name(m->id));
    if (l->step == STEP_START)
        return on_start(l, m->decoded, err);
    if (l->step == STEP_TUNE)
        return on_tune(l, m->decoded, err);
    link_run(l);
    return OK;
}

/* A listener for TLS answers what it does not understand by an alert. */
bool handshake_hears_tls(const struct link *l, const char *bytes, size_t len, struct err *err)
{
    char peer[300];

    if (l->step != STEP_START || len < 2 || (bytes[0] != 0x15 && bytes[0] != 0x16) || bytes[1] != 3)
        return false;
    err_set(err, ERR_BROKER,
            "%s speaks TLS: use amqps:// instead of amqp:// in `broker`, or the port of its "
            "listener without TLS (5672 unless it is set)",
            link_peer(l, peer));
    return true;
}

/* A broker that knows no authentication_failure_close, or no AMQP, just hangs up. */
void handshake_explain(const struct link *l, struct err *why)
{
    static const char *const hints[] = {
        [STEP_START] = "before it said anything: is it an AMQP port, and ",
        [STEP_TUNE] = "after the login: wrong user or password? " WHERE_TO_LOOK,
        [STEP_OPEN_OK] = "while the vhost was being opened: does it exist? " WHERE_TO_LOOK,
    };
    const bool tls = l->settings.url->tls;
    struct err old = *why;

    if (old.code == ERR_BROKER)
        return; /* TLS knows better */
    err_set(why, old.code, "%s %s%s", old.text, hints[l->step],
            l->step != STEP_START ? ""
            : tls                 ? "one with TLS?"
                                  : "one without TLS?");
}

/* settings_told - see settings_told.h. */
#include "face/settings_told.h"

#include "base/json.h"
#include "base/text.h"

#include <string.h>

enum { URL_MAX = 4096 };

static void add_text(struct buf *b, const char *name, const char *text)
{
    char url[URL_MAX];

    if (text == NULL)
        return;
    if (strstr(text, "://") != NULL) {
        text_redact_url(text, url, sizeof url);
        text = url;
    }
    json_add_string(b, name, text);
}

static void add_policy(struct buf *b, const char *name, const struct retry_policy *p)
{
    json_add_object(b, name);
    json_add_int(b, "attempts", p->attempts);
    json_add_array(b, "delay");
    for (size_t i = 0; i < p->n_delays; i++)
        json_add_int(b, NULL, p->delay_ms[i]);
    json_end(b, "]");
    json_add_real(b, "factor", p->factor);
    json_add_int(b, "max_delay", p->delay_max_ms);
    json_add_real(b, "jitter", p->jitter);
    json_add_int(b, "max_age", p->max_age_ms);
    json_end(b, "}");
}

static void add_tls(struct buf *b, const char *name, const struct tls_settings *t)
{
    json_add_object(b, name);
    add_text(b, "ca", t->ca);
    add_text(b, "cert", t->cert);
    add_text(b, "key", t->key);
    add_text(b, "server_name", t->server_name);
    json_add_bool(b, "verify", t->verify);
    json_add_string(b, "min_version", t->min_version == TLS_1_3 ? "1.3" : "1.2");
    json_end(b, "}");
}

static void add_admin(struct buf *b, const char *name, const struct admin_settings *a)
{
    if (a->listen == NULL)
        return;
    json_add_object(b, name);
    add_text(b, "listen", a->listen);
    add_text(b, "token_file", a->token_file);
    add_text(b, "read_token_file", a->read_token_file);
    add_text(b, "hosts", a->hosts);
    json_add_int(b, "rate", a->rate);
    json_end(b, "}");
}

static void add_setting(struct buf *b, const struct setting *s, const struct settings *all)
{
    const void *place = (const char *)all + s->offset;

    switch (s->kind) {
    case SETTING_TEXT:
        add_text(b, s->name, *(const char *const *)place);
        break;
    case SETTING_NUMBER:
        json_add_int(b, s->name, *(const int64_t *)place);
        break;
    case SETTING_CHOICE:
        json_add_string(b, s->name, s->choices[*(const int64_t *)place]);
        break;
    case SETTING_POLICY:
        add_policy(b, s->name, place);
        break;
    case SETTING_TLS:
        add_tls(b, s->name, place);
        break;
    case SETTING_ADMIN:
        add_admin(b, s->name, place);
        break;
    }
}

void settings_told(struct buf *b, const struct settings *s)
{
    json_add_object(b, NULL);
    for (const struct setting *one = settings_list; one->name != NULL; one++)
        add_setting(b, one, s);
    json_end(b, "}");
}

/* channel - see channel.h. */
#include "rabbit/channel.h"

#include <stdio.h>
#include <string.h>

int channel_open(struct link *l, uint16_t channel, struct err *err)
{
    amqp_channel_open_t open = {.out_of_band = amqp_empty_bytes};

    return link_send(l, channel, AMQP_CHANNEL_OPEN_METHOD, &open, err);
}

int channel_close(struct link *l, uint16_t channel, struct err *err)
{
    amqp_channel_close_t close = {.reply_code = AMQP_REPLY_SUCCESS, .reply_text = amqp_empty_bytes};

    return link_send(l, channel, AMQP_CHANNEL_CLOSE_METHOD, &close, err);
}

int channel_close_ok(struct link *l, uint16_t channel, struct err *err)
{
    amqp_channel_close_ok_t ok = {0};

    return link_send(l, channel, AMQP_CHANNEL_CLOSE_OK_METHOD, &ok, err);
}

const char *channel_why(const amqp_channel_close_t *close, char *out, size_t size)
{
    snprintf(out, size, "%u %.*s", (unsigned)close->reply_code, (int)close->reply_text.len,
             (const char *)close->reply_text.bytes);
    return out;
}

bool channel_bytes_are(amqp_bytes_t bytes, const char *text)
{
    size_t len = strlen(text);

    return bytes.len == len && (len == 0 || memcmp(bytes.bytes, text, len) == 0);
}

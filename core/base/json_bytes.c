/* json_bytes - see json_bytes.h. */
#include "base/json_bytes.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int json_put_base64(struct buf *b, const char *data, size_t len)
{
    const unsigned char *bytes = (const unsigned char *)data;

    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t three = (uint32_t)bytes[i] << 16;
        char four[4];

        three |= n > 1 ? (uint32_t)bytes[i + 1] << 8 : 0;
        three |= n > 2 ? bytes[i + 2] : 0;
        for (size_t k = 0; k < 4; k++)
            four[k] = k <= n ? alphabet[three >> (18 - 6 * k) & 63] : '=';
        buf_append(b, four, 4);
    }
    return b->failed ? ERR_LIMIT : OK;
}

int json_put_bytes(struct buf *b, const char *bytes, size_t len)
{
    buf_text(b, "{\"base64\":\"");
    json_put_base64(b, bytes, len);
    return buf_text(b, "\"}");
}

int json_put_text_or_bytes(struct buf *b, const char *bytes, size_t len)
{
    return text_is_utf8(bytes, len) ? json_put_string(b, bytes, len)
                                    : json_put_bytes(b, bytes, len);
}

/* 0 to 63, or 64: none of the digits. */
static uint32_t digit(char c)
{
    const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

    return at != NULL ? (uint32_t)(at - alphabet) : 64;
}

static size_t padding(struct slice digits)
{
    size_t n = 0;

    while (n < 2 && n < digits.len && digits.data[digits.len - 1 - n] == '=')
        n++;
    return n;
}

bool json_bytes(const struct json *j, const struct json_token *t, struct slice *digits_out)
{
    const struct json_token *value = json_member(j, t, "base64");
    struct slice digits;

    if (value == NULL || t->len != 1 || value->kind != JSON_STRING)
        return false;
    digits = json_text(j, value);
    if (digits.len % 4 != 0)
        return false;
    for (size_t i = 0; i < digits.len - padding(digits); i++)
        if (digit(digits.data[i]) > 63)
            return false;
    *digits_out = digits;
    return true;
}

size_t json_bytes_size(struct slice digits)
{
    return digits.len / 4 * 3 - padding(digits);
}

void json_bytes_get(struct slice digits, char *out)
{
    size_t size = json_bytes_size(digits);

    for (size_t i = 0, at = 0; at < size; i += 4) {
        uint32_t three = 0;

        for (size_t k = 0; k < 4; k++)
            three = three << 6 | (digit(digits.data[i + k]) & 63);
        for (int shift = 16; shift >= 0 && at < size; shift -= 8)
            out[at++] = (char)(three >> shift & 0xff);
    }
}

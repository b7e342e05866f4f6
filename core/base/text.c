/* text - see text.h. */
#include "base/text.h"

#include <endian.h>
#include <string.h>

struct slice slice_of(const char *text)
{
    return (struct slice){text, text ? strlen(text) : 0};
}

bool slice_equal(struct slice a, struct slice b)
{
    if (a.data == NULL || b.data == NULL)
        return a.data == b.data;
    return a.len == b.len && memcmp(a.data, b.data, a.len) == 0;
}

bool slice_is(struct slice s, const char *text)
{
    return slice_equal(s, slice_of(text));
}

size_t text_int(char out[TEXT_INT_MAX], int64_t n)
{
    uint64_t left = n < 0 ? 0 - (uint64_t)n : (uint64_t)n;
    char digits[TEXT_INT_MAX];
    size_t at = TEXT_INT_MAX;

    do {
        digits[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (n < 0)
        digits[--at] = '-';
    memcpy(out, digits + at, TEXT_INT_MAX - at);
    return TEXT_INT_MAX - at;
}

/* Length of the well-formed sequence at p, or 0. The ranges are those of the
 * table in RFC 3629, section 4. */
static size_t sequence_length(const unsigned char *p, size_t left)
{
    unsigned char low = 0x80, high = 0xbf;
    size_t n;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (left < n)
        return 0;
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

size_t text_utf8_prefix(const char *data, size_t len)
{
    const unsigned char *p = (const unsigned char *)data;
    size_t i = 0;

    while (i < len) {
        uint64_t eight;

        if (len - i >= sizeof eight) { /* most text is ASCII: eight bytes at a time */
            memcpy(&eight, p + i, sizeof eight);
            if ((eight & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof eight;
                continue;
            }
        }
        size_t n = sequence_length(p + i, len - i);

        if (n == 0)
            return i;
        i += n;
    }
    return len;
}

bool text_is_utf8(const char *data, size_t len)
{
    return text_utf8_prefix(data, len) == len;
}

/* Where the password of the URL at `url` lies: from the colon to the "@". */
static const char *find_password(const char *url, const char **at_out)
{
    const char *scheme = strstr(url, "://");
    const char *start = scheme ? scheme + 3 : url;
    const char *end = start + strcspn(start, "/?");

    *at_out = NULL;
    for (const char *p = start; p < end; p++)
        if (*p == '@')
            *at_out = p; /* the last one: a password may hold an unescaped "@" */
    return *at_out != NULL ? memchr(start, ':', (size_t)(*at_out - start)) : NULL;
}

static bool begins_url(const char *p)
{
    return strncmp(p, " amqp://", 8) == 0 || strncmp(p, " amqps://", 9) == 0;
}

void text_redact_url(const char *url, char *out, size_t size)
{
    const char *at;
    const char *colon = find_password(url, &at);
    size_t used = 0;

    for (const char *p = url; *p != '\0' && used + 4 < size; p++) {
        out[used++] = *p;
        if (begins_url(p))
            colon = find_password(p + 1, &at);
        if (p == colon) {
            memcpy(out + used, "***", 3);
            used += 3;
            p = at - 1;
        }
    }
    out[used] = '\0';
}

static int64_t unit_ms(struct slice unit)
{
    static const struct {
        const char *word;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}};

    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (slice_is(unit, units[i].word))
            return units[i].ms;
    return 0;
}

int text_duration_ms(struct slice s, int64_t *ms_out)
{
    const int64_t hundred_years = INT64_C(36525) * 86400000;
    int64_t number = 0, unit;
    size_t i = 0;

    while (i < s.len && s.data[i] >= '0' && s.data[i] <= '9') {
        number = number * 10 + (s.data[i++] - '0');
        if (number > hundred_years)
            return -1;
    }
    if (i == 0)
        return -1;
    unit = unit_ms((struct slice){s.data + i, s.len - i});
    if (unit == 0 || number > hundred_years / unit)
        return -1;
    *ms_out = number * unit;
    return 0;
}

/* Days since 1970 of a date of the proleptic Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int y = year - (month <= 2), shifted = (month + 9) % 12; /* March is month 0 */

    return (int64_t)365 * y + y / 4 - y / 100 + y / 400 + (153 * shifted + 2) / 5 + day - 719469;
}

/* The digits at *at, exactly `n` of them, and the byte behind; -1 when they are not there. */
static int digits(struct slice s, size_t *at, size_t n)
{
    int value = 0;

    for (size_t end = *at + n; *at < end; ++*at) {
        if (*at >= s.len || s.data[*at] < '0' || s.data[*at] > '9')
            return -1;
        value = value * 10 + (s.data[*at] - '0');
    }
    return value;
}

static bool is_at(struct slice s, size_t *at, char c)
{
    if (*at >= s.len || s.data[*at] != c)
        return false;
    ++*at;
    return true;
}

/* ".123": what is finer than a millisecond is cut. Returns false for a point without digits. */
static bool read_fraction(struct slice s, size_t *at, int64_t *ms)
{
    static const int places[] = {100, 10, 1};
    size_t n = 0;

    if (!is_at(s, at, '.'))
        return true;
    for (; *at < s.len && s.data[*at] >= '0' && s.data[*at] <= '9'; ++*at, n++)
        *ms += n < 3 ? (s.data[*at] - '0') * places[n] : 0;
    return n >= 1 && n <= 9;
}

/* "Z", "+08:00" or "-0330", in milliseconds ahead of UTC. */
static bool read_offset(struct slice s, size_t *at, int64_t *ms)
{
    int sign, hours, minutes;

    *ms = 0;
    if (is_at(s, at, 'Z'))
        return true;
    if (*at >= s.len || (s.data[*at] != '+' && s.data[*at] != '-'))
        return false;
    sign = s.data[(*at)++] == '+' ? 1 : -1;
    hours = digits(s, at, 2);
    (void)is_at(s, at, ':');
    minutes = digits(s, at, 2);
    *ms = (int64_t)sign * (hours * 60 + minutes) * 60000;
    return hours >= 0 && hours <= 23 && minutes >= 0 && minutes <= 59;
}

static bool is_date(const int v[6])
{
    static const int last[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (v[0] % 4 == 0 && v[0] % 100 != 0) || v[0] % 400 == 0;

    return v[0] >= 1970 && v[1] >= 1 && v[1] <= 12 && v[2] >= 1 &&
           v[2] <= last[v[1] - 1] + (v[1] == 2 && leap) && v[3] >= 0 && v[3] <= 23 && v[4] >= 0 &&
           v[4] <= 59 && v[5] >= 0 && v[5] <= 59;
}

int text_utc_ms(struct slice s, int64_t *ms_out)
{
    static const char after[] = "--T::";
    int64_t ms = 0, ahead;
    size_t at = 0;
    int v[6];

    for (size_t i = 0; i < 6; i++) {
        v[i] = digits(s, &at, i == 0 ? 4 : 2);
        if (v[i] < 0 || (i < 5 && !is_at(s, &at, after[i])))
            return -1;
    }
    if (!is_date(v) || !read_fraction(s, &at, &ms) || !read_offset(s, &at, &ahead) || at != s.len)
        return -1;
    ms += (((days_of(v[0], v[1], v[2]) * 24 + v[3]) * 60 + v[4]) * 60 + v[5]) * 1000 - ahead;
    if (ms < 0 || ms > TEXT_TIME_MAX)
        return -1;
    *ms_out = ms;
    return 0;
}

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * UINT64_C(0xff51afd7ed558ccd);
    return hash ^ hash >> 32;
}

/* The last 1 to 7 bytes. */
static uint64_t tail_word(const unsigned char *p, size_t len)
{
    uint64_t word = 0;

    for (size_t i = len; i-- > 0;)
        word = word << 8 | p[i];
    return word;
}

/* FNV-1a over eight bytes at a time with a stronger mix at the end of each:
 * the same on every machine, since it is kept in the store. */
uint64_t text_hash(uint64_t hash, const void *bytes, size_t len)
{
    const unsigned char *p = bytes;
    uint64_t word;

    hash ^= len * UINT64_C(0x9e3779b97f4a7c15);
    for (; len >= sizeof word; p += sizeof word, len -= sizeof word) {
        memcpy(&word, p, sizeof word); /* one load, wherever it stands */
        hash = mix(hash, le64toh(word));
    }
    return len > 0 ? mix(hash, tail_word(p, len)) : hash;
}

/* words - see words.h. Seen with RabbitMQ 3.10.8, 4.0.5 and 4.3.6; in its source,
 * rabbit_access_control (who may do what), rabbit_misc (not_found, absent,
 * assert_args_equivalence), rabbit_basic and rabbit_channel (messages). */
#include "rabbit/words.h"

#include <string.h>

struct phrase {
    const char *begin;
    enum words meaning;
};

/* What stands after "404 ", or another code. */
static const struct phrase phrases[] = {
    {"NOT_FOUND - no queue '", WORDS_ABSENT},
    {"NOT_FOUND - no exchange '", WORDS_ABSENT},
    {"NOT_FOUND - home node '", WORDS_NODE_DOWN},                            /* 3.10 */
    {"NOT_FOUND - failed to perform operation on queue '", WORDS_NODE_DOWN}, /* 4.x */
    {"PRECONDITION_FAILED - inequivalent arg '", WORDS_DIFFERENT},
    {"ACCESS_REFUSED - access to topic '", WORDS_NO_TOPIC},             /* 3.10 */
    {"ACCESS_REFUSED - write access to topic '", WORDS_NO_TOPIC},       /* 4.x */
    {"ACCESS_REFUSED - access to exchange '", WORDS_NO_EXCHANGE},       /* 3.10 */
    {"ACCESS_REFUSED - write access to exchange '", WORDS_NO_EXCHANGE}, /* 4.x */
    {"ACCESS_REFUSED - access to queue '", WORDS_NO_RIGHT},             /* 3.10 */
    {"ACCESS_REFUSED - configure access to ", WORDS_NO_RIGHT},          /* 4.x */
    {"ACCESS_REFUSED - read access to ", WORDS_NO_RIGHT},               /* 4.x */
    {"ACCESS_REFUSED - write access to queue '", WORDS_NO_RIGHT},       /* 4.x */
    {"ACCESS_REFUSED - cannot publish to internal exchange '", WORDS_NO_EXCHANGE},
    {"PRECONDITION_FAILED - invalid arg 'x-priority' for queue '", WORDS_STREAM},
    {"ACCESS_REFUSED - queue '", WORDS_IN_USE},
    {"PRECONDITION_FAILED - message size ", WORDS_MESSAGE_REFUSED},
    {"PRECONDITION_FAILED - invalid expiration '", WORDS_MESSAGE_REFUSED},
    {"PRECONDITION_FAILED - user_id property set to '", WORDS_MESSAGE_REFUSED},
    {"PRECONDITION_FAILED - invalid message: ", WORDS_MESSAGE_REFUSED},
    {"CONTENT_TOO_LARGE", WORDS_MESSAGE_REFUSED}, /* by its code, 311 */
};

static bool begins(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static const char *after_code(const char *why)
{
    const char *text = why + strspn(why, "0123456789");

    return text + strspn(text, " ");
}

enum words words_of(const char *why)
{
    const char *text = after_code(why);

    for (size_t i = 0; i < sizeof phrases / sizeof phrases[0]; i++)
        if (begins(text, phrases[i].begin))
            return phrases[i].meaning;
    return WORDS_UNKNOWN;
}

/* What stands in `text` between `before` and `after`; absent where they do not. */
static struct slice between(const char *text, const char *before, const char *after)
{
    const char *start = strstr(text, before);
    const char *end;

    if (start == NULL)
        return (struct slice){NULL, 0};
    start += strlen(before);
    end = strstr(start, after);
    return end == NULL ? (struct slice){NULL, 0} : (struct slice){start, (size_t)(end - start)};
}

/* "the value 'quorum' of type 'longstr'" (3.10), "'quorum'" (4.x, and what is no argument) or
 * "none", after `before`. */
static struct slice value(const char *text, const char *before)
{
    const char *start = strstr(text, before);

    if (start == NULL)
        return (struct slice){NULL, 0};
    start += strlen(before);
    if (begins(start, "none"))
        return slice_of("none");
    return begins(start, "'") || begins(start, "the value '") ? between(start, "'", "'")
                                                              : (struct slice){NULL, 0};
}

static struct slice type_of_value(const char *why)
{
    const char *current = strstr(why, " but current is the value '");

    return current != NULL ? between(current, "' of type '", "'") : (struct slice){NULL, 0};
}

bool words_difference(const char *why, struct words_difference *out)
{
    if (words_of(why) != WORDS_DIFFERENT)
        return false;
    *out = (struct words_difference){
        .argument = between(why, "inequivalent arg '", "'"),
        .there = value(why, " but current is "),
        .type = type_of_value(why),
        .asked = value(why, ": received "),
    };
    return out->argument.data != NULL && out->there.data != NULL && out->asked.data != NULL;
}

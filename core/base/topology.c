/* topology - see topology.h. */
#include "base/topology.h"

#include <string.h>

const char *exchange_kind_word(enum exchange_kind kind)
{
    switch (kind) {
    case EXCHANGE_FANOUT:
        return "fanout";
    case EXCHANGE_TOPIC:
        return "topic";
    case EXCHANGE_HEADERS:
        return "headers";
    case EXCHANGE_DEFAULT:
    case EXCHANGE_DIRECT:
        break;
    }
    return "direct";
}

enum exchange_kind exchange_kind_of(const char *word)
{
    static const enum exchange_kind kinds[] = {EXCHANGE_FANOUT, EXCHANGE_DIRECT, EXCHANGE_TOPIC,
                                               EXCHANGE_HEADERS};

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(word, exchange_kind_word(kinds[i])) == 0)
            return kinds[i];
    return EXCHANGE_DEFAULT;
}

/* topology - see topology.h. */
#include "base/topology.h"

const char *exchange_kind_word(enum exchange_kind kind)
{
    switch (kind) {
    case EXCHANGE_FANOUT:
        return "fanout";
    case EXCHANGE_TOPIC:
        return "topic";
    case EXCHANGE_DEFAULT:
    case EXCHANGE_DIRECT:
        break;
    }
    return "direct";
}

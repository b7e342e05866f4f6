/* counters - see counters.h. */
#include "engine/counters.h"

void counters_add(struct counters *to, const struct counters *from)
{
#define X(name, meaning) to->name += from->name;
    COUNTER_MAP(X)
#undef X
}

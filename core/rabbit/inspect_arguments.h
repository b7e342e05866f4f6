/*
 * inspect_arguments - the arguments that a rule gives its queue: those of an existing one that
 * differ, and those that a broker would refuse
 *
 * A broker refuses an argument that the type of the queue has no use for, and what that is differs
 * from version to version. For a queue that is absent this is known from the table here, for
 * nothing may be made to find out.
 */
#ifndef HERALD_RABBIT_INSPECT_ARGUMENTS_H
#define HERALD_RABBIT_INSPECT_ARGUMENTS_H

#include "rabbit/inspect_int.h"

/* The queue under way is there, and no more can be known of it: tells where it differs. */
void inspect_tell_differences(const struct inspection *in);

/* It is absent and would be made as this type: tells what would be refused. */
void inspect_tell_refused_arguments(const struct inspection *in, enum queue_type type);

/* Its rule has an exclusive consumer, of which a quorum queue takes no notice. */
void inspect_tell_exclusive(const struct inspection *in, bool quorum);

#endif

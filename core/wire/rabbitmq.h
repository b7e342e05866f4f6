/*
 * rabbitmq - rabbitmq-c's headers, which moved into a folder of their own (0.12)
 *
 * The old names are still there, with a warning in them.
 */
#ifndef HERALD_WIRE_RABBITMQ_H
#define HERALD_WIRE_RABBITMQ_H

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#endif

#endif

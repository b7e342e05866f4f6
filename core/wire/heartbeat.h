/*
 * heartbeat - when to send a sign of life, and when the other side shows none
 *
 * Arithmetic only: the link has the timer. We send when nothing went out for half an
 * interval and give the peer up when nothing came in for two (AMQP 0-9-1, 4.2.7).
 *
 * A loop that was busy for long has the peer's bytes still unread in the kernel, so
 * a verdict is never spoken at first sight: heartbeat_judge asks for a second look,
 * which must come after the loop has read once more. (docs/design.md#heartbeats)
 */
#ifndef HERALD_WIRE_HEARTBEAT_H
#define HERALD_WIRE_HEARTBEAT_H

#include <stdbool.h>
#include <stdint.h>

struct heartbeat {
    int64_t interval_ms; /* agreed; 0: none */
    int64_t heard_ms;    /* when the last bytes came in; monotonic, like all here */
    int64_t sent_ms;     /* when the last bytes went out */
    bool suspect;        /* the first look found it dead */
};

enum heartbeat_verdict { HEARTBEAT_ALIVE, HEARTBEAT_LOOK_AGAIN, HEARTBEAT_DEAD };

void heartbeat_start(struct heartbeat *h, int64_t interval_s, int64_t now_ms);

/* Bytes came in; bytes went out. */
void heartbeat_heard(struct heartbeat *h, int64_t now_ms);
void heartbeat_sent(struct heartbeat *h, int64_t now_ms);

/* How often to look; 0 when there are no heartbeats. */
int64_t heartbeat_period_ms(const struct heartbeat *h);

/* True when a heartbeat should go out. */
bool heartbeat_is_due(const struct heartbeat *h, int64_t now_ms);

/* DEAD only when the look before found it dead, too, and nothing was heard since. */
enum heartbeat_verdict heartbeat_judge(struct heartbeat *h, int64_t now_ms);

/* What both sides settle on: 0 for ours means none, the server's 0 leaves it to us,
 * else the smaller. */
uint16_t heartbeat_agree(int ours_s, uint16_t theirs_s);

#endif

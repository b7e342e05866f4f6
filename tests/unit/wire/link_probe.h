/*
 * link_probe - a link on a fake broker, and what its owner heard, as one string
 *
 *   "up blocked(memory) unblocked 1:content(hello) down(...)"
 */
#ifndef HERALD_TESTS_LINK_PROBE_H
#define HERALD_TESTS_LINK_PROBE_H

#include "fake_broker.h"
#include "wire/link.h"

struct probe {
    uv_loop_t loop;
    struct fake_broker *broker;
    struct url url;
    struct link_settings settings;
    struct link *link;
    int64_t ahead_ms;   /* how far the link's clock runs ahead of the loop's */
    char story[16384];  /* events, parted by spaces */
    bool closed;        /* the closed event came */
    size_t reads;       /* read_done events */
    size_t contents;    /* content events */
    bool close_on_next; /* link_close from inside the next event */
    bool restart_on_next;
};

/* To amqp://guest:guest@fake, with short times and a body limit of 1000 bytes; all of it may be
 * changed until probe_open. */
void probe_setup(struct probe *p);
void probe_url(struct probe *p, const char *url);
void probe_open(struct probe *p);

/* As probe_open, and runs until the link is up. */
void probe_up(struct probe *p);

/* Runs until the story ends in `text`, or fails the test. */
void probe_until(struct probe *p, const char *text);

/* Until the link's error holds the text, or fails the test. */
void probe_until_error(struct probe *p, const char *text);

/* Closes, and checks that nothing is left on the loop. */
void probe_teardown(struct probe *p);

#endif

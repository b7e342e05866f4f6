/* Asking a router that answers, or does otherwise. */
#include "check.h"
#include "face/control.h"
#include "folder.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { PIECES = 100, PATIENCE_MS = 60000 };

/* A router of one question. */
struct router {
    char folder[64];
    char path[CONTROL_PATH_MAX];
    int fd;            /* listens; -1: no longer */
    uv_thread_t clerk; /* takes the question and says the pieces */
    bool has_clerk;
    const char *piece; /* said PIECES times; NULL: nothing */
    bool stays;        /* with the connection open, until the other side hangs up */
    char question[64]; /* as it came */
    struct buf answer; /* of the asking side */
    struct err err;
};

static void router_setup(struct router *r)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    folder_make(r->folder);
    snprintf(r->path, sizeof r->path, "%s/herald.sock", r->folder);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", r->path);
    r->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(r->fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(r->fd, 4), 0);
    buf_init(&r->answer, (size_t)1024 * 1024);
}

/* Who waits for a question that never comes stops waiting. */
static void dismiss(struct router *r)
{
    if (!r->has_clerk)
        return;
    shutdown(r->fd, SHUT_RDWR);
    assert_int_equal(uv_thread_join(&r->clerk), 0);
    r->has_clerk = false;
}

static void router_teardown(struct router *r)
{
    dismiss(r);
    if (r->fd >= 0)
        close(r->fd);
    buf_free(&r->answer);
    unlink(r->path);
    assert_int_equal(rmdir(r->folder), 0);
}

/* No assert here: it is no thread of cmocka's. */
static void take_question(void *arg)
{
    struct router *r = arg;
    char room[64];
    int fd = accept(r->fd, NULL, NULL);
    ssize_t n = fd >= 0 ? recv(fd, r->question, sizeof r->question - 1, 0) : 0;

    for (int i = 0; n > 0 && r->piece != NULL && i < PIECES; i++)
        n = send(fd, r->piece, strlen(r->piece), MSG_NOSIGNAL);
    if (n > 0 && r->stays)
        (void)recv(fd, room, sizeof room, 0); /* the end */
    if (fd >= 0)
        close(fd);
}

static void employ(struct router *r)
{
    assert_int_equal(uv_thread_create(&r->clerk, take_question, r), 0);
    r->has_clerk = true;
}

static int ask(struct router *r, int timeout_ms)
{
    return control_ask(r->path, "{\"ask\":\"status\"}", timeout_ms, &r->answer, &r->err);
}

#define assert_says(r, words)                                                                      \
    do {                                                                                           \
        if (strstr((r)->err.text, words) == NULL)                                                  \
            fail_msg("\"%s\" is not in \"%s\"", words, (r)->err.text);                             \
    } while (0)

TEST_WITH(router, an_answer_is_taken_to_its_end)
{
    char piece[128];

    memset(piece, 'x', sizeof piece);
    snprintf(piece + sizeof piece - 8, 8, "%s", "\n");
    f->piece = piece;
    employ(f);
    assert_int_equal(ask(f, PATIENCE_MS), OK);
    dismiss(f);
    assert_string_equal(f->question, "{\"ask\":\"status\"}\n");
    assert_int_equal(f->answer.len, PIECES * strlen(piece));
    for (size_t i = 0; i < PIECES; i++)
        assert_memory_equal(f->answer.data + i * strlen(piece), piece, strlen(piece));
}

TEST_WITH(router, an_ask_leaves_no_socket_open)
{
    int before = dup(f->fd), after;

    close(before);
    for (int i = 0; i < 4; i++) /* nobody accepts them */
        assert_int_equal(ask(f, 1), ERR_BUSY);
    after = dup(f->fd);
    close(after);
    assert_int_equal(after, before);
}

TEST_WITH(router, a_router_that_says_nothing_is_busy)
{
    assert_int_equal(ask(f, 50), ERR_BUSY); /* it is not even accepted */
    assert_says(f, "does not answer");
    assert_says(f, "within 50 ms");
}

TEST_WITH(router, a_router_that_stops_in_the_middle_of_its_answer_is_busy)
{
    f->piece = "{}\n";
    f->stays = true;
    employ(f);
    assert_int_equal(ask(f, 50), ERR_BUSY);
    assert_says(f, "does not answer");
}

TEST_WITH(router, a_router_that_hangs_up_without_an_answer_is_busy)
{
    employ(f);
    assert_int_equal(ask(f, PATIENCE_MS), ERR_BUSY);
    assert_says(f, "hung up on");
    assert_says(f, f->path);
}

TEST_WITH(router, an_answer_over_the_limit_is_refused)
{
    f->answer.max = 1000;
    f->piece = "0123456789\n";
    employ(f);
    assert_int_equal(ask(f, PATIENCE_MS), ERR_LIMIT);
    assert_says(f, "the answer is too long");
}

TEST_WITH(router, nobody_listens_where_nothing_is_or_who_did_is_gone)
{
    assert_int_equal(control_ask("/nowhere/herald.sock", "{}", PATIENCE_MS, &f->answer, &f->err),
                     ERR_NOT_FOUND);
    assert_string_equal(f->err.text, "no router listens on /nowhere/herald.sock");
    close(f->fd);
    f->fd = -1;
    assert_int_equal(ask(f, PATIENCE_MS), ERR_NOT_FOUND);
    assert_says(f, "no router listens on");
}

TEST_WITH(router, what_no_socket_takes_is_not_sent)
{
    char text[CONTROL_QUESTION_MAX];

    memset(text, 'x', sizeof text);
    text[CONTROL_PATH_MAX] = '\0';
    assert_int_equal(control_ask(text, "{}", PATIENCE_MS, &f->answer, &f->err), ERR_NOT_FOUND);
    assert_says(f, "too long for a socket");
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(control_ask(f->path, text, PATIENCE_MS, &f->answer, &f->err), ERR_INPUT);
    assert_string_equal(f->err.text, "the question is too long");
    text[sizeof text - 2] = '\0'; /* with its line end it fits */
    assert_int_equal(control_ask(f->path, text, 50, &f->answer, &f->err), ERR_BUSY);
}

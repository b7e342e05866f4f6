/* The router's socket, with clients that do what they should not. */
#include "check.h"
#include "face/control.h"
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { CLIENTS = 16, LARGE = 1000 * 1000, CLOSED = -1, SILENT = -2 };

struct desk {
    uv_loop_t loop;
    char folder[64];
    char path[CONTROL_PATH_MAX];
    struct control *control;
    struct err err;
    char asked[256]; /* the questions, apart by blanks */
    int clients[CLIENTS + 1];
    size_t n_clients;
};

/* What the clock has been moved by; the program is linked with --wrap=uv_now. */
static uint64_t moved_ms;

uint64_t __real_uv_now(const uv_loop_t *loop);
uint64_t __wrap_uv_now(const uv_loop_t *loop);

uint64_t __wrap_uv_now(const uv_loop_t *loop)
{
    return __real_uv_now(loop) + moved_ms;
}

/* Of "large" an answer that no socket's buffer holds, of anything else its text. */
static void answer(void *arg, const char *question, struct buf *out)
{
    struct desk *d = arg;
    size_t used = strlen(d->asked);

    snprintf(d->asked + used, sizeof d->asked - used, "%s%s", used > 0 ? " " : "", question);
    if (strcmp(question, "large") != 0)
        assert_int_equal(buf_printf(out, "re: %s\n", question), OK);
    for (int i = 0; i < LARGE / 10 && strcmp(question, "large") == 0; i++)
        assert_int_equal(buf_printf(out, "%09d\n", i), OK);
}

static void desk_setup(struct desk *d)
{
    signal(SIGPIPE, SIG_IGN); /* as main() */
    moved_ms = 0;
    folder_make(d->folder);
    snprintf(d->path, sizeof d->path, "%s/herald.sock", d->folder);
    assert_int_equal(uv_loop_init(&d->loop), 0);
}

static void hang_up(struct desk *d, size_t client)
{
    close(d->clients[client]);
    d->clients[client] = -1;
}

/* All that the socket had on the loop must end with it. */
static void desk_teardown(struct desk *d)
{
    for (size_t i = 0; i < d->n_clients; i++)
        if (d->clients[i] >= 0)
            hang_up(d, i);
    control_stop(&d->control);
    uv_run(&d->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&d->loop), 0);
    assert_int_equal(access(d->path, F_OK), -1);
    assert_int_equal(rmdir(d->folder), 0);
}

/* Does what there is to do: on this machine's own sockets that is there at once. */
static void turn(struct desk *d)
{
    for (int i = 0; i < 4; i++)
        uv_run(&d->loop, UV_RUN_NOWAIT);
}

static void start(struct desk *d)
{
    assert_int_equal(control_start(&d->control, &d->loop, d->path, answer, d, &d->err), OK);
}

static void serve(struct desk *d)
{
    start(d);
    assert_int_equal(control_open(d->control, &d->err), OK);
}

static void serving(struct desk *d)
{
    desk_setup(d);
    serve(d);
}

static size_t dial(struct desk *d)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(address.sun_path, sizeof address.sun_path, "%s", d->path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    turn(d);
    d->clients[d->n_clients] = fd;
    return d->n_clients++;
}

static void say(struct desk *d, size_t client, const char *text)
{
    assert_int_equal(send(d->clients[client], text, strlen(text), MSG_NOSIGNAL), strlen(text));
    turn(d);
}

/* How many bytes there are for a client now, or that it was hung up on, or neither. */
static ssize_t hear(struct desk *d, size_t client, char *room, size_t size)
{
    ssize_t n = recv(d->clients[client], room, size, MSG_DONTWAIT);

    if (n > 0)
        return n;
    return n == 0 || errno != EAGAIN ? CLOSED : SILENT;
}

static bool is_silent(struct desk *d, size_t client)
{
    char room[16];

    return hear(d, client, room, sizeof room) == SILENT;
}

static bool is_closed(struct desk *d, size_t client)
{
    char room[16];

    return hear(d, client, room, sizeof room) == CLOSED;
}

/* All that comes until the end. */
static size_t listen_to(struct desk *d, size_t client, char *room, size_t size)
{
    size_t used = 0;
    ssize_t n;

    while ((n = hear(d, client, room + used, size - used)) != CLOSED) {
        used += n > 0 ? (size_t)n : 0;
        assert_true(used < size);
        uv_run(&d->loop, UV_RUN_NOWAIT);
    }
    room[used] = '\0';
    return used;
}

static void assert_answered(struct desk *d, size_t client, const char *expected)
{
    char text[2048];

    listen_to(d, client, text, sizeof text);
    assert_string_equal(text, expected);
}

TEST_FROM(desk, serving, a_question_has_one_answer_and_the_connection_ends)
{
    say(f, dial(f), "one\n");
    assert_answered(f, 0, "re: one\n");
    say(f, dial(f), "two\n");
    assert_answered(f, 1, "re: two\n");
    assert_string_equal(f->asked, "one two");
}

TEST_FROM(desk, serving, of_several_lines_the_first_is_the_question)
{
    say(f, dial(f), "one\ntwo\nthree");
    assert_answered(f, 0, "re: one\n");
    assert_string_equal(f->asked, "one");
}

TEST_FROM(desk, serving, a_question_may_come_in_pieces)
{
    say(f, dial(f), "o");
    assert_true(is_silent(f, 0));
    say(f, dial(f), "two\n");
    say(f, 0, "ne");
    say(f, 0, "\n");
    assert_answered(f, 0, "re: one\n");
    assert_answered(f, 1, "re: two\n");
    assert_string_equal(f->asked, "two one");
}

TEST_FROM(desk, serving, a_line_that_is_too_long_is_hung_up_on)
{
    char line[CONTROL_QUESTION_MAX], expected[CONTROL_QUESTION_MAX + 8];

    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\0';
    say(f, dial(f), line);
    assert_true(is_closed(f, 0));
    assert_string_equal(f->asked, "");
    line[sizeof line - 2] = '\n';
    say(f, dial(f), line);
    snprintf(expected, sizeof expected, "re: %s", line);
    assert_answered(f, 1, expected);
}

TEST_WITH(desk, an_answer_may_be_larger_than_the_sockets_buffer)
{
    char *text = malloc(LARGE + 1);

    assert_non_null(text);
    serve(f);
    say(f, dial(f), "large\n");
    say(f, dial(f), "small\n"); /* does not wait for whoever reads slowly */
    assert_answered(f, 1, "re: small\n");
    assert_int_equal(listen_to(f, 0, text, LARGE + 1), LARGE);
    for (int i = 0; i < LARGE / 10; i++) {
        char line[16];

        snprintf(line, sizeof line, "%09d\n", i);
        assert_memory_equal(text + 10 * (size_t)i, line, 10);
    }
    free(text);
}

static size_t count_descriptors(void)
{
    DIR *all = opendir("/proc/self/fd");
    size_t n = 0;

    assert_non_null(all);
    while (readdir(all) != NULL)
        n++;
    closedir(all);
    return n;
}

TEST_FROM(desk, serving, a_client_that_leaves_in_the_middle_of_its_answer_is_forgotten)
{
    char room[16];
    size_t before;

    before = count_descriptors();
    say(f, dial(f), "large\n");
    assert_true(hear(f, 0, room, sizeof room) > 0);
    hang_up(f, 0);
    turn(f);
    assert_int_equal(count_descriptors(), before);
    say(f, dial(f), "one\n");
    assert_answered(f, 1, "re: one\n");
}

TEST_FROM(desk, serving, a_client_that_leaves_in_the_middle_of_its_question_is_forgotten)
{
    size_t before;

    before = count_descriptors();
    say(f, dial(f), "o");
    hang_up(f, 0);
    turn(f);
    assert_int_equal(count_descriptors(), before);
    say(f, dial(f), "one\n");
    assert_answered(f, 1, "re: one\n");
    assert_string_equal(f->asked, "one");
}

TEST_FROM(desk, serving, the_oldest_makes_room_for_the_seventeenth)
{
    for (int i = 0; i < CLIENTS; i++)
        dial(f);
    assert_true(is_silent(f, 0));
    say(f, dial(f), "one\n");
    assert_true(is_closed(f, 0));
    for (size_t i = 1; i < CLIENTS; i++)
        assert_true(is_silent(f, i));
    assert_answered(f, CLIENTS, "re: one\n");
    say(f, 1, "two\n");
    assert_answered(f, 1, "re: two\n");
}

/* Waits for who is looked after once a second. */
static void wait_for_end(struct desk *d, size_t client)
{
    char room[4096];

    while (hear(d, client, room, sizeof room) != CLOSED)
        uv_run(&d->loop, UV_RUN_ONCE);
}

TEST_FROM(desk, serving, who_asks_nothing_for_long_is_hung_up_on)
{
    dial(f);
    moved_ms = CONTROL_IDLE_MS / 2;
    say(f, dial(f), "o");
    moved_ms = CONTROL_IDLE_MS;
    wait_for_end(f, 0);
    assert_true(is_silent(f, 1));
    say(f, 1, "ne\n");
    assert_answered(f, 1, "re: one\n");
}

TEST_WITH(desk, who_reads_no_answer_for_long_is_hung_up_on)
{
    char *text = malloc(LARGE + 1);

    assert_non_null(text);
    serve(f);
    say(f, dial(f), "large\n");
    moved_ms = CONTROL_IDLE_MS;
    dial(f);
    moved_ms = 2 * CONTROL_IDLE_MS;
    wait_for_end(f, 1); /* who reads gets the rest until then */
    assert_true(listen_to(f, 0, text, LARGE + 1) < LARGE);
    free(text);
}

TEST_FROM(desk, serving, a_stop_hangs_up_on_everybody)
{
    dial(f);
    say(f, dial(f), "large\n");
    control_stop(&f->control);
    assert_null(f->control);
    assert_int_equal(access(f->path, F_OK), -1);
    turn(f);
    assert_true(is_closed(f, 0));
    control_stop(&f->control); /* of none is nothing to do */
}

TEST_WITH(desk, a_socket_has_its_name_once_it_is_opened)
{
    struct stat st;

    start(f);
    assert_int_equal(access(f->path, F_OK), -1);
    assert_int_equal(control_open(f->control, &f->err), OK);
    assert_int_equal(stat(f->path, &st), 0);
    assert_true(S_ISSOCK(st.st_mode));
    assert_int_equal(st.st_mode & 0077, 0); /* its owner's alone */
}

TEST_FROM(desk, serving, a_start_that_ends_early_leaves_the_others_socket)
{
    struct control *second = NULL;

    assert_int_equal(control_start(&second, &f->loop, f->path, answer, f, &f->err), OK);
    control_stop(&second);
    turn(f);
    say(f, dial(f), "one\n");
    assert_answered(f, 0, "re: one\n");
}

TEST_WITH(desk, what_a_dead_process_of_this_number_left_is_no_hindrance)
{
    char left[CONTROL_PATH_MAX + 16];
    FILE *file;

    snprintf(left, sizeof left, "%s.%ld", f->path, (long)getpid());
    file = fopen(left, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    serve(f);
    assert_int_equal(access(left, F_OK), -1);
    say(f, dial(f), "one\n");
    assert_answered(f, 0, "re: one\n");
}

TEST_WITH(desk, a_place_where_none_can_be_made_is_told)
{
    char path[128];

    assert_int_equal(
        control_start(&f->control, &f->loop, "/nowhere/herald.sock", answer, f, &f->err), ERR_IO);
    assert_non_null(strstr(f->err.text, "cannot make the socket /nowhere/herald.sock: "));
    assert_null(f->control);
    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    assert_int_equal(control_start(&f->control, &f->loop, path, answer, f, &f->err), ERR_CONFIG);
    assert_non_null(strstr(f->err.text, "is too long"));
    assert_null(f->control);
}

TEST_WITH(desk, a_name_that_a_folder_has_is_told)
{
    start(f);
    assert_int_equal(mkdir(f->path, 0700), 0);
    assert_int_equal(control_open(f->control, &f->err), ERR_IO);
    assert_non_null(strstr(f->err.text, "cannot name the socket"));
    control_stop(&f->control);
    assert_int_equal(rmdir(f->path), 0);
}

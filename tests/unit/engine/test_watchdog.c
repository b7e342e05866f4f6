/* The dog bites a child of the test's. */
#include "check.h"

#include "engine/watchdog.h"
#include "folder.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void sleep_ms(long ms)
{
    const struct timespec t = {ms / 1000, ms % 1000 * 1000000};

    nanosleep(&t, NULL);
}

TEST(test_it_leaves_alone_what_returns)
{
    struct watchdog *w;
    struct err err = {0};

    assert_int_equal(watchdog_start(&w, 400, NULL, &err), OK);
    for (int i = 0; i < 30; i++) { /* longer than the limit together, not one of them */
        watchdog_enter(w, "a handler");
        sleep_ms(20);
        watchdog_leave(w);
    }
    watchdog_stop(&w);
    assert_null(w);
}

TEST(test_nobody_inside_is_no_offence)
{
    struct watchdog *w;
    struct err err = {0};

    assert_int_equal(watchdog_start(&w, 20, NULL, &err), OK);
    watchdog_enter(w, "a handler");
    watchdog_leave(w);
    sleep_ms(100);
    watchdog_stop(&w);
}

/* What a child that never leaves a handler says and how it ends. */
static int bitten(char *said, size_t size)
{
    int fds[2], status;
    ssize_t n;
    pid_t pid;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct watchdog *w;
        struct err err = {0};

        signal(SIGABRT, SIG_DFL);
        dup2(fds[1], STDERR_FILENO);
        if (watchdog_start(&w, 50, NULL, &err) != OK)
            _exit(1);
        watchdog_enter(w, "a handler");
        sleep_ms(10000);
        _exit(0);
    }
    close(fds[1]);
    n = read(fds[0], said, size - 1);
    close(fds[0]);
    said[n > 0 ? n : 0] = '\0';
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

TEST(test_it_ends_what_does_not_return)
{
    char said[512];
    int status = bitten(said, sizeof said);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
    assert_non_null(strstr(said, "a handler has been running for"));
}

TEST(test_an_engine_without_one)
{
    struct watchdog *w = NULL;

    watchdog_enter(w, "a handler");
    watchdog_leave(w);
    watchdog_preparing(w, true);
    watchdog_stop(&w);
    assert_null(w);
}

struct manager {
    char folder[64];
    int fd;
    struct notify *notify;
    struct watchdog *watchdog;
};

static void manager_setup(struct manager *f)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    struct err err = {0};

    folder_make(f->folder);
    snprintf(at.sun_path, sizeof at.sun_path, "%s/notify", f->folder);
    f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&at, sizeof at), 0);
    setenv("NOTIFY_SOCKET", at.sun_path, 1);
    setenv("WATCHDOG_USEC", "40000", 1);
    assert_int_equal(notify_open(&f->notify, &err), OK);
    assert_int_equal(watchdog_start(&f->watchdog, 600000, f->notify, &err), OK);
}

static void manager_teardown(struct manager *f)
{
    watchdog_stop(&f->watchdog);
    notify_close(&f->notify);
    close(f->fd);
    folder_remove(f->folder);
}

static void wait_for(const struct manager *f, const char *word)
{
    char text[128];

    do {
        ssize_t n = recv(f->fd, text, sizeof text - 1, 0);

        assert_true(n > 0);
        text[n] = '\0';
    } while (strcmp(text, word) != 0);
}

/* A handler within its limit included. */
TEST_WITH(manager, test_the_service_manager_hears_that_all_is_well)
{
    wait_for(f, "WATCHDOG=1");
    watchdog_enter(f->watchdog, "a handler");
    for (int i = 0; i < 20; i++) /* more than were under way */
        wait_for(f, "WATCHDOG=1");
    watchdog_leave(f->watchdog);
    wait_for(f, "WATCHDOG=1");
}

TEST_WITH(manager, test_who_makes_a_store_ready_asks_for_time)
{
    watchdog_preparing(f->watchdog, true);
    wait_for(f, "EXTEND_TIMEOUT_USEC=60000000");
    watchdog_preparing(f->watchdog, false);
    wait_for(f, "WATCHDOG=1");
}

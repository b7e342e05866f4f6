/* The dog bites a child of the test's. */
#include "check.h"

#include "engine/watchdog.h"

#include <signal.h>
#include <string.h>
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

    assert_int_equal(watchdog_start(&w, 400, &err), OK);
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

    assert_int_equal(watchdog_start(&w, 20, &err), OK);
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
        if (watchdog_start(&w, 50, &err) != OK)
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
    watchdog_stop(&w);
    assert_null(w);
}

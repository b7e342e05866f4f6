/* What the service manager hears, and that nobody else is told where it listens. */
#include "base/notify.h"
#include "check.h"
#include "folder.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct manager {
    char folder[64];
    int fd;
    struct notify *notify;
    struct err err;
};

static void manager_setup(struct manager *f)
{
    folder_make(f->folder);
    f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    assert_true(f->fd >= 0);
}

static void manager_teardown(struct manager *f)
{
    notify_close(&f->notify);
    close(f->fd);
    folder_remove(f->folder);
}

/* '@' stands for the byte 0, as in the variable. */
static void listen_at(const struct manager *f, const char *name)
{
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    size_t len = strlen(name);

    memcpy(at.sun_path, name, len);
    if (name[0] == '@')
        at.sun_path[0] = '\0';
    assert_int_equal(bind(f->fd, (struct sockaddr *)&at,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)),
                     0);
}

static const char *heard(const struct manager *f)
{
    static char text[256];
    ssize_t n = recv(f->fd, text, sizeof text - 1, 0);

    if (n < 0)
        return NULL;
    text[n] = '\0';
    return text;
}

static void open_at(struct manager *f, const char *name)
{
    assert_int_equal(setenv("NOTIFY_SOCKET", name, 1), 0);
    assert_int_equal(notify_open(&f->notify, &f->err), OK);
    assert_non_null(f->notify);
}

TEST_WITH(manager, a_line_is_a_datagram)
{
    char path[96];

    snprintf(path, sizeof path, "%s/notify", f->folder);
    listen_at(f, path);
    open_at(f, path);
    assert_true(notify_send(f->notify, "READY=1\nSTATUS=well"));
    assert_true(notify_send(f->notify, "STOPPING=1"));
    assert_string_equal(heard(f), "READY=1\nSTATUS=well");
    assert_string_equal(heard(f), "STOPPING=1");
    assert_null(heard(f));
}

TEST_WITH(manager, an_abstract_socket_has_no_file)
{
    char name[64];

    snprintf(name, sizeof name, "@herald-notify-%ld", (long)getpid());
    listen_at(f, name);
    open_at(f, name);
    assert_true(notify_send(f->notify, "READY=1"));
    assert_string_equal(heard(f), "READY=1");
}

TEST_WITH(manager, it_is_for_nobody_else)
{
    setenv("WATCHDOG_USEC", "3000000", 1);
    open_at(f, "@nobody");
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
}

TEST_WITH(manager, without_a_manager_nothing_is_wrong)
{
    unsetenv("NOTIFY_SOCKET");
    setenv("WATCHDOG_USEC", "3000000", 1);
    assert_int_equal(notify_open(&f->notify, &f->err), OK);
    assert_null(f->notify);
    setenv("NOTIFY_SOCKET", "", 1);
    assert_int_equal(notify_open(&f->notify, &f->err), OK);
    assert_null(f->notify);
    assert_true(notify_send(f->notify, "READY=1"));
    assert_int_equal(notify_watchdog_ms(f->notify), 0);
}

TEST_WITH(manager, what_is_no_socket_is_told)
{
    static const char *const names[] = {"relative/notify", "vsock:2:1234", "/", "@"};
    char longest[200];

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        setenv("NOTIFY_SOCKET", names[i], 1);
        assert_int_equal(notify_open(&f->notify, &f->err), ERR_CONFIG);
        assert_null(f->notify);
        assert_non_null(strstr(f->err.text, "NOTIFY_SOCKET"));
        assert_null(getenv("NOTIFY_SOCKET"));
    }
    memset(longest, 'x', sizeof longest - 1);
    longest[0] = '/';
    longest[sizeof longest - 1] = '\0';
    setenv("NOTIFY_SOCKET", longest, 1);
    assert_int_equal(notify_open(&f->notify, &f->err), ERR_CONFIG);
    longest[107] = '\0'; /* the last that fits */
    open_at(f, longest);
}

/* Who does not read must not hold up who tells. */
TEST_WITH(manager, a_full_queue_and_a_dead_manager_hold_nobody_up)
{
    char path[96];
    int sent = 0;

    snprintf(path, sizeof path, "%s/notify", f->folder);
    open_at(f, path);
    assert_false(notify_send(f->notify, "READY=1"));
    listen_at(f, path);
    while (sent < 100000 && notify_send(f->notify, "STATUS=more"))
        sent++;
    assert_in_range(sent, 1, 99999);
    assert_string_equal(heard(f), "STATUS=more");
    assert_true(notify_send(f->notify, "STATUS=more"));
}

TEST_WITH(manager, the_watchdog_is_of_this_process_or_none)
{
    static const struct {
        const char *usec;
        const char *pid; /* NULL: ours */
        int64_t ms;
    } rows[] = {{"3000000", NULL, 3000}, {"3000000", "1", 0},
                {"0", NULL, 0},          {"-5", NULL, 0},
                {"3s", NULL, 0},         {"", NULL, 0},
                {"10", NULL, 1},         {"99999999999999999999", NULL, 0}};
    char pid[32];

    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        setenv("WATCHDOG_USEC", rows[i].usec, 1);
        setenv("WATCHDOG_PID", rows[i].pid != NULL ? rows[i].pid : pid, 1);
        open_at(f, "@nobody");
        assert_int_equal(notify_watchdog_ms(f->notify), rows[i].ms);
        notify_close(&f->notify);
    }
}

/* Where an HTTP door may stand. */
#include "check.h"
#include "folder.h"
#include "http/http_address.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

TEST(an_address_is_a_number_and_a_port)
{
    static const char *const good[] = {"127.0.0.1:9121", "0.0.0.0:0", "[::1]:65535", "[::]:1"};
    static const char *const bad[] = {
        "",
        ":",
        "9121",
        ":9121",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65536",
        "127.0.0.1:-1",
        "127.0.0.1:+1",
        "127.0.0.1: 1",
        "127.0.0.1:1x",
        "127.0.0.1:000001",
        "127.0.0.256:1",
        "localhost:9121",
        "::1:9121",
        "[::1:9121",
        "[]:9121",
        "[127.0.0.1]:9121",
        "1111111111111111111111111111111111111111111111111111111111111111111111111:1",
    };
    struct http_address a;
    struct err err = {0};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_int_equal(http_address_read(good[i], &a, &err), OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(http_address_read(bad[i], &a, &err), ERR_CONFIG);
        assert_non_null(strstr(err.text, "HOST:PORT is wanted"));
    }
}

TEST(only_this_machine_reaches_loopback_and_a_socket)
{
    static const char *const near[] = {"127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "unix:a.sock"};
    static const char *const far[] = {"0.0.0.0:1", "10.0.0.1:1", "[::]:1", "[fe80::1]:1",
                                      "128.0.0.1:1"};
    struct http_address a;
    struct err err = {0};

    for (size_t i = 0; i < sizeof near / sizeof near[0]; i++) {
        assert_int_equal(http_address_read(near[i], &a, &err), OK);
        assert_true(http_address_is_near(&a));
    }
    for (size_t i = 0; i < sizeof far / sizeof far[0]; i++) {
        assert_int_equal(http_address_read(far[i], &a, &err), OK);
        assert_false(http_address_is_near(&a));
    }
}

TEST(a_path_fits_a_socket)
{
    char text[200] = "unix:";
    struct http_address a;
    struct err err = {0};

    assert_int_equal(http_address_read("unix:", &a, &err), ERR_CONFIG);
    memset(text + 5, 'a', 107);
    assert_int_equal(http_address_read(text, &a, &err), OK);
    assert_true(http_address_is_unix(&a));
    memset(text + 5, 'a', 108);
    assert_int_equal(http_address_read(text, &a, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "1 to 107 bytes"));
}

/* A router that was killed leaves its socket; one that lives is not pushed aside, nor is a file. */
TEST(a_socket_is_its_owners_and_one_that_is_left_gives_way)
{
    char folder[64], text[100];
    const char *path = text + 5;
    struct http_address a;
    struct err err = {0};
    struct stat st;
    int first, second;

    folder_make(folder);
    snprintf(text, sizeof text, "unix:%s/door.sock", folder);
    assert_int_equal(http_address_read(text, &a, &err), OK);
    assert_int_equal(http_address_listen(&a, text, &first, &err), OK);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(http_address_port(first), 0);
    assert_int_equal(http_address_listen(&a, text, &second, &err), ERR_CONFIG);
    assert_non_null(strstr(err.text, "choose another path"));
    assert_int_equal(second, -1);
    close(first);
    assert_int_equal(http_address_listen(&a, text, &second, &err), OK);
    close(second);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/nowhere", path), 0);
    assert_int_equal(http_address_listen(&a, text, &second, &err), ERR_CONFIG);
    folder_remove(folder);
}

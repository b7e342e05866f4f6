/* One router per store, and only on disks that keep it whole. */
#include "store.h"

#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_second_router_is_refused_with_the_pid_of_the_first(void **state)
{
    struct store *s = *state;
    struct db *second;
    char pid[32];

    store_open(s);
    snprintf(pid, sizeof pid, "(pid %d)", (int)getpid());
    assert_refused(s, store_try(s, s->path, true, true, &second), ERR_BUSY, pid);
    assert_null(second);
    store_close(s);
    store_open(s);
}

static void the_command_line_works_beside_the_router(void **state)
{
    struct store *s = *state;
    struct db *beside;

    store_open(s);
    assert_ok(s, store_try(s, s->path, false, false, &beside));
    assert_string_equal(db_store_id(beside, 1), db_store_id(s->db, 1));
    db_close(&beside);
}

static void the_pid_is_told_while_the_lock_is_held_only(void **state)
{
    struct store *s = *state;

    assert_int_equal(db_router_pid(s->path), 0);
    store_open(s);
    assert_int_equal(db_router_pid(s->path), getpid());
    store_close(s);
    assert_int_equal(access(store_file(s, "store.db-lock"), F_OK), 0); /* the file stays */
    assert_int_equal(db_router_pid(s->path), 0);
    assert_int_equal(db_router_pid("/nowhere/at/all.db"), 0);
}

static void a_symbolic_link_leads_to_the_same_lock(void **state)
{
    struct store *s = *state;
    struct db *second;
    char link[96];

    store_open(s);
    snprintf(link, sizeof link, "%s/link.db", s->folder);
    assert_int_equal(symlink(s->path, link), 0);
    assert_refused(s, store_try(s, link, true, true, &second), ERR_BUSY, "another router");
    assert_int_equal(db_router_pid(link), getpid());
}

static void a_router_that_was_killed_leaves_nothing_to_clean_up(void **state)
{
    struct store *s = *state;
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct db *db;

        _exit(store_try(s, s->path, true, true, &db) == OK ? 7 : 1); /* without closing */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(db_router_pid(s->path), 0);
    store_open(s);
}

static void network_file_systems_are_known_by_their_numbers(void **state)
{
    (void)state;
    assert_string_equal(lock_refused_fs(0x6969), "NFS");
    assert_string_equal(lock_refused_fs(0xff534d42UL), "CIFS");
    assert_string_equal(lock_refused_fs(0xfffffffffe534d42UL), "SMB2"); /* sign-extended */
    assert_null(lock_refused_fs(0xef53));                               /* ext4 */
    assert_null(lock_refused_fs(0x01021994));                           /* tmpfs */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, store_setup, store_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_second_router_is_refused_with_the_pid_of_the_first),
        TEST(the_command_line_works_beside_the_router),
        TEST(the_pid_is_told_while_the_lock_is_held_only),
        TEST(a_symbolic_link_leads_to_the_same_lock),
        TEST(a_router_that_was_killed_leaves_nothing_to_clean_up),
        cmocka_unit_test(network_file_systems_are_known_by_their_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

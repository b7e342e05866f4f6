/* One router per store, and only on disks that keep it whole. */
#include "store.h"

#include "store/sqlite/db_int.h"

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

TEST_OPENED(a_second_router_is_refused_with_the_pid_of_the_first)
{
    struct db *second;
    char pid[32];

    snprintf(pid, sizeof pid, "(pid %d)", (int)getpid());
    assert_refused(f, store_try(f, f->path, true, true, &second), ERR_BUSY, pid);
    assert_null(second);
    store_close(f);
    store_open(f);
}

TEST_OPENED(the_command_line_works_beside_the_router)
{
    struct db *beside;

    assert_ok(f, store_try(f, f->path, false, false, &beside));
    assert_string_equal(db_store_id(beside, 1), db_store_id(f->db, 1));
    db_close(&beside);
}

TEST_WITH(store, the_pid_is_told_while_the_lock_is_held_only)
{
    assert_int_equal(db_router_pid(f->path), 0);
    store_open(f);
    assert_int_equal(db_router_pid(f->path), getpid());
    store_close(f);
    assert_int_equal(access(store_file(f, "store.db-lock"), F_OK), 0); /* the file stays */
    assert_int_equal(db_router_pid(f->path), 0);
    assert_int_equal(db_router_pid("/nowhere/at/all.db"), 0);
}

TEST_OPENED(a_symbolic_link_leads_to_the_same_lock)
{
    struct db *second;
    char link[96];

    snprintf(link, sizeof link, "%s/link.db", f->folder);
    assert_int_equal(symlink(f->path, link), 0);
    assert_refused(f, store_try(f, link, true, true, &second), ERR_BUSY, "another router");
    assert_int_equal(db_router_pid(link), getpid());
}

TEST_WITH(store, a_router_that_was_killed_leaves_nothing_to_clean_up)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        struct db *db;

        _exit(store_try(f, f->path, true, true, &db) == OK ? 7 : 1); /* without closing */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(WEXITSTATUS(status), 7);
    assert_int_equal(db_router_pid(f->path), 0);
    store_open(f);
}

TEST(network_file_systems_are_known_by_their_numbers)
{
    assert_string_equal(lock_refused_fs(0x6969), "NFS");
    assert_string_equal(lock_refused_fs(0xff534d42UL), "CIFS");
    assert_string_equal(lock_refused_fs(0xfffffffffe534d42UL), "SMB2"); /* sign-extended */
    assert_null(lock_refused_fs(0xef53));                               /* ext4 */
    assert_null(lock_refused_fs(0x01021994));                           /* tmpfs */
}

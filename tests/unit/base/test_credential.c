/* Files with secrets: found, read, and told apart from what is of no use. */
#include "base/credential.h"
#include "base/text.h"
#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

struct place {
    char folder[64];
    char file[96];
    struct buf secret;
    struct err err;
};

static void place_setup(struct place *f)
{
    snprintf(f->folder, sizeof f->folder, "/tmp/herald-credential-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->file, sizeof f->file, "%s/secret", f->folder);
    buf_init(&f->secret, 10000);
}

static void place_teardown(struct place *f)
{
    credential_wipe(&f->secret);
    (void)unlink(f->file);
    assert_int_equal(rmdir(f->folder), 0);
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

static void put(const struct place *f, const char *bytes, size_t len)
{
    FILE *file = fopen(f->file, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void require_secret(struct place *f, const char *bytes, const char *want)
{
    put(f, bytes, strlen(bytes));
    buf_clear(&f->secret);
    assert_int_equal(credential_read("the password", f->file, &f->secret, &f->err), OK);
    assert_int_equal(f->secret.len, strlen(want));
    assert_memory_equal(f->secret.data, want, strlen(want));
}

TEST_WITH(place, one_line_end_is_no_part_of_a_secret)
{
    require_secret(f, "secret", "secret");
    require_secret(f, "secret\n", "secret");
    require_secret(f, "secret\r\n", "secret");
    require_secret(f, "secret\n\n", "secret\n");
    require_secret(f, " secret ", " secret ");
}

static void require_refusal(struct place *f, const char *bytes, size_t len, const char *words)
{
    put(f, bytes, len);
    assert_int_equal(credential_read("the password", f->file, &f->secret, &f->err), ERR_CONFIG);
    if (strstr(f->err.text, words) == NULL)
        fail_msg("'%s' says nothing of '%s'", f->err.text, words);
    assert_int_equal(f->secret.len, 0);
}

TEST_WITH(place, what_is_no_secret_is_refused)
{
    static char large[4097];

    memset(large, 's', sizeof large);
    require_refusal(f, "", 0, "is empty");
    require_refusal(f, "\n", 1, "is empty");
    require_refusal(f, "a\0b", 3, "holds a NUL byte");
    require_refusal(f, large, sizeof large, "is longer than 4096 bytes");
    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(mkfifo(f->file, 0600), 0); /* and nobody waits for its other end */
    assert_int_equal(credential_read("the password", f->file, &f->secret, &f->err), ERR_CONFIG);
    assert_non_null(strstr(f->err.text, "is no file"));
    assert_int_equal(unlink(f->file), 0);
    assert_int_equal(credential_read("the password", f->file, &f->secret, &f->err), ERR_CONFIG);
    assert_non_null(strstr(f->err.text, "is not there"));
    assert_int_equal(credential_look("it", f->folder, false, &f->err), ERR_CONFIG);
    assert_int_equal(credential_look("it", f->folder, true, &f->err), OK);
}

TEST_WITH(place, what_is_not_here_is_looked_for_among_the_credentials)
{
    char out[CREDENTIAL_PATH_MAX];

    put(f, "x", 1);
    assert_string_equal(credential_path("secret", out), "secret");
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", f->folder, 1), 0);
    assert_string_equal(credential_path("secret", out), f->file);
    assert_string_equal(credential_path("/secret", out), "/secret");
    assert_string_equal(credential_path("another", out), "another"); /* as it was asked for */
}

TEST_WITH(place, whoever_replaces_a_file_changes_its_stamp)
{
    uint64_t before, folder;
    char other[120];

    snprintf(other, sizeof other, "%s.new", f->file);
    put(f, "a", 1);
    before = credential_stamp(TEXT_HASH_START, f->file);
    folder = credential_stamp(TEXT_HASH_START, f->folder);
    assert_true(before == credential_stamp(TEXT_HASH_START, f->file));
    assert_int_equal(rename(f->file, other), 0);
    assert_true(before != credential_stamp(TEXT_HASH_START, f->file)); /* it is gone */
    put(f, "a", 1);
    assert_int_equal(unlink(other), 0);
    assert_true(before != credential_stamp(TEXT_HASH_START, f->file));
    assert_true(folder != credential_stamp(TEXT_HASH_START, f->folder));
}

TEST_WITH(place, a_file_for_everybody_is_open)
{
    put(f, "a", 1);
    assert_int_equal(chmod(f->file, 0640), 0);
    assert_false(credential_is_open(f->file));
    assert_int_equal(chmod(f->file, 0604), 0);
    assert_true(credential_is_open(f->file));
    assert_false(credential_is_open("/nowhere"));
}

TEST(a_guarded_process_is_not_dumped)
{
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 1);
    credential_guard();
    assert_int_equal(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0), 0);
}

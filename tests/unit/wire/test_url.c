/* What people write into `broker`, and what comes of it. */
#include "check.h"
#include "wire/url.h"

#include <stdio.h>
#include <string.h>

/* "user:password@host:port,host:port|vhost|heartbeat", or the error's text. */
static const char *read_url(const char *text)
{
    static char out[2048];
    struct url u;
    struct err err;
    size_t used;

    if (url_parse(text, &u, &err) != OK) {
        assert_null(u.user);
        assert_null(u.password);
        assert_int_equal(u.n_hosts, 0);
        snprintf(out, sizeof out, "%s", err.text);
        return out;
    }
    used = (size_t)snprintf(out, sizeof out, "%s%s:%s@", u.tls ? "tls " : "", u.user, u.password);
    for (size_t i = 0; i < u.n_hosts; i++)
        used += (size_t)snprintf(out + used, sizeof out - used, "%s%s:%u", i > 0 ? "," : "",
                                 u.host[i].name, (unsigned)u.host[i].port);
    snprintf(out + used, sizeof out - used, "|%s|%d", u.vhost, u.heartbeat_s);
    url_free(&u);
    url_free(&u); /* twice does no harm */
    return out;
}

TEST(what_is_left_out_has_its_usual_value)
{
    assert_string_equal(read_url("amqp://h"), "guest:guest@h:5672|/|-1");
    assert_string_equal(read_url("amqps://h"), "tls guest:guest@h:5671|/|-1");
    assert_string_equal(read_url("amqp://h/"), "guest:guest@h:5672|/|-1");
    assert_string_equal(read_url("amqp://tom@h"), "tom:@h:5672|/|-1");
    assert_string_equal(read_url("amqp://tom:@h"), "tom:@h:5672|/|-1");
}

TEST(all_parts_are_taken)
{
    assert_string_equal(read_url("amqp://tom:pw@h:1234/orders?heartbeat=10"),
                        "tom:pw@h:1234|orders|10");
    assert_string_equal(read_url("amqp://h?heartbeat=0"), "guest:guest@h:5672|/|0");
    assert_string_equal(read_url("amqp://a:b@h/x?heartbeat=5&heartbeat=6"), "a:b@h:5672|x|6");
}

TEST(several_hosts_may_stand_in_a_row)
{
    assert_string_equal(read_url("amqp://a,b:1,[::1]:2,[fe80::1%25eth0]/v"),
                        "guest:guest@a:5672,b:1,::1:2,fe80::1%eth0:5672|v|-1");
    assert_non_null(
        strstr(read_url("amqp://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"), "more than 16 hosts"));
}

TEST(special_characters_are_percent_encoded)
{
    assert_string_equal(read_url("amqp://a%40b:p%2Fw%3a%25@h/%2F"), "a@b:p/w:%@h:5672|/|-1");
    assert_string_equal(read_url("amqp://a:b@c@h/%2fv"), "a:b@c@h:5672|/v|-1");
    assert_non_null(strstr(read_url("amqp://a:%zz@h"), "a \"%\" of the password is not followed"));
    assert_non_null(strstr(read_url("amqp://a:b@h/%4"), "a \"%\" of the vhost"));
    assert_non_null(strstr(read_url("amqp://a:%00@h"), "a \"%\" of the password"));
}

TEST(a_bad_url_is_explained_with_an_example)
{
    static const char *const bad[][2] = {
        {"", "must start with amqp://"},
        {"http://h", "must start with amqp://"},
        {"amqp:/h", "must start with amqp://"},
        {"amqp://", "host 1 has no name"},
        {"amqp://a,,b", "host 2 has no name"},
        {"amqp://u:p@", "host 1 has no name"},
        {"amqp://h:", "host 1 has a port that is no number"},
        {"amqp://h:0", "host 1 has a port"},
        {"amqp://h:65536", "host 1 has a port"},
        {"amqp://h:99999999999999999999", "host 1 has a port"},
        {"amqp://[::1", "lacks its closing bracket"},
        {"amqp://[::1]x", "between its bracket and its port"},
        {"amqp://::1", "has no name"},
        {"amqp://h/a/b", "must be written %2F"},
        {"amqp://h?heartbeat=x", "heartbeat must be 0 to 65535"},
        {"amqp://h?heartbeat=65536", "heartbeat must be 0 to 65535"},
        {"amqp://h?heartbeet=1", "only heartbeat=SECONDS is known"},
        {"amqp://h?", "only heartbeat=SECONDS is known"},
        {"amqp://h amqps://i", "several may differ in their hosts only"},
        {"amqp://h amqp://tom@i", "several may differ in their hosts only"},
        {"amqp://h amqp://i/v", "several may differ in their hosts only"},
        {"amqp://h/?heartbeat=1 amqp://i", "several may differ in their hosts only"},
        {"amqp://t:a@h amqp://t:b@i", "several may differ in their hosts only"},
        {"amqp://h amqp://", "host 1 has no name"},
        {"amqp://1,2,3,4,5,6,7,8,9 amqp://a,b,c,d,e,f,g,h", "more than 16 hosts"},
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (strstr(read_url(bad[i][0]), bad[i][1]) == NULL)
            fail_msg("%s gives \"%s\", not \"%s\"", bad[i][0], read_url(bad[i][0]), bad[i][1]);
}

TEST(several_urls_are_one_with_all_hosts)
{
    assert_string_equal(read_url("amqp://tom:p@h:1/v amqp://tom:p@i,j:2/v  amqp://tom:p@[::1]/v"),
                        "tom:p@h:1,i:5672,j:2,::1:5672|v|-1");
    assert_string_equal(read_url("amqps://h amqps://i"), "tls guest:guest@h:5671,i:5671|/|-1");
    assert_string_equal(read_url("amqp://tom:a b@h"), "tom:a b@h:5672|/|-1"); /* one, as ever */
}

TEST(a_password_never_shows_in_an_error)
{
    static const char *const bad[] = {
        "amqp://tom:s3cret",
        "amqp://tom:s3cret@",
        "amqp://tom:s3cret@h:x",
        "amqp://tom:a/s3cret@h",
        "amqp://tom:a?s3cret@h",
        "amqp://tom:a,s3cret",
        "amqp://tom:%s3cret@h",
        "amqp://tom:s3cret@h/%x",
        "tom:s3cret@h",
        "amqp://tom:s3cret@h/a/b",
        "amqp://tom:s3cret,@h:b",
        "amqp://tom:s3cret@h?x",
        "amqp://tom:[s3cret@h:70000",
        "amqp://h amqp://tom:s3cret@h",
        "amqp://tom:s3cret@h amqp://h",
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct url u;
        struct err err;

        assert_int_equal(url_parse(bad[i], &u, &err), ERR_CONFIG);
        if (strstr(err.text, "s3cret") != NULL)
            fail_msg("%s gives \"%s\"", bad[i], err.text);
    }
}

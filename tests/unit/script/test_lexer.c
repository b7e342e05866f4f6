/* The words of a Lua file. */
#include "script/lexer.h"

#include <stdio.h>
#include <string.h>

#include "check.h"

/* Writes the words of the text as kind, place and value, one a line. */
static const char *words(const char *text)
{
    static char out[2048];
    static const char kinds[] = ".nsN:";
    struct lexer x;
    struct token t;
    struct buf value;
    size_t used = 0;

    buf_init(&value, 1024);
    lexer_init(&x, slice_of(text));
    out[0] = '\0';
    for (t = lexer_next(&x); t.kind != TOKEN_END; t = lexer_next(&x)) {
        struct slice s = t.text;

        if (t.kind == TOKEN_STRING && !token_value(&t, &value))
            s = slice_of("?");
        else if (t.kind == TOKEN_STRING)
            s = (struct slice){value.data, value.len};
        used += (size_t)snprintf(out + used, sizeof out - used, "%c%d:%d %.*s\n", kinds[t.kind],
                                 t.line, t.column, (int)s.len, s.data ? s.data : "");
    }
    buf_free(&value);
    return out;
}

TEST(names_numbers_and_signs_are_told_apart)
{
    assert_string_equal(words("a_1 = x.y..z"),
                        "n1:1 a_1\n:1:5 =\nn1:7 x\n:1:8 .\nn1:9 y\n:1:10 ..\nn1:12 z\n");
    assert_string_equal(words("1e-5 0x.8p+1 3.0 .5 7"),
                        "N1:1 1e-5\nN1:6 0x.8p+1\nN1:14 3.0\nN1:18 .5\nN1:21 7\n");
    assert_string_equal(words("...::==~=<=>=//<<>>"),
                        ":1:1 ...\n:1:4 ::\n:1:6 ==\n:1:8 ~=\n:1:10 <=\n:1:12 >=\n:1:14 //\n"
                        ":1:16 <<\n:1:18 >>\n");
    assert_string_equal(words(""), "");
}

TEST(comments_are_nothing)
{
    assert_string_equal(words("a -- b 'c\n--[[ d\n ]]e--[=[ ]] ]=]f"), "n1:1 a\nn3:4 e\nn3:17 f\n");
    assert_string_equal(words("--"), "");
    assert_string_equal(words("--[==[ never closed"), "");
    assert_string_equal(words("--[= short\na"), "n2:1 a\n");
    assert_string_equal(words("a - -b"), "n1:1 a\n:1:3 -\n:1:5 -\nn1:6 b\n");
}

TEST(line_ends_of_all_kinds_are_one)
{
    assert_string_equal(words("a\r\nb\n\rc\rd\n\ne"), "n1:1 a\nn2:1 b\nn3:1 c\nn4:1 d\nn6:1 e\n");
    assert_string_equal(words("[[\r\na\r\nb]] c"), "s1:1 a\nb\nn3:5 c\n");
}

TEST(strings_have_values)
{
    assert_string_equal(words("'a\\n' \"'\" [==[x]]y]==]"), "s1:1 a\n\ns1:7 '\ns1:11 x]]y\n");
    assert_string_equal(words("'\\x4a\\74\\u{4A}\\z \n J'"), "s1:1 JJJJ\n");
    assert_string_equal(words("'\\u{7f}\\u{80}\\u{7ff}\\u{800}\\u{ffff}\\u{10000}'"),
                        "s1:1 \x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf\xf0\x90\x80\x80\n");
    assert_string_equal(words("'\\q' '\\x4' '\\300' '\\u{110000}' '\\u4'"),
                        "s1:1 ?\ns1:6 ?\ns1:12 ?\ns1:19 ?\ns1:32 ?\n");
    assert_string_equal(words("'never closed"), "s1:1 never closed\n");
    assert_string_equal(words("'\\"), "s1:1 \\\n");
    assert_string_equal(words("[[never closed]"), "s1:1 never closed]\n");
}

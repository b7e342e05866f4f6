#!/bin/sh
# Who may include whom, which library belongs to which folder, which calls are never made, how long
# a file may be, that the files of a folder include each other in no circle, and that somebody
# calls what a header offers. Everything that is allowed is in the tables of rules(). And whether what
# is cited is there: headings of docs/, and the tests that docs/faults.md names. And whether the README
# of a folder names each file of it, and none that is not there.
#
#   sh tests/floors.sh [ROOT]
set -eu
cd "${1:-$(dirname "$0")/..}"

rules() {
    cat <<'END'
# floor FOLDER: the folders it may include besides itself; from the ground up
floor base:
floor store:  base
floor wire:   base
floor broker: base store
floor rabbit: base wire broker
floor script: base
floor engine: base store broker rabbit script
floor spec:   base store broker script engine
floor http:   base
floor face:   base store broker rabbit script engine spec http

# library HEADER (a name, or a folder of headers): who may include it
library sqlite3.h:      store spec/spec_sql.c spec/spec_clock.c
library lua.h:          script face
library lauxlib.h:      script face
library lualib.h:       script face
library amqp.h:         wire/rabbitmq.h
library amqp_framing.h: wire/rabbitmq.h
library rabbitmq-c/amqp.h:    wire/rabbitmq.h
library rabbitmq-c/framing.h: wire/rabbitmq.h
library rabbitmq-c/:
library amqp_tcp_socket.h:
library amqp_ssl_socket.h:
library yajl/:          base
library zlib.h:         base/unpack.c
library uv.h:           wire broker rabbit engine http face store/sqlite/commit_notice.c store/sqlite/commit_notice.h
library openssl/:       wire/tls_int.h wire/tls.c wire/tls_context.c wire/tls_words.c
library curl/:          http/http_post.c
library microhttpd.h:   http/http_server_int.h

# never CALL: the files that may make it all the same
never strcpy:
never strcat:
never sprintf:
never strtok:
never atoi:
never gets:
never luaL_openlibs: face/cli.c
never lua_pcall:     script/protect.c face/cli.c
never lua_pcallk:    script/protect.c
never lua_resume:    script/protect.c

# What a header offers for tests alone.
for-tests: buf_consume cli_open_core codec_header declare_binding inbox_bucket_ms inbox_prune
for-tests: link_publish list_sql pick_sql statement_sql

longest 700
END
}

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

rules >"$work/rules"
for folder in core scripts include; do
    [ -d "$folder" ] || continue
    find "$folder" -type f \( -name '*.c' -o -name '*.h' -o -name '*.lua' \)
done >"$work/unsorted"
LC_ALL=C sort "$work/unsorted" >"$work/files"

cat >"$work/code.awk" <<'AWK'
# Blanks out comments, strings and characters, which may name anything.
function code_of(line,    out, c, two, quote) {
    out = ""
    while (line != "") {
        c = substr(line, 1, 1); two = substr(line, 1, 2)
        if (in_comment) {
            if (two == "*/") { in_comment = 0; line = substr(line, 3); out = out " " }
            else line = substr(line, 2)
        } else if (two == "/*") { in_comment = 1; line = substr(line, 3) }
        else if (two == "//") return out
        else if (c == "\"" || c == "'") {
            quote = c; line = substr(line, 2)
            while (line != "" && (c = substr(line, 1, 1)) != quote)
                line = substr(line, c == "\\" ? 3 : 2)
            line = substr(line, 2); out = out "0"
        } else { out = out c; line = substr(line, 2) }
    }
    return out
}
AWK

cat >"$work/check.awk" <<'AWK'
function complain(text) { print FILENAME ":" FNR ": " text; bad[FILENAME] = 1 }

# Is `name` (folder/file.c) one of the words, or in a folder that is?
function among(name, words,    n, i, w) {
    n = split(words, w, " ")
    for (i = 1; i <= n; i++)
        if (w[i] == name || index(name, w[i] "/") == 1) return 1
    return 0
}

function check_own_include(header,    target) {
    target = header
    if (!sub(/\/.*/, "", target) || !(target in rank))
        complain("includes \"" header "\": write it as \"folder/file.h\" with a folder of core/")
    else if (folder != target && !among(target, may_include[folder]))
        complain("includes " header ", which is " (rank[target] > rank[folder] ? \
                 "a floor above" : "not among what " folder "/ may know"))
}

function check_library(header,    key) {
    key = header
    if (!(key in may_use)) sub(/\/.*/, "/", key)
    if (key in may_use && !among(name, may_use[key]))
        complain("includes <" header ">, which " \
                 (may_use[key] == "" ? "nobody may" : "only " may_use[key] " may"))
}

function check_calls(line,    word) {
    while (match(line, /[A-Za-z_][A-Za-z0-9_]*[ \t]*\(/)) {
        word = substr(line, RSTART, RLENGTH - 1)
        line = substr(line, RSTART + RLENGTH)
        sub(/[ \t]+$/, "", word)
        if (word in allowed_callers && !among(name, allowed_callers[word]))
            complain("calls " word "()" \
                     (allowed_callers[word] == "" ? "" : ", which only " allowed_callers[word] " may"))
    }
}

function words_after_colon(    text) {
    text = $0
    sub(/^[^:]*:[ \t]*/, "", text)
    gsub(/[ \t]+/, " ", text)
    return text
}

FILENAME == rules_file {
    key = $2
    sub(/:$/, "", key)
    if ($1 == "floor") { rank[key] = ++floors; may_include[key] = words_after_colon() }
    else if ($1 == "library") may_use[key] = words_after_colon()
    else if ($1 == "never") allowed_callers[key] = words_after_colon()
    else if ($1 == "longest") longest = $2
    next
}

FNR == 1 {
    in_comment = 0
    in_core = index(FILENAME, "core/") == 1
    name = substr(FILENAME, 6)
    folder = name
    sub(/\/.*/, "", folder)
    if (in_core && !(folder in rank)) complain("no floor is called " folder)
}

FNR == longest + 1 { complain("is longer than " longest " lines") }

FILENAME ~ /\.lua$/ { next }

!in_comment && /^[ \t]*#[ \t]*include[ \t]*["<]/ {
    header = $0
    sub(/^[^"<]*["<]/, "", header)
    sub(/[">].*/, "", header)
    if (in_core) {
        if ($0 ~ /include[ \t]*"/) check_own_include(header)
        else check_library(header)
    }
    code_of($0) # a comment may begin behind it
    next
}

{ check_calls(code_of($0)) }

END {
    for (i = 2; i < ARGC; i++) if (ARGV[i] in bad) failed++; else passed++
    print passed + 0, failed + 0 >sums
}
AWK

# A citation is docs/NAME.md, or docs/NAME.md#anchor with further ", #anchor" behind it. Files that
# cite something are counted, as are those of docs/.
cat >"$work/cite.awk" <<'AWK'
function complain(where, text) { print where ": " text; sub(/:[0-9]+$/, "", where); bad[where] = 1 }

# The anchor that GitHub makes of a heading.
function anchor_of(heading) {
    heading = tolower(heading)
    gsub(/[^a-z0-9 _-]/, "", heading)
    gsub(/ /, "-", heading)
    return heading
}

function cite(what) { cited[++n] = what; cited_at[n] = FILENAME ":" FNR; counts[FILENAME] = 1 }

function find_citations(rest,    what, more) {
    while (match(rest, /docs\/[a-z0-9-]+\.md(#[a-z0-9-]+)?/)) {
        what = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        cite(what)
        sub(/#.*/, "", what)
        while (match(rest, /^(,| and| to) #[a-z0-9-]+/)) {
            more = substr(rest, RSTART, RLENGTH)
            rest = substr(rest, RSTART + RLENGTH)
            sub(/^[^#]*/, "", more)
            cite(what more)
        }
    }
}

function find_links(rest,    what) {
    while (match(rest, /\]\([a-z0-9-]*(\.md)?#?[a-z0-9-]*\)/)) {
        what = substr(rest, RSTART + 2, RLENGTH - 3)
        rest = substr(rest, RSTART + RLENGTH)
        cite(what ~ /^#/ ? FILENAME what : "docs/" what)
    }
}

# `folder/file:name`, and after it the `name` of others in that file.
function find_tests(rest,    word, file) {
    while (match(rest, /`[^`]*`/)) {
        word = substr(rest, RSTART + 1, RLENGTH - 2)
        rest = substr(rest, RSTART + RLENGTH)
        if (word ~ /:/) { file = word; sub(/:.*/, "", file); sub(/^[^:]*:/, "", word) }
        if (file != "" && word ~ /^[a-z][a-z0-9_]*$/) cite("tests/" file ":" word)
    }
}

FNR == 1 { fenced = 0; there[FILENAME] = 1 }

# Names of notes that were never part of the tree; the brackets keep this line from being one.
/(^|[^A-Za-z0-9_])([D]ESIGN|[P]ITFALLS|[F]AULTS|[R]ABBITMQ4)([^A-Za-z0-9_]|$)/ ||
/(^|[^A-Za-z0-9_])(SERVERS|PRODUCERS) [0-9]/ {
    complain(FILENAME ":" FNR, "cites a file that is not here: docs/ has what there is to cite")
}

FILENAME ~ /^docs\/[^\/]*\.md$/ {
    counts[FILENAME] = 1
    if (/^```/) fenced = !fenced
    if (!fenced && sub(/^#+ +/, "")) there[FILENAME "#" anchor_of($0)] = 1
    rest = $0
    while (match(rest, /<a id="[^"]*">/)) {
        there[FILENAME "#" substr(rest, RSTART + 7, RLENGTH - 9)] = 1
        rest = substr(rest, RSTART + RLENGTH)
    }
    find_links($0)
}

FILENAME == "docs/faults.md" && /^\|/ { find_tests($0) }

/^ *def test_/ {
    name = $0
    sub(/^ *def /, "", name)
    sub(/\(.*/, "", name)
    there[FILENAME ":" name] = 1
}

/^TEST[A-Z_]*\(.*\)$/ {
    name = $0
    sub(/^.*[(, ]/, "", name)
    sub(/\)/, "", name)
    there[FILENAME ":" name] = 1
}

{ find_citations($0) }

END {
    for (i = 1; i <= n; i++)
        if (!(cited[i] in there)) complain(cited_at[i], "cites " cited[i] ", which is not there")
    for (file in bad) counts[file] = 1
    for (file in counts) if (file in bad) failed++; else passed++
    print passed + 0, failed + 0 >>sums
}
AWK

# A module is NAME.c with NAME.h. NAME_int.h is one of its own, which NAME.c shares with others.
cat >"$work/house.awk" <<'AWK'
function complain(where, text) { print where ": " text; bad[where] = 1 }

function folder_of(module) { sub(/\/[^\/]*$/, "", module); return module }

function note_arrow(header) {
    sub(/\.h$/, "", header)
    if (header == module || header "_int" == module || folder_of(header) != folder_of(module)) return
    arrows[++n_arrows] = module
    target[n_arrows] = header
}

# Takes away, time and again, what nothing leads to or what leads nowhere. Circles are left.
function find_circles(    i, out, into, going) {
    for (i = 1; i <= n_arrows; i++) left[arrows[i]] = left[target[i]] = 1
    do {
        going = 0
        split("", out); split("", into)
        for (i = 1; i <= n_arrows; i++)
            if (arrows[i] in left && target[i] in left) { out[arrows[i]] = 1; into[target[i]] = 1 }
        for (module in left) if (!(module in out) || !(module in into)) { delete left[module]; going = 1 }
    } while (going)
    for (i = 1; i <= n_arrows; i++)
        if (arrows[i] in left && target[i] in left)
            complain("core/" arrows[i], "includes " target[i] ".h, and is in a circle of files with it")
}

FILENAME == rules_file { if ($1 == "for-tests:") for (i = 2; i <= NF; i++) tested[$i] = 1; next }

FNR == 1 {
    in_comment = 0
    module = substr(FILENAME, 6)
    is_header = sub(/\.h$/, "", module)
    sub(/\.c$/, "", module)
    counts["core/" module] = 1
}

/^#[ \t]*include[ \t]*"/ {
    header = $0
    sub(/^[^"]*"/, "", header); sub(/".*/, "", header)
    note_arrow(header)
    next
}

{ line = code_of($0) }

# Headers come first.
is_header && module !~ /_int$/ && line ~ /^[a-z_][A-Za-z0-9_ *]*[ *][a-z_][a-z0-9_]*\(/ &&
line !~ /^(static|typedef|return)/ {
    name = line
    sub(/\(.*/, "", name); sub(/^.*[ *]/, "", name)
    offered[name] = module
}

!is_header {
    while (match(line, /[a-z_][A-Za-z0-9_]*/)) {
        word = substr(line, RSTART, RLENGTH)
        line = substr(line, RSTART + RLENGTH)
        if (word in offered && !((word, FILENAME) in seen)) { seen[word, FILENAME] = 1; users[word]++ }
    }
}

END {
    find_circles()
    for (name in offered) {
        if (users[name] < 2 && !(name in tested))
            complain("core/" offered[name], "offers " name "(), which nobody else calls: make it static")
        if (users[name] >= 2 && name in tested)
            complain("core/" offered[name], "offers " name "() for more than tests by now")
    }
    for (module in counts) if (module in bad) failed++; else passed++
    print passed + 0, failed + 0 >>sums
}
AWK

# A room is `NAME`: a file or a folder of it. rooms README: as the other checks, for one README.
rooms() {
    folder=${1%/README.md}
    wrong=0
    for room in $(grep -oE '`[a-z_0-9/]+(\.[ch])?`' "$1" | tr -d '`' | sort -u); do
        [ -e "$folder/$room" ] || [ -e "$folder/$room.c" ] || [ -e "$folder/$room.h" ] || {
            echo "$1: names $room, which is not there"
            wrong=1
        }
    done
    for file in "$folder"/*.c "$folder"/*/*.c; do
        [ -e "$file" ] || continue
        room=${file#"$folder"/}
        grep -q "\`${room%.c}\`" "$1" || {
            echo "$1: says nothing of ${room%.c}"
            wrong=1
        }
    done
    echo "$((1 - wrong)) $wrong" >>"$work/sums"
}

find . -name .git -prune -o -name 'build*' -prune -o -type f \( -name '*.[ch]' -o -name '*.lua' \
    -o -name '*.py' -o -name '*.sh' -o -name '*.md' -o -name '*.txt' -o -name '*.sql' \) -print |
    sed 's|^\./||' | LC_ALL=C sort >"$work/texts"

# One argument a line, spaces or not.
set -f
IFS='
'
set -- $(cat "$work/files")
awk -v rules_file="$work/rules" -v sums="$work/sums" -f "$work/code.awk" -f "$work/check.awk" \
    "$work/rules" "$@"
set -- $(grep '^core/.*\.h$' "$work/files") $(grep '^core/.*\.c$' "$work/files")
[ $# -eq 0 ] || awk -v rules_file="$work/rules" -v sums="$work/sums" -f "$work/code.awk" \
    -f "$work/house.awk" "$work/rules" "$@"
set +f
unset IFS
for readme in core/*/README.md; do
    [ ! -e "$readme" ] || rooms "$readme"
done
set -f
IFS='
'
set -- $(cat "$work/texts")
awk -v sums="$work/sums" -f "$work/cite.awk" "$@"

awk '{ passed += $1; failed += $2 }
END {
    printf "%d passed, %d failed\n", passed, failed
    exit failed > 0 || passed == 0
}' "$work/sums"

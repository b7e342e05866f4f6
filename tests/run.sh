#!/bin/sh
# Every test there is, in one go; the last line is the sum.
#
#   sh tests/run.sh [--only floors|format|unit|spec|examples|clang|integration] [--long]
#
# Missing packages are installed, herald is built with sanitizers into build-ci/, and a private
# RabbitMQ runs as long as it is needed. --long adds the release build in build/, the long
# integration tests against it, and the long runs of unit tests. A suite that crashes, or in which
# nothing ran, has failed.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
python=/usr/bin/python3 # the one that Debian's python3-pika is for

suites='floors format unit spec examples clang integration'
long=no

usage() {
    echo "usage: run.sh [--only floors|format|unit|spec|examples|clang|integration] [--long]" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --long) long=yes ;;
    --only)
        case ${2:-} in
        floors | format | unit | spec | examples | clang | integration) suites=$2 ;;
        *) usage ;;
        esac
        shift
        ;;
    *) usage ;;
    esac
    shift
done

# A leak or a bad access must end the program that has it, wherever that runs.
ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS UBSAN_OPTIONS

passed=0
failed=0
work=$(mktemp -d)
child='' # process group of what is running

end_child() {
    [ -n "$child" ] || return 0
    kill -TERM "-$child" 2>/dev/null || :
    wait "$child" 2>/dev/null || :
    kill -KILL "-$child" 2>/dev/null || :
    child=
}

clean_up() {
    end_child
    [ ! -f "$work/rabbit/env" ] || sh tests/lib/rabbit.sh kill "$work/rabbit" || :
    rm -rf "$work"
}
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
trap clean_up EXIT

# --- running and counting --------------------------------------------------------------------

# run LOG SECONDS COMMAND...: in a process group of its own, of which nothing is left after it.
run() {
    log=$1
    seconds=$2
    shift 2
    setsid timeout -k 10 "$seconds" "$@" >"$log" 2>&1 </dev/null &
    child=$!
    status=0
    wait "$child" || status=$?
    kill -KILL "-$child" 2>/dev/null || :
    child=
    [ "$status" -ne 124 ] || echo "run.sh: ended after $seconds seconds" >>"$log"
    return "$status"
}

add() { # PASSED FAILED
    suite_passed=$((suite_passed + $1))
    suite_failed=$((suite_failed + $2))
}

# One check that either went well or shows its log.
check() { # NAME LOG STATUS
    if [ "$3" -eq 0 ]; then
        add 1 0
    else
        add 0 1
        cat "$2"
        echo "run.sh: $1 failed (exit code $3)"
    fi
}

# A program with counts of its own. One that failed without saying so, or counted nothing, has
# crashed.
judge() { # NAME LOG STATUS PASSED FAILED
    name=$1 log=$2 status=$3 ok=$4 bad=$5
    if [ "$bad" -eq 0 ] && { [ "$status" -ne 0 ] || [ "$ok" -eq 0 ]; }; then
        bad=1
    fi
    add "$ok" "$bad"
    [ "$bad" -ne 0 ] || return 0
    cat "$log"
    echo "run.sh: $name: $ok passed, $bad failed (exit code $status)"
}

# The last line of a log, "N passed, N failed", for judge.
judge_last_line() { # NAME LOG STATUS
    last=$(tail -n 1 "$2")
    case $last in
    [0-9]*' passed, '[0-9]*' failed')
        bad=${last##*, }
        judge "$1" "$2" "$3" "${last%% *}" "${bad%% *}"
        ;;
    *) judge "$1" "$2" "$3" 0 0 ;;
    esac
}

# --- builds ----------------------------------------------------------------------------------

# build PRESET FOLDER [TARGET]
build() {
    echo "building preset $1 into $2/"
    run "$work/build.log" 300 cmake --preset "$1" &&
        run "$work/build.log" 600 cmake --build "$2" -j "$(nproc)" ${3:+--target "$3"}
}

ci_built='' # yes or no, once tried

need_ci_build() {
    [ -n "$ci_built" ] || {
        ci_built=yes
        build ci build-ci && [ -x build-ci/herald ] || {
            ci_built=no
            cat "$work/build.log"
            [ -x build-ci/herald ] || echo "run.sh: there is no build-ci/herald"
            echo "run.sh: the build failed"
        }
    }
    [ "$ci_built" = no ] || return 0
    echo "run.sh: not run without a build"
    add 0 1
    return 1
}

# --- suites ----------------------------------------------------------------------------------

suite_floors() {
    status=0
    run "$work/log" 60 sh tests/floors.sh || status=$?
    judge_last_line floors "$work/log" "$status"
}

suite_format() {
    for folder in core include tests examples; do
        [ -d "$folder" ] || continue
        find "$folder" -type f \( -name '*.c' -o -name '*.h' \)
    done >"$work/sources"
    status=0
    run "$work/log" 120 clang-format --dry-run -Werror --files="$work/sources" || status=$?
    grep -E '^[^ :]+:[0-9]+:[0-9]+: error: ' "$work/log" >"$work/unsorted" || :
    cut -d: -f1 "$work/unsorted" >"$work/names"
    sort -u "$work/names" >"$work/bad"
    bad=$(wc -l <"$work/bad")
    judge clang-format "$work/log" "$status" "$(($(wc -l <"$work/sources") - bad))" "$bad"
}

suite_unit() {
    need_ci_build || return 0
    find build-ci/tests/unit -maxdepth 1 -type f -perm -u+x >"$work/unsorted"
    sort "$work/unsorted" >"$work/programs"
    while read -r program; do
        name=${program##*/}
        source="tests/unit/${name%%_*}/${name#*_}.c"
        # An old build folder may hold programs whose test is gone.
        [ -f "$source" ] || continue
        unit "$name" 120 "$program"
        if [ "$long" = yes ] && grep -q HERALD_LONG "$source"; then
            unit "$name, long" 1800 env HERALD_LONG=1 "$program"
        fi
    done <"$work/programs"
}

unit() { # NAME SECONDS COMMAND...
    name=$1
    seconds=$2
    shift 2
    status=0
    run "$work/log" "$seconds" "$@" || status=$?
    judge "$name" "$work/log" "$status" "$(cmocka_count PASSED)" "$(cmocka_count FAILED)"
}

# Sums lines such as "[  PASSED  ] 7 test(s)."; a program may hold several groups.
cmocka_count() {
    awk -v word="$1" '
        $1 == "[" && $2 == word && $3 == "]" && $4 ~ /^[0-9]+$/ && $5 ~ /^test\(s\)/ { n += $4 }
        END { print n + 0 }' "$work/log"
}

suite_spec() {
    need_ci_build || return 0
    status=0
    # A bare busted may run under another Lua than ours.
    run "$work/log" 300 env HERALD="$root/build-ci/herald" \
        LUA_PATH_5_4="$root/scripts/?.lua;$root/tests/spec/?.lua;;" \
        busted --lua=/usr/bin/lua5.4 --output=plainTerminal tests/spec || status=$?
    judge_busted busted "$status"
}

# The examples' own specs, run as their users run them, and judged by herald check.
suite_examples() {
    need_ci_build || return 0
    for settings in examples/*/herald.lua examples/*/*/herald.lua; do
        folder=${settings%/herald.lua}
        status=0
        run "$work/log" 120 build-ci/herald -C "$folder" check || status=$?
        check "herald check in $folder" "$work/log" "$status"
        status=0
        run "$work/log" 120 build-ci/herald -C "$folder" test --output=plainTerminal || status=$?
        judge_busted "herald test in $folder" "$status"
    done
}

judge_busted() { # NAME STATUS
    judge "$1" "$work/log" "$2" "$(busted_count success)" \
        "$(($(busted_count failure) + $(busted_count error)))"
    pending=$(busted_count pending)
    [ "$pending" -eq 0 ] || echo "run.sh: $pending specs are pending"
}

# Reads "12 successes / 1 failure / 0 errors / 0 pending : 0.1 seconds".
busted_count() {
    awk -v word="$1" '
        / success(es)? \/ .* pending/ {
            for (i = 2; i <= NF; i++) if (index($i, word) == 1) n = $(i - 1)
        }
        END { print n + 0 }' "$work/log"
}

# What gcc lets pass another compiler may not.
suite_clang() {
    status=0
    build ci-clang build-clang || status=$?
    check "the build with clang" "$work/build.log" "$status"
}

suite_integration() {
    need_ci_build || return 0
    start_broker || return 0
    integration 840 "$root/build-ci/herald"
    [ "$long" = yes ] || return 0
    status=0
    build release build herald || status=$?
    check "the release build" "$work/build.log" "$status"
    [ "$status" -ne 0 ] || integration 5400 "$root/build/herald" --long
}

start_broker() {
    echo "starting a private RabbitMQ"
    status=0
    run "$work/log" 300 sh tests/lib/rabbit.sh start "$work/rabbit" || status=$?
    [ "$status" -eq 0 ] || check "the private RabbitMQ" "$work/log" "$status"
    return "$status"
}

integration() { # SECONDS HERALD [OPTION]
    seconds=$1
    herald=$2
    shift 2
    status=0
    run "$work/log" "$seconds" env HERALD="$herald" RABBIT_DIR="$work/rabbit" \
        "$python" tests/integration/run.py "$@" || status=$?
    judge_last_line integration "$work/log" "$status"
    sed -n 's/^skipped /run.sh: left out:/p' "$work/log"
}

# --- all of them -----------------------------------------------------------------------------

sh tests/lib/packages.sh build test
for suite in $suites; do
    suite_passed=0
    suite_failed=0
    began=$(date +%s)
    echo "== $suite"
    "suite_$suite"
    if [ $((suite_passed + suite_failed)) -eq 0 ]; then
        echo "run.sh: nothing ran"
        suite_failed=1
    fi
    passed=$((passed + suite_passed))
    failed=$((failed + suite_failed))
    echo "$suite: $suite_passed passed, $suite_failed failed, $(($(date +%s) - began)) s"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]

#!/bin/sh
# Every test there is, in one go; the last line is the sum.
#
#   sh tests/run.sh [--only floors|format|tidy|unit|spec|examples|clang|integration|fuzz]
#                   [--long] [--broker 4.0|4.3]
#
# Missing packages are installed, herald is built with sanitizers into build-ci/, and private
# RabbitMQs run as long as they are needed. --long adds the release build in build/, the long
# integration tests against it, the long runs of unit tests, and all of them once more under
# valgrind, with the share of lines of core/ that they run, and fuzzes for some minutes.
# --broker runs the integration suite on another release's RabbitMQ (lib/rabbit.sh). A suite that
# crashes, or in which nothing ran, has failed; one that this machine cannot run is left out, with
# words, and counts as nothing. Nothing has a limit of length: what writes nothing for STANDSTILL
# seconds is ended.
set -eu
cd "$(dirname "$0")/.."
root=$PWD
python=/usr/bin/python3 # the one that Debian's python3-pika is for

suites='floors format tidy unit spec examples clang integration'
long=no

STANDSTILL=900

usage() {
    echo "usage: run.sh [--only floors|format|tidy|unit|spec|examples|clang|integration|fuzz] [--long]" \
        "[--broker 4.0|4.3]" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --long) long=yes ;;
    --broker)
        case ${2:-} in
        4.0 | 4.3) suites=integration RABBIT_BROKER=$2 ;;
        *) usage ;;
        esac
        export RABBIT_BROKER
        shift
        ;;
    --only)
        case ${2:-} in
        floors | format | tidy | unit | spec | examples | clang | integration | fuzz) suites=$2 ;;
        *) usage ;;
        esac
        shift
        ;;
    *) usage ;;
    esac
    shift
done

# A leak or a bad access must end the program that has it, wherever that runs. What was freed is
# kept back for a while; with the 256 MiB that are usual every process would touch that much.
ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:quarantine_size_mb=16
UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export ASAN_OPTIONS UBSAN_OPTIONS

passed=0
failed=0
work=$(mktemp -d)
child=''   # process group of what is running
guard=''   # who looks whether it stands still
workers='' # those that run unit tests

end_child() {
    [ -z "$guard" ] || kill -TERM "$guard" 2>/dev/null || :
    guard=
    [ -n "$child" ] || return 0
    kill -TERM "-$child" 2>/dev/null || :
    wait "$child" 2>/dev/null || :
    kill -KILL "-$child" 2>/dev/null || :
    child=
}

end_workers() {
    for worker in $workers; do
        kill -TERM "$worker" 2>/dev/null || :
        wait "$worker" 2>/dev/null || :
    done
    workers=
}

# A run.py that was killed leaves its brokers behind.
clean_up() {
    end_workers
    end_child
    for env in "$work"/*/*/env; do
        [ ! -f "$env" ] || sh tests/lib/rabbit.sh kill "${env%/env}" || :
    done
    rm -rf "$work"
}
end_by_signal() {
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
}
end_by_signal
trap clean_up EXIT

# --- running and counting --------------------------------------------------------------------

# Ends process group $1 once nothing was written to log $2 for too long.
look_after() {
    still=0 size=0
    while [ "$still" -lt "$STANDSTILL" ]; do
        sleep 5
        still=$((still + 5))
        now=$(wc -c <"$2")
        [ "$now" -eq "$size" ] || still=0
        size=$now
    done
    echo "run.sh: ended, as it wrote nothing for $STANDSTILL seconds" >>"$2"
    kill -TERM "-$1"
    sleep 60
    kill -KILL "-$1"
}

# run LOG COMMAND...: in a process group of its own, of which nothing is left after it.
run() {
    log=$1
    shift
    setsid "$@" >"$log" 2>&1 </dev/null &
    child=$!
    look_after "$child" "$log" >/dev/null 2>&1 &
    guard=$!
    status=0
    wait "$child" || status=$?
    kill -TERM "$guard" 2>/dev/null || :
    wait "$guard" 2>/dev/null || :
    kill -KILL "-$child" 2>/dev/null || :
    child= guard=
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
    run "$work/build.log" cmake --preset "$1" &&
        run "$work/build.log" cmake --build "$2" -j "$(nproc)" ${3:+--target "$3"}
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
    run "$work/log" sh tests/floors.sh || status=$?
    judge_last_line floors "$work/log" "$status"
}

# Each version of these wants something else, so what is checked is what one of them wants.
CLANG_VERSION=14

# find_tool NAME: as $tool
find_tool() {
    for tool in "$1-$CLANG_VERSION" "$1"; do
        case $("$tool" --version 2>/dev/null) in
        *"version $CLANG_VERSION."*) return 0 ;;
        esac
    done
    left_out="needs $1 $CLANG_VERSION, which is not on this machine"
    return 1
}

suite_format() {
    find_tool clang-format || return 0
    for folder in core include tests examples; do
        [ -d "$folder" ] || continue
        find "$folder" -type f \( -name '*.c' -o -name '*.h' \)
    done >"$work/sources"
    status=0
    run "$work/log" "$tool" --dry-run -Werror --files="$work/sources" || status=$?
    judge_sources clang-format "$status"
}

# What .clang-tidy asks of each file of core/.
suite_tidy() {
    find_tool clang-tidy || return 0
    need_ci_build || return 0
    find core -name '*.c' >"$work/sources"
    status=0
    run "$work/log" xargs -a "$work/sources" -P "$(nproc)" -n 8 "$tool" -p build-ci --quiet ||
        status=$?
    judge_sources clang-tidy "$status"
}

# judge_sources NAME STATUS: by the files that $work/log finds fault with
judge_sources() {
    grep -E '^[^ :]+:[0-9]+:[0-9]+: error: ' "$work/log" >"$work/unsorted" || :
    cut -d: -f1 "$work/unsorted" >"$work/names"
    sort -u "$work/names" >"$work/bad"
    bad=$(wc -l <"$work/bad")
    judge "$1" "$work/log" "$2" "$(($(wc -l <"$work/sources") - bad))" "$bad"
}

# Two at a time or more, each with a log and an exit code of its own; they are judged afterwards,
# in order of their names. Those of which there is a long form are long already, and begin first.
suite_unit() {
    need_ci_build || return 0
    [ "$long" = no ] || {
        status=0
        build coverage build-coverage || status=$?
        check "the build for coverage" "$work/build.log" "$status"
    }
    find build-ci/tests/unit -maxdepth 1 -type f -perm -u+x >"$work/unsorted"
    sort "$work/unsorted" | while read -r program; do
        name=${program##*/}
        source="tests/unit/${name%%_*}/${name#*_}.c"
        # An old build folder may hold programs whose test is gone.
        [ -f "$source" ] || continue
        echo "$name"
        [ "$long" = yes ] || continue
        if grep -q HERALD_LONG "$source"; then
            echo "$name.long"
            echo "$name.counted" # valgrind would need hours for it
        else
            echo "$name.memcheck"
        fi
    done >"$work/units"
    while read -r name; do
        program=${name%%.*}
        ! grep -q HERALD_LONG "tests/unit/${program%%_*}/${program#*_}.c" || echo "$name"
    done <"$work/units" >"$work/long"
    grep -vxFf "$work/long" "$work/units" >"$work/short" || :
    cat "$work/long" "$work/short" >"$work/todo"
    mkdir -p "$work/unit"
    for worker in $(seq "$(nproc)"); do
        run_units &
        workers="$workers $!"
    done
    for worker in $workers; do
        wait "$worker" || :
    done
    workers=
    while read -r name; do
        status=$(cat "$work/unit/$name.status" 2>/dev/null) || status=127
        log=$work/unit/$name.log
        judge "$name" "$log" "$status" "$(cmocka_count PASSED "$log")" \
            "$(cmocka_count FAILED "$log")"
    done <"$work/units"
    [ "$long" = no ] || show_coverage
}

# Lines of core/ that the unit tests run: a figure, not a verdict.
show_coverage() {
    run "$work/log" gcovr --root . --filter core/ --print-summary build-coverage || :
    sed -n 's/^lines: /run.sh: lines of core that unit tests run: /p' "$work/log"
}

# Takes what nobody has taken yet. The folder's name is the claim.
run_units() {
    end_by_signal
    trap end_child EXIT
    while read -r name; do
        mkdir "$work/unit/$name" 2>/dev/null || continue
        program=tests/unit/${name%%.*}
        case $name in
        *.long) set -- env HERALD_LONG=1 "build-ci/$program" ;;
        *.counted) set -- "build-coverage/$program" ;;
        *.memcheck)
            set -- valgrind --quiet --error-exitcode=99 --leak-check=full \
                --errors-for-leak-kinds=definite,indirect "build-coverage/$program"
            ;;
        *) set -- "build-ci/$program" ;;
        esac
        status=0
        run "$work/unit/$name.log" "$@" || status=$?
        echo "$status" >"$work/unit/$name.status"
    done <"$work/todo"
}

# Sums lines such as "[  PASSED  ] 7 test(s)."; a program may hold several groups.
cmocka_count() { # WORD LOG
    awk -v word="$1" '
        $1 == "[" && $2 == word && $3 == "]" && $4 ~ /^[0-9]+$/ && $5 ~ /^test\(s\)/ { n += $4 }
        END { print n + 0 }' "$2"
}

suite_spec() {
    need_ci_build || return 0
    status=0
    run "$work/log" build-ci/tests/specs --output=plainTerminal tests/spec || status=$?
    judge_busted specs "$status"
}

# The examples' own specs, run as their users run them, and judged by herald check.
suite_examples() {
    need_ci_build || return 0
    for settings in examples/*/herald.lua examples/*/*/herald.lua; do
        folder=${settings%/herald.lua}
        status=0
        run "$work/log" build-ci/herald -C "$folder" check || status=$?
        check "herald check in $folder" "$work/log" "$status"
        status=0
        run "$work/log" build-ci/herald -C "$folder" test --output=plainTerminal || status=$?
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

# What gcc lets pass another compiler may not. It builds the tests, too, where there is time.
suite_clang() {
    status=0
    target=herald
    [ "$long" = no ] || target=all
    build ci-clang build-clang "$target" || status=$?
    check "the build with clang" "$work/build.log" "$status"
}

# A minute for each reader of other people's bytes; more is `sh tests/fuzz/run.sh SECONDS`.
suite_fuzz() {
    status=0
    run "$work/log" sh tests/fuzz/run.sh || status=$?
    judge_last_line fuzz "$work/log" "$status"
}

suite_integration() {
    need_ci_build || return 0
    integration "$root/build-ci/herald"
    [ "$long" = yes ] || return 0
    status=0
    build release build herald || status=$?
    check "the release build" "$work/build.log" "$status"
    [ "$status" -ne 0 ] || integration "$root/build/herald" --long
}

integration() { # HERALD [OPTION]
    herald=$1
    shift
    status=0
    run "$work/log" env HERALD="$herald" TMPDIR="$work" "$python" tests/integration/run.py "$@" ||
        status=$?
    judge_last_line integration "$work/log" "$status"
    sed -n 's/^skipped /run.sh: left out:/p' "$work/log"
}

# --- all of them -----------------------------------------------------------------------------

if [ "$long" = yes ]; then
    sh tests/lib/packages.sh build test long
    case $suites in *' '*) suites="$suites fuzz" ;; esac
else
    sh tests/lib/packages.sh build test
fi
for suite in $suites; do
    suite_passed=0
    suite_failed=0
    left_out=''
    began=$(date +%s)
    echo "== $suite"
    "suite_$suite"
    [ -z "$left_out" ] || {
        echo "$suite: left out: $left_out"
        continue
    }
    if [ $((suite_passed + suite_failed)) -eq 0 ]; then
        echo "run.sh: nothing ran"
        suite_failed=1
    fi
    passed=$((passed + suite_passed))
    failed=$((failed + suite_failed))
    echo "$suite: $suite_passed passed, $suite_failed failed, $(($(date +%s) - began)) s"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]

#!/bin/sh
# The README's two commands on another release of Debian, as on a fresh machine. Root only.
#
#   sh tests/elsewhere.sh SUITE [DIR] [--only quickstart|SUITE OF tests/run.sh] [--long]
#
# SUITE is trixie, sid, ...: debootstrap makes its root (some 3 GiB) in DIR, which is kept and
# used again when it is there, or in a folder of its own that is removed at the end. What is
# tried is the committed tree; its scripts install what they need. The last lines say which of
# the commands went well, and with which versions; exit code 0 when all did.
set -eu
cd "$(dirname "$0")/.."

usage() {
    echo "usage: elsewhere.sh trixie|sid|... [DIR] [--only quickstart|SUITE] [--long]" >&2
    exit 2
}

root_sh() { # VERB...: in a process group of its own, so that a signal ends all of it
    setsid sh tests/lib/root.sh "$@" </dev/null &
    child=$!
    status=0
    wait "$child" || status=$?
    child=
    return "$status"
}

child=
made= # a folder of our own

tidy() {
    if [ -n "$child" ]; then
        kill -TERM "-$child" 2>/dev/null || :
        sleep 1
        kill -KILL "-$child" 2>/dev/null || :
        wait "$child" 2>/dev/null || :
    fi
    [ -z "$made" ] || sh tests/lib/root.sh remove "$made"
}

[ $# -ge 1 ] || usage
suite=$1
shift
case $suite in -* | '') usage ;; esac
case ${1:-} in
-* | '') dir='' ;;
*)
    dir=$1
    shift
    ;;
esac
quickstart=yes tests=yes
case "${1:-} ${2:-}" in
'--only quickstart') tests=no ;;
--only*) quickstart=no ;;
esac

trap tidy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
[ -n "$dir" ] || {
    made=$(mktemp -d "${TMPDIR:-/tmp}/herald-$suite.XXXXXX")
    dir=$made
}

root_sh make "$suite" "$dir"
rm -rf "$dir/root/herald"
mkdir -p "$dir/root/herald"
git archive --format=tar HEAD | tar -x -C "$dir/root/herald"

said=
failed=0
try() { # COMMAND...
    echo "elsewhere.sh: $suite: $*"
    if root_sh run "$dir" sh -c 'cd /root/herald && exec "$@"' sh "$@"; then
        said="$said
elsewhere.sh: $suite: well: $*"
    else
        said="$said
elsewhere.sh: $suite: FAILED: $*"
        failed=1
    fi
}

[ "$quickstart" = no ] || try sh examples/quickstart.sh
[ "$tests" = no ] || try sh tests/run.sh "$@"
root_sh run "$dir" dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' gcc clang cmake \
    liblua5.4-dev librabbitmq-dev libsqlite3-dev libuv1-dev libyajl-dev rabbitmq-server \
    2>/dev/null | sed -n 's/^ii *//p' || :
echo "${said#?}"
exit "$failed"

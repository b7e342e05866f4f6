#!/bin/sh
# Real clients of other people send to herald, and read what it sends: both ways, each with one
# word in the rules. Root only; not part of tests/run.sh.
#
#   sh tests/interop/run.sh [HERALD]
#
# HERALD is the binary (build/herald by default). RABBIT_BROKER=4.0 or 4.3 takes another broker
# (tests/lib/rabbit.sh). Installs Debian's packages, and the npm packages of package.json in a
# folder of its own. Prints a table; exit code 0 when all went as expected.
set -eu
cd "$(dirname "$0")/../.."

herald=${1:-build/herald}
[ -x "$herald" ] || {
    echo "interop: no program $herald: build it, or name another one" >&2
    exit 2
}
herald=$(realpath "$herald")
sh tests/lib/packages.sh broker python3 python3-pika python3-celery ruby-bunny php-cli php-amqplib
command -v npm >/dev/null || sh tests/lib/packages.sh nodejs npm

work=$(mktemp -d)
tidy() {
    [ ! -d "$work/rabbit" ] || sh tests/lib/rabbit.sh stop "$work/rabbit" || :
    rm -rf "$work"
}
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo "interop: installing with npm: $(sed -n 's/^ *"\(.*\)": "[0-9.]*",*$/\1/p' \
    tests/interop/package.json | tr '\n' ' ')"
cp tests/interop/package.json "$work"
npm install --prefix "$work" --no-audit --no-fund --ignore-scripts >"$work/npm.log" 2>&1 || {
    tail -n 20 "$work/npm.log" >&2
    exit 1
}
sh tests/lib/rabbit.sh start "$work/rabbit" >"$work/rabbit.log" 2>&1 || {
    cat "$work/rabbit.log" >&2
    exit 1
}
. "$work/rabbit/env"
RABBIT_URL=$RABBIT_URL NODE_PATH=$work/node_modules HERALD=$herald WORK=$work \
    /usr/bin/python3 tests/interop/interop.py

#!/bin/sh
# Real clients of other people send to herald, and read what it sends: both ways, each with one
# word in the rules. Root only; not part of tests/run.sh.
#
#   sh tests/interop/run.sh [HERALD]
#
# HERALD is the binary (build/herald by default). RABBIT_BROKER=4.0 or 4.3 takes another broker
# (tests/lib/rabbit.sh). Installs Debian's packages, and the npm packages of package.json in a
# folder of its own, Node among them, since NestJS 11 wants a newer one than Debian 12 has. Prints
# what there is, and a table; exit code 0 when all went as expected.
set -eu
cd "$(dirname "$0")/../.."

herald=${1:-build/herald}
[ -x "$herald" ] || {
    echo "interop: no program $herald: build it, or name another one" >&2
    exit 2
}
herald=$(realpath "$herald")
clients="python3-pika python3-celery python3-kombu python3-aio-pika ruby-bunny php-amqplib
    php-symfony-amqp-messenger php-symfony-serializer php-symfony-property-access php-amqp php-xml
    librabbitmq-client-java libanyevent-rabbitmq-perl golang-github-rabbitmq-amqp091-go-dev"
sh tests/lib/packages.sh broker python3 php-cli golang-go default-jdk-headless $clients
command -v npm >/dev/null || sh tests/lib/packages.sh npm

work=$(mktemp -d)
tidy() {
    [ ! -d "$work/rabbit" ] || sh tests/lib/rabbit.sh stop "$work/rabbit" || :
    rm -rf "$work"
}
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Runs a command; what it says is read only when it fails.
quietly() {
    "$@" >"$work/log" 2>&1 || {
        tail -n 40 "$work/log" >&2
        exit 1
    }
}

cp tests/interop/package.json "$work"
quietly npm install --prefix "$work" --no-audit --no-fund --ignore-scripts
node=$(ls "$work"/node_modules/node-linux-*/bin/node) || {
    echo "interop: npm has no Node for this machine ($(uname -m)): package.json names what there is" >&2
    exit 1
}
quietly javac -cp /usr/share/java/amqp-client.jar -d "$work" tests/interop/Client.java
quietly env GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE="$work/go" \
    go build -o "$work/client-go" tests/interop/client.go
quietly sh tests/lib/rabbit.sh start "$work/rabbit"
. "$work/rabbit/env"

echo "interop: of Debian: $(dpkg-query -W -f '${Package} ${Version}, ' $clients)"
echo "interop: of npm, under Node $("$node" --version): $(sed -n \
    's/^ *"\(.*\)": "\([0-9.]*\)",*$/\1 \2,/p' tests/interop/package.json | tr '\n' ' ')"
echo "interop: $("$herald" --version), RabbitMQ $(sh tests/lib/rabbit.sh ctl "$work/rabbit" version)"
RABBIT_URL=$RABBIT_URL NODE_PATH=$work/node_modules NODE=$node HERALD=$herald WORK=$work \
    /usr/bin/python3 tests/interop/interop.py

#!/bin/sh
# Measures herald against what rabbitmq-c alone does on the same broker in the same minutes.
#
#   sh tests/bench/run.sh [--json] [--messages N] [--rounds N] [--bare] [--against HERALD]
#                           [--tls]
#
# drain    herald publishes N outbox rows               bare: bare_publish, window 1000
# handle   herald handles N messages, one insert each   bare: bare_consume, which does nothing
# latency  from the commit in another process to the    bare: from a plain publish to the
#          arrival at a consumer, 200 times                   arrival at the same consumer
#
# Messages are 256 bytes, persistent, mandatory, confirmed, on quorum queues of a private
# RabbitMQ. Rounds alternate, since a machine's speed drifts; only the ratio of one round means
# much. --bare measures the yardstick alone; HERALD names a binary to measure instead of a build;
# --against names one of another build, which drains and handles in the same rounds. With --tls herald
# drains and handles over TLS, too, in the same rounds. How long
# others wait while something never ends is measured by fairness.py.
set -eu
cd "$(dirname "$0")/../.."
bench=tests/bench
herald=${HERALD:-$PWD/build/herald}
python=/usr/bin/python3 # the one that Debian's python3-pika is for

messages=100000
rounds=3
latencies=200
json=
with_herald=yes
with_tls=
against=

usage() {
    echo "usage: run.sh [--json] [--messages N] [--rounds N] [--bare] [--against HERALD] [--tls]" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --json) json=--json ;;
    --bare) with_herald=no ;;
    --tls) with_tls=yes ;;
    --against)
        [ $# -ge 2 ] && [ -x "$2" ] || usage
        against=$2
        shift
        ;;
    --messages | --rounds)
        [ $# -ge 2 ] || usage
        case $2 in '' | *[!0-9]* | 0) usage ;; esac
        if [ "$1" = --messages ]; then messages=$2; else rounds=$2; fi
        shift
        ;;
    *) usage ;;
    esac
    shift
done

work=$(mktemp -d)
child='' # the program that is being waited for
router='' # a herald in the background

clean_up() {
    for pid in $child $router; do kill "$pid" 2>/dev/null || :; done
    for pid in $child $router; do wait "$pid" 2>/dev/null || :; done
    [ ! -f "$work/rabbit/env" ] || sh tests/lib/rabbit.sh kill "$work/rabbit" || :
    rm -rf "$work"
}
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP
trap clean_up EXIT

say() {
    echo "$*" >&2
}

# Waits for a program in the background, so that a signal is heard at once.
run() {
    "$@" &
    child=$!
    status=0
    wait "$child" || status=$?
    child=
    return "$status"
}

quietly() {
    run "$@" >"$work/output" 2>&1 || {
        cat "$work/output" >&2
        say "run.sh: failed: $*"
        exit 1
    }
}

# note ROUND MEASURE WHO COMMAND...: the command's figures become a line of the report.
note() {
    prefix="round=$1 measure=$2 who=$3"
    shift 3
    run "$@" >"$work/figures" || {
        say "run.sh: failed: $prefix: $*"
        [ ! -f "$work/router.log" ] || tail -n 20 "$work/router.log" >&2
        exit 1
    }
    read -r line <"$work/figures"
    echo "$prefix $line" | tee -a "$work/results" >&2
}

# --- the yardstick ---------------------------------------------------------------------------

build() {
    say "building into build/"
    mkdir -p build/bench
    flags="-std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Icore"
    for program in bare_publish bare_consume; do
        quietly cc $flags -o "build/bench/$program" "$bench/$program.c" "$bench/bare.c" -lrabbitmq
    done
    [ "$with_herald" = yes ] && [ -z "${HERALD:-}" ] || return 0
    quietly cmake -S . -B build -DCMAKE_BUILD_TYPE=Release -DHERALD_TESTS=OFF
    quietly cmake --build build -j2
}

declare_queue() {
    quietly "$python" "$bench/bench.py" declare "$RABBIT_URL" "$1"
}

# Always run in the background: with exec a signal reaches the program itself.
publish_bare() {
    exec build/bench/bare_publish --prefix "$1" "$RABBIT_URL" "$2" "$messages"
}

# One that has signed itself, and so is its own authority.
make_certificate() {
    mkdir "$work/tls"
    quietly openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
        -subj /CN=bench -addext subjectAltName=IP:127.0.0.1 -keyout "$work/tls/key.pem" \
        -out "$work/tls/cert.pem"
    cp "$work/tls/cert.pem" "$work/tls/ca.pem"
    export RABBIT_TLS="$work/tls"
}

# --- routers ---------------------------------------------------------------------------------

# make_router DIR; the rules come from standard input.
make_router() {
    mkdir -p "$1/rules" "$1/migrations"
    echo "return { store = \"herald.db\", $connection }" >"$1/herald.lua"
    cat >"$1/rules/bench.lua"
    echo 'create table seen (id integer primary key, business_key1 text not null);' \
        >"$1/migrations/001_seen.sql"
    quietly "$herald" -C "$1" --broker embedded run --until-idle
}

make_publishing_router() {
    make_router "$1" <<END
local herald = require "herald"
herald.route { type = "bench", to = herald.fanout "$2" }
END
}

make_handling_router() {
    make_router "$1" <<END
local herald = require "herald"
herald.subscribe {
  queue = "$2", from = herald.fanout "$2", queue_type = "quorum", prefetch = 1000,
}
herald.on("bench", "60201", function(msg, tx)
  tx:exec("insert into seen(business_key1) values (?)", msg.business_key1)
end)
END
}

# The rows a producer would have committed while herald was down: the bare publisher's bodies.
fill_outbox() {
    cat >"$work/fill.sql" <<END
pragma synchronous = full;
pragma wal_autocheckpoint = 0;
with recursive n(i) as (select 1 union all select i + 1 from n where i < $messages),
     open(i, head) as (select i, '{"businessKey1":"' || i || '","businessKey2":"60201","id":' || i
                                 || ',"messageType":"bench","pad":"' from n)
insert into herald_outbox(type, business_key1, business_key2, body)
select 'bench', i, '60201', head || printf('%.*c', 256 - length(head) - 2, 'x') || '"}' from open;
END
    quietly sqlite3 -bail "$1/herald.db" ".read $work/fill.sql"
}

start_router() {
    dir=$1
    shift
    "$herald" -C "$dir" run "$@" >"$work/router.log" 2>&1 &
    router=$!
}

# The router ends by itself (--until-idle), or is told to.
end_router() {
    [ $# -eq 0 ] || kill "-$1" "$router" 2>/dev/null || :
    status=0
    wait "$router" || status=$?
    router=
    [ "$status" -eq 0 ] || {
        tail -n 20 "$work/router.log" >&2
        say "run.sh: herald ended with exit code $status"
        exit 1
    }
}

# --- the three measures ----------------------------------------------------------------------

measure_drain() {
    declare_queue drain
    note "$1" drain bare publish_bare "drain-$1" drain
    [ "$with_herald" = yes ] || return 0
    drain_with "$1" herald
    [ -z "$against" ] || as_the_other drain_with "$1" against
    [ -z "$with_tls" ] || over_tls drain_with "$1" tls
}

# The same over TLS.
over_tls() {
    plain=$connection
    connection="broker = \"$tls_url\", tls = { ca = \"$work/tls/ca.pem\" }"
    "$@"
    connection=$plain
}

# The same with the other binary.
as_the_other() {
    ours=$herald
    herald=$against
    "$@"
    herald=$ours
}

drain_with() {
    dir=$work/drain.$1.$2
    declare_queue drain
    make_publishing_router "$dir" drain
    fill_outbox "$dir"
    start_router "$dir" --until-idle
    note "$1" drain "$2" "$python" "$bench/bench.py" drain "$dir/herald.db" "$router" \
        "$work/router.log" "$messages"
    end_router
    quietly "$python" "$bench/bench.py" expect "$RABBIT_URL" drain "$messages"
}

measure_handle() {
    declare_queue handle
    quietly publish_bare "handle-$1-a" handle
    note "$1" handle bare build/bench/bare_consume "$RABBIT_URL" handle "$messages"
    [ "$with_herald" = yes ] || return 0
    handle_with "$1" herald
    [ -z "$against" ] || as_the_other handle_with "$1" against
    [ -z "$with_tls" ] || consume_bare_over_tls "$1"
    [ -z "$with_tls" ] || over_tls handle_with "$1" tls
}

# What the broker gives over TLS to whoever does nothing with it.
consume_bare_over_tls() {
    declare_queue handle
    quietly publish_bare "handle-$1-c" handle
    note "$1" handle bare_tls build/bench/bare_consume "$tls_url" handle "$messages"
}

handle_with() {
    dir=$work/handle.$1.$2
    declare_queue handle
    make_handling_router "$dir" handle
    quietly publish_bare "handle-$1-$2" handle
    start_router "$dir" --until-idle
    note "$1" handle "$2" "$python" "$bench/bench.py" handle "$dir/herald.db" "$router" \
        "$work/router.log" "$messages"
    end_router
    quietly "$python" "$bench/bench.py" expect "$RABBIT_URL" handle 0
}

measure_latency() {
    declare_queue latency
    note "$1" latency bare "$python" "$bench/bench.py" latency "$RABBIT_URL" latency "$latencies"
    [ "$with_herald" = yes ] || return 0
    declare_queue latency
    make_publishing_router "$work/latency.$1" latency
    start_router "$work/latency.$1"
    note "$1" latency herald "$python" "$bench/bench.py" latency "$RABBIT_URL" latency \
        "$latencies" "$work/latency.$1/herald.db"
    end_router TERM
}

build
say "starting a private RabbitMQ"
[ -z "$with_tls" ] || make_certificate
quietly sh tests/lib/rabbit.sh start "$work/rabbit"
. "$work/rabbit/env"
connection="broker = \"$RABBIT_URL\"" # of herald.lua
tls_url=amqps://guest:guest@127.0.0.1:${RABBIT_TLS_PORT:-}/
round=1
while [ "$round" -le "$rounds" ]; do
    measure_drain "$round"
    measure_handle "$round"
    measure_latency "$round"
    round=$((round + 1))
done
"$python" "$bench/bench.py" report $json "$work/results"

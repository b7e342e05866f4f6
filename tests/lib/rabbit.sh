#!/bin/sh
# A private RabbitMQ node on loopback: ports, data, cookie and epmd of its own.
#
#   sh tests/lib/rabbit.sh start DIR        start a node that lives in DIR and print its URL
#   sh tests/lib/rabbit.sh stop DIR         end it in good order
#   sh tests/lib/rabbit.sh kill DIR         kill -9, as if the machine had lost it
#   sh tests/lib/rabbit.sh restart DIR      start it again on the same ports and data
#   sh tests/lib/rabbit.sh ctl DIR ARG...   run rabbitmqctl against it
#   sh tests/lib/rabbit.sh plugins DIR ARG...           and rabbitmq-plugins
#
# DIR/env holds what a caller may want, as sh assignments: RABBIT_URL, RABBIT_PORT, RABBIT_PID
# (the Erlang machine, leader of its process group), RABBIT_NODE, RABBIT_EPMD_PORT, RABBIT_DIST_PORT.
# DIR/console and DIR/log say what the node said. RABBIT_BIN names another installation's scripts.
#
# RABBIT_PEER=DIR makes the node that starts a member of the cluster of the one in that folder,
# which must run longer, since its epmd serves both.
#
# RABBIT_TLS=FOLDER gives it a listener with TLS, too, with the files ca.pem, cert.pem and key.pem of
# that folder, and with the settings of its file rabbitmq.conf, where there is one: RABBIT_TLS_PORT.
# A node of another release sees what lies in DIR alone.
#
# RABBIT_BROKER=4.0 or 4.3 starts the one of another release of Debian, in a root of its own
# (root.sh). It is made once, in the folder that HERALD_ROOTS names, which takes some minutes.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
BIN=${RABBIT_BIN:-/usr/lib/rabbitmq/bin}
ROOTS=${HERALD_ROOTS:-/var/cache/herald-roots}
START_SECONDS=300 # a loaded machine needs some of it, an idle one about five

usage() {
    echo "usage: rabbit.sh start|stop|kill|restart|ctl|plugins DIR [ARG...]" >&2
    exit 2
}

fail() {
    echo "rabbit.sh: $*" >&2
    exit 1
}

# --- processes -------------------------------------------------------------------------------

# Sets `found` to what lives of the node. Its helpers make sessions of their own, and a number
# proves nothing after a reboot, so what counts is whose environment a process carries.
find_members() {
    found=
    for file in $(grep -lFzxs "RABBITMQ_MNESIA_BASE=$dir/data" /proc/[0-9]*/environ || :); do
        pid=${file#/proc/}
        found="$found ${pid%/environ}"
    done
}

# A process that is just being replaced by another program (exec) shows no environment for a
# moment, so only the third look in vain counts.
beam_lives() {
    for look in 1 2 3; do
        find_members
        case " $found " in *" $RABBIT_PID "*) return 0 ;; esac
        [ "$look" -eq 3 ] || sleep 0.1
    done
    return 1
}

kill_members() {
    tenths=100
    while find_members; [ -n "$found" ]; do
        kill -9 $found 2>/dev/null || :
        [ "$tenths" -gt 0 ] || fail "processes of the node do not end:$found"
        tenths=$((tenths - 1))
        sleep 0.1
    done
}

# --- ports -----------------------------------------------------------------------------------

listening() {
    hex=$(printf '%04X' "$1")
    grep -Eqs "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6
}

# Sets `port` to a free one below the range that the kernel hands out by itself.
pick_port() {
    while :; do
        port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000))
        case " ${RABBIT_PORT:-} ${RABBIT_EPMD_PORT:-} ${RABBIT_DIST_PORT:-} " in *" $port "*) continue ;; esac
        listening "$port" || return 0
    done
}

# --- another release's broker ----------------------------------------------------------------

# Which release has it. "sid" moves on: what is in it by then is looked at.
suite_of() {
    case $1 in
    4.0) echo trixie ;;
    4.3) echo sid ;;
    *) fail "no release is known that has RabbitMQ $1: 4.0 and 4.3 are" ;;
    esac
}

# Sets RABBIT_ROOT, the folder in which the node's programs are; empty for this machine's own.
find_root() {
    RABBIT_ROOT=''
    [ -n "${RABBIT_BROKER:-}" ] || return 0
    suite=$(suite_of "$RABBIT_BROKER")
    mkdir -p "$ROOTS"
    RABBIT_ROOT=$(cd "$ROOTS" && pwd)/rabbitmq-$RABBIT_BROKER
    # Two that want it at the same time make it once.
    flock "$RABBIT_ROOT.lock" sh "$here/root.sh" make "$suite" "$RABBIT_ROOT" rabbitmq-server >&2
    there=$(chroot "$RABBIT_ROOT" dpkg-query -W -f '${Version}' rabbitmq-server)
    case $there in
    "$RABBIT_BROKER".*) ;;
    *) fail "$suite has RabbitMQ $there, not $RABBIT_BROKER" ;;
    esac
}

# --- the node --------------------------------------------------------------------------------

# The node's processes are the machine's own, in another root: they are seen and ended from here.
in_root() {
    if [ -z "$RABBIT_ROOT" ]; then
        "$@"
    else
        sh "$here/root.sh" enter --share "$dir" "$RABBIT_ROOT" "$@"
    fi
}

# Runs a command with the node's environment and nothing of the caller's.
as_node() {
    in_root env -i PATH="$BIN:/usr/sbin:/usr/bin:/sbin:/bin" HOME="$dir" LC_ALL=C.UTF-8 \
        ERL_EPMD_PORT="$RABBIT_EPMD_PORT" ERL_EPMD_ADDRESS=127.0.0.1 \
        ERL_CRASH_DUMP="$dir/crash.dump" ERL_CRASH_DUMP_SECONDS=0 \
        RABBITMQ_NODENAME="$RABBIT_NODE" RABBITMQ_DIST_PORT="$RABBIT_DIST_PORT" \
        RABBITMQ_CONF_ENV_FILE="$dir/no-env.conf" RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf" \
        RABBITMQ_ADVANCED_CONFIG_FILE="$dir/no-advanced.config" \
        RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins" RABBITMQ_PID_FILE="$dir/pid" \
        RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_LOG_BASE="$dir/log" \
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="-kernel inet_dist_use_interface {127,0,0,1}" \
        RABBITMQ_ALLOW_INPUT=1 RABBITMQ_SERVER_START_ARGS=-noinput "$@"
}

load_env() {
    RABBIT_ROOT=''
    RABBIT_TLS=''
    [ -f "$dir/env" ] || fail "no node was ever started in $dir"
    . "$dir/env"
}

quoted() {
    printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"
}

save_env() {
    {
        echo "RABBIT_URL=amqp://guest:guest@127.0.0.1:$RABBIT_PORT/"
        echo "RABBIT_PORT=$RABBIT_PORT"
        echo "RABBIT_PID=$RABBIT_PID"
        echo "RABBIT_NODE=$RABBIT_NODE"
        echo "RABBIT_EPMD_PORT=$RABBIT_EPMD_PORT"
        echo "RABBIT_DIST_PORT=$RABBIT_DIST_PORT"
        [ -z "${RABBIT_TLS:-}" ] || {
            echo "RABBIT_TLS_PORT=$RABBIT_TLS_PORT"
            printf 'RABBIT_TLS=%s\n' "$(quoted "$RABBIT_TLS")"
        }
        printf 'RABBIT_DIR=%s\n' "$(quoted "$dir")"
        printf 'RABBIT_ROOT=%s\n' "$(quoted "$RABBIT_ROOT")"
    } >"$dir/env.new"
    mv "$dir/env.new" "$dir/env"
}

# What the peer's env says of a name.
peer() {
    sed -n "s/^$1=//p" "$RABBIT_PEER/env"
}

# Members of a cluster know each other by a secret.
share_cookie() {
    [ -n "${RABBIT_PEER:-}" ] || return 0
    cp -p "$RABBIT_PEER/.erlang.cookie" "$dir/.erlang.cookie"
}

join_peer() {
    [ -n "${RABBIT_PEER:-}" ] || return 0
    for step in stop_app "join_cluster $(peer RABBIT_NODE)" start_app; do
        as_node rabbitmqctl -q $step >>"$dir/console" 2>&1 || return 1
    done
}

choose_ports() {
    RABBIT_PORT=''
    RABBIT_EPMD_PORT=''
    RABBIT_DIST_PORT=''
    pick_port && RABBIT_PORT=$port
    pick_port && RABBIT_EPMD_PORT=$port
    pick_port && RABBIT_DIST_PORT=$port
    pick_port && RABBIT_TLS_PORT=$port
    [ -z "${RABBIT_PEER:-}" ] || RABBIT_EPMD_PORT=$(peer RABBIT_EPMD_PORT)
    RABBIT_NODE=herald-$RABBIT_PORT@localhost
}

configure() {
    mkdir -p "$dir/data" "$dir/log"
    printf '[].\n' >"$dir/plugins"
    cat >"$dir/rabbitmq.conf" <<END
listeners.tcp.1 = 127.0.0.1:$RABBIT_PORT
loopback_users = none
log.file.level = warning
END
    [ -z "${RABBIT_TLS:-}" ] || configure_tls
}

configure_tls() {
    cat >>"$dir/rabbitmq.conf" <<END
listeners.ssl.1 = 127.0.0.1:$RABBIT_TLS_PORT
ssl_options.cacertfile = $RABBIT_TLS/ca.pem
ssl_options.certfile = $RABBIT_TLS/cert.pem
ssl_options.keyfile = $RABBIT_TLS/key.pem
END
    [ ! -f "$RABBIT_TLS/rabbitmq.conf" ] || cat "$RABBIT_TLS/rabbitmq.conf" >>"$dir/rabbitmq.conf"
}

# The node must outlive this script and hold nothing of its caller's: a session of its own,
# no terminal, no inherited pipe. epmd comes first: one that the node had to start would
# listen wherever it likes.
launch() {
    (
        # An unlimited number of files makes both programs walk through millions of them.
        case $(ulimit -n) in
        unlimited | ??????*) ulimit -n 65536 ;;
        esac
        rm -f "$dir/session"
        as_node setsid --fork sh -c '
            echo $$ >"$HOME/session.new" && mv "$HOME/session.new" "$HOME/session"
            epmd -address 127.0.0.1 &
            until timeout 2 epmd -names >/dev/null 2>&1; do
                kill -0 $! 2>/dev/null || {
                    echo "epmd ended at once (eaddrinuse?)"
                    exit 1
                }
                sleep 0.05
            done
            exec rabbitmq-server'
    ) </dev/null >>"$dir/console" 2>&1 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-
    until [ -f "$dir/session" ]; do sleep 0.01; done
    read -r RABBIT_PID <"$dir/session"
    save_env
}

still_starting() {
    beam_lives && [ "$(date +%s)" -lt "$deadline" ]
}

# A port that listens may be somebody else's, and is not yet a broker whose queues are open:
# the node itself must say so.
wait_up() {
    deadline=$(($(date +%s) + START_SECONDS))
    until listening "$RABBIT_PORT"; do
        still_starting || return 1
        sleep 0.1
    done
    until as_node rabbitmqctl -q await_startup --timeout "$START_SECONDS" >>"$dir/console" 2>&1; do
        still_starting || return 1
        sleep 0.2
    done
    beam_lives
}

show_console() {
    echo "rabbit.sh: the node did not start; the end of $dir/console and its log:" >&2
    tail -n 40 "$dir/console" "$dir"/log/*.log >&2 2>/dev/null || :
}

# Leaves no half-started node behind, whatever ends this script.
guard() {
    trap 'kill_members; exit 130' INT
    trap 'kill_members; exit 143' TERM
    trap 'kill_members; exit 129' HUP
    trap 'kill_members' EXIT
}

boot() {
    guard
    configure
    share_cookie
    : >"$dir/console"
    launch
    wait_up || return 1
    [ "$verb" != start ] || join_peer || return 1
    trap - INT TERM HUP EXIT
    echo "amqp://guest:guest@127.0.0.1:$RABBIT_PORT/"
}

start() {
    mkdir -p "$dir"
    dir=$(cd "$dir" && pwd)
    [ -z "${RABBIT_TLS:-}" ] || RABBIT_TLS=$(cd "$RABBIT_TLS" && pwd)
    # The broker's own scripts split such a path.
    case $dir in *[[:space:]]*) fail "the path of the folder must have no space: $dir" ;; esac
    find_members
    [ -z "$found" ] || fail "a node is running in $dir already (stop it first)"
    # Somebody else may take a port between the look and the listen.
    for attempt in 1 2 3; do
        choose_ports
        ! boot || return 0
        kill_members
        grep -Eqs 'eaddrinuse|port_already_used' "$dir/console" "$dir"/log/*.log || break
        echo "rabbit.sh: a port was taken meanwhile (attempt $attempt), others are tried" >&2
        rm -rf "$dir/data" "$dir/log"
    done
    show_console
    exit 1
}

stop() {
    # The broker takes SIGTERM as an orderly stop; epmd must outlive it.
    ! beam_lives || kill -TERM "$RABBIT_PID" 2>/dev/null || :
    tenths=200
    while beam_lives && [ "$tenths" -gt 0 ]; do
        tenths=$((tenths - 1))
        sleep 0.1
    done
    kill_members
}

[ $# -ge 2 ] || usage
verb=$1
dir=$2
shift 2
case $verb in
start) find_root ;;
stop | kill | restart | ctl | plugins)
    load_env
    dir=$RABBIT_DIR
    ;;
*) usage ;;
esac
[ -x "$RABBIT_ROOT$BIN/rabbitmq-server" ] ||
    fail "no $RABBIT_ROOT$BIN/rabbitmq-server: install Debian's package rabbitmq-server, or set" \
        "RABBIT_BIN"
case $verb in
start) start ;;
stop) stop ;;
kill) kill_members ;;
restart)
    stop
    boot || {
        show_console
        exit 1
    }
    ;;
ctl | plugins)
    # Without a node the tool would start an epmd of its own and leave it behind.
    beam_lives || fail "the node in $dir is down"
    [ "$verb" = ctl ] && tool=rabbitmqctl || tool=rabbitmq-plugins
    as_node "$tool" -q "$@"
    ;;
esac

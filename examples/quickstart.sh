#!/bin/sh
# From a paid order to an enrolled course, told while it happens.
#
#   sh examples/quickstart.sh               on the embedded broker: no server is needed
#   sh examples/quickstart.sh --rabbitmq    two services, over a private RabbitMQ on loopback
#
# Installs the Debian packages that are missing, builds herald in build/, plays in
# build/quickstart (wiped at each start), and checks every step against the database.
# Exit code: 0 when all of it happened, 1 when a step is missing, 2 for bad usage.
set -eu

CHOICE=1624350000000000001
ORDER=1624350000000000002
PAY_NO=1624350000000000003
QUEUE=paynotify_queue
PATIENCE_SECONDS=30

usage() {
    echo "usage: sh examples/quickstart.sh [--rabbitmq]" >&2
    exit 2
}

rabbitmq=no
case $#:${1:-} in
0:) ;;
1:--rabbitmq) rabbitmq=yes ;;
*) usage ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
# Commands are shown so that they work where the user stands.
[ "$(pwd)" = "$root" ] && near='' || near=$root/
case $near in *[!A-Za-z0-9/._+-]*) near="'$near'" ;; esac
herald=$root/build/herald
play=$root/build/quickstart

if [ -t 1 ] && [ "${TERM:-dumb}" != dumb ] && [ -z "${NO_COLOR:-}" ]; then
    bold=$(printf '\033[1m') plain=$(printf '\033[0m')
else
    bold='' plain=''
fi

# --- telling ---------------------------------------------------------------------------------

step=0
log=

title() {
    step=$((step + 1))
    printf '\n%s%d  %s%s\n' "$bold" "$step" "$*" "$plain"
}

say() {
    printf '   %s\n' "$*"
}

fail() {
    {
        printf '\nquickstart: step %d failed: %s\n' "$step" "$*"
        [ -z "$log" ] || [ ! -s "$log" ] || {
            echo "the end of $log:"
            tail -n 15 "$log"
        }
    } >&2
    exit 1
}

# Runs a command, indents what it says, and returns its own exit code.
indented() {
    {
        code=0
        "$@" 2>&1 || code=$?
        echo "$code" >"$scratch/code"
    } | sed -u 's/^/   /' || :
    read -r code <"$scratch/code"
    return "$code"
}

same() {
    [ "$2" = "$3" ] || fail "$1 should be \"$2\", but is \"$3\""
}

# --- processes -------------------------------------------------------------------------------

job=      # a build or a broker on its way up: leader of a process group
routers=  # pids of running heralds
known=    # the last of them that is noted: a signal may come between start and note
rabbit=no # a RabbitMQ lives in $scratch/rabbit
scratch=

# Background jobs, so that a signal is obeyed at once.
run_job() {
    setsid "$@" 9>&- &
    job=$!
    known=$!
}

wait_job() {
    code=0
    wait "$job" || code=$?
    job=
    return "$code"
}

stop_routers() {
    code=0
    for pid in $routers; do kill "$pid" 2>/dev/null || :; done
    for pid in $routers; do
        tenths=150
        while kill -0 "$pid" 2>/dev/null && [ "$tenths" -gt 0 ]; do
            tenths=$((tenths - 1))
            sleep 0.1
        done
        kill -9 "$pid" 2>/dev/null || :
        wait "$pid" 2>/dev/null || code=1
    done
    routers=
    return "$code"
}

tidy() {
    trap '' INT TERM HUP PIPE
    [ "${!:-}" = "$known" ] || job=$!
    stop_routers || :
    if [ -n "$job" ]; then
        kill -TERM "-$job" "$job" 2>/dev/null || :
        wait "$job" 2>/dev/null || :
    fi
    [ -n "$scratch" ] || return 0
    [ "$rabbit" = no ] || [ ! -f "$scratch/rabbit/env" ] ||
        sh "$root/tests/lib/rabbit.sh" stop "$scratch/rabbit" || :
    rm -rf "$scratch"
}

trap tidy EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 141' PIPE
trap 'exit 143' TERM
scratch=$(mktemp -d "${TMPDIR:-/tmp}/herald-quickstart.XXXXXX")

# --- the database ----------------------------------------------------------------------------

# ask STORE SQL: prints the answer.
ask() {
    sqlite3 -batch -bail -init /dev/null -cmd '.timeout 5000' "$1" "$2" ||
        fail "sqlite3 could not ask $1"
}

# write STORE < SQL: as any other program may. The two pragmas keep what is committed on
# disk and leave checkpoints to herald.
write() {
    {
        echo '.timeout 5000'
        echo 'pragma synchronous = full;'
        echo 'pragma wal_autocheckpoint = 0;'
        cat
    } >"$scratch/write.sql"
    sqlite3 -batch -bail -init /dev/null "$1" <"$scratch/write.sql" >/dev/null ||
        fail "sqlite3 could not write to $1"
}

outbox_rows() {
    ask "$orders_db" 'select count(*) from herald_outbox'
}

outbox_is_empty() {
    [ "$(outbox_rows)" = 0 ]
}

# Rows ever written: ids are never used again.
outbox_ever() {
    ask "$orders_db" "select coalesce(max(seq), 0) from sqlite_sequence where name = 'herald_outbox'"
}

dead_letters() {
    ask "$learning_db" 'select count(*) from herald_dead'
}

# Every business row of both services.
business() {
    ask "$orders_db" 'select * from xc_orders; select * from xc_pay_record'
    ask "$learning_db" 'select * from xc_choose_course; select * from xc_course_tables'
}

# --- herald ----------------------------------------------------------------------------------

# start_router FOLDER LOG: returns once it is ready.
start_router() {
    log=$2
    "$herald" -C "$1" run >"$log" 2>&1 9>&- &
    pid=$!
    routers="$routers $pid"
    known=$pid
    until_true "herald should be ready" is_ready
}

is_ready() {
    kill -0 "$pid" 2>/dev/null || fail "herald ended by itself"
    grep -q '^herald .* ready: ' "$log"
}

counter() {
    "$herald" -C "$1" status --json >"$scratch/status" || fail "herald status failed"
    sed -n 's/.*"'"$2"'":\([0-9]*\).*/\1/p' "$scratch/status"
}

# until_true WHAT COMMAND...: waits for it, but not for ever.
until_true() {
    what=$1
    shift
    deadline=$(($(date +%s) + PATIENCE_SECONDS))
    until "$@"; do
        [ "$(date +%s)" -lt "$deadline" ] || fail "$what, but not within $PATIENCE_SECONDS s"
        sleep 0.1
    done
}

# --- the steps -------------------------------------------------------------------------------

install_packages() {
    title "Packages"
    [ "$rabbitmq" = no ] && wanted=build || wanted='build broker'
    indented sh "$root/tests/lib/packages.sh" $wanted || fail "packages are missing"
}

# A build folder that was copied or moved with its source must be made anew.
configure() {
    cache=$root/build/CMakeCache.txt
    fresh=
    [ ! -f "$cache" ] || grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$root" "$cache" || fresh=--fresh
    run_job cmake $fresh -S "$root" -B "$root/build" -DCMAKE_BUILD_TYPE=Release \
        -DHERALD_TESTS=OFF -DHERALD_SANITIZE=OFF >"$log" 2>&1
    wait_job
}

percent() {
    done_now=$(sed -n 's/^\[ *\([0-9]*\)%.*/\1/p' "$log" | tail -n 1)
    echo "${done_now:-0}"
}

compile() {
    quarter=25
    run_job cmake --build "$root/build" --parallel "$(nproc)" >"$log" 2>&1
    while kill -0 "$job" 2>/dev/null; do
        sleep 0.5
        [ "$(percent)" -ge "$quarter" ] && [ "$quarter" -lt 100 ] || continue
        say "$quarter %"
        quarter=$((quarter + 25))
    done
    wait_job
}

build() {
    title "Build"
    began=$(date +%s)
    log=$root/build/quickstart-build.log
    say "release, in build/"
    configure && compile || {
        cat "$log" >&2
        log=
        fail "herald does not build, see above"
    }
    log=
    "$herald" version >"$scratch/version" || fail "build/herald does not run"
    say "$(sed -n 's/  */ /p' "$scratch/version" | head -n 1), after $(($(date +%s) - began)) s"
}

start_rabbitmq() {
    title "RabbitMQ"
    rabbit=yes
    run_job sh "$root/tests/lib/rabbit.sh" start "$scratch/rabbit" >"$scratch/url"
    wait_job || fail "RabbitMQ did not start"
    read -r HERALD_BROKER <"$scratch/url"
    export HERALD_BROKER
    at=${HERALD_BROKER##*@}
    say "a private one, at ${at%/}"
}

# The first run of a router makes its store, and the tables of its migrations/.
make_tables() {
    log=$1/first-run.log
    "$herald" -C "$1" run --until-idle >"$log" 2>&1 9>&- &
    routers=$!
    known=$!
    wait "$routers" || fail "herald run --until-idle in $1 failed"
    routers=
}

make_folder() {
    title "A router folder"
    rm -rf "$play"
    cp -R "$root/examples/course-enrolment" "$play"
    # Somebody may have run herald there.
    find "$play" \( -name '*.db*' -o -name herald.sock \) -exec rm -f {} +
    make_tables "$orders"
    [ "$orders" = "$learning" ] || make_tables "$learning"
    log=
    if [ "$rabbitmq" = no ]; then
        say "build/quickstart: orders and learning, one router, embedded broker"
    else
        say "build/quickstart/orders and .../learning: two routers, two stores"
    fi
    say "herald made the tables of migrations/*.sql"
}

fill_tables() {
    write "$learning_db" <<END
insert into xc_choose_course (id, course_id, course_name, user_id, company_id, order_type,
                              course_price, status)
values ($CHOICE, 2, '《Lua 程序设计》', '王小明', 1232141425, '700002', 99.90, '701002');
END
    write "$orders_db" <<END
begin immediate;
insert into xc_orders (id, total_price, user_id, order_type, order_name, out_business_id)
values ($ORDER, 99.90, '王小明', '60201', '《Lua 程序设计》', '$CHOICE');
insert into xc_pay_record (id, pay_no, order_id, total_price)
values (1624350000000000004, $PAY_NO, $ORDER, 99.90);
commit;
END
    say "$(ask "$learning_db" "select 'choice ' || id || ': ' || user_id || ', ' || course_name ||
        ', unpaid (' || status || ')' from xc_choose_course")"
    say "$(ask "$orders_db" "select 'order  ' || id || ': ' || printf('%.2f', total_price) ||
        ', unpaid (' || status || ')' from xc_orders")"
}

# What the order service does when the payment platform calls.
notify_paid() {
    write "$orders_db" <<END
.parameter set :pay_no $PAY_NO
$(cat "$root/examples/course-enrolment/orders/paid.sql")
END
}

pay() {
    title "The payment platform says: paid"
    say "paid.sql, by the sqlite3 shell, in one transaction (no herald is running):"
    notify_paid
    same "the order's status" 600002 "$(ask "$orders_db" "select status from xc_orders where id = $ORDER")"
    same "the pay record's status" 601002 \
        "$(ask "$orders_db" "select status from xc_pay_record where pay_no = $PAY_NO")"
    same "the number of outbox rows" 1 "$(outbox_rows)"
    row=$(ask "$orders_db" "select id from herald_outbox
        where type = 'payresult_notify' and business_key1 = '$CHOICE' and business_key2 = '60201'")
    [ -n "$row" ] || fail "the outbox row does not say payresult_notify, $CHOICE, 60201"
    say "order paid (600002), pay record paid (601002)"
    say "outbox row $row: payresult_notify, $CHOICE, 60201"
}

start_routers() {
    title "herald run"
    [ "$orders" = "$learning" ] || start_router "$learning" "$learning/herald.log"
    start_router "$orders" "$orders/herald.log"
    log=$learning/herald.log
    say "ready, log in ${log#"$root/"}"
}

is_enrolled() {
    [ "$(ask "$learning_db" "select count(*) from xc_course_tables where choose_course_id = $CHOICE")" = 1 ]
}

see_enrolment() {
    until_true "the outbox should be empty" outbox_is_empty
    same "the number of confirmed messages" 1 "$(counter "$orders" confirmed)"
    say "published  row $row, to paynotify_exchange_fanout; confirmed, so deleted"
    until_true "the course should be enrolled" is_enrolled
    message_id=$(ask "$learning_db" "select message_id from herald_inbox where queue = '$QUEUE'")
    [ -n "$message_id" ] || fail "the inbox has no row for $QUEUE"
    say "delivered  from $QUEUE, inbox row $message_id"
    until_true "the handler should have logged" grep -q enrolled "$log"
    say "handled    by learning/rules/enrol.lua, in one transaction with the inbox row"
    same "the choice's status" 701001 \
        "$(ask "$learning_db" "select status from xc_choose_course where id = $CHOICE")"
    say "enrolled   $(ask "$learning_db" "select user_id || ', ' || course_name || ', ' ||
        date(validtime_start) || ' to ' || date(validtime_end) from xc_course_tables")"
    enrolled=$(business)
}

nothing_changed() {
    same "the number of dead letters" 0 "$(dead_letters)"
    [ "$(business)" = "$enrolled" ] || fail "rows of the business tables changed"
}

pay_again() {
    title "The same notification again"
    ever=$(outbox_ever)
    notify_paid
    same "the highest outbox id" "$ever" "$(outbox_ever)"
    nothing_changed
    say "no outbox row, no change: the pay record was paid already"
}

was_duplicate() {
    [ "$(counter "$learning" duplicates)" = 1 ]
}

send_again() {
    title "The same message again"
    "$herald" -C "$orders" emit --type payresult_notify --key1 "$CHOICE" --key2 60201 \
        --id "$message_id" --body "{\"businessKey1\":\"$CHOICE\",\"businessKey2\":\"60201\",\
\"id\":$row,\"messageType\":\"payresult_notify\"}" >/dev/null || fail "herald emit failed"
    until_true "the second delivery should count as a duplicate" was_duplicate
    nothing_changed
    say "delivered  message $message_id, a second time"
    say "no change: its inbox row is there already (status: 1 duplicate)"
}

has_both_letters() {
    [ "$(dead_letters)" = 2 ]
}

# A letter whose error matches: the reason must be in plain sight.
letter_says() {
    [ "$(ask "$learning_db" "select count(*) from herald_dead where $1")" = 1 ] ||
        fail "no dead letter with $1"
}

send_bad() {
    title "Two bad messages"
    "$herald" -C "$orders" emit --type payresult_notify --key1 404 --key2 60201 >/dev/null ||
        fail "herald emit failed"
    say "a choice that does not exist (404), by herald emit"
    write "$orders_db" <<END
insert into herald_outbox (type, business_key1, business_key2, body)
values ('payresult_notify', '$CHOICE', '60201', '{"businessKey1": oops');
END
    say "a body that is no JSON, by the sqlite3 shell"
    until_true "both should be dead letters" has_both_letters
    letter_says "business_key1 = '404' and error like '%no choice 404%'"
    letter_says "cast(body as text) like '%oops' and error like 'bad JSON%'"
    [ "$(business)" = "$enrolled" ] || fail "rows of the business tables changed"
    printf '\n'
    indented "$herald" -C "$learning" dead list || fail "herald dead list failed"
}

finish() {
    title "The end"
    log=
    stop_routers || fail "herald did not stop in good order"
    say "herald stopped in good order; all of it happened as told"
    printf '\n%sTry next%s\n' "$bold" "$plain"
    say "${near}build/herald -C ${near}$1 status"
    say "${near}build/herald -C ${near}$1 dead show 1"
    say "$2"
    printf '\n'
}

printf '%sherald: from a paid order to an enrolled course%s\n' "$bold" "$plain"
install_packages
mkdir -p "$root/build"
exec 9>"$root/build/quickstart.lock"
flock -n 9 || fail "another quickstart is running in build/"
build
if [ "$rabbitmq" = yes ]; then
    start_rabbitmq
    orders=$play/orders learning=$play/learning
    orders_db=$orders/orders.db learning_db=$learning/learning.db
else
    unset HERALD_BROKER
    orders=$play learning=$play
    orders_db=$play/herald.db learning_db=$play/herald.db
fi
make_folder
fill_tables
pay
start_routers
see_enrolment
pay_again
send_again
send_bad
if [ "$rabbitmq" = yes ]; then
    finish build/quickstart/learning \
        "sqlite3 -box ${near}build/quickstart/learning/learning.db 'select * from xc_course_tables'"
else
    finish build/quickstart "${near}build/herald -C ${near}build/quickstart emit \
--type payresult_notify --key1 405 --key2 60201 &&
   ${near}build/herald -C ${near}build/quickstart run --until-idle"
fi

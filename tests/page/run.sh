#!/bin/sh
# Looks at the admin door's page (docs/admin.md) in a real browser. Root only; not part of
# tests/run.sh, since a browser is 300 MB.
#
#   sh tests/page/run.sh [HERALD [SHOTS]]
#
# HERALD is the binary (build/herald by default); SHOTS a folder for screenshots, for people to look
# at. Installs Debian's chromium and, in a folder of its own, npm's playwright-core. The last line is
# "N passed, N failed".
set -eu
cd "$(dirname "$0")/../.."

herald=${1:-build/herald}
shots=${2:-}
[ -x "$herald" ] || {
    echo "page: no program $herald: build it, or name another one" >&2
    exit 2
}
herald=$(realpath "$herald")
[ -z "$shots" ] || shots=$(realpath "$shots")
sh tests/lib/packages.sh chromium fonts-noto-cjk nodejs
command -v npm >/dev/null || sh tests/lib/packages.sh npm

work=$(mktemp -d)
router=
tidy() {
    [ -z "$router" ] || kill "$router" 2>/dev/null || :
    [ -z "$router" ] || wait "$router" 2>/dev/null || :
    rm -rf "$work"
}
trap tidy EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

npm install --prefix "$work" --no-audit --no-fund --ignore-scripts playwright-core@1.49.1 >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    exit 1
}

shop=$work/shop
mkdir -p "$shop/rules" "$shop/migrations"
port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
echo "tests-of-the-page" >"$shop/token"
chmod 600 "$shop/token"
cat >"$shop/herald.lua" <<END
return { broker = "embedded", history = "1d", trace_context = "make",
  admin = { listen = "127.0.0.1:$port", token_file = "token" } }
END
echo "create table seen (id integer primary key, key1 text);" >"$shop/migrations/001_seen.sql"
cat >"$shop/rules/shop.lua" <<'END'
local herald = require "herald"
herald.route { type = "order.paid", to = herald.queue "orders" }
herald.route { type = "mail", to = herald.queue "mails" }
herald.subscribe { queue = "orders", retry = { attempts = 1, delay = "1s" } }
herald.subscribe { queue = "mails", retry = { attempts = 50, delay = "1h" } }
herald.on("order.paid", "*", function(msg, tx)
  if msg.business_key1 == "7" then error "card 7 is unknown to the bank" end
  if msg.business_key1 == "<b>8</b>" then herald.reject "no such course: <script>alert(1)</script>" end
  tx:exec("insert into seen (key1) values (?)", msg.business_key1)
end)
herald.on("mail", "*", function() error "the mail server says 421, come again" end)
END
"$herald" -C "$shop" run >"$work/out" 2>"$work/err" &
router=$!

# What the page shows, and waits until it is there.
emit() {
    "$herald" -C "$shop" emit "$@" >"$work/log" 2>&1
}
until grep -q ready "$work/out"; do
    kill -0 "$router" 2>/dev/null || {
        cat "$work/err" >&2
        exit 1
    }
    sleep 0.1
done
for key in 1 2 3 7 7 '<b>8</b>'; do
    emit --type order.paid --key1 "$key" --body '{"total": 12, "note": "<img src=x onerror=alert(1)>"}'
done
emit --type mail --key1 9 --count 4
emit --type mail --key1 10 --delay 1h
until "$herald" -C "$shop" status --json | grep -q '"retries":4.*"dead":3'; do
    sleep 0.1
done

CHROMIUM=$(command -v chromium) NODE_PATH=$work/node_modules \
    node tests/page/page.js "http://127.0.0.1:$port" tests-of-the-page $shots

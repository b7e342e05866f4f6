#!/bin/sh
# One guesses: when one publish of many is wrong, the confirms of those before it still come; what
# was not confirmed was not stored.
#
# Really: a publish to an exchange that does not exist closes the channel, and the confirms that
# were still to come on it never come. Of 201 publishes in one write, with the 101st wrong, the
# 100 before it are in the queue, most or all of them unconfirmed, and the 100 behind it are
# nowhere. The words name an exchange but no message. Who publishes again all that is unconfirmed,
# the wrong one with it, stores the first 100 once more each time.
#
# Seen with RabbitMQ 3.10.8, 4.0.5 and 4.3.6, a quorum queue, persistent messages, on a raw
# connection with frames of python3-pika 1.2.0. How many confirms come before the close is chance:
# none on all three, and 5 of 100 once with a classic queue on 3.10.8.
#
# So: one channel for each exchange, so that a wrong one loses only its own confirms; after such a
# close publish one message at a time until the wrong one is found, and put that one aside.
#
# It needs Debian's package rabbitmq-server and starts a node of its own, for some seconds. With
# RABBIT_BROKER=4.0 or 4.3 that is a newer one, in a root that takes minutes to make
# (../tests/lib/rabbit.sh).
set -eu
LC_ALL=C
export LC_ALL

rabbit=$(cd "$(dirname "$0")/../tests/lib" && pwd)/rabbit.sh
work=$(mktemp -d)
trap '[ ! -f "$work/node/env" ] || sh "$rabbit" kill "$work/node"; rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work"

apt-get -qq -o APT::Sandbox::User=root download python3-pika
dpkg -x python3-pika_*.deb .
url=$(sh "$rabbit" start "$work/node")

cat >probe.py <<'END'
import socket
import sys
import time

import pika
from pika import frame, spec

url = pika.URLParameters(sys.argv[1])
stream = socket.create_connection((url.host, url.port))
stream.settimeout(60)
pending = b""


def read():
    global pending
    while True:
        used, decoded = frame.decode_frame(pending)
        if decoded is not None:
            pending = pending[used:]
            return decoded.method
        more = stream.recv(65536)
        if not more:
            sys.exit("the broker has closed the connection")
        pending += more


def method(channel, what):
    return frame.Method(channel, what).marshal()


def ask(channel, what):
    stream.sendall(method(channel, what))
    return read()


def publish(exchange, number):
    body = b"%d" % number
    persistent = spec.BasicProperties(delivery_mode=2)
    return (method(1, spec.Basic.Publish(exchange=exchange, routing_key="jobs"))
            + frame.Header(1, len(body), persistent).marshal() + frame.Body(1, body).marshal())


def stored():
    return ask(2, spec.Queue.Declare(queue="jobs", passive=True)).message_count


stream.sendall(frame.ProtocolHeader().marshal())
start = read()
print("version: RabbitMQ", start.server_properties["version"], "pika", pika.__version__,
      file=sys.stderr)
ask(0, spec.Connection.StartOk({}, "PLAIN", "\0guest\0guest", "en_US"))
stream.sendall(method(0, spec.Connection.TuneOk(2, 131072, 0)))
ask(0, spec.Connection.Open("/"))
ask(1, spec.Channel.Open())
ask(2, spec.Channel.Open())
ask(1, spec.Queue.Declare(queue="jobs", durable=True, arguments={"x-queue-type": "quorum"}))
ask(1, spec.Confirm.Select())

wrong = 101
stream.sendall(b"".join(publish("absent" if n == wrong else "", n) for n in range(1, 202)))
confirmed = set()
highest = 0
while True:
    answer = read()
    if isinstance(answer, spec.Channel.Close):
        break
    tag = answer.delivery_tag
    confirmed |= set(range(highest + 1, tag + 1)) if answer.multiple else {tag}
    highest = max(highest, tag) if answer.multiple else highest
stream.sendall(method(1, spec.Channel.CloseOk()))

for _ in range(50):
    if stored() >= wrong - 1:
        break
    time.sleep(0.1)
time.sleep(1)
print("confirmed:", len(confirmed), file=sys.stderr)
print("the channel is closed by", answer.reply_code, answer.reply_text)
print("stored of 201:", stored())
print("all that is stored was confirmed:", "yes" if len(confirmed) == stored() else "no")
END
PYTHONPATH=$work/usr/lib/python3/dist-packages /usr/bin/python3 probe.py "$url" >seen

echo 'guess: all that is stored was confirmed'
cat >recorded <<'END'
the channel is closed by 404 NOT_FOUND - no exchange 'absent' in vhost '/'
stored of 201: 100
all that is stored was confirmed: no
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

#!/bin/sh
# One guesses: basic.nack to a publisher says that the message was not taken, so it can be published
# again without harm.
#
# Really: a fanout hands the message to each queue by itself, and one nack comes if any one of them
# refuses it. With a full queue (x-overflow=reject-publish) beside one with room, each attempt is
# answered by a nack and stored in the other queue all the same. Who repeats until it gets an ack
# fills that queue with copies for as long as the first one is full.
#
# Seen with RabbitMQ 3.10.8, 4.0.5 and 4.3.6, classic queues, python3-pika 1.2.0.
#
# So: keep one message id over all attempts and let consumers drop what they have seen; wait longer
# from attempt to attempt; do not let a queue that may refuse share a fanout with others.
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
import sys

import pika

parameters = pika.URLParameters(sys.argv[1])
connection = pika.BlockingConnection(parameters)
product = connection._impl.server_properties
print("version: RabbitMQ", product["version"], "pika", pika.__version__, file=sys.stderr)

channel = connection.channel()
channel.exchange_declare("news", "fanout")
channel.queue_declare("full", durable=True,
                      arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
channel.queue_declare("roomy", durable=True)
for queue in ("full", "roomy"):
    channel.queue_bind(queue, "news")
channel.confirm_delivery()

# The first one fills the small queue; the second one is published until it is accepted.
for attempt in ("first message", "second message", "second message again", "and again"):
    try:
        channel.basic_publish("news", "", attempt.encode())
        print(attempt + ": ack")
    except pika.exceptions.NackError:
        print(attempt + ": nack")
for queue in ("full", "roomy"):
    held = channel.queue_declare(queue, passive=True).method.message_count
    print(queue + " holds", held)
connection.close()
END
PYTHONPATH=$work/usr/lib/python3/dist-packages /usr/bin/python3 probe.py "$url" >seen

echo 'guess: after three nacks both queues hold the first message alone'
cat >recorded <<'END'
first message: ack
second message: nack
second message again: nack
and again: nack
full holds 1
roomy holds 4
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

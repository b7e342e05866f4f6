#!/bin/sh
# One guesses: who consumes with exclusive=true is the queue's only consumer: others are refused with
# 403, and it is itself refused where another one is.
#
# Really: that holds for a classic queue. On a quorum queue exclusive=true is taken without an error
# and means nothing: a second consumer is taken on beside it, with the flag or without, and each has
# its share of the messages. An application that relied on it and moves to quorum queues has two workers
# at a time.
#
# Seen with RabbitMQ 3.10.8, 4.0.5 and 4.3.6, python3-pika 1.2.0.
#
# So: declare the queue with x-single-active-consumer, which both kinds of queue know. The others are
# then not refused: they wait until the first is gone.
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
product = pika.BlockingConnection(parameters)._impl.server_properties
print("version: RabbitMQ", product["version"], "pika", pika.__version__, file=sys.stderr)


def consume(queue, name, exclusive):
    channel = pika.BlockingConnection(parameters).channel()
    channel.basic_qos(prefetch_count=1)
    got = []
    try:
        channel.basic_consume(queue, lambda *message: got.append(message[3]), exclusive=exclusive)
        print(f"  {name}, exclusive={exclusive}: taken on")
    except pika.exceptions.ChannelClosedByBroker as why:
        print(f"  {name}, exclusive={exclusive}: {why.reply_code} {why.reply_text.split(' - ')[0]}")
        return None
    return name, channel, got


def look(consumers):
    """What each has of two messages; it holds one at most, since it acks none."""
    for name, channel, got in filter(None, consumers):
        channel.connection.process_data_events(1)
        print(f"  {name} has got {len(got)} of 2 messages")
        channel.connection.close()


for kind in ("classic", "quorum"):
    for first, second in ((True, False), (False, True), (True, True)):
        print(f"{kind} queue:")
        channel = pika.BlockingConnection(parameters).channel()
        queue = channel.queue_declare(f"{kind}-{first}-{second}", durable=True,
                                      arguments={"x-queue-type": kind}).method.queue
        consumers = [consume(queue, "the first", first), consume(queue, "the second", second)]
        for _ in range(2):
            channel.basic_publish("", queue, b"job")
        look(consumers)
END
PYTHONPATH=$work/usr/lib/python3/dist-packages /usr/bin/python3 probe.py "$url" >seen

echo 'guess: the first alone has got messages, whatever the queue is'
cat >recorded <<'END'
classic queue:
  the first, exclusive=True: taken on
  the second, exclusive=False: 403 ACCESS_REFUSED
  the first has got 1 of 2 messages
classic queue:
  the first, exclusive=False: taken on
  the second, exclusive=True: 403 ACCESS_REFUSED
  the first has got 1 of 2 messages
classic queue:
  the first, exclusive=True: taken on
  the second, exclusive=True: 403 ACCESS_REFUSED
  the first has got 1 of 2 messages
quorum queue:
  the first, exclusive=True: taken on
  the second, exclusive=False: taken on
  the first has got 1 of 2 messages
  the second has got 1 of 2 messages
quorum queue:
  the first, exclusive=False: taken on
  the second, exclusive=True: taken on
  the first has got 1 of 2 messages
  the second has got 1 of 2 messages
quorum queue:
  the first, exclusive=True: taken on
  the second, exclusive=True: taken on
  the first has got 1 of 2 messages
  the second has got 1 of 2 messages
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

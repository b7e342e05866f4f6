#!/bin/sh
# One guesses: an answer to a direct reply-to (amq.rabbitmq.reply-to) that is published as mandatory
# tells whether the one who asked is still there: returned when it is gone, else not.
#
# Really: mandatory tells nothing in either direction. On 3.10.8 and 4.0.5 the answer is returned as
# unroutable although it was delivered, as is one to a client that is gone. On 4.3.6 both are
# confirmed with an ack. Without mandatory both are an ack on all three.
#
# Seen with RabbitMQ 3.10.8, 4.0.5 and 4.3.6, python3-pika 1.2.0, with publisher confirms.
#
# So: do not publish such answers as mandatory, and do not repeat one that was returned: the client
# may have it. Who must know that an answer arrived has the client confirm it by a message.
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
server = pika.BlockingConnection(parameters)
product = server._impl.server_properties
print("version: RabbitMQ", product["version"], "pika", pika.__version__, file=sys.stderr)
with open("version", "w", encoding="utf-8") as out:
    out.write(product["version"])
channel = server.channel()
channel.queue_declare("questions", durable=True)
channel.confirm_delivery()


def ask():
    """A client that waits for its answer, and what it gets."""
    client = pika.BlockingConnection(parameters)
    its = client.channel()
    got = []
    its.basic_consume("amq.rabbitmq.reply-to", lambda *message: got.append(message[3]), auto_ack=True)
    its.basic_publish("", "questions", b"?", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to"))
    return client, got


def question():
    for _, properties, _ in channel.consume("questions", auto_ack=True):
        channel.cancel()
        return properties.reply_to


def answer(to, mandatory):
    try:
        channel.basic_publish("", to, b"!", mandatory=mandatory)
        return "ack"
    except pika.exceptions.UnroutableError:
        return "returned as unroutable"


for mandatory in (True, False):
    client, got = ask()
    said = answer(question(), mandatory)
    client.process_data_events(1)
    print(f"mandatory={mandatory}, client waits: {said}; it has got {len(got)} answers")
    client, got = ask()
    to = question()
    client.close()
    print(f"mandatory={mandatory}, client is gone: {answer(to, mandatory)}")
server.close()
END
PYTHONPATH=$work/usr/lib/python3/dist-packages /usr/bin/python3 probe.py "$url" >seen

echo 'guess: mandatory and gone is returned; mandatory and waiting is not'
case $(cat version) in
3.* | 4.0.*) word='returned as unroutable' ;;
*) word=ack ;;
esac
cat >recorded <<END
mandatory=True, client waits: $word; it has got 1 answers
mandatory=True, client is gone: $word
mandatory=False, client waits: ack; it has got 1 answers
mandatory=False, client is gone: ack
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

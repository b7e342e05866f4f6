"""rabbit: brokers, other services on them, and a wire to cut."""

import json
import os
import select
import socket
import subprocess
import threading
import time
from urllib.parse import quote

import pika

HERE = os.path.dirname(os.path.abspath(__file__))
SCRIPT = os.path.join(os.path.dirname(HERE), "lib", "rabbit.sh")

# Every router logs in with this password, and no router may ever say it.
USER = "tester"
PASSWORD = "Zq7/p@ss-word"
WRONG = "Wq8-not-this"
SECRETS = (PASSWORD, quote(PASSWORD, safe=""), WRONG)

CONTROL_SECONDS = 600

# What the name of a dead-letter queue ends with (core/rabbit/dead_letter_queue.c).
DEAD = ".herald-dead"


def connect(url):
    parameters = pika.URLParameters(url)
    parameters.heartbeat = 0  # nobody sends ours while a test waits for something else
    return pika.BlockingConnection(parameters)


class Node:
    """A broker of tests/lib/rabbit.sh. `folder` None: one of our own in `scratch`, and with a
    `peer` one of that node's cluster; with `tls`, a folder of certificates, it listens with TLS, too."""

    def __init__(self, folder, scratch, peer=None, tls=None):
        self.peer = peer
        self.tls = tls
        self.ours = folder is None
        self.folder = folder or os.path.join(scratch, "rabbit")
        self.tidy = None  # connection for what belongs to no test
        self.alone = False  # nobody else uses it at this moment

    def start(self):
        if self.ours:
            self.script("start")
        self.port = int(self.environment()["RABBIT_PORT"])
        self.url = self.url_for(USER, PASSWORD)
        self.add_user(USER, PASSWORD)
        if self.tls:
            self.tls_port = int(self.environment()["RABBIT_TLS_PORT"])
            self.tls_url = self.url_for(USER, PASSWORD, port=self.tls_port, scheme="amqps")

    def environment(self):
        """What rabbit.sh has written; a restart writes it anew."""
        with open(os.path.join(self.folder, "env"), encoding="utf-8") as env:
            return dict(line.rstrip("\n").split("=", 1) for line in env)

    def needs_alone(self):
        if not self.alone:
            raise AssertionError("others use this broker: mark the test (harness.disturbs)")

    @property
    def version(self):
        """(3, 10, 8)"""
        words = self.channel().connection._impl.server_properties["version"]
        return tuple(int(part) for part in words.split("-")[0].split(".")[:3])

    @property
    def pid(self):
        """Of the Erlang machine, for signals."""
        self.needs_alone()
        return int(self.environment()["RABBIT_PID"])

    def url_for(self, user, password, vhost="", port=None, scheme="amqp"):
        return (f"{scheme}://{user}:{quote(password, safe='')}@127.0.0.1:{port or self.port}/"
                + quote(vhost, safe=""))

    def script(self, verb, *words):
        more = {"RABBIT_PEER": self.peer.folder} if self.peer else {}
        more |= {"RABBIT_TLS": self.tls} if self.tls else {}
        done = subprocess.run(["sh", SCRIPT, verb, self.folder, *words], text=True,
                              env={**os.environ, **more}, capture_output=True,
                              timeout=CONTROL_SECONDS, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"rabbit.sh {verb} {words}: {done.stderr}{done.stdout}")
        return done.stdout

    def ctl(self, *words):
        return self.script("ctl", *words)

    def add_user(self, user, password, configure=".*", write=".*", read=".*"):
        """One call instead of three, each of which takes a second."""
        self.ctl("eval", f"""
            catch rabbit_auth_backend_internal:delete_user(<<"{user}">>, <<"t">>),
            ok = rabbit_auth_backend_internal:add_user(<<"{user}">>, <<"{password}">>, <<"t">>),
            rabbit_auth_backend_internal:set_permissions(<<"{user}">>, <<"/">>, <<"{configure}">>,
                <<"{write}">>, <<"{read}">>, <<"t">>).""")

    def shovel(self, ways):
        """Moves what is in queues to the end of others, {from: to}, with the broker's shovels."""
        self.script("plugins", "enable", "rabbitmq_shovel")
        uri = self.url.rstrip("/")  # else it means the virtual host ""
        shovels = [{"vhost": "/", "component": "shovel", "name": source, "value": {
            "src-protocol": "amqp091", "src-uri": uri, "src-queue": source,
            "src-delete-after": "queue-length", "dest-protocol": "amqp091", "dest-uri": uri,
            "dest-queue": queue, "dest-add-forward-headers": True}}
            for source, queue in ways.items()]
        path = os.path.join(self.folder, "shovels.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"parameters": shovels}, file)
        self.ctl("import_definitions", path)
        deadline = time.monotonic() + CONTROL_SECONDS
        while any(source in self.ctl("list_parameters") for source in ways):  # it goes when done
            if time.monotonic() > deadline:
                raise AssertionError(f"the shovels have not ended: {ways}")

    def limit_messages(self, size):
        """Sets the largest body that is taken, and gives what it was. Where the broker reads it
        differs by version."""
        return int(self.ctl("eval", f"""
            Was = rabbit_misc:get_env(rabbit, max_message_size, 0),
            ok = application:set_env(rabbit, max_message_size, {size}),
            persistent_term:get(max_message_size, none) =:= none orelse
                persistent_term:put(max_message_size, {size}),
            Was."""))

    def kill(self):
        self.needs_alone()
        self.tidy = None
        self.script("kill")

    def restart(self):
        self.needs_alone()
        self.tidy = None
        self.script("restart")

    def channel(self):
        try:
            return self.tidy.channel()
        except (AttributeError, pika.exceptions.AMQPConnectionError):  # none, or closed meanwhile
            self.tidy = connect(self.url)
        return self.tidy.channel()

    def remove(self, names):
        channel = self.channel()
        for name in names:
            channel.queue_delete(name)
            channel.queue_delete(name + DEAD)
            channel.exchange_delete(name)
        channel.close()

    def ask(self, question):
        """What question(channel) gives; None where what it asks for does not exist."""
        channel = self.channel()
        try:
            return question(channel)
        except pika.exceptions.ChannelClosedByBroker:
            return None
        finally:
            if channel.is_open:
                channel.close()

    def depth(self, queue):
        """Messages that wait in a queue."""
        answer = self.ask(lambda channel: channel.queue_declare(queue, passive=True))
        return answer and answer.method.message_count

    def has_exchange(self, exchange):
        answer = self.ask(lambda channel: channel.exchange_declare(exchange, passive=True))
        return answer is not None

    def close(self):
        """On every path, whatever state it is in."""
        try:
            if self.ours:
                self.script("kill")
            else:
                self.ctl("delete_user", USER)
        except RuntimeError as problem:
            print(problem)


class Peer:
    """Another service on the broker, with pika."""

    def __init__(self, url):
        self.connection = connect(url)
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def listen(self, queue, exchange, kind="fanout", key=""):
        """As the existing services do: durable classic queue, durable exchange."""
        self.channel.exchange_declare(exchange, kind, durable=True)
        self.channel.queue_declare(queue, durable=True)
        self.channel.queue_bind(queue, exchange, key)

    def send(self, exchange, body, routing_key="", **properties):
        if isinstance(body, str):
            body = body.encode()
        properties.setdefault("delivery_mode", 2)
        self.channel.basic_publish(exchange, routing_key, body,
                                   pika.BasicProperties(**properties), mandatory=True)

    def get(self, queue, seconds=120):
        """The next message of a queue: its properties and its body."""
        deadline = time.monotonic() + seconds
        while True:
            method, properties, body = self.channel.basic_get(queue, auto_ack=True)
            if method is not None:
                return properties, body
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {seconds} s for a message in {queue}")
            self.connection.sleep(0.005)

    def close(self):
        try:
            self.connection.close()
        except pika.exceptions.AMQPError:
            pass  # it is closed already, or its broker was killed


class Relay:
    """A TCP port that leads to the broker, while it is open.

    close() refuses connections and cuts those there are. swallow() loses all that the client says
    from then on, so that an ack never arrives; mute() all that the broker says.
    """

    def __init__(self, port):
        self.target = port
        probe = socket.create_server(("127.0.0.1", 0))
        self.port = probe.getsockname()[1]
        probe.close()
        self.server = None
        self.deaf = threading.Event()
        self.dumb = threading.Event()
        self.pairs = []
        self.lock = threading.Lock()

    def open(self):
        self.deaf.clear()
        self.dumb.clear()
        self.server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self.accept, args=(self.server,), daemon=True).start()

    def swallow(self):
        self.deaf.set()

    def mute(self):
        self.dumb.set()

    def accept(self, server):
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            try:
                broker = socket.create_connection(("127.0.0.1", self.target), 10)
            except OSError:
                client.close()
                continue
            with self.lock:
                self.pairs.append((client, broker))
            threading.Thread(target=self.carry, args=(client, broker), daemon=True).start()

    def carry(self, client, broker):
        try:
            while True:
                for end in select.select([client, broker], [], [])[0]:
                    data = end.recv(65536)
                    if not data:
                        return
                    if end is broker and not self.dumb.is_set():
                        client.sendall(data)
                    elif end is client and not self.deaf.is_set():
                        broker.sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            client.close()
            broker.close()

    def close(self):
        if self.server is not None:
            self.server.shutdown(socket.SHUT_RDWR)
            self.server.close()
            self.server = None
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for end in pair:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass


class Chatter:
    """A port where somebody answers every connection with the same words and hangs up."""

    def __init__(self, words):
        self.words = words
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self.answer, daemon=True).start()

    def answer(self):
        while True:
            try:
                with self.server.accept()[0] as client:
                    client.sendall(self.words)
            except OSError:
                return

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()

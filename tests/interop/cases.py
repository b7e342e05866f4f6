"""Who sends to herald, and who reads what it sends (interop.py)."""

import json
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
WORK = os.environ["WORK"]
URL = os.environ["RABBIT_URL"]
JARS = "/usr/share/java/amqp-client.jar:/usr/share/java/slf4j-api.jar:/usr/share/java/slf4j-nop.jar"

SEND_JS, READ_JS = ([os.environ["NODE"], f"{HERE}/{name}.js"] for name in ("senders", "readers"))
PYTHON = ["/usr/bin/python3", f"{HERE}/client.py"]
RUBY, PERL, PHP = ([word, f"{HERE}/client.{end}"] for word, end in (
    ("ruby", "rb"), ("perl", "pl"), ("php", "php")))
SYMFONY = ["php", f"{HERE}/symfony.php"]
JAVA = ["java", "-cp", f"{JARS}:{WORK}", "Client"]
GO = [f"{WORK}/client-go"]


def npm(name):
    with open(f"{HERE}/package.json", encoding="utf-8") as file:
        return f"{name} {json.load(file)['dependencies'][name]}"


def debian(package, name):
    said = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", package], capture_output=True, text=True,
                          check=True)
    return f"{name} {said.stdout.split(':')[-1].split('-')[0].split('+')[0]}"


AMQPLIB, NEST, GOLEVELUP, RASCAL, RABBITMQ_CLIENT, CLOUDAMQP, CLOUDEVENTS, MANAGER, MOLECULER, NODE_TS = (
    npm(name) for name in (
        "amqplib", "@nestjs/microservices", "@golevelup/nestjs-rabbitmq", "rascal", "rabbitmq-client",
        "@cloudamqp/amqp-client", "cloudevents", "amqp-connection-manager", "moleculer",
        "@node-ts/bus-rabbitmq"))
CELERY, KOMBU, PIKA, AIO_PIKA, BUNNY, PHP_AMQPLIB, MESSENGER, JAVA_CLIENT, GO_CLIENT, ANYEVENT = (
    debian(*pair) for pair in (
        ("python3-celery", "Celery"), ("python3-kombu", "kombu"), ("python3-pika", "pika"),
        ("python3-aio-pika", "aio-pika"), ("ruby-bunny", "bunny"), ("php-amqplib", "php-amqplib"),
        ("php-symfony-amqp-messenger", "Symfony Messenger"),
        ("librabbitmq-client-java", "com.rabbitmq.client"),
        ("golang-github-rabbitmq-amqp091-go-dev", "amqp091-go"),
        ("libanyevent-rabbitmq-perl", "AnyEvent::RabbitMQ")))

PAID = {"id": 1}
TASK = {"args": [1], "kwargs": {"x": 2}}
NOTIFY = {"businessKey1": "16", "businessKey2": "60201", "id": 7, "messageType": "payresult_notify",
          "executeNum": 0, "state": "0"}

# name, envelope, command before the queue, type, id ("": none; "*": some), body; or a refusal
SENDERS = [
    (f"{JAVA_CLIENT}, as convertAndSend(String)", "auto", JAVA + ["text"], "payresult_notify", "", NOTIFY),
    ("... as withBody(bytes)", "auto", JAVA + ["bytes"], "payresult_notify", "", NOTIFY),
    ("... RpcClient, answered", "raw", JAVA + ["ask"], "QUEUE", "", None),
    (f"{AMQPLIB}, type given", "auto", SEND_JS + ["amqplib"], "paid", "", PAID),
    ("... bytes", "raw", SEND_JS + ["amqplib-raw"], "QUEUE", "", None),
    (f"{NEST}, emit", "nestjs", SEND_JS + ["nestjs"], "order.paid", "", PAID),
    ("... pattern an object", "nestjs", SEND_JS + ["nestjs-object"], '{"area":"shop","cmd":"paid"}',
     "", PAID),
    ("... send, answered", "nestjs", SEND_JS + ["nestjs-request"], "sum", "*", [1, 2]),
    (f"{GOLEVELUP}, publish", "auto", SEND_JS + ["golevelup"], "order.paid", "", PAID),
    ("... request, answered", "raw", SEND_JS + ["golevelup-request"], "QUEUE", "", None),
    (f"{MANAGER}, type given", "auto", SEND_JS + ["amqp-connection-manager"], "paid", "m-1", PAID),
    (f"{RASCAL}, type given", "auto", SEND_JS + ["rascal"], "paid", "*", PAID),
    (f"{RABBITMQ_CLIENT}, type given", "auto", SEND_JS + ["rabbitmq-client"], "paid", "", PAID),
    (f"{CLOUDAMQP}, type given", "auto", SEND_JS + ["cloudamqp"], "paid", "", PAID),
    (f"{CLOUDEVENTS}, binary", "cloudevents", SEND_JS + ["cloudevents-binary"], "order.paid",
     "/shop e-binary", PAID),
    ("... structured", "cloudevents", SEND_JS + ["cloudevents-structured"], "order.paid",
     "/shop e-structured", PAID),
    (MOLECULER, "moleculer", SEND_JS + ["moleculer"], "order.paid", "*", PAID),
    (NODE_TS, "node-ts", SEND_JS + ["node-ts"], "shop/order-paid", "*",
     {"$name": "shop/order-paid", "$version": 0, "id": 1}),
    (f"{CELERY}, delay", "celery", PYTHON + ["celery"], "shop.paid", "t-1", TASK),
    ("... countdown of 2 s", "celery", PYTHON + ["celery-countdown"], "shop.paid", "t-2", TASK),
    ("... compressed", "celery", PYTHON + ["celery-zlib"], "shop.paid", "t-4", TASK),
    ("... expired", "celery", PYTHON + ["celery-expired"], "expired"),
    ("... pickle", "celery", PYTHON + ["celery-pickle"], "task_serializer"),
    (f"{KOMBU}, compressed, type given", "auto", PYTHON + ["kombu"], "paid", "", PAID),
    (f"{PIKA}, type given", "auto", PYTHON + ["pika"], "paid", "m-1", PAID),
    (f"{AIO_PIKA}, type given", "auto", PYTHON + ["aio-pika"], "paid", "*", PAID),
    (f"{BUNNY}, type given", "auto", RUBY + ["send"], "paid", "", PAID),
    (f"{PHP_AMQPLIB}, type given", "auto", PHP + ["send"], "paid", "", PAID),
    (f"{MESSENGER}, JSON", "symfony", SYMFONY + ["send"], "App\\Message\\OrderPaid", "", PAID),
    ("... PHP's serializer", "symfony", SYMFONY + ["send-php"], "it is a serialized PHP object"),
    (f"{GO_CLIENT}, type given", "auto", GO + ["send"], "paid", "m-1", PAID),
    (f"{ANYEVENT}, type given", "auto", PERL, "paid", "", PAID),
]

CELERY_APP = f"""import celery, kombu
app = celery.Celery("shop", broker={URL!r})
app.conf.task_queues = [kombu.Queue("QUEUE", durable=True)]
app.conf.task_always_eager = False
@app.task(name="shop.read")
def read(number, x):
    print(f"got {{number}} {{x}}", flush=True)
@app.task(name="shop.later", bind=True)
def later(self, number):
    print(f"got {{number}}, eta {{self.request.eta is not None}}", flush=True)
"""
WORKER = ["/usr/bin/python3", "-m", "celery", "-A", "shop_tasks", "worker", "-P", "solo", "-l", "INFO",
          "--without-mingle", "--without-gossip", "-Q"]


def plain(type_):
    """Herald's own form: what a client prints of it."""
    return {"type": type_, "body": PAID}, f'got ["{type_}","an id",{{"id":1}}]'


# name, format, command before the queue, and (row of the outbox, what the client says, or the answer
# that herald is given) of each
READERS = [
    (f"{NEST}, event", "nestjs", READ_JS + ["nestjs"],
     [({"type": "nest.paid", "body": PAID}, 'got {"id":1}'),
      ({"type": "nest.sum", "body": [1, 2]}, {"response": 3, "isDisposed": True})]),
    (f"{GOLEVELUP}, RPC", None, READ_JS + ["golevelup"],
     [({"type": "golevelup", "body": [1, 2]}, {"sum": 3})]),
    (f"{CLOUDEVENTS}, structured", "cloudevents", READ_JS + ["cloudevents"],
     [({"type": "event.paid", "message_id": "e-1", "body": PAID, "properties": {"app_id": "/shop"}},
       'got [true,"e-1","/shop","event.paid",{"id":1}]')]),
    ("... binary, by headers of the row", None, READ_JS + ["cloudevents"],
     [({"type": "event.binary", "body": PAID, "headers": {
         "ce-id": "e-2", "ce-source": "/shop", "ce-type": "event.binary", "ce-specversion": "1.0"}},
       'got [true,"e-2","/shop","event.binary",{"id":1}]')]),
    (f"{NODE_TS}, by body and headers", None, READ_JS + ["node-ts"],
     [({"type": "node-ts", "body": {"$name": "shop/order-read", "$version": 0, "id": 1},
        "headers": {"attributes": "{}", "stickyAttributes": "{}"}}, '"id":1')]),
    (f"{CELERY}, worker", "celery", WORKER,
     [({"type": "shop.read", "body": {"number": 1, "x": 2}}, "got 1 2"),
      ({"type": "shop.later", "body": [7], "headers": {"eta": "SOON"}}, "got 7, eta True")]),
    (f"{MESSENGER}, JSON", "symfony", SYMFONY + ["read"],
     [({"type": "App\\Message\\OrderPaid", "body": PAID}, 'got {"id":1}')]),
    (AMQPLIB, None, READ_JS + ["amqplib"], [plain("amqplib")]),
    (MANAGER, None, READ_JS + ["amqp-connection-manager"], [plain("manager")]),
    (RASCAL, None, READ_JS + ["rascal"], [plain("rascal")]),
    (RABBITMQ_CLIENT, None, READ_JS + ["rabbitmq-client"], [plain("rabbitmq-client")]),
    (CLOUDAMQP, None, READ_JS + ["cloudamqp"], [plain("cloudamqp")]),
    (KOMBU, None, PYTHON + ["kombu-read"], [plain("kombu")]),
    (PIKA, None, PYTHON + ["pika-read"], [plain("pika")]),
    (AIO_PIKA, None, PYTHON + ["aio-pika-read"], [plain("aio-pika")]),
    (BUNNY, None, RUBY + ["read"], [plain("bunny")]),
    (PHP_AMQPLIB, None, PHP + ["read"], [plain("php-amqplib")]),
    (JAVA_CLIENT, None, JAVA + ["read"], [plain("java")]),
    (GO_CLIENT, None, GO + ["read"], [plain("go")]),
]

# Its amqplib asks for frames of 4,096 bytes, and RabbitMQ from 4.1 on hangs up on less than 8,192
# (the release notes of 4.1), so it cannot connect, with herald or without.
if os.environ.get("RABBIT_BROKER") == "4.3":
    SENDERS = [row for row in SENDERS if row[0] != NODE_TS]
    READERS = [row for row in READERS if not row[0].startswith(NODE_TS)]
    print(f"interop: left out: {NODE_TS}, which cannot connect to this broker", flush=True)

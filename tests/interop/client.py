"""Sends one message as Celery, kombu, pika and aio-pika do, or listens: client.py CASE QUEUE

What listens says "listening" first, and then what it was given."""
import asyncio
import json
import os
import sys

case, queue = sys.argv[1:]
URL = os.environ["RABBIT_URL"]
SENT = {"args": [1], "kwargs": {"x": 2}, "queue": queue}


def got(type_, id_, body):
    print("got", json.dumps([type_, "an id" if id_ else "no id", body], separators=(",", ":")), flush=True)


def send_task(**how):
    import celery
    import kombu
    app = celery.Celery("shop", broker=URL)
    app.conf.broker_transport_options = {"confirm_publish": True}
    app.conf.task_queues = [kombu.Queue(queue, no_declare=True)]  # as it is: the queue is herald's
    app.send_task("shop.paid", **SENT, **how)


def kombu_send():
    import kombu
    with kombu.Connection(URL) as connection:
        connection.Producer().publish({"id": 1}, routing_key=queue, type="paid", compression="zlib")


def kombu_read():
    import kombu

    def take(body, message):
        got(message.properties.get("type"), message.properties.get("message_id"), body)
        message.ack()

    with kombu.Connection(URL) as connection:
        there = kombu.Queue(queue, durable=True)
        with connection.Consumer(there, callbacks=[take], accept=["json"]):
            print("listening", flush=True)
            while True:
                connection.drain_events()


def pika_send():
    import pika
    connection = pika.BlockingConnection(pika.URLParameters(URL))
    channel = connection.channel()
    channel.confirm_delivery()
    channel.basic_publish("", queue, b'{"id": 1}', pika.BasicProperties(type="paid", message_id="m-1"))
    connection.close()


def pika_read():
    import pika
    channel = pika.BlockingConnection(pika.URLParameters(URL)).channel()
    channel.queue_declare(queue, durable=True)
    print("listening", flush=True)
    for method, properties, body in channel.consume(queue):
        got(properties.type, properties.message_id, json.loads(body))
        channel.basic_ack(method.delivery_tag)


async def aio_pika_send():
    import aio_pika
    connection = await aio_pika.connect_robust(URL)
    channel = await connection.channel()
    await channel.default_exchange.publish(aio_pika.Message(b'{"id": 1}', type="paid"), queue)
    await connection.close()


async def aio_pika_read():
    import aio_pika
    connection = await aio_pika.connect_robust(URL)
    there = await (await connection.channel()).declare_queue(queue, durable=True)
    print("listening", flush=True)
    async with there.iterator() as messages:
        async for message in messages:
            async with message.process():
                got(message.type, message.message_id, json.loads(message.body))


CASES = {
    "celery": lambda: send_task(task_id="t-1"),
    "celery-countdown": lambda: send_task(task_id="t-2", countdown=2),
    "celery-expired": lambda: send_task(task_id="t-3", expires=-5),
    "celery-zlib": lambda: send_task(task_id="t-4", compression="zlib"),
    "celery-pickle": lambda: send_task(task_id="t-5", serializer="pickle"),
    "kombu": kombu_send,
    "kombu-read": kombu_read,
    "pika": pika_send,
    "pika-read": pika_read,
    "aio-pika": lambda: asyncio.run(aio_pika_send()),
    "aio-pika-read": lambda: asyncio.run(aio_pika_read()),
}
CASES[case]()

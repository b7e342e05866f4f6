"""Sends one message as Celery and kombu do: senders.py CASE QUEUE"""
import os
import sys

import celery
import kombu

case, queue = sys.argv[1:]
URL = os.environ["RABBIT_URL"]
app = celery.Celery("shop", broker=URL)
app.conf.broker_transport_options = {"confirm_publish": True}
app.conf.task_create_missing_queues = True
# as it is: the queue is herald's
app.conf.task_queues = [kombu.Queue(queue, no_declare=True)]
SENT = {"args": [1], "kwargs": {"x": 2}, "queue": queue}

if case == "celery":
    app.send_task("shop.paid", task_id="t-1", **SENT)
elif case == "celery-countdown":
    app.send_task("shop.paid", task_id="t-2", countdown=2, **SENT)
elif case == "celery-expired":
    app.send_task("shop.paid", task_id="t-3", expires=-5, **SENT)
elif case == "celery-zlib":
    app.send_task("shop.paid", task_id="t-4", compression="zlib", **SENT)
elif case == "celery-pickle":
    app.send_task("shop.paid", task_id="t-5", serializer="pickle", **SENT)
elif case == "kombu":
    with kombu.Connection(URL) as connection:
        producer = connection.Producer()
        producer.publish({"id": 1}, routing_key=queue, type="paid", compression="zlib")

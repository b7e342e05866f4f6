"""What widely used producers put on the wire, as recorded in front of a RabbitMQ 3.10.8 (the
rows of Spring, MassTransit, CAP and NServiceBus are read from their sources), and what
herald makes of it with one word.

A row: the producer, the envelope, where it is published to ("queue": the default exchange;
"fanout": an exchange, with an empty routing key), the properties, the body, and (type, id, body)
as a handler sees them, or the words of a refusal. An id of None: the message has none."""

import gzip
import json
import zlib

import rabbit

CELERY = {"lang": "py", "task": "shop.paid", "id": "t-1", "shadow": None, "eta": None,
          "expires": None, "group": None, "group_index": None, "retries": 0,
          "timelimit": [None, None], "root_id": "t-1", "parent_id": None, "argsrepr": "(1,)",
          "kwargsrepr": "{'x': 2}", "origin": "gen1@host", "ignore_result": False}
CELERY_BODY = '[[1], {"x": 2}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]'
CELERY_SEEN = {"args": [1], "kwargs": {"x": 2},
               "embed": {"callbacks": None, "errbacks": None, "chain": None, "chord": None}}
CELERY_SENT = {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2,
               "correlation_id": "t-1", "reply_to": "r-1", "priority": 0}
PAID = '{"id":1}'
EVENT = {"id": "e-1", "type": "order.paid", "source": "/shop", "specversion": "1.0"}
CE = {"ce-id": "e-1", "ce-type": "order.paid", "ce-source": "/shop",
      "ce-time": "2026-11-29T12:00:00.123Z", "ce-specversion": "1.0",
      "content-type": "application/json; charset=utf-8"}
SERVICE = ('{"businessKey1":"16","businessKey2":"60201","id":7,"messageType":"paid",'
           '"executeNum":0,"state":"0"}')
SPRING = {"content_encoding": "UTF-8", "delivery_mode": 2, "priority": 0}
CORRELATION = {"spring_returned_message_correlation": "7"}
MOLECULER = {"ver": "4", "sender": "n1", "id": "u-1", "event": "order.paid", "data": {"id": 1},
             "groups": ["mail"], "broadcast": False, "meta": {}, "level": 1, "tracing": None}
MASSTRANSIT = {"messageId": "8d2f0000-5d1e-0015-fbe5-08dc7c6d2a0f",
               "conversationId": "8d2f0000-5d1e-0015-3f5d-08dc7c6d2a10",
               "sourceAddress": "rabbitmq://h/app", "destinationAddress": "rabbitmq://h/Shop:Paid",
               "messageType": ["urn:message:Shop:Paid", "urn:message:Shop:IEvent"],
               "message": {"orderId": 1}, "sentTime": "2026-11-29T12:00:00.1234567Z",
               "headers": {}, "host": {"machineName": "m"}}


def own(body):
    """A service of ours: its id names the message beside its fingerprint, which is not shown."""
    return ("paid", None, json.loads(body))


ROWS = [
    ("NestJS emit", "nestjs", "queue", {"delivery_mode": 1, "headers": {}},
     '{"pattern":"order.paid","data":{"id":1}}', ("order.paid", None, {"id": 1})),
    ("NestJS emit, pattern an object", "nestjs", "queue", {"delivery_mode": 1, "headers": {}},
     '{"pattern":{"cmd":"x","a":{"n":1}},"data":null}',
     ('{"a":{"n":1},"cmd":"x"}', None, None)),
    ("NestJS send", "nestjs", "queue",
     {"delivery_mode": 1, "headers": {}, "correlation_id": "52f5", "reply_to": "replies"},
     '{"pattern":"sum","data":[1,2],"id":"52f5"}', ("sum", "52f5", [1, 2])),
    ("NestJS RmqRecordBuilder", "nestjs", "queue",
     {"delivery_mode": 1, "message_id": "m-1", "priority": 3, "headers": {"x": "y"}},
     '{"pattern":"order.paid","data":"text"}', ("order.paid", "m-1", "text")),
    ("amqplib publish", "raw", "fanout", {"headers": {}}, b"\x00bytes", ("EXCHANGE", None, "RAW")),
    ("amqplib sendToQueue", "raw", "queue", {"headers": {}, "delivery_mode": 2}, b"bytes",
     ("QUEUE", None, "RAW")),
    ("rascal, object", "raw", "queue", {"content_type": "application/json", "delivery_mode": 2,
                                        "message_id": "u-2", "headers": {}}, PAID,
     ("QUEUE", "u-2", "RAW")),
    ("golevelup publish", "raw", "fanout", {"headers": {}}, PAID, ("EXCHANGE", None, "RAW")),
    ("golevelup request", "raw", "queue",
     {"headers": {}, "correlation_id": "c-1", "reply_to": "replies-1"}, '"text"',
     ("QUEUE", None, "RAW")),
    ("@node-ts/bus", "node-ts", "fanout",
     {"message_id": "u-3", "correlation_id": "u-4",
      "headers": {"attributes": "{}", "stickyAttributes": "{}"}},
     '{"$name":"shop/order-paid","$version":0,"id":1}',
     ("shop/order-paid", "u-3", {"$name": "shop/order-paid", "$version": 0, "id": 1})),
    ("moleculer emit", "moleculer", "queue", {"headers": {}}, json.dumps(MOLECULER),
     ("order.paid", "u-1", {"id": 1})),
    ("message-queue-toolkit", "auto", "queue", {"headers": {}},
     '{"id":"u-5","messageType":"order.paid","payload":{},"timestamp":"2026-11-29T12:00:00Z"}',
     ("order.paid", None, {"id": "u-5", "messageType": "order.paid", "payload": {},
                           "timestamp": "2026-11-29T12:00:00Z"})),
    ("cloudamqp queue.publish", "raw", "queue", {"delivery_mode": 2}, b"bytes",
     ("QUEUE", None, "RAW")),
    ("rabbitmq-client, object", "raw", "queue",
     {"content_type": "application/json", "delivery_mode": 1, "timestamp": 1795953600}, PAID,
     ("QUEUE", None, "RAW")),
    ("cloudevents HTTP.binary over amqplib", "cloudevents", "queue",
     {"content_type": "application/json; charset=utf-8", "headers": CE}, PAID,
     ("order.paid", "/shop e-1", {"id": 1})),
    ("cloudevents with cloudEvents: headers", "cloudevents", "queue",
     {"content_type": "application/json",
      "headers": {"cloudEvents:id": "e-2", "cloudEvents:type": "t", "cloudEvents:source": "/s"}},
     PAID, ("t", "/s e-2", {"id": 1})),
    ("cloudevents with cloudEvents_ headers", "cloudevents", "queue",
     {"content_type": "text/plain", "headers":
      {"cloudEvents_id": "e-3", "cloudEvents_type": "t", "cloudEvents_source": "/s"}},
     "words", ("t", "/s e-3", "BYTES")),
    ("cloudevents HTTP.structured", "cloudevents", "queue",
     {"content_type": "application/cloudevents+json; charset=utf-8"},
     json.dumps({**EVENT, "id": "e-5", "data": {"n": 1}}), ("order.paid", "/shop e-5", {"n": 1})),
    ("cloudevents structured, data in base64", "cloudevents", "queue",
     {"content_type": "application/cloudevents+json"},
     json.dumps({**EVENT, "id": "e-4", "data_base64": "AP9i"}), ("order.paid", "/shop e-4", "BYTES")),
    ("cloudevents batch", "cloudevents", "queue",
     {"content_type": "application/cloudevents-batch+json"}, json.dumps([EVENT]),
     'envelope = "cloudevents": it is a batch of CloudEvents'),
    ("Celery delay", "celery", "queue", {**CELERY_SENT, "headers": CELERY}, CELERY_BODY,
     ("shop.paid", "t-1", CELERY_SEEN)),
    ("Celery retry of its own", "celery", "queue",
     {**CELERY_SENT, "headers": {**CELERY, "retries": 2}}, CELERY_BODY,
     ("shop.paid", "t-1#2", CELERY_SEEN)),
    ("Celery, protocol 1", "celery", "queue", CELERY_SENT,
     '{"task":"shop.old","id":"t-9","args":[1],"kwargs":{},"retries":0,"eta":null,"expires":null}',
     ("shop.old", "t-9", {"args": [1], "kwargs": {}, "embed": {}})),
    ("Celery with pickle", "celery", "queue",
     {**CELERY_SENT, "content_type": "application/x-python-serialize",
      "content_encoding": "binary", "headers": {**CELERY, "id": "t-2"}}, b"\x80\x02]q\x00.",
     'task_serializer = "json"'),
    ("kombu dict", "raw", "queue",
     {"content_type": "application/json", "content_encoding": "utf-8", "delivery_mode": 2,
      "priority": 0, "headers": {}}, '{"a": 1}', ("QUEUE", None, "RAW")),
    ("kombu, compressed by zlib", "celery", "queue",
     {**CELERY_SENT, "headers": {**CELERY, "id": "t-3", "compression": "application/x-gzip"}},
     zlib.compress(CELERY_BODY.encode()), ("shop.paid", "t-3", CELERY_SEEN)),
    ("cloudamqp with the coder gzip", "auto", "queue",
     {"content_type": "application/json", "content_encoding": "gzip", "delivery_mode": 2,
      "type": "paid"}, gzip.compress(PAID.encode()), ("paid", None, {"id": 1})),
    ("a body that is no gzip", "auto", "queue", {"content_encoding": "gzip", "type": "paid"}, PAID,
     "the body is neither gzip nor zlib"),
    ("pika basic_publish", "raw", "queue", {}, b"bytes", ("QUEUE", None, "RAW")),
    ("bunny publish, JSON text, with a type", "auto", "queue",
     {"content_type": "application/octet-stream", "delivery_mode": 2, "priority": 0,
      "type": "paid"}, PAID, ("paid", None, {"id": 1})),
    ("php-amqp, JSON text, with a type", "auto", "queue",
     {"content_type": "text/plain", "type": "paid"}, PAID, ("paid", None, {"id": 1})),
    ("php-amqplib AMQPMessage", "raw", "queue", {}, PAID, ("QUEUE", None, "RAW")),
    ("Symfony PhpSerializer", "symfony", "fanout",
     {"content_type": "text/plain", "delivery_mode": 2, "timestamp": 1795953600, "headers": {}},
     r'O:36:\"Symfony\\Component\\Messenger\\Envelope\":2:{s:44:\"x\";a:0:{}}',
     "it is a serialized PHP object"),
    ("Symfony Serializer", "symfony", "fanout",
     {"content_type": "application/json", "delivery_mode": 2, "timestamp": 1795953600,
      "headers": {"type": "App\\Message\\OrderPaid",
                  "X-Message-Stamp-Symfony\\Component\\Messenger\\Stamp\\BusNameStamp":
                  '[{"busName":"messenger.bus.default"}]'}}, PAID,
     ("App\\Message\\OrderPaid", None, {"id": 1})),
    ("Java client, no properties", "raw", "queue", {}, PAID, ("QUEUE", None, "RAW")),
    ("Java PERSISTENT_TEXT_PLAIN", "raw", "queue",
     {"content_type": "text/plain", "delivery_mode": 2, "priority": 0}, PAID,
     ("QUEUE", None, "RAW")),
    ("Go Publishing{}", "raw", "queue", {}, b"", ("QUEUE", None, "EMPTY")),
    ("Go Publishing{}, with a type", "auto", "queue", {"type": "ping"}, b"", ("ping", None, "EMPTY")),
    ("AnyEvent::RabbitMQ", "raw", "queue",
     {"content_type": "application/octet-stream", "delivery_mode": 1, "priority": 1,
      "timestamp": 1795953600, "user_id": rabbit.USER, "headers": {}}, PAID, ("QUEUE", None, "RAW")),
    ("Spring convertAndSend(String) of the services", "auto", "fanout",
     {**SPRING, "content_type": "text/plain", "headers": CORRELATION}, SERVICE, own(SERVICE)),
    ("Spring withBody(bytes) of the services", "auto", "fanout",
     {"content_type": "application/octet-stream", "delivery_mode": 2, "priority": 0,
      "headers": CORRELATION}, SERVICE.replace("16", "17"), own(SERVICE.replace("16", "17"))),
    ("Spring convertAndSend(Serializable)", "spring", "fanout",
     {**SPRING, "content_type": "application/x-java-serialized-object"}, b"\xac\xed\x00\x05t",
     "it is a serialized Java object"),
    ("Spring Jackson2JsonMessageConverter", "spring", "fanout",
     {**SPRING, "content_type": "application/json", "headers": {"__TypeId__": "com.shop.Paid"}},
     PAID, ("com.shop.Paid", None, {"id": 1})),
    ("Spring without a type, by its routing key", "spring", "queue",
     {**SPRING, "content_type": "text/plain"}, PAID, ("QUEUE", None, {"id": 1})),
    ("MassTransit", "masstransit", "fanout",
     {"content_type": "application/vnd.masstransit+json", "delivery_mode": 2,
      "message_id": MASSTRANSIT["messageId"],
      "headers": {"Content-Type": "application/vnd.masstransit+json", "publishId": "1"}},
     json.dumps(MASSTRANSIT), ("Shop:Paid", MASSTRANSIT["messageId"], {"orderId": 1})),
    ("DotNetCore.CAP", "cap", "queue",
     {"delivery_mode": 2, "headers": {
         "cap-msg-id": "1797", "cap-msg-name": "order.paid", "cap-msg-type": "Order",
         "cap-senttime": "11/29/2026 12:00:00 +00:00", "cap-corr-id": "1797", "cap-corr-seq": "0"}},
     PAID, ("order.paid", "1797", {"id": 1})),
    ("NServiceBus", "nservicebus", "fanout",
     {"content_type": "application/octet-stream", "delivery_mode": 2, "message_id": "n-1",
      "type": "Shop.Paid, Shop, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null",
      "correlation_id": "n-1", "reply_to": "Shop", "headers": {
          "NServiceBus.EnclosedMessageTypes":
          "Shop.Paid, Shop, Version=1.0.0.0, Culture=neutral, PublicKeyToken=null;Shop.IEvent",
          "NServiceBus.TimeSent": "2026-11-29 12:00:00:123456 Z",
          "NServiceBus.MessageId": "n-1"}},
     "\ufeff" + PAID, ("Shop.Paid", "n-1", {"id": 1})),
    ("a shovel with forward headers", "auto", "queue",
     {"type": "paid", "message_id": "s-1", "headers": {
         "x-shovelled": [{"shovelled-by": "rabbit@a", "shovel-type": "dynamic"}],
         "x-shovelled-timestamp": 1795953600}}, PAID, ("paid", "s-1", {"id": 1})),
    ("a federated exchange", "auto", "fanout",
     {"type": "paid", "message_id": "f-1", "headers": {
         "x-received-from": [{"uri": "amqp://a", "exchange": "x", "redelivered": False,
                              "cluster-name": "a", "vhost": "/"}]}}, PAID, ("paid", "f-1", {"id": 1})),
]

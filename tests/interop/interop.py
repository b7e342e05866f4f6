"""Called by run.sh: has each client send to a router, and others read what it sends."""

import json
import os
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WORK, HERALD, URL = (os.environ[name] for name in ("WORK", "HERALD", "RABBIT_URL"))
PATIENCE = 60

NODE = ["node", f"{HERE}/senders.js"]
PYTHON = ["/usr/bin/python3", f"{HERE}/senders.py"]
PAID = {"id": 1}
TASK = {"args": [1], "kwargs": {"x": 2}}
# name, envelope, command before the queue, type, id ("": none; "*": some), body; or a refusal
SENDERS = [
    ("amqplib 0.10.9, type given", "auto", NODE + ["amqplib"], "paid", "", PAID),
    ("amqplib 0.10.9, bytes", "raw", NODE + ["amqplib-raw"], "QUEUE", "", None),
    ("@nestjs/microservices 11.2.6, emit", "nestjs", NODE + ["nestjs"], "order.paid", "", PAID),
    ("... pattern an object", "nestjs", NODE + ["nestjs-object"], '{"area":"shop","cmd":"paid"}',
     "", PAID),
    ("... send, answered", "nestjs", NODE + ["nestjs-request"], "sum", "*", [1, 2]),
    ("rascal 21.0.1, type given", "auto", NODE + ["rascal"], "paid", "*", PAID),
    ("rabbitmq-client 5.0.8, type given", "auto", NODE + ["rabbitmq-client"], "paid", "", PAID),
    ("@cloudamqp/amqp-client 4.1.1, type given", "auto", NODE + ["cloudamqp"], "paid", "", PAID),
    ("cloudevents 10.0.0, binary", "cloudevents", NODE + ["cloudevents-binary"], "order.paid",
     "/shop e-binary", PAID),
    ("cloudevents 10.0.0, structured", "cloudevents", NODE + ["cloudevents-structured"],
     "order.paid", "/shop e-structured", PAID),
    ("moleculer 0.14.36", "moleculer", NODE + ["moleculer"], "order.paid", "*", PAID),
    ("Celery (Debian), delay", "celery", PYTHON + ["celery"], "shop.paid", "t-1", TASK),
    ("... countdown of 2 s", "celery", PYTHON + ["celery-countdown"], "shop.paid", "t-2", TASK),
    ("... compressed", "celery", PYTHON + ["celery-zlib"], "shop.paid", "t-4", TASK),
    ("... expired", "celery", PYTHON + ["celery-expired"], "expired"),
    ("... pickle", "celery", PYTHON + ["celery-pickle"], "task_serializer"),
    ("kombu (Debian), compressed, type given", "auto", PYTHON + ["kombu"], "paid", "", PAID),
    ("bunny (Debian), type given", "auto", ["ruby", f"{HERE}/senders.rb"], "paid", "", PAID),
    ("php-amqplib (Debian), type given", "auto", ["php", f"{HERE}/senders.php"], "paid", "", PAID),
]

HEAD = """local herald = require "herald"
local function see(msg, tx)
  local body = msg.body
  if body == msg.raw then body = nil end
  tx:exec("insert into seen values (?, ?, ?, ?)", msg.queue, msg.type, msg.id or "",
    body ~= nil and herald.json.encode(body) or nil)
  if msg.type == "sum" then
    tx:reply { response = msg.body[1] + msg.body[2], isDisposed = true, id = msg.correlation_id }
  end
end
"""
READERS = """herald.route { type = "nest", to = herald.queue "interop.nest" }
herald.route { type = "celery", to = herald.queue "interop.celery" }
"""
CELERY_APP = """import celery, kombu
app = celery.Celery("shop", broker=%r)
app.conf.task_queues = [kombu.Queue("interop.celery", durable=True)]
@app.task(name="shop.paid")
def paid(number, x):
    print(f"got {number} {x}", flush=True)
"""


def queue_of(number):
    return f"interop.{number}"


def make_router(folder):
    for below in ("rules", "migrations"):
        os.makedirs(f"{folder}/{below}")
    with open(f"{folder}/herald.lua", "w") as out:
        out.write(f'return {{ broker = "{URL}" }}\n')
    with open(f"{folder}/migrations/001.sql", "w") as out:
        out.write("create table seen (queue text, type text, id text, body text);\n")
    with open(f"{folder}/rules/interop.lua", "w") as out:
        out.write(HEAD + READERS)
        for number, row in enumerate(SENDERS):
            out.write(f'herald.subscribe {{ queue = "{queue_of(number)}", envelope = "{row[1]}" }}\n'
                      f'herald.on("*", "*", see, {{ queue = "{queue_of(number)}" }})\n')


def query(folder, sql, *values):
    store = sqlite3.connect(f"file:{folder}/herald.db?mode=ro", uri=True, timeout=PATIENCE)
    try:
        return store.execute(sql, values).fetchall()
    finally:
        store.close()


def wait(look):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        found = look()
        if found:
            return found
        time.sleep(0.05)
    return None


def outcome(folder, queue):
    seen = query(folder, "select type, id, body from seen where queue = ?", queue)
    dead = query(folder, "select error from herald_dead where queue = ?", queue)
    return (seen and ("handled", seen[0])) or (dead and ("refused", dead[0][0])) or None


def judge(row, queue, got):
    if got is None:
        return "nothing came"
    if len(row) == 4:
        return None if got[0] == "refused" and row[3] in got[1] else f"not refused so: {got}"
    if got[0] != "handled":
        return f"refused: {got[1]}"
    type_, id_, body = got[1]
    wanted = queue if row[3] == "QUEUE" else row[3]
    if type_ != wanted or not (id_ == row[4] or (row[4] == "*" and id_)):
        return f"type {type_}, id {id_}"
    body = json.loads(body) if body else None
    if isinstance(body, dict):
        body.pop("embed", None)
    return None if body == row[5] else f"body {body}"


def run_senders(folder):
    bad = 0
    print(f"{'sends':42} {'envelope':12} outcome")
    for number, row in enumerate(SENDERS):
        sent = subprocess.run(row[2] + [queue_of(number)], capture_output=True, text=True)
        got = wait(lambda: outcome(folder, queue_of(number))) if sent.returncode == 0 else None
        wrong = judge(row, queue_of(number), got) if sent.returncode == 0 else sent.stderr[-800:]
        bad += wrong is not None
        print(f"{row[0]:42} {row[1]:12} {wrong or 'as expected: ' + str(got[1])[:90]}", flush=True)
    return bad


def emit(folder, type_, body, headers):
    """As a program that writes to the store does."""
    store = sqlite3.connect(f"{folder}/herald.db", timeout=PATIENCE)
    store.execute("pragma wal_autocheckpoint = 0")
    with store:
        store.execute("insert into herald_outbox(type, body, headers) values (?, ?, ?)",
                      (type_, body, headers))
    store.close()


def run_reader(name, command, ready, row, folder, wanted, env=None):
    log = f"{WORK}/{name}.log"
    with open(log, "w") as out:
        reader = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, cwd=WORK,
                                  env={**os.environ, **(env or {})})
    try:
        text = lambda: open(log).read()
        good = wait(lambda: ready in text())
        if good:
            emit(folder, *row)
            good = wait(lambda: wanted in text())
        print(f"{name:42} {'reads':12} {'as expected' if good else text()[-800:]}", flush=True)
        return 0 if good else 1
    finally:
        reader.terminate()
        reader.wait()


def run_readers(folder):
    with open(f"{WORK}/shop_tasks.py", "w") as out:
        out.write(CELERY_APP % URL)
    body = json.dumps({"pattern": "order.paid", "data": PAID})
    bad = run_reader("NestJS server 11.2.6", ["node", f"{HERE}/nest_server.js", "interop.nest"],
                     "listening", ("nest", body, None), folder, 'got {"id":1}')
    body = json.dumps([[1], {"x": 2}, {"callbacks": None}])
    headers = json.dumps({"task": "shop.paid", "id": "t-9"})
    bad += run_reader("Celery worker (Debian)",
                      ["/usr/bin/python3", "-m", "celery", "-A", "shop_tasks", "worker", "-P", "solo", "-l", "INFO",
                       "-Q", "interop.celery", "--without-mingle", "--without-gossip"],
                      "ready", ("celery", body, headers), folder, "got 1 2", {"PYTHONPATH": WORK, "C_FORCE_ROOT": "1"})
    return bad


def main():
    folder = f"{WORK}/router"
    make_router(folder)
    with open(f"{WORK}/router.log", "w") as log:
        router = subprocess.Popen([HERALD, "-C", folder, "run"], stdout=subprocess.PIPE, stderr=log,
                                  text=True)
    try:
        if "ready" not in router.stdout.readline():
            sys.exit(open(f"{WORK}/router.log").read())
        wait(lambda: open(f"{WORK}/router.log").read().count("broker.consuming") >= len(SENDERS))
        bad = run_senders(folder) + run_readers(folder)
    finally:
        router.terminate()
        router.wait()
    print(f"{len(SENDERS) + 2 - bad} as expected, {bad} not")
    sys.exit(1 if bad else 0)


main()

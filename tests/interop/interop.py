"""Called by run.sh: has each client of cases.py send to a router, and others read what it sends."""

import datetime
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time

import cases
from cases import READERS, SENDERS, URL, WORK

HERALD = os.environ["HERALD"]
PATIENCE = 60
ANSWERS = "interop.answers"

HEAD = """local herald = require "herald"
local function see(msg, tx)
  local body = msg.body
  if body == msg.raw then body = nil end
  tx:exec("insert into seen values (?, ?, ?, ?)", msg.queue, msg.type, msg.id or "",
    body ~= nil and herald.json.encode(body) or nil)
  if msg.type == "sum" then
    tx:reply(msg.body[1] + msg.body[2], { format = "nestjs" })
  elseif msg.reply_to and body == nil then
    local asked = herald.json.decode(msg.raw)
    tx:reply { sum = asked[1] + asked[2] }
  end
end
herald.subscribe { queue = "%s", queue_type = "classic", envelope = function(_, properties)
  return { type = "answer", id = properties.correlation_id }
end }
herald.on("*", "*", see, { queue = "%s" })
""" % (ANSWERS, ANSWERS)


def sent_queue(number):
    return f"interop.send.{number}"


def read_queue(number):
    return f"interop.read.{number}"


def rules():
    text = HEAD
    for number, row in enumerate(SENDERS):
        queue = sent_queue(number)
        text += (f'herald.subscribe {{ queue = "{queue}", envelope = "{row[1]}" }}\n'
                 f'herald.on("*", "*", see, {{ queue = "{queue}" }})\n')
    for number, (_, form, _, rows) in enumerate(READERS):
        for row, _ in rows:
            more = f', format = "{form}"' if form else ""
            text += (f'herald.route {{ type = {json.dumps(row["type"])}, '
                     f'to = herald.queue "{read_queue(number)}"{more} }}\n')
    return text


def make_router(folder):
    for below in ("rules", "migrations"):
        os.makedirs(f"{folder}/{below}")
    for name, text in (("herald.lua", f'return {{ broker = "{URL}" }}\n'), ("rules/interop.lua", rules()),
                       ("migrations/001.sql", "create table seen (queue text, type text, id text, body text);\n")):
        with open(f"{folder}/{name}", "w", encoding="utf-8") as out:
            out.write(text)


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


# --- who sends to herald ---


def outcome(folder, queue):
    seen = query(folder, "select type, id, body from seen where queue = ?", queue)
    dead = query(folder, "select error from herald_dead where queue = ?", queue)
    return (seen and ("handled", seen[0])) or (dead and ("refused", dead[0][0])) or None


def judge(row, queue, got):
    """What is not as expected, or None."""
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


def shown(got):
    if got[0] == "refused":
        return "no, as it should: " + got[1][:80]
    type_, id_, _ = got[1]
    return f"yes, type {type_}, " + (f"id {id_}" if id_ else "no id")


def run_sender(number, row, folder):
    queue = sent_queue(number)
    try:
        sent = subprocess.run(row[2] + [queue], capture_output=True, text=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"did not send within {PATIENCE} s", None
    if sent.returncode != 0:
        return "did not send: " + (sent.stdout + sent.stderr)[-800:], None
    got = wait(lambda: outcome(folder, queue))
    return judge(row, queue, got), got


def run_senders(folder):
    bad = 0
    print(f"{'sends':48} {'envelope':12} handled")
    for number, row in enumerate(SENDERS):
        wrong, got = run_sender(number, row, folder)
        bad += wrong is not None
        print(f"{row[0]:48} {row[1]:12} {'WRONG: ' + wrong if wrong else shown(got)}", flush=True)
    return bad


# --- who reads what herald sends ---


def emit(folder, row):
    """As a program that writes to the store does."""
    values = {name: value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
              for name, value in row.items()}
    store = sqlite3.connect(f"{folder}/herald.db", timeout=PATIENCE)
    store.execute("pragma wal_autocheckpoint = 0")
    with store:
        store.execute(f"insert into herald_outbox({', '.join(values)}) "
                      f"values ({', '.join('?' * len(values))})", list(values.values()))
    store.close()


def ready_row(row, wanted, number):
    """What is to be answered is a request; what is to wait does so for two seconds."""
    row = json.loads(json.dumps(row))
    if row.get("headers", {}).get("eta"):
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=2)
        row["headers"]["eta"] = soon.isoformat()
    if not isinstance(wanted, str):
        row["properties"] = {"reply_to": ANSWERS, "correlation_id": f"ask-{number}"}
    return row


def answered(folder, number, wanted):
    """Whether herald has the answer, which may say more than this."""
    found = query(folder, "select body from seen where queue = ? and id = ?", ANSWERS, f"ask-{number}")
    return found and wanted.items() <= json.loads(found[0][0]).items()


def read_rows(number, rows, folder, text):
    """What did not come, or None."""
    if not wait(lambda: "listening" in text() or "ready." in text()):
        return text()[-800:]
    for row, wanted in rows:
        emit(folder, ready_row(row, wanted, number))
        come = (lambda: wanted in text()) if isinstance(wanted, str) else (
            lambda: answered(folder, number, wanted))
        if not wait(come):
            return f"{wanted} did not come: {text()[-800:]}"
    return None


def run_reader(number, reader, folder):
    queue = read_queue(number)
    log = f"{WORK}/{queue}.log"
    with open(f"{WORK}/shop_tasks.py", "w", encoding="utf-8") as out:
        out.write(cases.CELERY_APP.replace("QUEUE", queue))

    def text():
        with open(log, encoding="utf-8", errors="replace") as said:
            return said.read()

    with open(log, "w", encoding="utf-8") as out:
        client = subprocess.Popen(reader[2] + [queue], stdout=out, stderr=subprocess.STDOUT, cwd=WORK,
                                  env={**os.environ, "PYTHONPATH": WORK, "C_FORCE_ROOT": "1"})
    try:
        return read_rows(number, reader[3], folder, text)
    finally:
        client.send_signal(signal.SIGKILL)
        client.wait()


def run_readers(folder):
    bad = 0
    print(f"{'reads':48} {'format':12} given")
    for number, reader in enumerate(READERS):
        wrong = run_reader(number, reader, folder)
        bad += wrong is not None
        said = "; ".join(wanted if isinstance(wanted, str) else f"answered {json.dumps(wanted)}"
                         for _, wanted in reader[3])
        print(f"{reader[0]:48} {reader[1] or '-':12} {'WRONG: ' + wrong if wrong else 'yes, ' + said}",
              flush=True)
    return bad


def main():
    folder = f"{WORK}/router"
    make_router(folder)
    with open(f"{WORK}/router.log", "w", encoding="utf-8") as log:
        router = subprocess.Popen([HERALD, "-C", folder, "run"], stdout=subprocess.PIPE, stderr=log,
                                  text=True)

    def listens():
        with open(f"{WORK}/router.log", encoding="utf-8") as log:
            return log.read()

    try:
        if "ready" not in router.stdout.readline():
            sys.exit(listens())
        wait(lambda: listens().count("broker.consuming") > 2 * len(SENDERS))
        bad = run_senders(folder) + run_readers(folder)
    finally:
        router.terminate()
        router.wait()
    print(f"{len(SENDERS) + len(READERS) - bad} passed, {bad} failed")
    sys.exit(1 if bad else 0)


main()

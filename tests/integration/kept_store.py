"""kept_store: a store of version 0.1.0 with work in every state, and the messages that it holds
(tests/fixtures). Their names on the broker become a test's own."""

import json
import os
import re
import sqlite3
import time

import harness

FIXTURES = os.path.join(os.path.dirname(harness.HERE), "fixtures")
SETTINGS = "return { history = '30d', publish_retry = { delay = '1h' } }\n"
QUEUES = ("plain", "quorum", "lanes", "shaped", "raw", "paused")


# The time of all that is in it, up to the last digits: seconds, or milliseconds.
MADE = re.compile(r"\b17959\d{5}(\d{3})?\b")
MADE_UNTIL = 1795979000


def read(case, name):
    with open(os.path.join(FIXTURES, "store-0.1.0." + name), encoding="utf-8") as file:
        return of_today(file.read().replace("kept-", case.tag + "-kept-"))


def of_today(text):
    """What was made some weeks ago the router may have forgotten, and rightly so."""
    past = int(time.time()) - MADE_UNTIL
    return MADE.sub(lambda at: str(int(at[0]) + past * (1000 if at[1] else 1)), text)


def messages(case):
    """[{name, queue, trouble, properties, body}]: what was sent to it."""
    return [json.loads(line) for line in read(case, "jsonl").splitlines()]


def name(case, word):
    return f"{case.tag}-kept-{word}"


def make(case, **options):
    """A router on that store, nothing of which is at work yet: handlers fail no more, and a
    queue of somebody else's is there where none was."""
    for word in (*QUEUES, "events", "absent", "heard", "arrived"):
        case.named.append(name(case, word))
    router = case.router({"rules/kept.lua": read(case, "lua"), "herald.lua": SETTINGS,
                          "migrations/001_kept.sql": read(case, "migration.sql")}, **options)
    store = sqlite3.connect(router.store)
    store.executescript(read(case, "sql"))
    store.execute("delete from trouble")
    store.commit()
    store.close()
    return router


def make_broker(case, peer):
    """What else was on its broker."""
    peer.listen(name(case, "heard"), name(case, "events"))
    peer.listen(name(case, "arrived"), name(case, "absent"), "direct", "to")


def finish_work(case, router):
    """Everything that waits is done now, by the commands that a person would give."""
    router.run("retries", "now", "--all")
    router.run("outbox", "retry", "--all")
    router.run("dead", "replay", "--side", "inbox", "--error", "it is not wanted")
    router.run("dead", "replay", "--side", "outbox", "--type", "kept_parked")
    case.wait_equal("all retries to be done",
                    lambda: router.value("select count(*) from herald_retry"), 0)
    case.wait_equal("all rows but the one of the year 2100 to be sent",
                    lambda: router.column("select key from herald_outbox"),
                    [name(case, "key")])

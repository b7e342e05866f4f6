"""door: a router with the setting `admin`, and a client for what is behind it."""

import http.client
import json
import os
import re
import socket

from harness import Case

RULES = """
local herald = require "herald"
herald.route { type = "note", to = herald.fanout "$exchange" }
herald.route { type = "lost", to = herald.fanout "$exchange" }
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", retry = { attempts = 9 } }
herald.on("note", "*", function(msg)
  if msg.business_key1 == "bad" then herald.reject "no such course" end
  if msg.business_key1 == "later" then herald.retry("1h") end
end)
"""
SECONDS = 120  # for an answer


class Answer:
    """What came back: `json` where it is some."""

    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.text = response.read().decode()
        self.json = None
        if response.headers.get_content_type() == "application/json" and self.text:
            self.json = json.loads(self.text)

    @property
    def wrong(self):
        """What an error says."""
        return self.json["error"]["what"]


class OverUnix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SECONDS)
        self.sock.connect(self.path)


class Door(Case):
    """`self.token` goes along with every request unless it is None."""

    token = None
    port = None
    path = None  # of the socket

    def open(self, rules=RULES, listen="127.0.0.1:0", files=None, broker="embedded", **settings):
        """A router that runs; what `admin` says besides `listen` are names that begin with admin_."""
        admin = {"listen": listen}
        for name in [name for name in settings if name.startswith("admin_")]:
            admin[name.removeprefix("admin_")] = settings.pop(name)
        router = self.router({"rules/a.lua": rules, **(files or {})}, broker=broker, admin=admin, **settings)
        return self.run_router(router)

    def run_router(self, router):
        before = len(router.events("admin.listening"))
        router.start()
        line = router.events("admin.listening")[before]
        self.port = int(re.search(r"port=(\d+)", line)[1])
        unix = re.search(r"address=unix:(\S+)", line)
        self.path = unix and os.path.join(router.folder, unix[1])
        return router

    def connect(self):
        """A plain socket to the door."""
        if self.path:
            made = OverUnix(self.path)
            made.connect()
            return made.sock
        return socket.create_connection(("127.0.0.1", self.port), SECONDS)

    def ask(self, method, path, body=None, **headers):
        """Sends it; a header is named with _ for -, and None leaves out one that is usual."""
        usual = {}
        if self.token:
            usual["Authorization"] = f"Bearer {self.token}"
        if method == "POST":
            usual |= {"X-Herald": "1", "Content-Type": "application/json"}
        usual |= {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        connection = OverUnix(self.path) if self.path else http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=SECONDS)
        try:
            connection.request(method, path, body, {k: v for k, v in usual.items() if v is not None})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path, status=200, **headers):
        answer = self.ask("GET", path, **headers)
        self.assertEqual(answer.status, status, f"GET {path}: {answer.text}")
        return answer

    def post(self, path, body, status=200, **headers):
        answer = self.ask("POST", path, {} if body is None else body, **headers)
        self.assertEqual(answer.status, status, f"POST {path}: {answer.text}")
        return answer

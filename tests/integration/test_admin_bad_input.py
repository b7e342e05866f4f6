"""What the admin door is sent that is no good: the router answers in words or hangs up, and its work goes
on."""

import contextlib
import json
import random
import socket

from door import Door
from harness import World

HEAD = "POST {} HTTP/1.1\r\nHost: localhost\r\nX-Herald: 1\r\nContent-Type: application/json\r\n"


class BadInput(Door):
    def setUp(self):
        super().setUp()
        self.sent = 0

    def work(self, router):
        """The router handles what is sent, whatever else it is sent."""
        router.emit("note", "good", count=5)
        self.sent += 5
        self.wait_equal("the work", lambda: router.counter("handled"), self.sent)

    def say(self, text, finish=True):
        """Bytes on a connection of their own: what came back until its end."""
        with self.connect() as plain:
            try:
                plain.sendall(text if isinstance(text, bytes) else text.encode())
                if finish:
                    plain.shutdown(socket.SHUT_WR)
                return b"".join(iter(lambda: plain.recv(65536), b"")).decode(errors="replace")
            except OSError:
                return ""  # hung up on

    def test_requests_that_are_none(self):
        router = self.open()
        for bad in (b"\0\xff" * 1000, b"GET\r\n\r\n", b"GET /v1/status\r\n\r\n", b"\r\n" * 5000, b"A" * 100000,
                    b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                    b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n" + b"X: " + b"y" * 100000 + b"\r\n\r\n",
                    b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\n" + b"X: y\r\n" * 20000 + b"\r\n",
                    b"GET /v1/status HTTP/9.9\r\nHost: localhost\r\n\r\n",
                    b"GET /v1/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                    b"POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
                    b"POST /v1/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: nonsense\r\n\r\n",
                    HEAD.format("/v1/reload").encode() + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n0\r\n\r\n"):
            said = self.say(bad)
            self.assertNotRegex(said, r"HTTP/1.1 (2|500)", bad[:60])
        self.work(router)
        seed = random.Random(World.seed)
        for n in range(200):
            with self.connect() as plain:
                plain.sendall((b"", HEAD.format("/v1/reload").encode() + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
                               HEAD.format("/v1/messages").encode() + b"Content-Length: 200\r\n\r\n")[n % 3]
                              + bytes(seed.randrange(256) for _ in range(seed.randrange(1, 200))))
        self.work(router)
        self.get("/v1/status")

    def test_methods_and_paths(self):
        """404 and 405 in JSON, for whatever tries to be another path."""
        router = self.open()
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"):
            for path in ("/v1/status", "/v1/dead/1", "/", "/live"):
                answer = self.ask(method, path)
                self.assertIn(answer.status, (404, 405) if path == "/" else (405,), f"{method} {path}")
                self.assertTrue(answer.wrong)
        for path in ("/v1", "/v1/", "/v1//status", "//v1/status", "/v1/status/", "/v1/./status", "/v1/../v1/status",
                     "/v1/stat%75s", "/v1/status%00", "/v1/dead/1/2", "/v1/dead/-1", "/v1/dead/1e3", "/v1/dead/ID", "/v1/dead/0x1",
                     "/v1/dead/" + "9" * 19, "/v1/dead/" + "9" * 4000, "/V1/status", "/v2/status", "/page/../cli.main",
                     "/page/%2e%2e/x.js", "/page/x.lua", "/page/", "/page/" + "a" * 100 + ".js", "/cli.main", "/openapi.json",
                     "/etc/passwd", "/v1/dead/1;drop", "/index.html", "/page/init.js/"):
            answer = self.get(path, 404)
            self.assertTrue(answer.wrong, path)
        for line in ("GET http://evil.example/v1/status HTTP/1.1", "GET * HTTP/1.1", "GET v1/status HTTP/1.1",
                     "GET \\v1\\status HTTP/1.1"):
            self.assertNotIn(" 200 ", self.say(line + "\r\nHost: localhost\r\nConnection: close\r\n\r\n"), line)
        self.get("/v1/dead/999999999999999999", 404)
        self.get("/v1/dead/0", 400)
        self.work(router)

    def test_queries_and_bodies(self):
        """400 with what, and where."""
        router = self.open()
        for query, words in (
                ("limit=0", "limit must be"), ("limit=1001", "from 1 to 1000"), ("limit=1&limit=2", "limit is there twice"),
                ("limit", "limit must be"), ("limit=-1", "limit must be"), ("limit=1.5", "limit must be"), ("limit=%31%", "escaped"),
                ("type=%ff", "UTF-8"), ("type=%00", "UTF-8"), ("=1", "NAME=VALUE"), ("store=x", "unknown: store"),
                ("side=left", "one of inbox, outbox"), ("group=zz", "group is"), ("since=never", "since is"), ("error=", "error needs"),
                ("since=1d&newer_than=1d", "exclude each other"), ("after=x", "after must be"),
                ("after=99999999999999999999", "after is"), ("json=1", "unknown: json"), ("directory=/etc", "unknown: directory")):
            self.assert_words(self.get(f"/v1/dead?{query}", 400).wrong, words)
        for path in ("status", "settings", "rules", "version", "dead/1"):
            self.assert_words(self.get(f"/v1/{path}?limit=1", 400).wrong, "unknown: limit")
        self.get("/v1/dead?type=" + "x" * 5000 + "&key1=a+b%20c&&")
        for body, words in (
                ("", "no JSON"), ("{", "no JSON"), ("[]", "no JSON object"), ("null", "no JSON object"), ("{}", "replay which"),
                ('{"all":1}', "all must be true or false"), ('{"ids":[]}', "ids must be"), ('{"ids":["1"]}', "ids must be"),
                ('{"ids":[1.5]}', "ids must be"), ('{"ids":[0]}', "ID is"), ('{"ids":[99999999999999999999]}', "ID is"),
                ('{"ids":1}', "ids must be"), ('{"all":true,"all":true}', "no JSON"), ('{"all":true,"ids":[1]}', "contradict"),
                ('{"type":{}}', "type must be a text"), ('{"limit":0,"all":true}', "limit is"), ('{"store":"x","all":true}', "unknown: store"),
                ("[" * 5000, "no JSON"), ('{"a":' * 300 + "1" + "}" * 300, "no JSON"), (b'{"type":"\xff"}', "no JSON"),
                ('{"all":true} x', "no JSON"), ('{"ids":%s}' % json.dumps(list(range(1, 10002))), "1 to 10000")):
            self.assert_words(self.post("/v1/dead/replay", body, 400).wrong, words)
        self.post("/v1/dead/replay", {"ids": list(range(1, 10001))})
        self.post("/v1/dead/replay", {"type": None, "all": True})
        self.post("/v1/outbox/cancel", {}, 400)
        self.post("/v1/outbox/cancel", {"key": "--help"}, 409)
        self.post("/v1/lanes/release", {"head": "foot", "ids": [1]}, 400)
        for body, words in (({}, "edit what"), ({"headers": {"a": 1}}, "headers must be"), ({"headers": {"a=b": "c"}}, "headers must be"),
                            ({"headers": []}, "headers must be"), ({"id": 1}, "unknown: id")):
            self.assert_words(self.post("/v1/dead/1/edit", body, 400).wrong, words)
        self.post("/v1/dead/1/edit", {"body": "@/etc/passwd"}, 404)
        self.post("/v1/dead/1/edit", {"key1": "x"}, 404)
        self.work(router)

    def test_bodies_that_are_too_large(self):
        """413 before they are read; those that lie about it, or bring what nobody asked for, are hung up on."""
        router = self.open()
        self.assertIn(" 413 ", self.say(HEAD.format("/v1/reload") + "Content-Length: 65537\r\n\r\n", finish=False))
        self.assertIn(" 413 ", self.say(HEAD.format("/v1/messages") + f"Content-Length: {17 * 1024 * 1024 + 1}\r\n\r\n", finish=False))
        self.assertIn(" 413 ", self.say("GET /v1/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nx", finish=False))
        chunk = "8000\r\n" + "x" * 0x8000 + "\r\n"
        self.assertNotRegex(self.say(HEAD.format("/v1/reload") + "Transfer-Encoding: chunked\r\n\r\n" + chunk * 4 + "0\r\n\r\n"), "HTTP/1.1 2")
        big = {"type": "note", "key1": "good", "body": "x" * (16 * 1024 * 1024 - 100)}
        self.post("/v1/messages", big, 202)
        self.sent += 1
        self.assert_words(self.post("/v1/messages", big | {"body": "x" * 16 * 1024 * 1024}, 400).wrong, "over the limit")
        # What all of them may have together is promised by their headers.
        waiting = []
        for _ in range(2):
            plain = self.connect()
            self.addCleanup(plain.close)
            plain.sendall((HEAD.format("/v1/messages") + f"Content-Length: {17 * 1024 * 1024}\r\n\r\n").encode())
            waiting.append(plain)
        self.wait_for("the third to be refused", lambda: " 503 " in self.say(
            HEAD.format("/v1/messages") + f"Content-Length: {17 * 1024 * 1024}\r\n\r\n", finish=False))
        for plain in waiting:
            plain.close()
        self.wait_for("room for another", lambda: " 503 " not in self.say(
            HEAD.format("/v1/messages") + f"Content-Length: {17 * 1024 * 1024}\r\n\r\n"))
        self.work(router)

    def test_slow_and_many(self):
        """Who is slow takes one of a few places, and loses it; some hundred at once, 10,000 in the long form, cost
        nothing but their own time."""
        router = self.open()
        with contextlib.ExitStack() as all_of_them:
            for n in range(10000 if World.long else 300):
                self.bother(all_of_them.enter_context(socket.socket()), n)
            self.work(router)
        self.wait_for("an answer", lambda: self.get("/v1/status").json["running"])
        self.work(router)

    def bother(self, plain, n):
        """Comes in, and begins something where there is a place."""
        plain.setblocking(False)
        plain.connect_ex(("127.0.0.1", self.port))
        if n < 64:
            plain.setblocking(True)
            plain.sendall((b"", b"GET /v1/sta", b"GET /live HTTP/1.1\r\nHost: localhost\r\nX-",
                           HEAD.format("/v1/messages").encode() + b"Content-Length: 1000\r\n\r\n{")[n % 4])

    def test_too_often(self):
        """429, in words, and the others are answered."""
        router = self.open(admin_rate=1)
        statuses = [self.ask("GET", "/v1/version").status for _ in range(6)]
        self.assertEqual(statuses[:2], [200, 200])
        self.assertIn(429, statuses)
        answer = self.wait_for("a refusal", lambda: (lambda a: a.status == 429 and a)(self.ask("GET", "/v1/version")))
        self.assertEqual((answer.headers["Retry-After"], answer.wrong), ("1", "too many requests in a second"))
        for _ in range(10):
            self.get("/live")
        self.wait_for("its turn", lambda: self.ask("GET", "/v1/version").status == 200)
        self.work(router)

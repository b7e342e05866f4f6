"""docs/openapi.json says what the admin door answers: every path and method of it is asked for here,
and nothing else is there to be asked for."""

import json
import re
import subprocess

from described import Described
from harness import RECORD, ROOT

RULES = """
local herald = require "herald"
herald.route { type = "note", to = herald.fanout "$exchange" }
herald.route { type = "lost", to = herald.queue "$gone" }
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", order_by = "business_key3",
                   retry = { attempts = 9, delay = "1h" } }
herald.on("note", "*", function(msg, tx)
  if msg.business_key1 == "bad" then error "no such course" end
  if msg.business_key1 == "hopeless" then herald.reject "no such order 16" end
  tx:exec("insert into effect (key1) values (?)", msg.business_key1)
end)
"""


class TheDescription(Described):
    def fill(self):
        """Some of everything: handled, tried again, with one behind it, dead, refused, for later."""
        self.use_names("gone")
        router = self.open(RULES, files={"migrations/001_effect.sql": RECORD}, history="1d",
                           publish_retry={"delay": "5m"})
        for key1, key3 in (("good", "1"), ("bad", "2"), ("other", "2"), ("hopeless", "3")):
            router.emit("note", key1, "60201", key3)
        router.emit("lost", "16")
        router.run("emit", "--type", "note", "--delay", "1h", "--key", "reminder")
        self.wait_equal("all of them", lambda: [router.value(f"select count(*) from {what}") for what in (
            "herald_retry", "herald_dead", "herald_history", "herald_outbox where due_at > 0")], [2, 1, 5, 2])
        return router

    def look(self):
        """Every GET, with something in each answer."""
        self.post("/v1/pause", {"what": "publish"})
        self.assertEqual([one["what"] for one in self.get("/v1/pause").json], ["publish"])
        for path in ("status", "version", "trace?key1=bad", "openapi.json"):
            self.get("/v1/" + path)
        self.assertEqual(self.get("/v1/rules").json, self.get("/v1/status").json["rules"])
        told = self.get("/v1/settings").json
        self.assertEqual((told["broker"], told["publish_retry"]["delay"], told["history"], told["admin"]["listen"]),
                         ("embedded", [300000], 86400000, "127.0.0.1:0"))
        for path in ("/live", "/startup", "/ready", "/metrics"):
            self.get(path)
        self.assertEqual(len(self.get("/v1/lanes").json), 1)
        self.assertEqual(len(self.get("/v1/dead/groups").json), 1)
        for kind, n in (("outbox", 2), ("retries", 2), ("dead", 1), ("history", 5)):
            rows = self.get("/v1/" + kind).json
            self.assertEqual(len(rows), n, kind)
            for row in rows:
                self.assertEqual(self.get(f"/v1/{kind}/{row['id']}").json["id"], row["id"])
        self.assertEqual(self.post("/v1/resume", {"what": "publish"}).json,
                         {"what": "publish", "paused": False, "changed": True})
        self.post("/v1/pause", {"what": "no such queue"}, 400)

    def change(self):
        """Every POST, first what does not work, or only says what it would do."""
        letter, retry = self.get("/v1/dead").json[0]["id"], self.get("/v1/retries").json[0]["id"]
        self.post("/v1/outbox/cancel", {"key": "nobody's"}, 409)
        for path, body in (
                ("outbox/retry", {"type": "lost"}), ("outbox/drop", {"type": "lost"}), ("outbox/cancel", {"key": "reminder"}),
                ("lanes/release", {"head": "retry", "ids": [retry]}), ("retries/now", {"ids": [retry]}),
                ("retries/drop", {"all": True}), (f"dead/{letter}/edit", {"body": {"businessKey1": "hopeless"}}),
                ("dead/drop", {"all": True}), ("dead/replay", {"all": True}), ("reload", {}), ("trial", {"messages": 5})):
            if "cancel" not in path and "release" not in path and "trial" not in path:
                self.assertEqual(self.post("/v1/" + path, {**body, "dry_run": True}).status, 200)
            if not path.startswith("dead/drop"):
                self.post("/v1/" + path, body)
        self.post("/v1/dead/drop", {"all": True})
        self.post("/v1/messages", {"type": "note", "key1": "more"}, 202, Idempotency_Key="k")
        self.post("/v1/messages", {"type": "note", "key1": "less"}, 422, Idempotency_Key="k")

    def test_every_path_and_method(self):
        router = self.fill()
        self.assertEqual(self.get("/v1/openapi.json").json, self.description.whole)
        self.look()
        self.change()
        for path in ("/v1/nothing", "/v1/dead/999"):
            self.get(path, 404)
        self.get("/v1/dead?limit=0", 400)
        self.assertEqual(self.get("/v1/trace?key1=good").json, router.json("trace", "--key1", "good"))
        router.write("rules/a.lua", "nonsense")
        for path in ("/v1/reload", "/v1/trial"):
            self.post(path, {}, 409)
        self.assertEqual(self.description.all() - self.description.called, set())

    def test_what_is_wrong(self):
        """An error says where it is: the parameter, as the request names it."""
        self.open()
        for path, where, what in (
                ("/v1/dead?limit=x", "limit", "a whole number from 1 to 1000"), ("/v1/dead?after=-1", "after", "a whole number"),
                ("/v1/dead?typ=x", "typ", "unknown: typ (known: "), ("/v1/dead?type=a&type=b", "type", "twice"),
                ("/v1/dead?type=%zz", "query", "escaped"), ("/v1/dead?type=%00", "query", "UTF-8"),
                ("/v1/dead?type=%ff", "query", "UTF-8"), ("/v1/dead?since=yesterday", "since", "since is \"yesterday\""),
                ("/v1/dead?older_than=x", "older_than", "older_than is"), ("/v1/dead?group=x", "group", "a group"),
                ("/v1/dead?side=x", "side", "one of inbox, outbox"), ("/v1/trace", None, "which message?")):
            error = self.get(path, 400).json["error"]
            self.assertIn(what, error["what"], path)
            self.assertEqual(error.get("where"), where, path)
        for path, body, where, what in (
                ("/v1/dead/drop", {}, None, "drop which?"), ("/v1/dead/drop", {"ids": []}, "ids", "a list of 1 to 10000"),
                ("/v1/dead/drop", {"all": 1}, "all", "true or false"), ("/v1/dead/1/edit", {}, None, "edit what?"),
                ("/v1/outbox/cancel", {}, "key", "key is needed"), ("/v1/dead/drop", [], "body", "no JSON object"),
                ("/v1/messages", {"type": "n", "delay": "soon"}, "delay", "delay is \"soon\""),
                ("/v1/messages", {"type": "n", "typ": 1}, "typ", "unknown: typ"), ("/v1/messages", {}, "type", "is needed"),
                ("/v1/messages", {"messages": [{"type": "n"}, {}]}, "messages[1]", "type is needed"),
                ("/v1/messages", b"[" * 100000, "body", "no JSON")):
            error = self.post(path, body, 400).json["error"]
            self.assertIn(what, error["what"], path)
            self.assertFalse(error["what"].startswith("--"), error)
            self.assertEqual(error.get("where"), where, path)

    def test_a_method_that_a_page_has_not(self):
        """It is said so, whatever comes with it."""
        self.open()
        answer = self.post("/live", {}, 405)
        self.assertEqual((answer.headers["Allow"], answer.wrong), ("GET, HEAD", "it can only be read"))
        self.post("/page/nothing.js", "{" * 1000, 404)

    def test_every_path_is_described(self):
        """Those of scripts/admin/paths.lua, with what each takes."""
        said = subprocess.run(["lua5.4", "-e", """
            package.path = "scripts/?.lua"
            package.preload["herald.core"] = function() return {} end
            for path, methods in pairs(require "admin.paths".all) do
              for method, entry in pairs(methods) do
                local takes = {}
                for name in pairs(entry.takes) do takes[#takes + 1] = name end
                print(path:gsub("ID", "{id}") .. " " .. method:lower() .. " " .. table.concat(takes, ","))
              end
            end"""], cwd=ROOT, capture_output=True, text=True, check=False)
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        there = {}
        for line in said.stdout.splitlines():
            path, method, takes = line.split(" ")
            there[path, method] = {name for name in takes.split(",") if name}
        described = {}
        for path, method in self.description.all():
            if path.startswith("/v1/") and path not in ("/v1/openapi.json", "/v1/messages"):
                described[path, method] = self.takes(self.description.whole["paths"][path][method])
        there.pop(("/v1/messages", "post"))
        self.assertEqual(there, described)

    def takes(self, operation):
        follow = self.description.follow
        if "requestBody" in operation:
            (content,) = operation["requestBody"]["content"].values()
            return set(follow(content["schema"])["properties"])
        given = [follow(one) for one in operation.get("parameters", [])]
        return {one["name"] for one in given if one["in"] == "query"}

    def test_it_is_whole(self):
        """What it refers to is there, what is there is referred to, and the papers name each path."""
        text = json.dumps(self.description.whole)
        named = set(re.findall(r'"#/components/(\w+/\w+)"', text))
        there = {f"{kind}/{name}" for kind in ("schemas", "parameters", "responses")
                 for name in self.description.whole["components"][kind]}
        self.assertEqual(named, there)
        with open(f"{ROOT}/docs/admin.md", encoding="utf-8") as paper:
            said = paper.read()
        for path in self.description.whole["paths"]:
            self.assertIn("`" + path.replace("{id}", "ID"), said)

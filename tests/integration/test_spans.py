"""Spans, as OpenTelemetry's collectors take them: to a file, to an endpoint, and to nobody."""

import json
import os
import socketserver
import threading
from http.server import BaseHTTPRequestHandler

from harness import Case

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
RULES = {"rules/a.lua": """
local herald = require "herald"
herald.subscribe { queue = "$queue", from = herald.fanout "$exchange", retry = { attempts = 2, delay = "10ms" } }
herald.route { type = "ask", to = herald.fanout "$exchange" }
herald.route { type = "answer", to = herald.queue "$spy" }
herald.on("ask", "*", function(msg, tx)
  if msg.attempt == 1 and msg.business_key1 == "twice" then error("not yet") end
  tx:emit { type = "answer" }
end)
"""}


def spans_of(lines):
    """All spans of some requests, with their attributes as a table."""
    spans = []
    for line in lines:
        for resource in json.loads(line)["resourceSpans"]:
            for scope in resource["scopeSpans"]:
                spans += scope["spans"]
    for span in spans:
        span["told"] = {one["key"]: next(iter(one["value"].values())) for one in span["attributes"]}
    return spans


class Collector:
    def __init__(self):
        self.requests = []
        self.status = 200
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if collector.status == 200:
                    collector.requests.append((self.path, self.headers["Content-Type"], body))
                self.send_response(collector.status)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *words):
                pass

        self.server = socketserver.TCPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1/traces"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class OnRabbit(Case):
    kind = "rabbit"

    def setUp(self):
        super().setUp()
        self.use_names("spy")
        self.peer().channel.queue_declare(self.names["spy"], durable=True)

    def begin(self, **settings):
        return self.router(RULES, broker=self.kind, **settings).start()

    def by_kind(self, spans):
        kinds = {}
        for span in spans:
            kinds.setdefault(span["told"]["messaging.operation.type"], []).append(span)
        return {kind: len(all_) for kind, all_ in kinds.items()}, kinds

    def ask(self, router, key="1"):
        headers = json.dumps({"traceparent": PARENT, "tracestate": "k=v"})
        router.sql("insert into herald_outbox (type, business_key1, headers) "
                   f"values ('ask', '{key}', '{headers}');")

    def test_a_message_from_its_row_to_its_answer(self):
        router = self.begin(spans="spans.jsonl")
        path = os.path.join(router.folder, "spans.jsonl")

        def lines():
            with open(path, encoding="utf-8") as file:
                return file.read().splitlines()

        self.ask(router, "twice")
        wanted = {"send": 2, "process": 2, "settle": 1}
        self.wait_equal("spans", lambda: self.by_kind(spans_of(lines()))[0], wanted)
        spans = spans_of(lines())
        _, kinds = self.by_kind(spans)
        self.assertEqual({span["traceId"] for span in spans}, {TRACE})
        self.assertEqual(len({span["spanId"] for span in spans}), len(spans))
        failed, done = kinds["process"]
        self.assertEqual([s["told"]["herald.attempt"] for s in (failed, done)], ["1", "2"])
        self.assertEqual(failed["status"]["code"], 2)
        self.assert_words(failed["status"]["message"], "not yet")
        self.assertEqual(done["status"], {})
        self.assertEqual({s["parentSpanId"] for s in (failed, done)}, {"00f067aa0ba902b7"})
        answer = next(s for s in kinds["send"] if s["told"]["herald.message.type"] == "answer")
        self.assertEqual(answer["parentSpanId"], done["spanId"])
        self.assertEqual(answer["name"], "send " + self.names["spy"])
        self.assertEqual(answer["traceState"], "k=v")
        for span in spans:
            self.assertLessEqual(int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"]))
            self.assertEqual(span["told"]["messaging.system"], "rabbitmq")
        router.stop()
        self.assertEqual(self.by_kind(spans_of(lines()))[0], wanted)

    def test_a_collector_gets_them_and_may_be_away(self):
        collector = Collector()
        self.addCleanup(collector.close)
        collector.status = 503
        router = self.begin(spans=collector.url, trace_context="make")
        router.emit("ask", "1")
        self.wait_for("words of the failure", lambda: router.events("spans.failing"))
        self.assert_words(router.events("spans.failing")[0], "status 503")
        self.wait_drained(router)
        collector.status = 200
        wanted = {"create": 1, "send": 2, "process": 1, "settle": 1}
        self.wait_equal("spans", lambda: self.by_kind(spans_of(
            body for _, _, body in collector.requests))[0], wanted)
        self.wait_for("words of its end", lambda: router.events("spans.again"))
        self.assertEqual({(path, kind) for path, kind, _ in collector.requests},
                         {("/v1/traces", "application/json")})
        self.wait_equal("what was sent", lambda: router.counter("spans"), 5)
        self.assertEqual(router.counter("spans_dropped"), 0)
        root = [s for s in spans_of(body for _, _, body in collector.requests)
                if "parentSpanId" not in s]
        self.assertEqual([s["told"]["messaging.operation.type"] for s in root], ["create"])

    def test_one_that_is_not_sampled_is_told_to_nobody(self):
        router = self.begin(spans="spans.jsonl")
        router.sql("insert into herald_outbox (type, headers) values ('ask', "
                   f"'{{\"traceparent\":\"{PARENT[:-1]}0\"}}');")
        router.emit("ask", "1")  # nor one without a trace
        self.wait_drained(router)
        router.stop()
        self.assertEqual(os.path.getsize(os.path.join(router.folder, "spans.jsonl")), 0)

    def test_a_place_that_is_of_no_use_costs_the_spans_alone(self):
        router = self.begin(spans="nowhere/spans.jsonl")
        self.assert_words(router.events("spans.unusable")[0], "nowhere/spans.jsonl")
        self.ask(router)
        self.wait_drained(router)

"""described: a door (door.py) whose answers are held against docs/openapi.json: the path and the method
are there, the status is, and the JSON has the members that its schema names, those alone, and of
their kinds."""

import json
import os
import re
import urllib.parse

from door import Door
from harness import ROOT

KINDS = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list,
         "object": dict, "null": type(None)}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Description:
    def __init__(self):
        with open(os.path.join(ROOT, "docs", "openapi.json"), encoding="utf-8") as file:
            self.whole = json.load(file)
        self.paths = {re.compile(re.sub(r"\{\w+\}", r"\\d+", path)): path for path in self.whole["paths"]}
        self.called = set()

    def all(self):
        return {(path, method) for path, methods in self.whole["paths"].items() for method in methods}

    def follow(self, node):
        while "$ref" in node:
            found = self.whole
            for part in node["$ref"].split("/")[1:]:
                found = found[part]
            node = found
        return node

    def operation(self, path, method):
        """None: it has no such path or method."""
        for pattern, name in self.paths.items():
            if pattern.fullmatch(path) and ("{" not in name or path not in self.whole["paths"]):
                found = self.whole["paths"][name].get(method.lower())
                if found:
                    self.called.add((name, method.lower()))
                return found
        return None

    def problem(self, path, method, answer):
        """What is wrong with an answer; None: nothing."""
        operation = self.operation(path, method)
        if operation is None:  # it is refused, then, as any other
            told = self.whole["components"]["responses"]["refused"]
            if answer.status not in (404, 405):
                return f"{method} {path} is not described"
        else:
            told = operation["responses"].get(str(answer.status), operation["responses"]["default"])
        (kind, content), = self.follow(told)["content"].items()
        if answer.headers.get_content_type() != kind:
            return f"it is {answer.headers.get_content_type()}, not {kind}"
        if kind != "application/json":
            return None
        return self.differs(answer.json, content["schema"], "it")

    def differs(self, value, schema, where):
        schema = self.follow(schema)
        if "oneOf" in schema:
            found = [self.differs(value, one, where) for one in schema["oneOf"]]
            return None if None in found else "; or ".join(found)
        kinds = schema.get("type", list(KINDS))
        kinds = [kinds] if isinstance(kinds, str) else kinds
        if not any(isinstance(value, KINDS[kind]) and (kind == "boolean") == isinstance(value, bool)
                   for kind in kinds):
            return f"{where} is {value!r}, not {' or '.join(kinds)}"
        if value is None:
            return None
        if "enum" in schema and value not in schema["enum"]:
            return f"{where} is {value!r}, not one of {schema['enum']}"
        if schema.get("format") == "date-time" and not TIME.fullmatch(value):
            return f"{where} is {value!r}, not a time"
        if isinstance(value, list) and "items" in schema:
            return next(filter(None, (self.differs(item, schema["items"], f"{where}[{i}]")
                                      for i, item in enumerate(value))), None)
        return self.members_differ(value, schema, where) if isinstance(value, dict) else None

    def members_differ(self, value, schema, where):
        members = schema.get("properties", {})
        others = schema.get("additionalProperties", {} if not members else None)
        missing = set(schema.get("required", ())) - set(value)
        if missing:
            return f"{where} has no {', '.join(sorted(missing))}"
        for name, inner in value.items():
            told = members.get(name, others)
            if told is None or told is False:
                return f"{where} has {name}, which is not described"
            problem = self.differs(inner, told, f"{where}.{name}")
            if problem:
                return problem
        return None


class Described(Door):
    def setUp(self):
        super().setUp()
        self.description = Description()

    def ask(self, method, path, body=None, **headers):
        answer = super().ask(method, path, body, **headers)
        if method != "HEAD":
            problem = self.description.problem(urllib.parse.urlsplit(path).path, method, answer)
            self.assertIsNone(problem, f"{method} {path}: {answer.status} {answer.text[:2000]}")
        return answer

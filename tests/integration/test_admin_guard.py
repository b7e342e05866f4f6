"""Who may come in through the admin door."""

import os
import stat

from door import Door

FULL, LOOK = "a-token-of-some-length", "another-token-to-look"


class Guard(Door):
    def guarded(self, **settings):
        return self.open(files={"full": FULL + "\n", "look": LOOK}, **settings)

    def test_tokens(self):
        """None, wrong, almost right, long: 401 for everything of the API, which tells nothing; the one to
        look may not change; health needs none."""
        router = self.guarded(admin_token_file="full", admin_read_token_file="look")
        for token in (None, "", "x", FULL[:-1], FULL + "x", FULL.upper(), " " + FULL, "x" * 8000, LOOK + FULL):
            with self.subTest(token=str(token)[:40]):
                self.token = token
                for method, path in (("GET", "/v1/status"), ("GET", "/v1/nothing"), ("POST", "/v1/reload"),
                                     ("POST", "/v1/messages"), ("DELETE", "/v1/dead/1")):
                    answer = self.ask(method, path, {} if method == "POST" else None)
                    self.assertEqual((answer.status, answer.headers["WWW-Authenticate"]),
                                     (401, 'Bearer realm="herald"'), f"{method} {path}")
                self.get("/live")
                self.get("/metrics")
                self.get("/v1/openapi.json")
        for scheme in ("Basic", "Token", ""):
            self.get("/v1/status", 401, Authorization=f"{scheme} {FULL}")
        self.token = LOOK
        self.get("/v1/status")
        for path in ("/v1/reload", "/v1/messages", "/v1/dead/drop"):
            self.assertEqual(self.post(path, {}, 403).wrong, "this token may only look")
        self.token = FULL
        self.get("/v1/status")
        self.post("/v1/reload", {"dry_run": True})
        self.get("/v1/status", Authorization=f"bearer {FULL}")
        self.wait_for("the log", lambda: router.events("admin.refused"))
        for i in range(2):
            self.assertNotIn(FULL, router.said(i))
            self.assertNotIn(LOOK, router.said(i))

    def test_one_that_only_looks(self):
        """Where there is no other token, nothing can be changed."""
        self.guarded(admin_read_token_file="look")
        self.post("/v1/reload", {}, 401)
        self.token = LOOK
        self.get("/v1/status")
        self.post("/v1/reload", {}, 403)

    def test_a_token_that_is_replaced(self):
        """Is read again; one that has gone is nobody's, and nobody gets in without."""
        router = self.guarded(admin_token_file="full")
        self.token = FULL
        self.get("/v1/status")
        router.replace("full", "a-new-token-of-some-length")
        self.get("/v1/status", 401)
        self.token = "a-new-token-of-some-length"
        self.get("/v1/status")
        router.replace("full", "short")
        self.get("/v1/status", 401, Authorization="Bearer short")
        self.get("/v1/status", 401)
        os.remove(os.path.join(router.folder, "full"))
        for token in (None, "", FULL):
            self.token = token
            self.get("/v1/status", 401)

    def test_far_away_needs_a_token(self):
        """check and run refuse an address that others reach, and tokens that are of no use."""
        router = self.router({"short": "x", "empty": "\n"}, broker="embedded")
        for admin, words in (
                ('"0.0.0.0:0"', "must be a table with a token_file, since 0.0.0.0:0 is reached"),
                ('{ listen = "[::]:0" }', "must be a table with a token_file"),
                ('"localhost:9120"', "must be HOST:PORT"), ('"unix:"', "must be HOST:PORT"), ("{}", "an address such as")):
            router.write("herald.lua", f"return {{ admin = {admin} }}")
            self.assert_words(router.run("check", code=1).out, words)
            self.assert_words(router.run("run", code=2).err, words)
        for file, words in (("nowhere", "admin.token_file nowhere is not there"), ("short", "has 1 bytes: a token has 16"),
                            ("empty", "is empty"), (".", "is no file")):
            router.write("herald.lua", f'return {{ admin = {{ listen = "0.0.0.0:0", token_file = "{file}" }} }}')
            self.assert_words(router.run("run", code=2).err, words)

    def test_host(self):
        """A name that leads to the router, but is not its own, may be of a web site (DNS rebinding)."""
        self.open(admin_hosts=["herald.example.com", "Other"])
        for host in ("127.0.0.1", "127.0.0.1:1", "localhost", "LOCALHOST:80", "[::1]:9120", "10.0.0.5",
                     "herald.example.com", "Herald.Example.COM:443", "other"):
            self.get("/v1/version", Host=host)
        for host in ("evil.example", "evil.example:9120", "localhost.evil.example", "xherald.example.com", "herald", "",
                     "127.0.0.1.evil.example", "[evil", "127.1", "herald.example.com other", "a" * 300):
            for path in ("/v1/version", "/metrics", "/", "/v1/openapi.json"):
                self.get(path, 421, Host=host)
        with self.connect() as plain:
            plain.sendall(b"GET /v1/version HTTP/1.0\r\n\r\n")
            self.assertIn(b" 421 ", plain.recv(65536).split(b"\r\n")[0])

    def test_other_sites(self):
        """What their pages can have a browser send gets nowhere, and answers are for nobody's frame."""
        router = self.open()
        own = f"http://127.0.0.1:{self.port}"
        self.post("/v1/reload", {}, Origin=own)
        for origin in ("http://evil.example", "null", own + "1", own.replace("http", "ftp"), "https://127.0.0.1"):
            self.post("/v1/reload", {}, 403, Origin=origin)
            self.get("/v1/status", 403, Origin=origin)
        for value in (None, "0", "", "1, 1"):
            self.assertEqual(self.post("/v1/reload", {}, 403, X_Herald=value).wrong, "a POST needs the header X-Herald: 1")
        for kind in (None, "text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/jsonx"):
            self.post("/v1/reload", {}, 415, Content_Type=kind)
        self.post("/v1/reload", {}, Content_Type="application/json; charset=utf-8")
        preflight = self.ask("OPTIONS", "/v1/reload", Origin=own, Access_Control_Request_Method="POST",
                             Access_Control_Request_Headers="x-herald")
        self.assertEqual(preflight.status, 405)
        for answer in (preflight, self.get("/v1/status"), self.get("/nothing", 404), self.get("/live"),
                       self.get("/v1/nothing", 404)):
            self.assertEqual([name for name in answer.headers if name.lower().startswith("access-control")], [])
            self.assertTrue(answer.headers["Content-Security-Policy"].startswith("default-src 'self';"))
            for name, value in (("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"),
                                ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer")):
                self.assertEqual(answer.headers[name], value)
        self.assertEqual(router.live()["counters"][-2], ["reloads", 0])

    def test_a_unix_socket(self):
        """Its owner's alone; gone after a stop, and what a kill leaves gives way."""
        router = self.open(listen="unix:door.sock")
        path = os.path.join(router.folder, "door.sock")
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(self.get("/v1/status", Host="whatever.example").json["running"], True)
        self.post("/v1/messages", {"type": "note"}, 202)
        router.kill()
        self.assertTrue(os.path.exists(path))
        self.run_router(router)
        self.get("/v1/status")
        self.assert_words(router.run("run", code=2).err, "admin: cannot listen at unix:door.sock: .*choose another path")
        self.get("/v1/status")
        router.stop()
        self.assertFalse(os.path.exists(path))
        router.write("door.sock", "a file of somebody's")
        self.assert_words(router.run("run", code=2).err, "cannot listen at unix:door.sock")
        self.assertEqual(open(path, encoding="utf-8").read(), "a file of somebody's")

"""Passwords: where they may come from, and that they go nowhere (docs/faults.md#f72)."""

import os
import resource
import signal
from urllib.parse import quote

from harness import Case, World

SECRET = "Xk4/s3cret%word"
NEXT = "Yl5-another-word"
ASKED = ("status", "reload", "nowhere", "routed", "secrets")
CORE_BYTES = 64 * 1024


class Secrets(Case):
    def setUp(self):
        super().setUp()
        self.user = f"{self.tag}-user"
        self.password = os.path.join(self.folder, "password")
        World.node.add_user(self.user, SECRET)
        self.addCleanup(World.node.ctl, "delete_user", self.user)

    def url(self, login):
        return f"amqp://{login}@127.0.0.1:{World.node.port}/"

    def put(self, password):
        with open(self.password + ".new", "w", encoding="ascii") as file:
            file.write(password + "\n")
        os.chmod(self.password + ".new", 0o600)
        os.replace(self.password + ".new", self.password)

    def places(self, router, live):
        """What of a router others may see: {place: text}. `live`: the exit code of a `check --live`."""
        pid = router.process.pid
        found = {"its log": router.said(0) + router.said(1)}
        for words in (("status",), ("status", "--json"), ("check",), ("version",), ("reload",),
                      ("outbox", "list"), ("dead", "list", "--json"), ("check", "--live", "--json")):
            answer = router.run(*words, code=live if "--live" in words else 0)
            found[" ".join(words)] = answer.out + answer.err
        for ask in ASKED:
            found["socket: " + ask] = repr(router.ask('{"ask":"%s"}' % ask))
        for name in os.listdir(router.folder):
            if name != "herald.lua" and os.path.isfile(os.path.join(router.folder, name)):
                with open(os.path.join(router.folder, name), "rb") as file:
                    found[name] = file.read().decode("latin-1")
        for name in "cmdline", "comm":
            with open(f"/proc/{pid}/{name}", "rb") as file:
                found[name] = file.read().decode("latin-1")
        return found

    def check_untold(self, router, *secrets, live=0):
        for place, text in self.places(router, live).items():
            for secret in secrets:
                for form in {secret, quote(secret, safe="")}:
                    self.assertNotIn(form, text, f"a password, in {place}")

    def leaves_core(self, router):
        """Ends it by a signal; whether the kernel made a core dump of it."""
        router.signal(signal.SIGABRT)  # a shell has those it puts aside ignore SIGQUIT
        end = os.waitid(os.P_PID, router.process.pid, os.WEXITED | os.WNOWAIT)
        self.assertEqual(router.wait_exit(), -signal.SIGABRT)
        return end.si_code == os.CLD_DUMPED

    def start_with_cores(self, router):
        router.sanitizer = "disable_coredump=0:detect_leaks=0"
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        # The beginning of one tells as much; all of a process with sanitizers takes minutes.
        size = CORE_BYTES if hard == resource.RLIM_INFINITY else min(hard, CORE_BYTES)
        return router.start(limits={resource.RLIMIT_CORE: size})

    def test_a_password_in_a_file(self):
        """It is read again at each login, so that another one needs no restart."""
        self.put(SECRET)
        router = self.router(broker=self.url(self.user), password_file=self.password).start()
        router.emit("note", "by file")
        self.wait_equal("it to be handled", router.effects, ["by file"])
        self.check_untold(router, SECRET)
        World.node.ctl("change_password", self.user, NEXT)
        World.node.ctl("close_all_user_connections", self.user, "for a test")
        self.wait_for("the refusal", lambda: "check `broker` and the password_file" in
                      router.live().get("broker_error", ""))
        self.check_untold(router, SECRET, NEXT, live=1)
        self.put(NEXT)
        router.emit("note", "by the next one")
        self.wait_equal("it to go on", router.effects, ["by file", "by the next one"])
        self.check_untold(router, SECRET, NEXT)
        os.chmod(self.password, 0o644)
        said = router.run("check").out
        self.assertIn("can be read by every user of this machine: chmod o= it", said)

    def test_a_password_in_the_environment_or_in_the_settings(self):
        url = self.url(f"{self.user}:{quote(SECRET, safe='')}")
        for router in (self.router(name="environment", broker=url),
                       self.router(name="settings", broker=None)):
            if router.broker is None:
                router.write("herald.lua", f'return {{ broker = "{url}" }}\n')
            router.start()
            self.check_untold(router, SECRET)
            router.stop()

    def test_a_secret_is_in_no_core_dump(self):
        bare = self.start_with_cores(self.router(name="bare", broker="embedded"))
        if not self.leaves_core(bare):
            self.skipTest("no core dumps are made here")
        self.put(SECRET)
        self.assertFalse(self.leaves_core(self.start_with_cores(self.router(
            name="file", broker=self.url(self.user), password_file=self.password))))
        url = self.url(f"{self.user}:{quote(SECRET, safe='')}")
        self.assertFalse(self.leaves_core(self.start_with_cores(self.router(
            name="url", broker=url))))

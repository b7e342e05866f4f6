"""herald init: from nothing to a router that runs, on both brokers."""

import os
import subprocess

from harness import PATIENCE, Case, Router, World, die_with_parent


class Init(Case):
    def init(self, name="shop"):
        """Makes the folder by the command; the Router is for running it."""
        router = Router.__new__(Router)
        router.case, router.name, router.broker, router.process = self, name, "embedded", None
        router.folder = os.path.join(self.folder, name)
        router.logs = [os.path.join(self.folder, f"{name}.{kind}") for kind in ("out", "err")]
        router.store = os.path.join(router.folder, "herald.db")
        self.routers.append(router)
        self.addCleanup(router.finish)
        said = router.run("init", router.folder, folder=False)
        return router, said

    def test_a_router_that_runs(self):
        router, said = self.init()
        self.assert_words(said.out, "check", "test", "run")
        self.assert_words(router.run("check").out, "^ok: ")
        router.start()
        router.emit("user_registered", "7", count=3)
        self.wait_equal("one account", lambda: router.rows("select * from account"), [("7", 10)])
        self.wait_equal("no mail to be left", lambda: router.status()["outbox"]["pending"], 0)
        self.assertEqual(router.dead(), [])

    def test_what_a_handler_rejects(self):
        router, _ = self.init()
        router.start()
        router.emit("user_registered")
        letter, = self.wait_dead(router, 1)
        self.assert_words(letter["error"], r"rules/welcome\.lua:\d+: no business_key1")

    def test_on_rabbitmq(self):
        router, _ = self.init()
        self.named += ["users", "mails", "welcome"]
        router.broker = World.node.url
        self.assert_words(router.run("check").out, "^ok: ")
        router.start()
        router.emit("user_registered", "8")
        self.wait_equal("one account", lambda: router.rows("select * from account"), [("8", 10)])

    def test_the_commands_it_names(self):
        """As a user pastes them; run is ended once it is ready."""
        router, said = self.init("a b")
        lines = [line.split("#")[0] for line in said.out.splitlines() if "#" in line]
        self.assertEqual(len(lines), 3)
        for line in lines[:2]:
            subprocess.run(line, shell=True, check=True, timeout=PATIENCE, env=router.environment(),
                           stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
        out = subprocess.run(lines[2].rstrip() + " --until-idle", shell=True, check=True,
                             timeout=PATIENCE, env=router.environment(), capture_output=True,
                             text=True, preexec_fn=die_with_parent)
        self.assert_words(out.stdout, "ready:")

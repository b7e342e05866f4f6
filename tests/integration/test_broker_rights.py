"""The broker takes a right, a password, a user or a vhost away from a router that runs, and gives
it back (docs/faults.md#f16). It says what is refused, tries slowly, loses nothing and recovers by
itself."""

from harness import Case, World

PASSWORD = "Own/p@ss"


def text(word):
    return f'<<"{word}">>'


class Rights(Case):
    rounds = 0  # times that it lost something and got it back

    def setUp(self):
        super().setUp()
        self.user = f"{self.tag}-user"

    def erlang(self, *calls):
        """In one go: each start of the control program takes a second."""
        World.node.ctl("eval", ", ".join(calls) + ".")

    def add_user(self, vhost="/"):
        self.erlang(
            f"rabbit_auth_backend_internal:add_user({text(self.user)}, {text(PASSWORD)}, {text('t')})",
            self.rights(".*", vhost))
        self.addCleanup(World.node.ctl, "eval", "catch rabbit_auth_backend_internal:delete_user("
                        f"{text(self.user)}, {text('t')}).")

    def rights(self, pattern, vhost="/"):
        patterns = ", ".join([text(pattern)] * 3)
        return (f"rabbit_auth_backend_internal:set_permissions({text(self.user)}, {text(vhost)}, "
                f"{patterns}, {text('t')})")

    def password(self, word):
        return (f"rabbit_auth_backend_internal:change_password({text(self.user)}, {text(word)}, "
                f"{text('t')})")

    def hang_up(self):
        """What is open keeps the rights that it had."""
        return f"rabbit_networking:close_all_user_connections({text(self.user)}, {text('bye')})"

    def connect(self, vhost="/"):
        return self.router(broker=World.node.url_for(
            self.user, PASSWORD, vhost="" if vhost == "/" else vhost)).start()

    def refused(self, router, words):
        """Told, not hot, and what is emitted meanwhile is kept."""
        def told():
            broker = router.status()["broker"]
            return not broker["ready"] and words in broker["error"]
        self.wait_for(f"it to say {words}", told)
        self.assertNotIn(PASSWORD, router.said(1))
        self.wait_resting(router)
        router.emit("note", "meanwhile")
        self.assertEqual(router.effects().count("meanwhile"), self.rounds)

    def recovers(self, router):
        self.rounds += 1
        self.wait_equal("it to recover", lambda: router.effects().count("meanwhile"), self.rounds)
        self.wait_drained(router)
        self.wait_for("it to be ready", lambda: router.live().get("ready"))
        self.assertEqual(router.status()["retries"], 0)
        self.assertEqual(router.dead(), [])

    def test_permissions_and_password(self):
        """docs/faults.md#f16"""
        self.add_user()
        router = self.connect()
        self.erlang(self.rights("^$"), self.hang_up())
        self.refused(router, "permission")
        self.erlang(self.rights(".*"))
        self.recovers(router)
        self.erlang(self.password("another"), self.hang_up())
        self.refused(router, "ACCESS_REFUSED")
        self.erlang(self.password(PASSWORD))
        self.recovers(router)

    def test_user(self):
        """docs/faults.md#f16"""
        if not World.long:
            self.skipTest("the broker takes its time: --long")
        self.add_user()
        router = self.connect()
        self.erlang(f"rabbit_auth_backend_internal:delete_user({text(self.user)}, {text('t')})")
        self.refused(router, "ACCESS_REFUSED")
        self.add_user()
        self.recovers(router)

    def test_vhost(self):
        """docs/faults.md#f16: with all that is in it; what the router needs is made anew."""
        if not World.long:
            self.skipTest("the broker takes its time: --long")
        vhost = f"{self.tag}-vhost"
        World.node.ctl("add_vhost", vhost)
        self.addCleanup(World.node.ctl, "delete_vhost", vhost)
        self.add_user(vhost)
        router = self.connect(vhost)
        World.node.ctl("delete_vhost", vhost)
        self.refused(router, vhost)
        World.node.ctl("add_vhost", vhost)
        self.erlang(self.rights(".*", vhost))
        self.recovers(router)

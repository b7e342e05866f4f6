"""RabbitMQ over TLS, with certificates that are made here."""

import datetime
import json
import os
import shutil
import time

import rabbit
from certificates import Authority
from harness import Case, takes_long

DAY = datetime.timedelta(days=1)

# A broker that wants to know who is there, and takes the certificate's word for it.
MUTUAL = """
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = EXTERNAL
ssl_cert_login_from = common_name
"""


class Tls(Case):
    def setUp(self):
        super().setUp()
        self.authority = Authority(os.path.join(self.folder, "authority"))
        self.node = None

    def secure(self, more=""):
        """A broker with TLS."""
        scratch = os.path.join(self.folder, "scratch")
        tls = os.path.join(scratch, "rabbit", "tls")  # where a broker in another root sees it, too
        os.makedirs(tls)
        shutil.copy(self.authority.cert, os.path.join(tls, "ca.pem"))
        with open(os.path.join(tls, "rabbitmq.conf"), "w", encoding="ascii") as file:
            file.write(more)
        self.node = rabbit.Node(None, scratch, tls=tls)
        self.show(*self.authority.issue("broker"))
        self.addCleanup(self.node.script, "kill")
        self.node.start()
        self.node.alone = True

    def show(self, cert, key):
        """The broker's certificate from now on. Erlang keeps what it has read for two minutes."""
        shutil.copy(cert, os.path.join(self.node.tls, "cert.pem"))
        shutil.copy(key, os.path.join(self.node.tls, "key.pem"))
        if hasattr(self.node, "tls_port"):
            self.node.ctl("eval", "ssl:clear_pem_cache().")

    def trusting(self, name="router", broker=None, **tls):
        return self.router(name=name, broker=broker or self.node.tls_url,
                           tls={"ca": self.authority.cert, **tls})

    def set_tls(self, router, **tls):
        pairs = ", ".join(f'{key} = "{value}"' for key, value in tls.items())
        router.write("herald.lua", f"return {{ tls = {{ {pairs} }} }}\n")

    def check_refused(self, router, *words):
        """`check --live` says so."""
        self.assert_words(router.run("check", "--live", code=1).out, *words)

    def wait_refused(self, router, *words):
        def said():
            error = router.live().get("broker_error", "")
            return all(word in error for word in words)
        self.wait_for(f"the reason {words}", said, lambda: router.live().get("broker_error"))

    def wait_logged(self, router, event, words):
        self.wait_for(f"{event} in the log", lambda: words in "\n".join(router.events(event)))

    def works(self, router, key):
        router.emit("note", key)
        self.wait_for(f"{key} to be handled", lambda: key in router.effects())

    @takes_long
    def test_who_the_broker_is(self):
        """docs/faults.md#f69: each doubt is an error that says what to do; it is tried again with
        patience, and once the doubt is gone all goes on."""
        self.secure()
        authority, other = self.authority, Authority(os.path.join(self.folder, "other"))
        router = self.trusting()
        ways = (
            ("wrong", {"names": "DNS:mq.example"}, "DNS:mq.example, not for 127.0.0.1"),
            ("none", {"names": None}, "is for /CN=none, not for 127.0.0.1"),
            ("expired", {"first": -2 * DAY, "last": -DAY}, "its certificate expired at 2"),
            ("early", {"first": DAY, "last": 2 * DAY}, "is valid from 2.* is the clock"),
        )
        for name, how, words in ways:
            self.show(*authority.issue(name, **how))
            self.check_refused(router, "is not trusted: ", words)
        self.show(*other.issue("broker"))
        self.check_refused(router, "is signed by no authority in .*ca.pem: give")
        plain = self.node.url_for(rabbit.USER, rabbit.PASSWORD, port=self.node.port, scheme="amqps")
        self.check_refused(self.trusting("plain", plain),
                           "does not speak TLS but plain AMQP: use the port of its TLS listener")
        mixed = self.node.url_for(rabbit.USER, rabbit.PASSWORD, port=self.node.tls_port)
        self.check_refused(self.trusting("mixed", mixed), "speaks TLS: use amqps://")
        router.start(ready=False)
        router.emit("note", "early")
        self.wait_refused(router, "is signed by no authority")
        self.wait_resting(router)
        self.wait_equal("one warning of each link", lambda: len(router.events("link.failed")), 2)
        self.show(*authority.issue("broker"))
        self.wait_equal("it to go on", router.effects, ["early"])
        name = self.trusting("name", broker=self.node.tls_url.replace("127.0.0.1", "localhost"),
                             min_version="1.3")
        self.assertEqual(name.run("check", "--live").code, 0)

    @takes_long
    def test_who_we_are(self):
        """docs/faults.md#f70: a broker that asks for a certificate gets words or a good one, which
        may be who we are, and is taken anew when it has changed."""
        self.secure(MUTUAL)
        self.node.script("plugins", "enable", "rabbitmq_auth_mechanism_ssl")
        authority = self.authority
        router = self.trusting(broker=f"amqps://127.0.0.1:{self.node.tls_port}")
        self.check_refused(router, "wants to know by a certificate who herald is: give one by tls")
        other = Authority(os.path.join(self.folder, "other"), "Another")
        for made in other.issue("stranger"), authority.issue("late", first=-2 * DAY, last=-DAY):
            self.set_tls(router, ca=authority.cert, cert=made[0], key=made[1])
            router.start(ready=False)
            self.wait_refused(router, "refuse", "our certificate (tls.cert)")
            router.stop()
        cert, key = (os.path.join(router.folder, name) for name in ("our.pem", "our.key"))
        made = authority.issue("first"), authority.issue("second")
        self.put(made[0], cert, key)
        self.set_tls(router, ca=authority.cert, cert="our.pem", key="our.key")
        self.check_refused(router, "the user of our certificate .* was refused",
                           "make a user of that name")
        for name in "first", "second":
            self.node.add_user(name, rabbit.PASSWORD)
        router.start()
        self.works(router, "by certificate")
        self.assertEqual(self.users(), {"first"})
        self.put(made[1], cert, key)
        self.assertEqual(self.users(), {"first"})
        router.run("reload")
        self.wait_equal("the connections of another user", self.users, {"second"})
        self.wait_logged(router, "link.down", "files of `tls` have changed")
        self.works(router, "by another")
        shutil.copy(made[0][1], key)
        self.assert_words(router.run("reload").out, "are not taken: the key .* does not belong")
        self.wait_logged(router, "broker.files_refused", "does not belong")
        self.works(router, "as before")
        shutil.copy(made[1][1], key)
        self.check_untold(router, key)
        os.chmod(key, 0o644)
        self.assert_words(router.run("check").out, "can be read by every user of this machine")

    @takes_long
    def test_a_certificate_of_ours_that_ends_soon(self):
        """It is told before, by check and once by the router; status has all dates."""
        self.secure(MUTUAL)
        cert, key = self.authority.issue("soon", last=29 * DAY)
        url = f"amqps://127.0.0.1:{self.node.tls_port}/"
        router = self.trusting(broker=url, cert=cert, key=key)
        self.node.add_user("soon", rabbit.PASSWORD)
        self.assert_words(router.run("check").out, "warning: .*tls.cert.* expires at 2.*new one")
        router.start()
        self.works(router, "by certificate")
        self.wait_equal("a warning", lambda: len(router.events("broker.certificate")), 1)
        self.assert_words(router.events("broker.certificate")[0], "warn", "expires at 2")
        tls = json.loads(router.run("status", "--json").out)["broker"]["tls"]
        self.assertRegex(tls["version"], "^TLSv1[.][23]$")
        days = [(datetime.datetime.fromisoformat(tls[name].replace("Z", "+00:00"))
                 - datetime.datetime.now(datetime.timezone.utc)).days
                for name in ("certificate_ends", "peer_certificate_ends")]
        self.assertEqual(days, [28, 89])
        router.stop()
        self.put(self.authority.issue("late", first=-2 * DAY, last=-DAY), cert, key)
        self.assert_words(router.run("check", code=1).out, "error: .*has expired at 2")
        router.start(ready=False)
        self.wait_logged(router, "broker.certificate", "has expired at 2")
        self.assertEqual(len(router.events("broker.certificate")), 2)

    def check_untold(self, router, key):
        """No line of a key is in what others may see."""
        with open(key, encoding="ascii") as file:
            secret = file.read().splitlines()[1]
        told = [router.said(0), router.said(1), router.run("status", "--json").out,
                router.run("check").out, repr(router.ask('{"ask":"status"}'))]
        for name in "herald.db", "herald.db-wal":
            with open(os.path.join(router.folder, name), encoding="latin-1") as file:
                told.append(file.read())
        self.assertFalse(any(secret in text for text in told), "a key was told")

    def put(self, made, cert, key):
        shutil.copy(made[0], cert)
        shutil.copy(made[1], key)
        os.chmod(key, 0o600)

    def users(self):
        """Who is logged in over TLS."""
        lines = self.node.ctl("list_connections", "user", "ssl", "state").splitlines()
        return {line.split()[0] for line in lines if line.split()[1:] == ["true", "running"]}

    @takes_long
    def test_an_authority_that_is_replaced(self):
        """docs/faults.md#f71: the new one's certificate is taken without a restart. What was large,
        and what lay still, goes over TLS as over TCP."""
        self.secure()
        ca = os.path.join(self.folder, "ca.pem")
        shutil.copy(self.authority.cert, ca)
        relay = rabbit.Relay(self.node.tls_port)
        relay.open()
        self.addCleanup(relay.close)
        url = self.node.url_for(rabbit.USER, rabbit.PASSWORD, port=relay.port, scheme="amqps")
        router = self.trusting(broker=url + "?heartbeat=2", ca=ca)
        router.start()
        self.works(router, "first")
        body = '{"messageType":"note","businessKey1":"large","text":"' + "x" * (5 << 20) + '"}'
        router.run("emit", "--type", "note", "--key1", "large", "--body", "-", stdin=body.encode())
        self.wait_for("a large one", lambda: router.value(
            "select count(*) from effect where length(raw) > ?", 5 << 20))
        time.sleep(5)  # more than two heartbeats in which nothing is said
        self.assertEqual(router.events("link.down"), [])
        relay.mute()
        self.wait_logged(router, "link.down", "is silent")
        new = Authority(os.path.join(self.folder, "new"))
        self.show(*new.issue("broker"))
        relay.close()
        relay.open()
        self.wait_refused(router, "is signed by no authority")
        shutil.copy(new.cert, ca)
        self.works(router, "of the new authority")

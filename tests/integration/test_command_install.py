"""cmake --install: all that a machine needs which does not build, and it works from there."""

import os
import subprocess

from harness import PATIENCE, Case, World

INSTALLED = (
    "bin/herald",
    "include/herald.h",
    "lib/systemd/system/herald.service",
    "lib/systemd/system/herald@.service",
    "lib/sysusers.d/herald.conf",
    "share/herald/annotations/herald.lua",
    "share/herald/annotations/testing.lua",
    "share/doc/herald/README.md",
    "share/doc/herald/docs/operations.md",
    "share/doc/herald/examples/c-producer/producer.c",
    "share/pkgconfig/herald.pc",
    "share/man/man1/herald.1",
    "share/man/man5/herald.lua.5",
    "share/man/man7/herald-rules.7",
    "share/bash-completion/completions/herald",
    "share/zsh/site-functions/_herald",
    "share/fish/vendor_completions.d/herald.fish",
)


class Install(Case):
    def done(self, *words, **environment):
        """What a command that goes well says."""
        return subprocess.run(words, check=True, capture_output=True, text=True, timeout=PATIENCE,
                              env={**os.environ, **environment}).stdout

    def install(self, prefix, **environment):
        self.done("cmake", "--install", os.path.dirname(World.herald), "--prefix", prefix,
                  **environment)

    def read(self, *path):
        with open(os.path.join(*path), encoding="utf-8") as file:
            return file.read()

    def test_a_prefix_of_ones_own(self):
        prefix = os.path.join(self.folder, "prefix")
        self.install(prefix)
        for path in INSTALLED:
            self.assertTrue(os.path.isfile(os.path.join(prefix, path)), path)
        herald = os.path.join(prefix, "bin/herald")
        folder = os.path.join(self.folder, "shop")
        self.done(herald, "init", folder)
        said = self.done(herald, "-C", folder, "check")
        self.assertTrue(said.startswith("ok: "), said)

    def test_the_units_run_what_was_installed(self):
        prefix = os.path.join(self.folder, "prefix")
        self.install(prefix)
        for unit, folder in (("herald", "/etc/herald"), ("herald@", "/etc/herald/%i")):
            text = self.read(prefix, f"lib/systemd/system/{unit}.service")
            lines = text.splitlines()
            self.assertIn(f"ExecStart={prefix}/bin/herald -C {folder} run", lines)
            self.assertIn("Type=notify", lines)
            self.assertIn("[Install]", lines)
            self.assertIn("NoNewPrivileges=yes", lines)
            self.assertNotRegex(text, "@[A-Z]")

    def test_a_program_finds_the_header_by_pkg_config(self):
        prefix = os.path.join(self.folder, "prefix")
        self.install(prefix)
        where = {"PKG_CONFIG_PATH": os.path.join(prefix, "share/pkgconfig")}
        flags = self.done("pkg-config", "--cflags", "--libs", "herald", **where).split()
        self.assertIn(f"-I{prefix}/include", flags)
        self.assertIn("-lsqlite3", flags)
        said = self.done(os.path.join(prefix, "bin/herald"), "version")
        self.assertIn(self.done("pkg-config", "--modversion", "herald", **where).strip(), said)
        producer = os.path.join(prefix, "share/doc/herald/examples/c-producer/producer.c")
        self.done("cc", "-o", os.path.join(self.folder, "producer"), producer, *flags)

    def test_destdir_stands_before_the_prefix(self):
        place = os.path.join(self.folder, "place")
        self.install("/usr", DESTDIR=place)
        for path in INSTALLED:
            self.assertTrue(os.path.isfile(os.path.join(place, "usr", path)), path)
        unit = self.read(place, "usr/lib/systemd/system/herald.service")
        self.assertIn("ExecStart=/usr/bin/herald ", unit)

    def test_the_manual_is_good_roff(self):
        prefix = os.path.join(self.folder, "prefix")
        self.install(prefix)
        for page in ("man1/herald.1", "man5/herald.lua.5", "man7/herald-rules.7"):
            path = os.path.join(prefix, "share/man", page)
            self.assertEqual(self.done("mandoc", "-Tlint", "-Wstyle", path), "")
            text = self.done("mandoc", "-Tascii", "-Owidth=78", path)
            self.assertEqual([mark for mark in ("`", "](", "| ---", "<?>") if mark in text], [], page)

    def test_bash_completes_what_the_program_takes(self):
        prefix = os.path.join(self.folder, "prefix")
        self.install(prefix)
        script = os.path.join(prefix, "share/bash-completion/completions/herald")
        for typed, wanted in (
                ("dea", {"dead"}), ("dead repl", {"replay"}), ("outbox canc", {"cancel"}),
                ("emit --pro", {"--property"}), ("dead list --side", {"--side"}),
                ("dead list --side ", {"inbox", "outbox"}), ("-C x run --until", {"--until-idle"})):
            words = ["herald", *typed.split(" ")]
            said = self.done("bash", "-c", """
                source "$1" && shift
                COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
                _herald && printf '%s\\n' "${COMPREPLY[@]}"
                """, "bash", script, *words)
            self.assertEqual(set(said.split()), wanted, typed)

"""cmake --install: all that a machine needs which does not build, and it works from there."""

import os
import subprocess

from harness import PATIENCE, Case, World

INSTALLED = (
    "bin/herald",
    "include/herald.h",
    "share/herald/annotations/herald.lua",
    "share/herald/annotations/testing.lua",
    "share/doc/herald/README.md",
    "share/doc/herald/docs/operations.md",
)


class Install(Case):
    def test_a_prefix_of_ones_own(self):
        prefix = os.path.join(self.folder, "prefix")
        subprocess.run(["cmake", "--install", os.path.dirname(World.herald), "--prefix", prefix],
                       check=True, capture_output=True, timeout=PATIENCE)
        for path in INSTALLED:
            self.assertTrue(os.path.isfile(os.path.join(prefix, path)), path)
        folder = os.path.join(self.folder, "shop")
        subprocess.run([os.path.join(prefix, "bin/herald"), "init", folder], check=True,
                       capture_output=True, timeout=PATIENCE)
        said = subprocess.run([os.path.join(prefix, "bin/herald"), "-C", folder, "check"],
                              check=True, capture_output=True, text=True, timeout=PATIENCE)
        self.assertTrue(said.stdout.startswith("ok: "), said.stdout)

"""certificates: authorities and what they sign, made by openssl for one test."""

import datetime
import os
import subprocess

CONFIG = """
[ca]
default_ca = this
[this]
dir = {folder}
database = {folder}/index.txt
new_certs_dir = {folder}
serial = {folder}/serial
default_md = sha256
policy = any
email_in_dn = no
unique_subject = no
copy_extensions = none
[any]
commonName = supplied
"""
FROM = datetime.timedelta(hours=-1)
TO = datetime.timedelta(days=90)


def run(*words):
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {' '.join(words)}: {done.stderr}")


def when(delta):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + delta).strftime("%Y%m%d%H%M%SZ")


class Authority:
    """Its certificate is `cert`; what it issues lies in the same folder."""

    def __init__(self, folder, name="Test authority"):
        os.makedirs(folder)
        self.folder = folder
        self.cert = os.path.join(folder, "ca.pem")
        self.key = os.path.join(folder, "ca.key")
        for file, text in ("index.txt", ""), ("serial", "01\n"), (
                "openssl.cnf", CONFIG.format(folder=folder)):
            with open(os.path.join(folder, file), "w", encoding="ascii") as out:
                out.write(text)
        run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-days", "365", "-keyout", self.key, "-out", self.cert)

    def issue(self, name, names="IP:127.0.0.1,DNS:localhost", first=FROM, last=TO):
        """A certificate for /CN=name and its key: two paths."""
        path = os.path.join(self.folder, name)
        cert, key, request, extensions = (f"{path}.{end}" for end in ("pem", "key", "csr", "ext"))
        with open(extensions, "w", encoding="ascii") as out:
            out.write("basicConstraints = CA:false\n"
                      "extendedKeyUsage = serverAuth, clientAuth\n"
                      + (f"subjectAltName = {names}\n" if names else ""))
        run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
            f"/CN={name}", "-keyout", key, "-out", request)
        run("ca", "-batch", "-notext", "-config", os.path.join(self.folder, "openssl.cnf"), "-cert",
            self.cert, "-keyfile", self.key, "-in", request, "-out", cert, "-extfile", extensions,
            "-startdate", when(first), "-enddate", when(last))
        return cert, key

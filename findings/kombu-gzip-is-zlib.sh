#!/bin/sh
# One guesses: a message of kombu or Celery with the header "compression: application/x-gzip" has a
# gzip body, and content_encoding says how the body is packed.
#
# Really: the body is zlib data (it begins with 78 9c), for compression="gzip" and "zlib" alike, and a
# gzip reader refuses it. content_encoding is still "utf-8" and content_type still application/json:
# that a body is packed is told by the header alone.
#
# Seen with kombu 5.2.4 (Debian 12), over its transport in memory.
#
# So: who reads such messages without kombu looks at the header compression before the content type,
# and unpacks "application/x-gzip" as zlib.
set -eu
LC_ALL=C
export LC_ALL

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work"

# The distribution's packages, unpacked here and not installed.
apt-get -qq -o APT::Sandbox::User=root download python3-kombu python3-amqp python3-vine
for package in *.deb; do dpkg -x "$package" .; done

cat >probe.py <<'END'
import base64
import gzip
import sys
import zlib

import kombu

print("version: kombu", kombu.__version__, file=sys.stderr)
with kombu.Connection("memory://") as connection:
    queue = connection.SimpleQueue("jobs")
    for name in ("gzip", "zlib"):
        queue.put({"a": 1}, compression=name)
        # As it lies in the queue: a consumer of kombu's would have it unpacked.
        stored = connection.default_channel._get("jobs")
        raw = base64.b64decode(stored["body"])
        print(f"compression={name!r}: header {stored['headers']['compression']},",
              f"{stored['content-type']}, {stored['content-encoding']}")
        print("  begins with", raw[:2].hex(" "))
        for reader in (gzip, zlib):
            try:
                said = reader.decompress(raw).decode()
            except (OSError, zlib.error) as why:
                said = type(why).__name__
            print(f"  {reader.__name__} reads: {said}")
END
PYTHONPATH=$work/usr/lib/python3/dist-packages /usr/bin/python3 probe.py >seen

echo 'guess: gzip reads both, or at least the first'
cat >recorded <<'END'
compression='gzip': header application/x-gzip, application/json, utf-8
  begins with 78 9c
  gzip reads: BadGzipFile
  zlib reads: {"a": 1}
compression='zlib': header application/x-gzip, application/json, utf-8
  begins with 78 9c
  gzip reads: BadGzipFile
  zlib reads: {"a": 1}
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

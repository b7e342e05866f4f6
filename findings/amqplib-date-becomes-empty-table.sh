#!/bin/sh
# One guesses: a Date in the headers of a message that Node's amqplib publishes arrives as a timestamp,
# or as text, as it does in JSON; what cannot be said is an error.
#
# Really: it goes out as an empty table, without a word, and the moment is lost. So does a Map.
# What is a timestamp on the wire must be said so: {'!': 'timestamp', value: seconds}, and that comes
# back as an object of that form.
#
# Seen with amqplib 0.10.9 of npm under Node 20.20.2: its codec, with no broker between.
#
# So: put text (date.toISOString()) into a header, and be ready for an empty table from others.
set -eu
LC_ALL=C
export LC_ALL

command -v npm >/dev/null || {
    echo "it needs npm and node" >&2
    exit 2
}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cd "$work"

npm install --silent --no-audit --no-fund --ignore-scripts amqplib@0.10.9 >/dev/null

cat >probe.js <<'END'
const codec = require('amqplib/lib/codec')
console.error('version: amqplib', require('amqplib/package.json').version, 'node', process.version)

// What basic.publish makes of its headers, and what a reader with the same library is given.
function there(value) {
  const bytes = Buffer.alloc(512)
  const length = codec.encodeTable(bytes, { header: value }, 0)
  const type = String.fromCharCode(bytes[4 + 1 + 'header'.length])
  const fields = codec.decodeFields(bytes.subarray(4, length))
  return `field type ${type}, read as ${JSON.stringify(fields.header)}`
}

console.log('a Date:', there(new Date(1e12)))
console.log('a Map:', there(new Map([['a', 1]])))
console.log('text:', there(new Date(1e12).toISOString()))
console.log('a timestamp said so:', there({ '!': 'timestamp', value: 1e9 }))
END
node probe.js >seen

echo 'guess: the date comes back as a timestamp, as text, or is refused'
cat >recorded <<'END'
a Date: field type F, read as {}
a Map: field type F, read as {}
text: field type S, read as "2001-09-09T01:46:40.000Z"
a timestamp said so: field type T, read as {"!":"timestamp","value":1000000000}
END
echo 'seen:'
cat seen
diff recorded seen >/dev/null || {
    echo "DIFFERENT from what was recorded:"
    cat recorded
    exit 1
}
echo "as recorded"

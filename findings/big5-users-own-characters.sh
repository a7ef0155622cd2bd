#!/usr/bin/env bash
# One label, "big5", and one name read in three ways.
#
# Expected: the Encoding Standard (WHATWG, section 12.1, index Big5) defines what "big5" means on the web, Hong Kong's
#   characters included, so that every decoder of that label gives the same character for the bytes FA 40: U+20547.
# Seen, on 2026-12-01, with Node 20.20.2 (TextDecoder, of ICU), iconv-lite 0.6.3 of npm, and the codecs of Python 3.11.7: Node gives
#   the private use character U+E000; iconv-lite gives U+20547, as the standard says and as encoding_rs does; Python's cp950,
#   which is what Excel in Taiwan writes, has no character there at all.
# What it means: Taiwan's code page 950 leaves 8140-A0FE, C6A1-C8FE and FA40-FEFE to its users, who have put there the
#   characters of names that it lacks, each office others. A system that reads a roster in "big5" by the standard turns them
#   into Hong Kong's characters without an error, and the name of another person comes of it. So these codes have to be taken
#   for lost characters by whoever reads personnel data, whatever the decoder makes of them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
npm install --silent --no-audit --no-fund --prefix "$folder" iconv-lite@0.6.3 > /dev/null
cat > "$folder/read.js" <<'JS'
const iconv = require("iconv-lite");
const hex = (text) => [...text].map((c) => c.codePointAt(0).toString(16)).join(" ");
// 王, the user's own character, 明
const name = Buffer.from([0xa4, 0xfd, 0xfa, 0x40, 0xa9, 0xfa]);
console.log(`node ${hex(new TextDecoder("big5", { fatal: true }).decode(name))}`);
console.log(`iconv-lite ${hex(iconv.decode(name, "big5"))}`);
JS
seen=$(
  node "$folder/read.js"
  python3 - <<'PY'
name = bytes([0xA4, 0xFD, 0xFA, 0x40, 0xA9, 0xFA])
try:
    print("cp950", " ".join(f"{ord(c):x}" for c in name.decode("cp950")))
except UnicodeDecodeError as error:
    print("cp950 refuses byte", error.start)
PY
)
expected="node 738b e000 660e
iconv-lite 738b 20547 660e
cp950 refuses byte 2"
echo "$seen"
if [ "$seen" != "$expected" ]; then
  echo "this has changed; before:"
  echo "$expected"
  exit 1
fi

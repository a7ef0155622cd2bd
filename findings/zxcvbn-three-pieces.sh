#!/usr/bin/env bash
# zxcvbn gives every password of three pieces at least 10^8 guesses, whatever the pieces are.
#
# Expected: a leaked word, this year and a sign twice ("Welcome2026!!") are guessed at once, so a score of at most 2 of 4. The
# estimate of a password is said to come of the guesses that its pieces take.
# Seen (2026-12-01; zxcvbn 4.5.0 of PyPI, zxcvbn 4.4.2 of npm): 10^8 guesses and more, score 3, "safely unguessable". To the
# product of the pieces' guesses both add 10,000 to the power of (pieces - 1), so the third piece is worth 10^8 however weak.
# Rule: NIST SP 800-63B-4 section 3.1.1.2 asks for a blocklist of common, expected and compromised passwords.
# What it means here: a threshold at score 3 lets through what a guesser tries first. A second estimate without that term stands
# beside it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check zxcvbn==4.5.0
npm install --silent --no-audit --no-fund --prefix "$folder" zxcvbn@4.4.2

python=$(venv/bin/python - <<'PY'
from zxcvbn import zxcvbn

for password in ("Welcome2026!!", "Password2026!!", "Dragon2025$$"):
    judged = zxcvbn(password)
    print(password, len(judged["sequence"]), judged["score"], int(judged["guesses"]) >= 10**8)
PY
)
node=$(node -e '
const zxcvbn = require("zxcvbn");
for (const password of ["Welcome2026!!", "Password2026!!", "Dragon2025$$"]) {
  const judged = zxcvbn(password);
  console.log(password, judged.sequence.length, judged.score, judged.guesses >= 1e8 ? "True" : "False");
}')
printf 'PyPI:\n%s\nnpm:\n%s\n' "$python" "$node"

for said in "$python" "$node"; do
  while read -r password pieces score hard; do
    if [ "$pieces" != 3 ] || [ "$score" -lt 3 ] || [ "$hard" != True ]; then
      echo "not any more: $password is $pieces pieces of score $score"
      exit 1
    fi
  done <<<"$said"
done
echo "three pieces are enough for score 3"

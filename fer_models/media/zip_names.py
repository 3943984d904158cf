"""Names of a zip's entries in the code page they were written in, which most zips do not say."""

import struct
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from statistics import fmean
from typing import Final

_SAYS_UTF8: Final = 1 << 11  # of an entry's flags
_UNICODE_PATH: Final = 0x7075  # Info-ZIP's extra field with the name in UTF-8
#: Letters of a name that is right get about 1, what does not occur in names 0.
_RARE: Final = 0.3
_SAMPLE: Final = 500  # names that are scored; all must be decoded
_LATIN: Final = 0.9  # less than kanji and kana: two Latin letters are often half of a word in Japanese by chance


def entry_names(entries: Sequence[zipfile.ZipInfo]) -> list[str]:
    """The names of a zip's entries, with whatever separators they were written.

    An entry says that its name is UTF-8, or has it so in a field beside. Other names are UTF-8, or all in one code
    page, the one in which they read best: Windows writes a zip's names in that of its language. Python's own reader
    takes them for code page 437, and a byte 5C in a kanji may become a separator.
    """
    names = {index: name for index, entry in enumerate(entries) if (name := _told(entry)) is not None}
    raw = {index: _raw(entry) for index, entry in enumerate(entries) if index not in names}
    letters = [name for name in dict.fromkeys(raw.values()) if not name.isascii()]
    utf8 = [name for name in letters if _decoded(name, "utf-8") is not None]
    others = [name for name in letters if _decoded(name, "utf-8") is None]
    page = _best_page(letters) if others else "utf-8"
    if page in _LATIN_PAGES:  # as several programs wrote: few such names are UTF-8 by chance
        pages = dict.fromkeys(utf8, "utf-8") | dict.fromkeys(others, _best_page(others))
    else:
        pages = dict.fromkeys(letters, page)
    names |= {index: name.decode(pages.get(name, "ascii")) for index, name in raw.items()}
    return [names[index].split("\0")[0] for index in range(len(entries))]


def _told(entry: zipfile.ZipInfo) -> str | None:
    """The name, if the entry says how it is encoded."""
    if entry.flag_bits & _SAYS_UTF8:
        return entry.orig_filename
    for kind, value in _extra_fields(entry.extra):
        if kind == _UNICODE_PATH and len(value) > 5:
            version, checksum = struct.unpack_from("<BL", value)
            if version == 1 and checksum == zlib.crc32(_raw(entry)):
                return _decoded(value[5:], "utf-8")
    return None


def _extra_fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        yield kind, extra[4 : 4 + size]
        extra = extra[4 + size :]


def _raw(entry: zipfile.ZipInfo) -> bytes:
    """The bytes of a name that is not said to be UTF-8. `filename` has lost some of them."""
    return entry.orig_filename.encode("cp437")


def _decoded(raw: bytes, page: str) -> str | None:
    try:
        return raw.decode(page)
    except UnicodeDecodeError:
        return None


def _best_page(names: Sequence[bytes]) -> str:
    """The code page in which all names can be read, and their letters are the most plausible on average."""
    scores = {}
    for page, plausible in _PAGES.items():
        decoded = [_decoded(name, page) for name in names]
        if None not in decoded:
            scores[page] = fmean(fmean(_scores(name, page, plausible)) for name in decoded[:_SAMPLE] if name)
    return max(scores, key=lambda page: scores[page])


def _scores(name: str, page: str, plausible: Callable[[bytes], float]) -> Iterator[float]:
    """How plausible each letter beyond ASCII is, in [0, 1]."""
    at = 0
    for foreign, run in groupby(name, key=lambda letter: not letter.isascii()):
        letters = list(run)
        before, after = name[at - 1 : at], name[at + len(letters) : at + len(letters) + 1]
        at += len(letters)
        if not foreign:
            continue
        if page in _LATIN_PAGES:
            joined = before.isalpha() or after.isalpha() or len(letters) > 1
            yield from (_latin(letter, joined) for letter in letters)
        elif len(letters) == 1 and _inside_a_word(before, after):
            yield 0.0  # as in "K波n", which is "Köln"
        else:
            yield from (plausible(letter.encode(page)) for letter in letters)


def _inside_a_word(before: str, after: str) -> bool:
    return (before.isalpha() and after.isalpha()) or before.islower() or after.islower()


def _latin(letter: str, joined: bool) -> float:
    if unicodedata.category(letter) in {"Lu", "Ll"} and "LATIN" in unicodedata.name(letter):
        return _LATIN if joined else _LATIN / 2
    return 0.0


def _shift_jis(code: bytes) -> float:
    """JIS X 0208: kana, level 1 kanji and the rest; half-width kana are mostly bytes of another code page."""
    if len(code) == 1:
        return _RARE / 2 if 0xA1 <= code[0] <= 0xDF else 0.0
    number = int.from_bytes(code, "big")
    common = 0x829F <= number <= 0x8396 or 0x889F <= number <= 0x9872 or number in (0x8158, 0x815B)  # 々 and ー
    return 1.0 if common else _RARE if 0x989F <= number <= 0xEAA4 or 0x824F <= number <= 0x829A else 0.0


def _gbk(code: bytes) -> float:
    """GB 2312's levels 1 and 2; the rest of GBK is rare."""
    if len(code) == 2 and code[1] >= 0xA1:
        return 1.0 if 0xB0 <= code[0] <= 0xD7 else _RARE if 0xD8 <= code[0] <= 0xF7 else 0.0
    return 0.0


def _big5(code: bytes) -> float:
    """Its levels 1 and 2."""
    if len(code) == 2:
        return 1.0 if 0xA4 <= code[0] <= 0xC6 else _RARE if 0xC9 <= code[0] <= 0xF9 else 0.0
    return 0.0


_LATIN_PAGES: Final = ("cp437", "cp850")
#: Code pages of Windows' zips, and how plausible a letter of each is by its bytes. Of equals the first is taken.
_PAGES: Final[dict[str, Callable[[bytes], float]]] = {
    "cp932": _shift_jis,
    "gbk": _gbk,
    "cp950": _big5,
    **dict.fromkeys(_LATIN_PAGES, lambda _: 0.0),
}

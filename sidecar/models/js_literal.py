"""Reads a JavaScript literal as data: no expression is evaluated, nothing is run. Pure.

What a minifier writes for JSON: keys without quotes, `!0` and `!1`, `.5`, `1e3`,
`void 0`. Calls, operators, templates and names are refused.
"""

import re
from typing import Any, Final

from sidecar.errors import ManifestError

MAX_VALUES: Final = 500_000
MAX_DEPTH: Final = 64  # Python's own stack bears about ten times that
_MARK: Final = ".exports="
_SPACE: Final = re.compile(r"[ \t\r\n]*")
_KEY: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
_NUMBER: Final = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,4})?")
_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_PLAIN: Final = {
    '"': re.compile(r'[^"\\\r\n]*'),
    "'": re.compile(r"[^'\\\r\n]*"),
}
_WORDS: Final[dict[str, bool | None]] = {
    "true": True,
    "false": False,
    "null": None,
    "!0": True,
    "!1": False,
    "void 0": None,
}
_WORD: Final = re.compile("|".join(map(re.escape, _WORDS)))
_ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|([^ux0-9\r\n]))")
_ESCAPED: Final = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v"}


def exported(text: str) -> Any:  # noqa: ANN401 (whatever it holds)
    """The literal after the last `.exports=` of a bundle.

    Raises:
        ManifestError: There is none, or something else than a literal; says where.
    """
    at = text.rfind(_MARK)
    if at < 0:
        raise ManifestError("exports nothing; it is no bundle of a model")
    reader = _Reader(text, at + len(_MARK))
    value = reader.value(0)
    if not reader.at_end_of("}", ";"):
        raise reader.fault("something follows the literal")
    return value


class _Reader:
    """A place in a text, moving on."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self._at = at
        self._values = 0

    def fault(self, what: str) -> ManifestError:
        """What is wrong, and where."""
        seen = self._text[self._at : self._at + 20]
        return ManifestError(f"character {self._at}: {what}, at {seen!r}")

    def at_end_of(self, *marks: str) -> bool:
        """Whether the text ends here, or with one of `marks`."""
        self._skip()
        return self._at >= len(self._text) or self._text[self._at] in marks

    def value(self, depth: int) -> Any:  # noqa: ANN401
        """Whatever literal stands here."""
        self._values += 1
        if depth > MAX_DEPTH or self._values > MAX_VALUES:
            raise self.fault("nested too deeply, or too many values")
        self._skip()
        mark = self._text[self._at : self._at + 1]
        if mark == "{":
            return self._object(depth)
        if mark == "[":
            return self._array(depth)
        if mark in _PLAIN:
            return self._string(mark)
        return self._scalar()

    def _object(self, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while self._more("}", first=not found):
            key = self._key()
            if key in found:
                raise self.fault(f"the key {key[:40]!r} stands twice")
            self._expect(":")
            found[key] = self.value(depth + 1)
        return found

    def _array(self, depth: int) -> list[Any]:
        found: list[Any] = []
        while self._more("]", first=not found):
            found.append(self.value(depth + 1))
        return found

    def _more(self, closing: str, *, first: bool) -> bool:
        """Steps over the bracket, the comma or the end; whether an item follows."""
        if first:
            self._at += 1  # the opening bracket
        self._skip()
        if self._text.startswith(closing, self._at):
            self._at += 1
            return False
        if not first:
            self._expect(",")
        return True

    def _key(self) -> str:
        self._skip()
        mark = self._text[self._at : self._at + 1]
        if mark in _PLAIN:
            return self._string(mark)
        return self._match(_KEY, "a key")

    def _string(self, quote: str) -> str:
        self._at += 1
        parts = []
        while True:
            parts.append(self._match(_PLAIN[quote], "a text"))
            if self._text.startswith(quote, self._at):
                self._at += 1
                return self._paired("".join(parts))
            parts.append(self._escape())

    def _paired(self, text: str) -> str:
        """With UTF-16 surrogates, which escapes are written in, put together."""
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise self.fault("half a character") from None

    def _escape(self) -> str:
        found = _ESCAPE.match(self._text, self._at)
        if found is None:
            raise self.fault("a text that does not end, or an unknown escape")
        self._at = found.end()
        code = found[1] or found[2]
        return chr(int(code, 16)) if code else _ESCAPED.get(found[3], found[3])

    def _scalar(self) -> float | int | bool | None:
        word = _WORD.match(self._text, self._at)
        if word is not None:
            self._at = word.end()
            return _WORDS[word[0]]
        number = self._match(_NUMBER, "a literal")
        return int(number) if _INTEGER.fullmatch(number) else float(number)

    def _match(self, pattern: re.Pattern[str], what: str) -> str:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise self.fault(f"not {what}")
        self._at = found.end()
        return found[0]

    def _expect(self, mark: str) -> None:
        self._skip()
        if not self._text.startswith(mark, self._at):
            raise self.fault(f"not {mark!r}")
        self._at += 1

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        assert found is not None  # it matches nothing, too
        self._at = found.end()

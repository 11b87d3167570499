import json
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.leaderboard.page.embedding import embedded, policy

FRAGMENTS = (
    "</script>",
    "</SCRIPT >",
    "<!--<script>",
    "-->",
    "]]>",
    "<img src=x onerror=alert(1)>",
    "\u2028",
    "\u2029",
    "\u202e",
    "\x00",
    "\\u003c",
    "\\",
    "${title}",
    "$data",
    "&lt;",
    "&#60;",
    "'\"`",
    "\r\n",
    "\ud800",
    "\udfff",
    "😀",
)


def in_utf_16(text: str) -> str:
    """The text as JavaScript has it: two halves of a character that stand side by side are that character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


hostile = st.lists(
    st.sampled_from(FRAGMENTS) | st.text(st.characters(exclude_categories=()), max_size=6), min_size=1, max_size=6
).map(lambda parts: in_utf_16("".join(parts)))


class Script(HTMLParser):
    """The tags that a parser sees, and the text within the first of them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.seen: list[str] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.seen.append(tag)

    def handle_endtag(self, tag: str) -> None:
        self.seen.append(f"/{tag}")

    def handle_comment(self, data: str) -> None:
        self.seen.append("comment")

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(max_examples=500, deadline=None)
@given(hostile)
def test_no_text_gets_out_of_its_script_element_and_each_comes_back_as_it_was(text: str) -> None:
    value = {text: [text, {"within": text}]}
    found = embedded(value)
    assert not set(found) & set("<>&\u2028\u2029")
    assert found.isascii()
    parsed = Script(f'<script type="application/json">{found}</script>')
    assert parsed.seen == ["script", "/script"]
    assert json.loads(parsed.text) == value


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | hostile,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(hostile, inner, max_size=4),
        max_leaves=12,
    )
)
def test_json_comes_back_as_it_was(value: Any) -> None:
    assert json.loads(embedded(value)) == value


def test_the_order_of_keys_does_not_show() -> None:
    assert embedded({"a": 1, "b": 2}) == embedded({"b": 2, "a": 1})


def test_a_number_that_json_has_not_is_refused() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        embedded([float("nan")])


def test_the_policy_allows_these_scripts_and_styles_and_fetches_nothing() -> None:
    # echo -n "" | openssl dgst -sha256 -binary | base64
    empty = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"
    told = policy(("",), ("", ""))
    assert told.startswith(f"default-src 'none'; script-src {empty}; style-src {empty} {empty}; img-src data:; ")
    assert "unsafe" not in told
    assert "http" not in told

"""Reading a file: what is TOML, what is too much, and files that are none."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest

from prunebench.api.errors import ConfigError
from prunebench.benchmark import bounds
from prunebench.benchmark.merging import apply_setting, read_file
from prunebench.benchmark.toml import parsed, read_table


def refused(call: object, *arguments: object) -> str:
    with pytest.raises(ConfigError) as error:
        call(*arguments)  # type: ignore[operator]
    (message,) = error.value.errors
    return message


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("content", [b"\xef\xbb\xbfseeds = [0]\n", b"seeds = [\r\n0]\r\n", b"\xef\xbb\xbfseeds = [0]"])
def test_a_byte_order_mark_and_any_line_ends_are_fine(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    assert read_table(tmp_path / "a.toml") == {"seeds": [0]}


def test_a_pipe_a_device_and_a_folder_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    assert refused(read_table, tmp_path / "pipe.toml") == "not a TOML file: it is no regular file"
    assert refused(read_table, Path("/dev/zero")) == "not a TOML file: it is no regular file"
    assert refused(read_table, tmp_path) == "not a TOML file: it is a folder"


@pytest.mark.parametrize("base", ["/dev/zero", "pipe.toml", ".", "a\\u0000b", "x" * 3000, "loop.toml", "~nobody/x"])
def test_what_a_file_extends_must_be_a_file_too(tmp_path: Path, base: str) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    (tmp_path / "loop.toml").symlink_to("loop.toml")
    (tmp_path / "mine.toml").write_text(f'extends = "{base}"')
    assert refused(read_file, tmp_path / "mine.toml").startswith("extends: ")


def test_files_extend_one_another_in_a_row_of_bounded_length(tmp_path: Path) -> None:
    length = 2 * bounds.CHAIN
    for index in range(length):
        (tmp_path / f"{index}.toml").write_text(
            f'extends = "{index + 1}.toml"' if index < length - 1 else "seeds = [0]"
        )
    assert read_file(tmp_path / f"{length - bounds.CHAIN}.toml") == {"seeds": [0]}
    assert refused(read_file, tmp_path / "0.toml") == f"extends: more than {bounds.CHAIN} files extend one another"


HOSTILE = {
    "deep lists": ("x = " + "[" * 50_000, "not a TOML file: it is nested more than 32 deep"),
    "deep lists that end": ("x = " + "[" * 40 + "]" * 40, ": nested more than 32 deep"),
    "deep tables": ("x = " + "{a = " * 40 + "1" + "}" * 40, ": nested more than 32 deep"),
    "a key of many parts": (".".join("a" * 30_000) + " = 1", "a key has more than 32 parts"),
    "a quoted key of many parts": ("['" + "'.'".join("a" * 10_000) + "']", "a key has more than 32 parts"),
    "an inline key of many parts": ("x = {" + " . ".join("a" * 10_000) + " = 1}", "a key has more than 32 parts"),
    "a number of many digits": ("x = " + "9" * 10_000, "not a TOML file: "),
    "a number of many hexadecimal digits": ("x = 0x" + "f" * 60_000, "x: a number of more than 64 bits"),
    "a number of 65 bits": ("x = 9223372036854775808", "x: a number of more than 64 bits"),
    "a float of many digits": ("x = 0." + "1" * 100, "x: a number of more than 64 digits"),
    "no number": ("[t]\nx = [1, nan]", "t.x[1]: nan is no number"),
    "infinity": ("x = inf", "x: inf is no number"),
    "a float beyond all": ("x = 1e400", "x: inf is no number"),
    "a long text": (f'x = "{"a" * 4001}"', "x: the text has 4,001 characters; at most 4,000 can be"),
    "a long key": (f"{'a' * 4001} = 1", "is no key"),
    "a key of control characters": ('"a\\u001b[31m" = 1', "'a\\x1b[31m' is no key"),
    "many values": ("x = [" + "1," * 60_000 + "]", "the file has more than 50,000 keys and values"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_what_is_too_much_is_refused_with_the_bound(name: str) -> None:
    text, message = HOSTILE[name]
    assert message in refused(parsed, text)


@pytest.mark.parametrize("text", ["a" * 250_000, '"' * 250_000, "a-" * 100_000, " ." * 100_000, "''." * 31 + "'"])
def test_looking_for_long_keys_takes_no_time(text: str) -> None:
    assert refused(parsed, text).startswith("not a TOML file: ")


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "large.toml").write_bytes(b"#" * (bounds.FILE_BYTES + 1))
    assert refused(read_table, tmp_path / "large.toml") == "not a TOML file: it has more than 262,144 bytes"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("note=\udcff", "value: the text is not Unicode"),
        ("cut=nan", "value: nan is no number"),
        ("seeds=[9223372036854775808]", "value[0]: a number of more than 64 bits"),
        (".".join("a" * 100) + "=1", "'a.a.a"),
        ("=3", "--set =3: write KEY=VALUE"),
    ],
)
def test_a_setting_is_bounded_as_a_file_is(setting: str, message: str) -> None:
    assert refused(apply_setting, {"seeds": [0]}, setting).startswith(message)


@pytest.mark.parametrize("value", ["[" * 3000, "1\nseeds = [3]", "{ use = ", "a = b", '"'])
def test_a_setting_whose_value_is_no_toml_is_a_string(value: str) -> None:
    assert apply_setting({"seeds": [0]}, f"note={value}") == {"seeds": [0], "note": value.strip()}

"""Every command that there is, found in the parser itself: its help, wrong usage, and a machine on which nothing is."""

from __future__ import annotations

import argparse
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.__main__ import _parser, main

HAN, LATIN = re.compile("[\u4e00-\u9fff]"), re.compile("[A-Za-z]{3,}")
# They would run until they are stopped, or do at once what they are for.
NOT_TRIED = {"serve", "work", "gateway", "all", "setup", "migrate", "seed", "settings"}

Words = tuple[str, ...]


def commands(parser: argparse.ArgumentParser, words: Words = ()) -> Iterator[tuple[Words, argparse.ArgumentParser]]:
    """Every command and deed, with the words that lead there."""
    deeper = [one for one in parser._actions if isinstance(one, argparse._SubParsersAction)]
    if not deeper:
        yield words, parser
    for one in deeper:
        for name, sub in one.choices.items():
            yield from commands(sub, (*words, name))


EVERY = dict(commands(_parser()))


def needed(action: argparse.Action) -> bool:
    """Whether a command cannot do without it."""
    if isinstance(action, argparse._HelpAction):
        return False
    return action.required if action.option_strings else action.nargs not in ("*", "?", argparse.REMAINDER)


def attempt(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Runs a command in this process; what is not meant for people is raised, and fails the test."""
    try:
        code = main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    out, err = capsys.readouterr()
    return code, out, err


def is_one_sentence_for_people(said: str) -> bool:
    """A line in both languages, Chinese first, and no stack trace."""
    text = re.sub("^zongzhi[a-z ]*:", "", said)
    han, latin = HAN.search(text), LATIN.search(text)
    return bool(han and latin) and "Traceback" not in said and len(said.strip().splitlines()) == 1


def test_the_walk_finds_the_commands() -> None:
    assert {("status",), ("held", "retry"), ("serve",), ("settings",)} <= EVERY.keys()
    assert len(EVERY) >= 20


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_every_command_explains_itself(words: Words, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = attempt(capsys, *words, "--help")
    assert (code, err) == (0, "")
    assert out.startswith(f"usage: zongzhi {' '.join(words)}")
    unexplained = [one.dest for one in EVERY[words]._actions if one.option_strings and not one.help]
    assert unexplained == []


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_an_option_that_there_is_not_is_one_sentence(words: Words, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = attempt(capsys, *words, *filled(EVERY[words]), "--no-such-option")
    assert (code, out) == (2, "")
    assert is_one_sentence_for_people(err), err
    assert "--no-such-option" in err


@pytest.mark.parametrize("words", [w for w, sub in EVERY.items() if any(map(needed, sub._actions))], ids=" ".join)
def test_a_word_that_is_missing_is_one_sentence(words: Words, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = attempt(capsys, *words)
    assert (code, out) == (2, "")
    assert is_one_sentence_for_people(err), err


@pytest.mark.parametrize("words", [w for w in EVERY if w[0] not in NOT_TRIED], ids=" ".join)
def test_where_nothing_is_installed_it_says_so_and_makes_nothing(
    words: Words, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    for name, value in {
        "ZONGZHI_TIER": "341702000000",
        "DATA_DIR": str(tmp_path / "data"),
        "BUS_URL": "local:",
    }.items():
        monkeypatch.setenv(name, value)
    code, out, err = attempt(capsys, *words, *filled(EVERY[words]))
    assert code in (1, 2), (code, out, err)
    assert "Traceback" not in err
    assert is_one_sentence_for_people(err) or words == ("status",), err
    assert not list(tmp_path.rglob("*.db"))


def filled(parser: argparse.ArgumentParser) -> list[str]:
    """Words for everything that a command cannot do without."""
    words: list[str] = []
    for action in parser._actions:
        if needed(action):
            words += [*action.option_strings[-1:], *([value(action)] if action.nargs != 0 else [])]
    return words


def value(action: argparse.Action) -> str:
    """Something that the parser takes."""
    tried: list[Any] = [*(action.choices or ()), "petition", "1", "2026-11-24", "divisions", "x"]
    for one in map(str, tried):
        try:
            if callable(action.type):
                action.type(one)
        except (ValueError, TypeError, argparse.ArgumentTypeError):
            continue
        return one
    raise AssertionError(f"no value is known for {action.dest}")

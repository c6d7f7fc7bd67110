# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import UserError
from harness.kconfig import FragmentRequest, parse_request, parse_requests
from harness.kconfig.fragment import Assignment, command_line, load, names, parse, render

HEADER = """\
#: summary = "test"
#: [parameters.mode]
#: type = "choice"
#: choices = ["inline", "outline"]
#: default = "inline"
#: help = "how"
#: [parameters.count]
#: type = "integer"
#: default = 4
#: minimum = 1
#: maximum = 9
#: help = "how many"
#: [parameters.extra]
#: type = "bool"
#: default = false
#: help = "more"
"""
BODY = """\
# a comment
CONFIG_KASAN_{{ mode | upper }}=y
CONFIG_COUNT={{ count }}
{% if extra %}
CONFIG_EXTRA=m  # optional: gone in 6.18
{% endif %}
# CONFIG_OFF is not set
CONFIG_NAME="a # b"
"""


def rendered(request: str, text: str = HEADER + BODY) -> list[str]:
    parsed = parse_request(request)
    return [one.line for one in render(parse(parsed.name, text, Path("t.config.j2")), parsed)]


def test_renders_defaults() -> None:
    lines = ["CONFIG_KASAN_INLINE=y", "CONFIG_COUNT=4", "# CONFIG_OFF is not set", 'CONFIG_NAME="a # b"']
    assert rendered("t") == lines


def test_renders_parameters_and_marks_optional_lines() -> None:
    assert rendered("t:mode=outline,count=9,extra=yes")[:3] == [
        "CONFIG_KASAN_OUTLINE=y",
        "CONFIG_COUNT=9",
        "CONFIG_EXTRA=m",
    ]
    parsed = parse_request("t:extra=y")
    extra = render(parse("t", HEADER + BODY, Path("t.config.j2")), parsed)[2]
    assert extra == Assignment(option="EXTRA", value="m", fragment="t", optional=True, why="gone in 6.18")


@pytest.mark.parametrize(
    ("request_text", "said"),
    [
        ("t:mood=inline", "did you mean 'mode'"),
        ("t:mode=inlin", "did you mean 'inline'"),
        ("t:count=10", "at most 9"),
        ("t:count=many", "whole number"),
        ("t:extra=maybe", "yes or no"),
    ],
)
def test_a_wrong_parameter_is_an_error_that_helps(request_text: str, said: str) -> None:
    with pytest.raises(UserError) as caught:
        rendered(request_text)
    assert said in f"{caught.value.message} {caught.value.hint}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CONFIG_X=y\n", "no header"),
        ('#: summry = "x"\n', "summry"),
        ('#: summary = "x"\n#: [parameters.a]\n#: type = "float"\n#: default = 1\n#: help = ""\n', "float"),
        ("#: summary = \n", "header"),
        (HEADER + "CONFIG_A={{ moode }}\n", "moode"),
        (HEADER + "{% if %}\n", "template"),
        (HEADER + "CONFIG_A = y\n", "is not an option"),
        (HEADER + "CONFIG A=y\n", "is not an option"),
        (HEADER + "CONFIG_A=y optional\n", "is not an option"),
        (HEADER + "# CONFIG_A is not sett\n", "is not an option"),
    ],
)
def test_a_wrong_fragment_is_an_error_that_names_the_place(text: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        rendered("t", text)


def test_requests_are_read_as_written() -> None:
    assert parse_request("debug-kasan:mode=inline,x=1") == FragmentRequest(
        "debug-kasan", (("mode", "inline"), ("x", "1"))
    )
    assert parse_request("CONFIG_KSM=y").is_option and parse_request("./my.config").is_file
    assert str(parse_request("a:z=1,b=2")) == "a:b=2,z=1"
    assert [request.name for request in parse_requests(["base+cxl", "CONFIG_A=a+b", "/x+y/z.config"])] == [
        "base",
        "cxl",
        "CONFIG_A=a+b",
        "/x+y/z.config",
    ]


@pytest.mark.parametrize("text", ["", ":", "a b", "a:b", "a:=1", "a:b=1,b=2", "-x", "a:b=1,"])
def test_requests_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UserError):
        parse_request(text)


def test_an_unknown_fragment_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "zswap.config.j2").write_text(HEADER)
    (tmp_path / "notes.txt").write_text("")
    assert names(tmp_path) == ("zswap",)
    with pytest.raises(UserError) as caught:
        load(parse_request("zwsap"), tmp_path)
    assert "did you mean 'zswap'" in (caught.value.hint or "")


def test_a_file_of_the_user_needs_no_header(tmp_path: Path) -> None:
    mine = tmp_path / "my.config"
    mine.write_text("CONFIG_A=y\n# CONFIG_B is not set\n\n# CONFIG_C=y\n")
    request = parse_request(str(mine))
    assert [one.line for one in render(load(request, tmp_path), request)] == ["CONFIG_A=y", "# CONFIG_B is not set"]
    with pytest.raises(UserError, match="no Kconfig fragment file"):
        load(parse_request("./absent.config"), tmp_path)
    mine.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="UTF-8"):
        load(request, tmp_path)


def test_every_fragment_of_the_project_renders_with_its_defaults() -> None:
    folder = Path(__file__).parents[3] / "kconfigs"
    assert len(names(folder)) > 15
    for name in names(folder):
        fragment = load(FragmentRequest(name), folder)
        assert fragment.header.summary and not fragment.header.summary.endswith(".")
        assert all(parameter.help for parameter in fragment.header.parameters.values())
        assert render(fragment, FragmentRequest(name))
        for other in (*fragment.header.requires, *fragment.header.conflicts):
            assert other in names(folder), f"{name} names {other}"


WORDS = HEADER + BODY + "# command line: a=1 b\n{% if extra %}\n# command line: c={{ count }}\n{% endif %}\n"


@pytest.mark.parametrize(("request_text", "words"), [("t", ("a=1", "b")), ("t:extra=y,count=2", ("a=1", "b", "c=2"))])
def test_words_for_the_command_line(request_text: str, words: tuple[str, ...]) -> None:
    request = parse_request(request_text)
    fragment = parse("t", WORDS, Path("t.config.j2"))
    assert command_line(fragment, request) == words
    assert "CONFIG_COUNT" in render(fragment, request)[1].line

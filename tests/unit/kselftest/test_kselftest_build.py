# SPDX-License-Identifier: GPL-2.0-only
"""Builds targets of a stub tree with the real make and compiler: what builds, what does not and why, what is kept."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from harness import kselftest
from harness.errors import BuildError, UserError
from harness.kselftest import BuiltTarget, Selftests
from harness.paths import Paths
from harness.progress import Quiet
from harness.repository import Repository
from harness.store import Store
from harness.toolchain import Toolchain
from harness.values import AppliedSeries, Tree

TOOLS = Toolchain(cc="gcc", ld="ld", versions={}, digest="0" * 64)
TESTS = "tools/testing/selftests"
STUB = {
    "Makefile": "headers:\n\tmkdir -p $(O)/usr/include/linux\n\techo '#define STUB 7' >$(O)/usr/include/linux/stub.h\n",
    f"{TESTS}/Makefile": "",
    f"{TESTS}/lib.mk": "TEST_GEN_PROGS := $(patsubst %,$(OUTPUT)/%,$(TEST_GEN_PROGS))\n"
    "TEST_GEN_FILES := $(patsubst %,$(OUTPUT)/%,$(TEST_GEN_FILES))\n"
    "CFLAGS += $(USERCFLAGS)\n"
    "all: $(TEST_GEN_PROGS) $(TEST_GEN_FILES)\n"
    "$(OUTPUT)/%: %.c\n\t$(CC) $(KHDR_INCLUDES) $(CFLAGS) $< $(LDLIBS) -o $@\n",
    f"{TESTS}/kselftest/ktap_helpers.sh": "# shared\n",
    f"{TESTS}/lib.sh": "# named by demo\n",
    f"{TESTS}/demo/Makefile": "TEST_GEN_PROGS := fine faulty nolib nohdr\nTEST_GEN_FILES := lost\n"
    "TEST_PROGS := script.sh\nTEST_FILES := data *.txt gone.txt\nTEST_INCLUDES := ../lib.sh\n"
    "include ../lib.mk\n$(OUTPUT)/nolib: LDLIBS += -lharness-nowhere\n",
    f"{TESTS}/demo/fine.c": "#include <linux/stub.h>\nint main(void) { return STUB - 7; }\n",
    f"{TESTS}/demo/faulty.c": "int main(void) { return nothing; }\n",
    f"{TESTS}/demo/nolib.c": "int main(void) { return 0; }\n",
    f"{TESTS}/demo/nohdr.c": "#include <harness/nowhere.h>\nint main(void) { return 0; }\n",
    f"{TESTS}/demo/script.sh": "#!/bin/sh\n",
    f"{TESTS}/demo/data/one": "1\n",
    f"{TESTS}/demo/a.txt": "a\n",
    f"{TESTS}/demo/config": "CONFIG_KSM=y\n",
    f"{TESTS}/demo/settings": "timeout=90\n",
    f"{TESTS}/broken/Makefile": "$(error no such architecture)\n",
    f"{TESTS}/empty/Makefile": "include ../lib.mk\n",
}


class Bench:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paths = Paths(project=folder / "project", cache=folder / "cache", data=folder / "data")
        self.store = Store(self.paths.cache)
        self.repository = Repository.create(folder / "stub.git")

    def read(self, changes: Mapping[str, str | None] | None = None) -> Selftests:
        work = self.folder / "work"
        for name, text in {**STUB, **(changes or {})}.items():
            path = work / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink(missing_ok=True)
            else:
                path.write_text(text)
        index = {"GIT_INDEX_FILE": str(self.folder / "index"), "GIT_WORK_TREE": str(work)}
        self.repository.git("add", "-A", "--", ".", cwd=work, env=index)
        tree = self.repository.git("write-tree", cwd=work, env=index).text.strip()
        commit = self.repository.git("commit-tree", "-m", "stub", tree).text.strip()
        self.repository.set_ref(f"refs/heads/{commit}", commit)
        base = Tree(repository=self.repository.path, commit=commit, tree_id=tree, version="6.12.1", spec="stub")
        applied = AppliedSeries(tree=base, series=None, commit=commit, tree_id=tree, commits=())
        return kselftest.read(applied, store=self.store, progress=Quiet())

    def build(self, tests: Selftests, target: str) -> BuiltTarget:
        return kselftest.build(tests, target, toolchain=TOOLS, paths=self.paths, store=self.store, progress=Quiet())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_target_with_all_that_can_go_wrong(bench: Bench) -> None:
    tests = bench.read()
    assert tests.targets == ("broken", "demo", "empty")
    assert (tests.options("demo"), tests.timeout("demo")) == ({"KSM": "y"}, 90.0)
    assert (tests.options("empty"), tests.timeout("empty")) == ({}, None)
    built = bench.build(tests, "demo")
    assert built.programs == ("fine", "faulty", "nolib", "nohdr", "script.sh")
    assert {name: (reason.ours, reason.text) for name, reason in built.unbuilt.items()} == {
        "faulty": (True, built.unbuilt["faulty"].text),
        "nolib": (False, "this machine has no library to link with for -lharness-nowhere"),
        "nohdr": (False, "this machine has no header harness/nowhere.h"),
        "lost": (True, built.unbuilt["lost"].text),
        "gone.txt": (True, "make did not make it"),
    }
    assert "nothing" in built.unbuilt["faulty"].text and built.unbuilt["lost"].text == "no rule to make lost"
    tree = built.folder / "tree"
    there = {str(path.relative_to(tree)) for path in tree.rglob("*") if path.is_file()}
    assert there == {
        "demo/fine", "demo/script.sh", "demo/data/one", "demo/a.txt", "kselftest/ktap_helpers.sh", "lib.sh",
    }  # fmt: skip


def test_a_build_is_kept_by_what_decides_it(bench: Bench) -> None:
    first = bench.build(bench.read(), "empty")
    assert (first.programs, dict(first.unbuilt)) == ((), {})
    same = bench.build(bench.read({"mm/page_alloc.c": "int changed;\n"}), "empty")
    assert same.key == first.key
    other = bench.build(bench.read({"include/uapi/linux/x.h": "\n"}), "empty")
    assert other.key != first.key


def test_two_builds_of_the_same_are_the_same_bytes(bench: Bench) -> None:
    tests = bench.read()
    first = (bench.build(tests, "demo").folder / "tree" / "demo" / "fine").read_bytes()
    built = bench.build(tests, "demo")
    bench.store.remove("kselftest", built.key)
    again = bench.build(tests, "demo")
    assert (again.folder / "tree" / "demo" / "fine").read_bytes() == first


def test_a_makefile_that_does_not_work(bench: Bench) -> None:
    built = bench.build(bench.read(), "broken")
    assert built.programs == ()
    assert "no such architecture" in built.unbuilt["Makefile"].text and built.unbuilt["Makefile"].ours
    assert (built.folder / "tree").is_dir()


def test_headers_that_cannot_be_made(bench: Bench) -> None:
    tests = bench.read({"Makefile": "headers:\n\t@echo no uapi here >&2; exit 1\n"})
    with pytest.raises(BuildError, match="headers") as caught:
        bench.build(tests, "demo")
    assert any("no uapi here" in line for line in caught.value.details)


def test_a_tree_without_selftests(bench: Bench) -> None:
    with pytest.raises(UserError, match="has no selftests"):
        bench.read({name: None for name in STUB if name.startswith(TESTS)})

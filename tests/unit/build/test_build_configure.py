# SPDX-License-Identifier: GPL-2.0-only
"""configure() on the stub tree: the tree's own conf, the check, the cache."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from harness.errors import BuildError, UserError
from harness.repository import Repository

if TYPE_CHECKING:
    from tests.unit.build.conftest import Bench


def runs(bench: Bench) -> int:
    return sum(message == "make allnoconfig" for message, _, _ in bench.progress.updates)


def test_the_final_config_is_the_trees_own(bench: Bench) -> None:
    config = bench.configure(bench.commit())
    assert config.text == "CONFIG_PVH=y\nCONFIG_ALWAYS=y\n"
    assert (config.fragments, config.warnings) == (("base",), ())
    assert config.enabled("PVH") and not config.enabled("MORE")


def test_a_lost_option_is_an_error_with_its_reason(bench: Bench) -> None:
    bench.fragment("extra", "CONFIG_NEEDS_MORE=y\nCONFIG_DRIVR=y\n", '#: requires = ["base"]\n')
    with pytest.raises(UserError, match="2 requested Kconfig options did not survive") as caught:
        bench.configure(bench.commit({"scripts/dropped": "CONFIG_NEEDS_MORE\nCONFIG_DRIVR\n"}), "extra")
    assert caught.value.details == (
        "CONFIG_NEEDS_MORE=y (fragment 'extra'): unmet dependency: MORE is n and no fragment asks for it",
        "CONFIG_DRIVR=y (fragment 'extra'): unknown in this kernel (nearest: CONFIG_DRIVER)",
    )


def test_a_lost_option_that_may_be_is_a_warning_from_the_cache_too(bench: Bench) -> None:
    bench.fragment("extra", "CONFIG_NEEDS_MORE=y  # optional: from 6.20 on\n")
    applied = bench.commit()
    for _ in range(2):
        (warning,) = bench.configure(applied, "base", "extra").warnings
        assert warning.endswith("MORE is n and no fragment asks for it [from 6.20 on]")
    assert runs(bench) == 1


def test_losses_on_purpose_are_warnings(bench: Bench) -> None:
    bench.fragment("extra", "CONFIG_NEEDS_MORE=y\n")
    applied = bench.commit()
    with pytest.raises(UserError):
        bench.configure(applied, "base", "extra")
    assert len(bench.configure(applied, "base", "extra", strict=False).warnings) == 1


def test_a_change_beside_kconfig_runs_nothing(bench: Bench) -> None:
    first = bench.configure(bench.commit())
    second = bench.configure(bench.commit({"mm/page_alloc.c": ": changed\n"}))
    assert first == second and runs(bench) == 1


def test_a_tree_is_listed_again_only_where_kconfig_may_have_changed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = []
    real = Repository.ls_tree

    def ls_tree(self: Repository, commit: str) -> dict[str, str]:
        listed.append(commit)
        return real(self, commit)

    monkeypatch.setattr(Repository, "ls_tree", ls_tree)
    commits = [
        bench.commit({path: f"# {path}\n"}) for path in ("mm/a.c", "mm/b.c", "scripts/c", "mm/d.c", "mm/Kconfig")
    ]
    for applied in commits:
        bench.configure(applied)
    assert listed == [commits[0].commit, commits[2].commit, commits[4].commit]


def test_the_tree_that_was_asked_for_last_may_be_damaged_or_lose_its_entry(bench: Bench) -> None:
    first = bench.commit()
    bench.configure(first)
    shutil.rmtree(bench.store.path("config-inputs", first.tree_id))
    second = bench.commit({"mm/a.c": ": changed\n"})
    bench.configure(second)
    folder = bench.repository.git("rev-parse", f"{second.commit}:mm").text.strip()
    third = bench.commit({"mm/a.c": ": changed again\n"})
    (bench.repository.path / "objects" / folder[:2] / folder[2:]).unlink()
    bench.configure(third)
    assert runs(bench) == 1


def test_a_tree_that_stops_to_be_a_kernel(bench: Bench) -> None:
    bench.configure(bench.commit())
    with pytest.raises(BuildError, match="not a Linux kernel tree"):
        bench.configure(bench.commit({"Makefile": None}))


@pytest.mark.parametrize("path", ["Kconfig", "drivers/x/Kconfig.y", "Makefile", "scripts/x", "arch/x86/Makefile"])
def test_a_change_of_kconfig_or_makefiles_runs_conf_again(bench: Bench, path: str) -> None:
    bench.configure(bench.commit())
    old = (bench.folder / "work" / path).read_text() if (bench.folder / "work" / path).exists() else ""
    bench.configure(bench.commit({path: old + "# changed\n"}))
    assert runs(bench) == 2


def test_other_fragments_or_another_compiler_run_conf_again(bench: Bench) -> None:
    applied = bench.commit()
    bench.configure(applied)
    bench.configure(applied, "base", "CONFIG_MORE=y")
    bench.toolchain = type(bench.toolchain)(cc="gcc", ld="ld", digest="1" * 64)
    bench.configure(applied)
    assert runs(bench) == 3


def test_a_broken_kconfig_is_a_build_error_and_leaves_no_entry(bench: Bench) -> None:
    broken = bench.commit({"scripts/conf.sh": "echo 'Kconfig:3: syntax error' >&2; exit 1\n"})
    with pytest.raises(BuildError, match="Kconfig of stub does not work") as caught:
        bench.configure(broken)
    assert any("syntax error" in line for line in caught.value.details)
    assert [entry.kind for entry in bench.store.entries()] == ["config-inputs"]


def test_a_tree_that_is_no_kernel(bench: Bench) -> None:
    with pytest.raises(BuildError, match="not a Linux kernel tree"):
        bench.configure(bench.commit({"Kconfig": None}))


def test_a_damaged_entry_is_made_again(bench: Bench) -> None:
    applied = bench.commit()
    bench.configure(applied)
    (entry,) = [entry for entry in bench.store.entries() if entry.kind == "config"]
    (entry.path / "config").write_text("CONFIG_EVIL=y\n")
    assert bench.configure(applied).text.startswith("CONFIG_PVH=y")
    assert "damaged" in bench.progress.warnings[0]

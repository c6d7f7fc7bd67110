# SPDX-License-Identifier: GPL-2.0-only
"""build() on the stub tree: what is made, kept, found again, warned of, and told when it fails."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from harness.build import build, module_folder
from harness.errors import BuildError, EnvironmentFailure, HarnessError, UserError
from harness.paths import Paths
from harness.values import AppliedSeries, Kernel, KernelConfig

if TYPE_CHECKING:
    from tests.unit.build.conftest import Bench

WARN = "echo \"$srctree/{file}:{line}:5: warning: unused variable 'x' [-Wunused-variable]\" >&2\n"


def built(
    bench: Bench, applied: AppliedSeries, config: KernelConfig | None = None, jobs: int | None = 2
) -> tuple[Kernel, bool]:
    bench.progress.updates.clear()
    return build(
        applied,
        config or bench.configure(applied),
        toolchain=bench.toolchain,
        paths=bench.paths,
        store=bench.store,
        progress=bench.progress,
        jobs=jobs,
    )


def compiled(bench: Bench) -> list[str]:
    return sorted(message for message, _, _ in bench.progress.updates if message.startswith("CC "))


def fails(bench: Bench, changes: dict[str, str | None], kind: type[HarnessError] = BuildError) -> HarnessError:
    with pytest.raises(kind) as caught:
        built(bench, bench.commit(changes), jobs=4)
    assert not [entry for entry in bench.store.entries() if entry.kind == "kernel"]
    return caught.value


def test_a_kernel_is_built_and_kept(bench: Bench) -> None:
    kernel, cached = built(bench, bench.commit())
    assert not cached
    assert (kernel.release, kernel.toolchain) == ("6.12.117", "gcc stub")
    assert ": mm/zswap\n" in kernel.vmlinux.read_text()
    assert kernel.vmlinux.read_text().endswith("1970-01-01 00:00:00 UTC harness@harness \n")
    assert "CONFIG_PVH=y" in kernel.config.read_text() and kernel.system_map.is_file()
    assert (kernel.bzimage, kernel.debug_vmlinux, kernel.modules, dict(kernel.warnings)) == (None, None, None, {})
    assert len(kernel.digest) == 64
    assert (kernel.vmlinux.parent / "build.log").is_file() and not list((bench.paths.cache / "logs").iterdir())


def test_steps_are_counted_towards_a_total(bench: Bench) -> None:
    built(bench, bench.commit(), jobs=1)
    counts = [(done, total) for _, done, total in bench.progress.updates if done is not None]
    assert [done for done, _ in counts] == [1, 2, 3, 4, 5]
    assert all(total is not None and done <= total for done, total in counts if done is not None)


def test_a_kernel_in_the_cache_needs_neither_make_nor_git(bench: Bench) -> None:
    applied = bench.commit()
    config = bench.configure(applied)
    first, _ = built(bench, applied, config)
    (bench.folder / "stub.git").rename(bench.folder / "gone.git")
    second, cached = built(bench, applied, config)
    assert cached and first == second
    assert bench.progress.updates == []


def test_an_edit_compiles_what_it_touches(bench: Bench) -> None:
    built(bench, bench.commit())
    assert len(compiled(bench)) == 4
    kernel, cached = built(bench, bench.commit({"mm/page_alloc.c": ": edited\n"}))
    assert not cached and compiled(bench) == ["CC mm/page_alloc.o"]
    assert ": edited" in kernel.vmlinux.read_text()


def test_warnings_are_those_of_the_whole_kernel_not_of_the_last_make(bench: Bench) -> None:
    first = WARN.format(file="mm/page_alloc.c", line=3)
    kernel, _ = built(bench, bench.commit({"mm/page_alloc.c": first}))
    expected = {"mm/page_alloc.c": ("3: unused variable 'x' [-Wunused-variable]",)}
    assert kernel.warnings == expected
    kernel, _ = built(bench, bench.commit({"mm/zswap.c": WARN.format(file="include/a.h", line=9)}))
    assert compiled(bench) == ["CC mm/zswap.o"]
    assert kernel.warnings == {"include/a.h": ("9: unused variable 'x' [-Wunused-variable]",), **expected}
    kernel, _ = built(bench, bench.commit({"mm/page_alloc.c": ": clean\n"}))
    assert list(kernel.warnings) == ["include/a.h"]


def test_a_failed_build_does_not_lose_the_warnings_that_came_before_it(bench: Bench) -> None:
    changes: dict[str, str | None] = {"init/main.c": WARN.format(file="init/main.c", line=1), "mm/zswap.c": "exit 1\n"}
    with pytest.raises(BuildError):
        built(bench, bench.commit(changes), jobs=1)
    kernel, _ = built(bench, bench.commit({"mm/zswap.c": ":\n"}))
    assert "CC init/main.o" not in compiled(bench)
    assert list(kernel.warnings) == ["init/main.c"]


def test_a_killed_build_does_not_lose_warnings_either(bench: Bench) -> None:
    applied = bench.commit({"mm/zswap.c": WARN.format(file="mm/zswap.c", line=7)})
    built(bench, applied)
    (folder,) = bench.paths.cache.glob("worktrees/*/build-*/output")
    (entry,) = [entry for entry in bench.store.entries() if entry.kind == "kernel"]
    log = bench.paths.cache / "logs" / "killed.log"
    log.write_bytes((entry.path / "build.log").read_bytes())
    # as SIGKILL leaves it: a state that was written when the build began
    (folder / ".harness-state.json").write_text(json.dumps({"steps": 0, "complete": False, "unfinished": str(log)}))
    kernel, _ = built(bench, bench.commit({"init/main.c": ": edited\n"}))
    assert compiled(bench) == ["CC init/main.o"]
    assert kernel.warnings == {"mm/zswap.c": ("7: unused variable 'x' [-Wunused-variable]",)}


def test_a_build_error_is_the_first_failure_with_its_command(bench: Bench) -> None:
    # both run at once; the one that fails later waits for the other, which waits until that one has begun
    broken = (
        "while ! [ -e begun ]; do sleep 0.05; done\n"
        'echo "In file included from $srctree/mm/page_alloc.c:2:" >&2\n'
        "echo \"$srctree/include/x.h:12:3: error: 'spm' undeclared\" >&2\ntouch late; exit 1\n"
    )
    late = (
        "touch begun; while ! [ -e late ]; do sleep 0.05; done; sleep 0.5\n"
        'echo "$srctree/fs/super.c:1:1: error: late" >&2\nexit 1\n'
    )
    error = fails(bench, {"mm/page_alloc.c": broken, "fs/super.c": late})
    assert error.exit_code == 3
    assert "mm/page_alloc.o" in error.message and "'spm' undeclared" in error.message
    assert error.details[0].startswith("In file included from") and len(error.details) == 2
    assert error.command is not None and error.command[:2] == ("env", "-C")
    assert error.command[-2:] == ("-o", "mm/page_alloc.o")
    assert error.log is not None and "fs/super.c:1:1: error: late" in error.log.read_text()


def test_a_build_that_failed_goes_on_where_it_was(bench: Bench) -> None:
    fails(bench, {"mm/zswap.c": "exit 1\n"})
    built(bench, bench.commit({"mm/zswap.c": ":\n"}))
    assert "CC mm/zswap.o" in compiled(bench) and "CC init/main.o" not in compiled(bench)


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("cat $0 > /dev/full\n", "the disk is full"),
        ("echo 'gcc: fatal error: Killed signal terminated program cc1' >&2; exit 1\n", "too little memory"),
        ("kill -KILL $PPID\n", "too little memory"),
        ("sh -c no-such-tool\n", "the build needs 'no-such-tool'"),
    ],
)
def test_a_failure_of_the_machine_is_told_from_one_of_the_kernel(bench: Bench, script: str, said: str) -> None:
    error = fails(bench, {"mm/page_alloc.c": script}, EnvironmentFailure)
    assert said in error.message and error.exit_code == 4 and error.hint


def test_no_rule_for_a_target_is_the_message(bench: Bench) -> None:
    error = fails(bench, {"mm/zswap.c": None})
    assert "No rule to make target" in error.message and "mm/zswap" in error.message


def test_without_pvh_there_is_a_bzimage_and_with_modules_a_folder_of_them(bench: Bench) -> None:
    bench.fragment("old", "CONFIG_MODULES=y\nCONFIG_DRIVER=m\n")
    applied = bench.commit()
    kernel, _ = built(bench, applied, bench.configure(applied, "old"))
    assert kernel.bzimage is not None and kernel.bzimage.is_file()
    assert kernel.modules is not None
    assert [path.name for path in kernel.modules.glob("lib/modules/6.12.117/*")] == ["test.ko"]


def test_modules_out_of_tree_get_a_prepared_folder(bench: Bench) -> None:
    applied = bench.commit()
    common = {"paths": bench.paths, "store": bench.store, "progress": bench.progress}
    with (
        pytest.raises(UserError, match="no loadable modules"),
        module_folder(applied, bench.configure(applied), toolchain=bench.toolchain, **common),  # type: ignore[arg-type]
    ):
        pass
    config = bench.configure(applied, "base", "CONFIG_MODULES=y")
    with module_folder(applied, config, toolchain=bench.toolchain, **common) as worktree:  # type: ignore[arg-type]
        assert (worktree.output / "Module.symvers").is_file()


def test_two_configurations_do_not_share_a_folder(bench: Bench) -> None:
    applied = bench.commit()
    built(bench, applied)
    built(bench, applied, bench.configure(applied, "base", "CONFIG_MORE=y"))
    assert len(compiled(bench)) == 4
    built(bench, bench.commit({"mm/zswap.c": ": edited\n"}))
    assert compiled(bench) == ["CC mm/zswap.o"]


def test_an_interrupt_stops_make_and_leaves_no_entry(bench: Bench) -> None:
    applied = bench.commit({"init/main.c": "sleep 60\n"})
    config = bench.configure(applied)

    def interrupt(message: str, *, done: int | None = None, total: int | None = None) -> None:
        if message.startswith("CC"):
            raise KeyboardInterrupt

    bench.progress.update = interrupt  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        built(bench, applied, config)
    assert not list((bench.paths.cache / "store" / "kernel").iterdir())


def test_a_folder_that_make_cannot_work_in_is_refused_before_anything(bench: Bench) -> None:
    applied = bench.commit()
    config = bench.configure(applied)
    bench.paths = Paths(project=bench.folder, cache=bench.folder / "a cache", data=bench.folder)
    with pytest.raises(UserError, match="space or a colon"):
        built(bench, applied, config)


def test_a_number_of_jobs_that_is_none(bench: Bench) -> None:
    with pytest.raises(UserError, match="0 is no number of jobs"):
        built(bench, bench.commit(), jobs=0)

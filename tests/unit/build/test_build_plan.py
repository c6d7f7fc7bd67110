# SPDX-License-Identifier: GPL-2.0-only
from __future__ import annotations

from pathlib import Path

from harness.build.failure import failing_command
from harness.build.plan import default_jobs, estimated_steps, make_plan, targets
from harness.toolchain import Toolchain, host_toolchain
from harness.values import KernelConfig

TOOLCHAIN = Toolchain(cc="gcc", ld="ld", digest="d")


def config(*lines: str) -> KernelConfig:
    return KernelConfig(text="".join(f"{line}\n" for line in lines), digest="c", fragments=())


def plan(given: KernelConfig, ccache: Path | None = None) -> tuple[list[str], dict[str, str | None]]:
    made = make_plan(
        targets(given),
        source=Path("/w/source"),
        output=Path("/w/output"),
        config=given,
        toolchain=TOOLCHAIN,
        jobs=3,
        ccache=ccache,
    )
    return list(made.argv), made.env


def test_the_make_command() -> None:
    argv, env = plan(config("CONFIG_PVH=y"))
    assert argv == [
        "make",
        "-C",
        "/w/source",
        "O=/w/output",
        "-j3",
        "--output-sync=target",
        "--no-print-directory",
        "ARCH=x86_64",
        "CC=gcc",
        "LD=ld",
        "KCPPFLAGS=-ffile-prefix-map=../source/=",
        "vmlinux",
    ]
    assert env["KBUILD_BUILD_USER"] == "harness" and env["LOCALVERSION"] == ""
    assert not any(name.startswith("CCACHE") for name in env)


def test_ccache_stands_before_the_compiler_and_sees_relative_paths() -> None:
    argv, env = plan(config("CONFIG_PVH=y"), Path("/c"))
    assert "CC=ccache gcc" in argv
    assert (env["CCACHE_DIR"], env["CCACHE_BASEDIR"], env["CCACHE_NOHASHDIR"]) == ("/c", "/w", "1")


def test_paths_do_not_reach_debug_information() -> None:
    argv, _ = plan(config("CONFIG_PVH=y", "CONFIG_DEBUG_INFO=y"))
    assert any("-fdebug-prefix-map=/w/output=." in word for word in argv)


def test_targets_follow_the_configuration() -> None:
    assert targets(config()) == ("vmlinux", "bzImage")
    assert targets(config("CONFIG_PVH=y", "CONFIG_MODULES=y")) == ("vmlinux", "modules")
    assert targets(config("CONFIG_PVH=y", "CONFIG_GDB_SCRIPTS=y")) == ("vmlinux", "scripts_gdb")


def test_the_estimate_grows_with_the_options() -> None:
    assert estimated_steps(config()) < estimated_steps(config(*(f"CONFIG_{n}=y" for n in range(100))))


def test_jobs_are_at_least_one() -> None:
    assert default_jobs() >= 1


def test_the_host_has_a_toolchain_that_says_what_it_is() -> None:
    found = host_toolchain()
    assert found.versions["cc"] and found.digest == host_toolchain().digest
    assert found.digest != host_toolchain(cc="cc").digest


def test_the_failing_command_is_found_in_verbose_output() -> None:
    lines = [
        "make -f /w/source/scripts/Makefile.build obj=mm",
        "# CC      mm/slub.o",
        "  gcc -Wp,-MMD,mm/.page_alloc.o.d -c -o mm/page_alloc.o ../source/mm/page_alloc.c   ; ./tools/objtool mm/x.o",
    ]
    assert failing_command(lines, "mm/page_alloc.o") == (
        "gcc -Wp,-MMD,mm/.page_alloc.o.d -c -o mm/page_alloc.o ../source/mm/page_alloc.c"
    )
    assert failing_command(lines, "mm/alloc.o") is None

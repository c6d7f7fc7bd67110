# SPDX-License-Identifier: GPL-2.0-only
"""``repro.sh``: the bare QEMU command of a run, for somebody who has the bundle and not the harness. Pure.

The guest gets no keys, so that its init gives the serial console a shell (``become_console_shell``); the monitor's
socket and the host's calibration of delays are left out. All else is the run's own command, an option a line.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from harness.bundle import index as names
from harness.guest.plan import FIRMWARE, KEY_FILES, option_lines

_FILES = {"{kernel}": names.VMLINUX, "{rootfs}": names.ROOTFS, "{payload}": names.PAYLOAD}
_SCRATCH = "{private}"
_LEFT_OUT = ("chardev:qmp", "socket,id=qmp,")
_MOST_CASES = 20

_HEAD = """#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# What happened: see README. Runs the guest of it with a QEMU of yours (10.0 or newer, with CXL), and nothing else.
#
#   ./repro.sh          the guest's console: a shell once it has booted; `exit` powers it off, Ctrl-a x ends QEMU
#   ./repro.sh --run    run what failed over the console (--run 2: the second that failed), and power the guest off
#   ./repro.sh --show   print the command
#
# QEMU='/path/to/qemu-system-x86_64' ./repro.sh      another one (words are split, so options can follow)
set -eu
cd "$(dirname "$0")"
"""

_TAIL = r"""
case $mode in
--show)
	printf "'%s' " "$@"
	printf '\n\nin the guest:\n%s\n' "$commands"
	exit ;;
'')
	status=0
	"$@" || status=$?
	exit $status ;;
--run) ;;
*)
	echo "usage: $0 [--run [N]|--show]" >&2
	exit 2 ;;
esac

command=$(printf '%s\n' "$commands" | sed -n "${number}p")
[ "$command" ] || { echo "$0: no command in the guest runs that; see README" >&2; exit 2; }
mkfifo "$scratch/input"
"$@" <"$scratch/input" >"$scratch/console" 2>&1 &
qemu=$!
children=$qemu
exec 3>"$scratch/input"
until grep -q 'harness-init: ready' "$scratch/console"; do
	kill -0 $qemu 2>/dev/null || { cat "$scratch/console"; echo "$0: the guest did not boot" >&2; exit 1; }
	sleep 1
done
tail -n +1 -f "$scratch/console" &
tail=$!
children="$qemu $tail"
sleep 1 # for the shell to have its terminal
printf '%s; echo "repro: exit status $?"\nexit\n' "$command" >&3
wait $qemu || :
sleep 1 # for tail
status=$(sed -n 's/^repro: exit status \([0-9]*\).*/\1/p' "$scratch/console" | tail -n 1)
echo
[ "$status" ] || { echo "$0: the guest ended before the test did"; exit 1; }
echo "$0: the test's exit status is $status (0 passed, 4 skipped)"
exit "$status"
"""

_SCRATCH_FOLDER = """scratch=$(mktemp -d "${TMPDIR:-/tmp}/repro.XXXXXX") children=
# shellcheck disable=SC2086,SC2317 # several; called by the trap
leave() {
	[ ! "$children" ] || kill $children 2>/dev/null || :
	rm -rf "$scratch"
}
trap leave EXIT
trap 'exit 130' INT TERM
"""


def script(
    argv: Sequence[str], *, commands: Sequence[str], swap_mib: int, bzimage: bool, missing: Mapping[str, str]
) -> str:
    """The script for a manifest's ``argv``; ``commands`` show the failure, a shell line each.

    ``missing`` are members that the bundle does not have (name → SHA-256), which the script asks for.
    """
    lines = [_HEAD]
    for name, digest in missing.items():
        lines.append(
            f'[ -e {name} ] || {{ echo "$0: {name} is not in this bundle; its SHA-256 is {digest}" >&2; exit 2; }}\n'
        )
    lines.append(f"commands={shlex.quote(chr(10).join(commands[:_MOST_CASES]))}\nmode=${{1-}} number=${{2-1}}\n")
    lines.append(_SCRATCH_FOLDER)
    lines.append(f'truncate -s {swap_mib}M "$scratch/swap"\n\n' if swap_mib else "\n")
    options = [" ".join(map(_quoted, one)) for one in _options(argv, bzimage=bzimage)]
    lines.append(
        "# shellcheck disable=SC2086 # its words are split\nset -- ${QEMU:-qemu-system-x86_64} \\\n\t"
        + " \\\n\t".join(options)
        + "\n"
    )
    return "".join(lines) + _TAIL


def case_command(guest_path: str, cases: Sequence[str], *, shell: bool, seed: int, stress: str) -> str:
    """The shell line that runs some cases of a program in the guest, as the harness does."""
    words = [f"HARNESS_SEED={seed}", *([f"HARNESS_STRESS={stress}"] if stress else []), *(["sh"] if shell else [])]
    words += [guest_path, *(word for case in cases for word in ("-t", case))]
    return shlex.join(words)


def _options(argv: Sequence[str], *, bzimage: bool) -> list[list[str]]:
    """The options for a console on the terminal, each with its value."""
    firmware = {f"name={FIRMWARE}/{name},file={_SCRATCH}/{name}" for name in KEY_FILES}
    found = []
    for words in _pairs(argv):
        value = words[-1]
        if value in firmware or value.startswith(_LEFT_OUT):
            continue
        if value.startswith("socket,id=console,"):
            words = [words[0], "stdio,id=console,mux=on,signal=off"]
        if words[0] == "-append":
            value = " ".join(word for word in value.split() if not word.startswith("lpj="))
            words = [words[0], value]
        files = _FILES | ({"{kernel}": names.BZIMAGE} if bzimage else {})
        found.append([_placed(word, files) for word in words])
    return found


def _pairs(argv: Sequence[str]) -> list[list[str]]:
    """An option and its value at a time; what starts QEMU is left out."""
    pairs: list[list[str]] = []
    for word in argv[1:]:
        if word.startswith("-") or not pairs:
            pairs.append([word])
        else:
            pairs[-1].append(word)
    return pairs


def _placed(word: str, files: Mapping[str, str]) -> str:
    for name, file in files.items():
        word = word.replace(name, file)
    return word.replace(f"{_SCRATCH}/topology", names.FACTS)


def _quoted(word: str) -> str:
    """A word for the shell; the scratch folder is a variable of the script."""
    if _SCRATCH not in word:
        return shlex.quote(word)
    return '"$scratch"'.join(shlex.quote(part) if part else "" for part in word.split(_SCRATCH))


def bare_command(argv: Sequence[str], *, bzimage: bool) -> tuple[str, ...]:
    """The same command, an option a line, for reading."""
    return option_lines([word for words in _options(argv, bzimage=bzimage) for word in words])

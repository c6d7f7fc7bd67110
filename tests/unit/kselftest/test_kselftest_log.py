# SPDX-License-Identifier: GPL-2.0-only
"""Why make did not make a file: what the machine lacks, and what is the tree's own fault."""

from __future__ import annotations

from harness.kselftest.log import Reason, reasons

# make -k --output-sync=target -C tools/testing/selftests/mm, 6.12, on a machine without libcap-dev and libnuma-dev
STDERR = """\
memfd_secret.c:22:10: fatal error: sys/capability.h: No such file or directory
   22 | #include <sys/capability.h>
      |          ^~~~~~~~~~~~~~~~~~
compilation terminated.
make: *** [../lib.mk:222: /scratch/kselftest/mm/memfd_secret] Error 1
cow.c: In function 'x':
cow.c:9:2: warning: unused variable 'y' [-Wunused-variable]
/usr/bin/ld: cannot find -lnuma: No such file or directory
collect2: error: ld returned 1 exit status
make: *** [../lib.mk:222: /scratch/kselftest/mm/migration] Error 1
droppable.c:8:10: fatal error: linux/nowhere.h: No such file or directory
make: *** [../lib.mk:222: /scratch/kselftest/mm/droppable] Error 1
mdwe_test.c:30:9: error: implicit declaration of function 'prctl2' [-Werror]
make: *** [../lib.mk:222: /scratch/kselftest/mm/mdwe_test] Error 1
make: *** No rule to make target 'gone.c', needed by '/scratch/kselftest/mm/seal_elf'.
/bin/sh: 1: clang: not found
make: *** [Makefile:9: /scratch/kselftest/mm/bpf.o] Error 127
make: Target 'all' not remade because of errors.
"""


def test_reasons() -> None:
    assert reasons(STDERR.splitlines()) == {
        "memfd_secret": Reason(text="this machine has no header sys/capability.h", ours=False),
        "migration": Reason(text="this machine has no library to link with for -lnuma", ours=False),
        "droppable": Reason(
            text="droppable.c:8:10: fatal error: linux/nowhere.h: No such file or directory", ours=True
        ),
        "mdwe_test": Reason(
            text="mdwe_test.c:30:9: error: implicit declaration of function 'prctl2' [-Werror]", ours=True
        ),
        "seal_elf": Reason(text="no rule to make gone.c", ours=True),
        "gone.c": Reason(text="no rule to make gone.c", ours=True),
        "bpf.o": Reason(text="this machine has no program clang", ours=False),
    }


def test_a_compiler_that_says_nothing() -> None:
    assert reasons(["make: *** [x] Error 1"])["x"].ours

// SPDX-License-Identifier: GPL-2.0-only
/* Preloaded into selftests: their output goes out line by line, as on a terminal. */
#include <stdio.h>

__attribute__((constructor)) static void line_buffered(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
}

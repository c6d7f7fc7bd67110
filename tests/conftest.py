# SPDX-License-Identifier: GPL-2.0-only
"""All tests: Ctrl-C reaches the programs that they start, also where the shell that started pytest ignores it."""

from __future__ import annotations

import signal
import threading

# A shell without job control starts what it puts in the background with SIGINT ignored, and that is inherited.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGINT, signal.default_int_handler)

# SPDX-License-Identifier: GPL-2.0-only
"""All tests: Ctrl-C and Ctrl-\\ reach the programs that they start, also where pytest was started without them."""

from __future__ import annotations

import signal
import threading

# A shell without job control starts what it puts in the background with both ignored, and that is inherited.
if threading.current_thread() is threading.main_thread():
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGQUIT) is signal.SIG_IGN:
        signal.signal(signal.SIGQUIT, signal.SIG_DFL)

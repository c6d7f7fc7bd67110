# SPDX-License-Identifier: GPL-2.0-only
"""What a run leaves behind: the run folder with its manifest, results, JUnit file and logs."""

# SPDX-License-Identifier: GPL-2.0-only
"""The command line: a thin layer over the stages. Only this package exits the process."""

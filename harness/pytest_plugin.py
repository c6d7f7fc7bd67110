# SPDX-License-Identifier: GPL-2.0-only
"""Runs guest tests as pytest items."""

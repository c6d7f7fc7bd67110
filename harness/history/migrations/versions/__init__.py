# SPDX-License-Identifier: GPL-2.0-only
"""The migrations, oldest first. One that was released is never changed."""

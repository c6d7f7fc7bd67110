# SPDX-License-Identifier: GPL-2.0-only
"""The history and its run folders as a static HTML site: no server, no link to the outside, opened from disk.

::

    history ─→ make ─→ pages (templates/, harness.page) ─→ <data>/site/
    run folders ─┘        consoles, plots

A page is written when what it shows changed: ``.site.json`` says which runs it was made of. No page grows with all
runs: lists and the way of a case are cut into pages, the oldest of which never change.
"""

# SPDX-License-Identifier: GPL-2.0-only
"""The lifecycle suite: drawn sequences of steps, played in a guest and compared with a model after each step.

``world`` is what the machine has (constant), ``model`` what must be so after which steps (the contract), ``session`` a
shell in the guest, ``play`` a sequence on both, ``draw`` hypothesis' choice of the next step, ``shrink`` the shortest
sequence that still shows a difference, ``script`` that sequence as plain shell, ``suite`` all of it as cases.
"""

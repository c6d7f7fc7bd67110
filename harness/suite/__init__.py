# SPDX-License-Identifier: GPL-2.0-only
"""Guest tests: which there are (:mod:`~harness.suite.catalogue`), running them (:mod:`~harness.suite.runner`), and
reading what they say (:mod:`~harness.suite.ktap`).
"""

# SPDX-License-Identifier: MIT
"""What the tests share: runtimes, bundles, a private mount namespace, the search for leaks."""

# SPDX-License-Identifier: MIT
"""Podman and containerd with hako below them, and with crun and runc to compare. These tests run
in a guest (run.py); tests/test_engines.py has those that a host can do."""

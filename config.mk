# SPDX-License-Identifier: MIT
# The one file a packager edits; every value can also be given to make.
VERSION = 0.1.0

PREFIX = /usr/local
MANPREFIX = $(PREFIX)/share/man

CC ?= cc
CFLAGS ?= -O2
LDFLAGS ?=

# pkg-config names.
PKGS = libseccomp libcap yajl libmnl

# How hako is linked. static: nothing to load at run time, and started without
# libc until it runs from a read-only mount (half a millisecond a start);
# archives: the PKGS from their .a archives, libc shared; shared: everything
# shared, as distributions want it. What the machine lacks falls back one by one;
# for libmnl, which seldom comes as an archive, src/sys/mnl.c stands in.
LINKAGE = static

# Each flag is used where the compiler knows it; -D_FORTIFY_SOURCE=2 where it
# has no 3.
HARDENING = -D_FORTIFY_SOURCE=3 -fstack-protector-strong -fstack-clash-protection \
	-fcf-protection -ftrivial-auto-var-init=zero

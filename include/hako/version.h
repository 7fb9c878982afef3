/* SPDX-License-Identifier: MIT */
#ifndef HAKO_VERSION_H
#define HAKO_VERSION_H

#ifndef HAKO_VERSION
#define HAKO_VERSION "0.0.0" /* config.mk gives the real one */
#endif

/* `hako --version` on standard output. */
void
version_print(void);

#endif

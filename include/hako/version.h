/* SPDX-License-Identifier: MIT */
#ifndef HAKO_VERSION_H
#define HAKO_VERSION_H

#ifndef HAKO_VERSION
#define HAKO_VERSION "0.0.0" /* config.mk gives the real one */
#endif

#define OCI_VERSION_MIN "1.0.0"
#define OCI_VERSION_MAX "1.3.0"

/* `hako --version` on standard output. */
void
version_print(void);

#endif

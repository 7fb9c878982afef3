/* SPDX-License-Identifier: MIT */
#ifndef HAKO_CREDENTIALS_H
#define HAKO_CREDENTIALS_H

/* "CAP_CHOWN" for CAP_CHOWN, and so on; NULL above the last that this build knows. */
const char *
capability_name(int capability);

#endif

/* SPDX-License-Identifier: MIT */
#ifndef HAKO_CREDENTIALS_H
#define HAKO_CREDENTIALS_H

/* "CAP_CHOWN" for CAP_CHOWN, and so on; NULL above the last that this build knows. */
const char *
capability_name(int capability);

/* The other way round; -1 when there is no such name. Case does not matter. */
int
capability_number(const char *name);

#endif

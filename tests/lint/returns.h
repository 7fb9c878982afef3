/* SPDX-License-Identifier: MIT */
/* For the analysers, which read one file at a time: these return -1, always. */
#include "hako/error.h"
#include "hako/json.h"

#define error_set(...) ((error_set)(__VA_ARGS__), -1)
#define error_context(...) ((error_context)(__VA_ARGS__), -1)
#define error_advise(...) ((error_advise)(__VA_ARGS__), -1)
#define json_error(...) ((json_error)(__VA_ARGS__), -1)

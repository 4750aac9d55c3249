/* SPDX-License-Identifier: MIT */
/* Broken: its descriptor lacks call_tool. */
#define SAMPLE_ID "bad_members"
#include "sample.h"

SAMPLE_PLUGIN(.get_tools = sample_get_tools)

/* SPDX-License-Identifier: MIT */
/* Broken: the file is not named after the id in its manifest. */
#define SAMPLE_ID "another_name"
#include "sample.h"

SAMPLE_PLUGIN(SAMPLE_TOOLS)

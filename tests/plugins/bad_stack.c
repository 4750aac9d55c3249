/* SPDX-License-Identifier: MIT */
/* Broken: it demands an executable stack (linked with -z execstack). */
#define SAMPLE_ID "bad_stack"
#include "sample.h"

SAMPLE_PLUGIN(SAMPLE_TOOLS)

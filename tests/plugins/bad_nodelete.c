/* SPDX-License-Identifier: MIT */
/* Broken: it forbids to be unloaded (linked with -z nodelete). */
#define SAMPLE_ID "bad_nodelete"
#include "sample.h"

SAMPLE_PLUGIN(SAMPLE_TOOLS)

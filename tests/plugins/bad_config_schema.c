/* SPDX-License-Identifier: MIT */
/* Broken: its config_schema is no legal schema. */
#define SAMPLE_ID "bad_config_schema"
#include "sample.h"

SAMPLE_PLUGIN(.config_schema = "{\"type\":\"objet\"}", SAMPLE_TOOLS)

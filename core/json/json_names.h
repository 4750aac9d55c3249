/* SPDX-License-Identifier: MIT */
/* Finding member names that an object repeats; for json_parse alone. */
#ifndef JSON_NAMES_H
#define JSON_NAMES_H

#include "json/json.h"

/* Memory that is used again for each object of a text. Begins as zeros. */
struct json_names {
    struct json_name_slot *slots;
    size_t slot_capacity;
    char *decoded;
    size_t decoded_capacity;
};

void json_names_free(struct json_names *names);

/* Marks the names in `object`, an element of the finished nodes of `text`, that
 * come again later in it, and the object if there are any; *repeated is then set
 * to the first name that had been there before. False: out of memory. */
bool json_names_check(struct json_names *names, const char *text, struct json_node *object,
                      const struct json_node **repeated);

#endif

/* SPDX-License-Identifier: MIT */
/*
 * Fuzzes the front matter of skills (plugins/skills): any SKILL.md may be refused, with a
 * sentence; of one that is accepted the front matter must be strict JSON, an object with
 * the name and description that the plugin took from it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../plugins/skills/skills.h"
#include "json/json.h"
#include "must.h"

static void check(const struct front_matter *front)
{
    struct json json;
    struct arena arena;

    arena_init(&arena, (size_t)64 << 20);
    must(json_parse(&json, (struct bytes){front->json.data, front->json.size}, &json_default_limits,
                    &arena, NULL));
    must(json.root->type == JSON_OBJECT && !json.repeated);
    must(json_is(&json, json_get(&json, json.root, "name"), front->name));
    struct bytes description =
        json_string(&json, json_get(&json, json.root, "description"), &arena);
    must(description.size > 0);
    must(strncmp(description.data, front->description, description.size) == 0 ||
         memchr(description.data, '\0', description.size) != NULL);
    arena_free(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct front_matter front;
    struct text file, fault;

    text_init(&file, SIZE_MAX / 4);
    text_init(&fault, 16 * 1024);
    text_add(&file, (const char *)data, size);
    if (front_matter_read(&front, &file, &fault))
        check(&front);
    else
        must(fault.size > 0);
    front_matter_free(&front);
    text_free(&file);
    text_free(&fault);
    return 0;
}

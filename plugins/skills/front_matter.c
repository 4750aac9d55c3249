/* SPDX-License-Identifier: MIT */
/* The front matter of a SKILL.md: YAML between two lines of "---" at its beginning. */
#include "skills.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "encoding.h"
#include "document.h"

#define FRONT_MATTER_MAX (64 * 1024)
#define DESCRIPTION_MAX 1024 /* characters */
#define RESERVED "io.modelcontextprotocol/"

/* Whether a line of three dashes begins at `at`; *next is the line behind it. */
static bool is_fence(const struct text *file, size_t at, size_t *next)
{
    if (file->size - at < 3 || memcmp(file->data + at, "---", 3) != 0)
        return false;
    at += 3;
    while (at < file->size && (file->data[at] == ' ' || file->data[at] == '\t'))
        at++;
    if (at < file->size && file->data[at] == '\r')
        at++;
    *next = at < file->size ? at + 1 : at;
    return at == file->size || file->data[at] == '\n';
}

/* The YAML between the fences. */
static bool find(const struct text *file, struct mcp_bytes *yaml, struct text *fault)
{
    size_t start, at, next;

    if (file->size == 0 || !is_fence(file, 0, &start)) {
        text_adds(fault, file->size >= 3 && memcmp(file->data, "\xef\xbb\xbf", 3) == 0
                             ? "SKILL.md begins with a byte order mark: save it without one"
                             : "SKILL.md must begin with a line of three dashes, the front matter, "
                               "and a line of three dashes again");
        return false;
    }
    for (at = start; at < file->size && !is_fence(file, at, &next);) {
        const char *end = memchr(file->data + at, '\n', file->size - at);
        at = end != NULL ? (size_t)(end - file->data) + 1 : file->size;
    }
    if (at >= file->size || at - start > FRONT_MATTER_MAX) {
        text_addf(fault,
                  at >= file->size
                      ? "the front matter of SKILL.md does not end: a line of three dashes is "
                        "missing"
                      : "the front matter of SKILL.md is longer than %d bytes",
                  FRONT_MATTER_MAX);
        return false;
    }
    *yaml = (struct mcp_bytes){file->data + start, at - start};
    return true;
}

static bool name_is_legal(const struct value *name)
{
    const char *text = name->text;
    size_t size = name->size;

    if (size == 0 || size > 64 || text[0] == '-' || text[size - 1] == '-')
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '-'
                ? text[i - 1] == '-'
                : !(text[i] >= 'a' && text[i] <= 'z') && !(text[i] >= '0' && text[i] <= '9'))
            return false;
    }
    return true;
}

static size_t characters(const struct value *text)
{
    size_t count = 0;

    for (size_t i = 0; i < text->size; i++)
        count += ((unsigned char)text->text[i] & 0xc0) != 0x80;
    return count;
}

/* The rule that it breaks; NULL: none. */
static const char *broken_rule(const struct value *root)
{
    const struct value *name = value_member(root, "name");
    const struct value *description = value_member(root, "description");
    const struct value *metadata = value_member(root, "metadata");

    if (root->kind != VALUE_OBJECT)
        return "the front matter of SKILL.md must be a mapping (\"name: ...\")";
    if (name == NULL || name->kind != VALUE_STRING)
        return "\"name\" must be in the front matter of SKILL.md, a text";
    if (!name_is_legal(name))
        return "\"name\" in the front matter of SKILL.md must be 1 to 64 of a-z 0-9 -, with no - "
               "at the ends and no two in a row";
    if (description == NULL || description->kind != VALUE_STRING || description->size == 0)
        return "\"description\" must be in the front matter of SKILL.md, a text that says what "
               "the skill is for";
    if (characters(description) > DESCRIPTION_MAX)
        return "\"description\" in the front matter of SKILL.md must have at most 1024 characters";
    for (size_t i = 0; metadata != NULL && metadata->kind == VALUE_OBJECT && i < metadata->count;
         i += 2)
        if (strncmp(metadata->items[i]->text, RESERVED, sizeof(RESERVED) - 1) == 0)
            return "\"metadata\" in the front matter of SKILL.md must have no names that begin "
                   "with " RESERVED;
    return NULL;
}

bool front_matter_read(struct front_matter *front, const struct text *file, struct text *fault)
{
    struct document document = {.root = NULL};
    struct mcp_bytes yaml;
    const char *rule = NULL;
    bool good = false;

    *front = (struct front_matter){.description = NULL};
    text_init(&front->json, DEFINITION_MAX);
    if (!find(file, &yaml, fault))
        return false;
    if (!document_read_yaml(&document, yaml.data, yaml.size, DOCUMENT_SMALL)) {
        text_adds(fault, "the front matter of SKILL.md is not legal YAML");
        if (document.line > 0) /* one line stands before it */
            text_addf(fault, " in line %u", document.line + 1);
        text_addf(fault, ": %s", document.fault);
    } else if ((rule = broken_rule(document.root)) != NULL) {
        text_adds(fault, rule);
    } else if (!value_write(&front->json, document.root, DOCUMENT_SMALL)) {
        text_adds(fault, "the front matter of SKILL.md is too large or nested too deeply");
    } else {
        const struct value *description = value_member(document.root, "description");
        snprintf(front->name, sizeof(front->name), "%s", value_member(document.root, "name")->text);
        front->description = strdup(description->text);
        good = front->description != NULL;
    }
    document_free(&document);
    return good;
}

void front_matter_free(struct front_matter *front)
{
    text_free(&front->json);
    free(front->description);
    front->description = NULL;
}

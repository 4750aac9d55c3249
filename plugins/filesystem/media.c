/* SPDX-License-Identifier: MIT */
/* read_media_file: an image or a sound as such, any other file as a resource. */
#include "filesystem.h"

#include <string.h>

#include "reading.h"

static const char *kind_of(const char *type)
{
    return strncmp(type, "image/", 6) == 0   ? "image"
           : strncmp(type, "audio/", 6) == 0 ? "audio"
                                             : "resource";
}

static void add_block(struct text *json, const struct place *place, const char *type,
                      const struct text *content)
{
    const char *kind = kind_of(type);
    if (strcmp(kind, "resource") == 0) {
        text_adds(json, "{\"type\":\"resource\",\"resource\":{\"uri\":\"");
        add_uri(json, place->root, place->beneath);
        text_addf(json, "\",\"mimeType\":\"%s\",\"blob\":\"", type);
        text_add_base64(json, content->data, content->size);
        text_adds(json, "\"}}");
        return;
    }
    text_addf(json, "{\"type\":\"%s\",\"data\":\"", kind);
    text_add_base64(json, content->data, content->size);
    text_addf(json, "\",\"mimeType\":\"%s\"}", type);
}

int32_t read_media_file(const struct filesystem *fs, struct mcp_call *call)
{
    struct place place;
    struct text content, json;
    struct stat st;
    if (!place_find(fs, call, &place))
        return MCP_OK;
    text_init(&content, (size_t)fs->max_file_size);
    text_init(&json, SIZE_MAX / 4);
    if (file_read_all(&place, call, &content, &st)) {
        const char *type = mime_type(place.beneath, content.data, content.size);
        text_adds(&json, "{\"content\":[");
        add_block(&json, &place, type, &content);
        text_adds(&json, "],\"structuredContent\":{\"path\":");
        text_add_string(&json, place.given.data, place.given.size);
        text_addf(&json, ",\"kind\":\"%s\",\"mimeType\":\"%s\",\"size\":%zu}}", kind_of(type), type,
                  content.size);
        text_free(&content);
        if (json.failed)
            fail_call(call, "mcpd is out of memory.");
        else
            call->ops->finish_result(call, text_bytes(&json));
    }
    text_free(&content);
    text_free(&json);
    return MCP_OK;
}

/* SPDX-License-Identifier: MIT */
/* 2026-07-28: every request stands for itself. It carries its revision and its
 * client's capabilities, and its header fields repeat what is in its body. */
#include <stdio.h>

#include "mcp/channel.h"
#include "mcp/headers.h"
#include "mcp/request.h"

#define META "io.modelcontextprotocol/"

static const struct bytes no_data = {NULL, 0};

bool modern_claims(const struct request *request)
{
    const struct message *message = request->message;

    if (message->session_id.data != NULL ||
        (message->channel != NULL && channel_sessions_only(message->channel)))
        return false;
    if (json_get(&request->json, request->meta, META "protocolVersion") != NULL ||
        json_get(&request->json, request->meta, META "clientCapabilities") != NULL)
        return true;
    if (message->protocol_version.data == NULL)
        return false;
    const struct revision *revision = revision_find(message->protocol_version);
    return revision == NULL || revision->modern;
}

static bool unsupported(struct request *request, struct bytes version)
{
    struct buf data;

    buf_init(&data, 4096 + version.size * 6);
    buf_addf(&data, "{\"supported\":%s,\"requested\":", revision_list_json);
    json_write_string(&data, version);
    BUF_LIT(&data, "}");
    respond_error(request, 400, RPC_UNSUPPORTED_VERSION, buf_bytes(&data),
                  "Unsupported protocol version");
    buf_free(&data);
    return false;
}

/* The revision, from the header field and from _meta, which must agree; where
 * there are no header fields, from _meta. A notification has no _meta of a
 * request; its header field must do. */
static bool read_revision(struct request *request)
{
    const struct json *json = &request->json;
    bool has_header = request->message->channel == NULL;
    struct bytes header = request->message->protocol_version;
    struct bytes version = header;

    if (has_header && (header.data == NULL || request->message->header_error != NULL)) {
        respond_error(request, 400, RPC_HEADER_MISMATCH, no_data, "Header mismatch: %s",
                      header.data == NULL ? "MCP-Protocol-Version is missing"
                                          : request->message->header_error);
        return false;
    }
    if (request->id.data != NULL) {
        version = json_string(json, json_get(json, request->meta, META "protocolVersion"),
                              request->message->arena);
        const struct json_node *capabilities =
            json_get(json, request->meta, META "clientCapabilities");
        if (version.data == NULL || capabilities == NULL || capabilities->type != JSON_OBJECT) {
            respond_error(request, 400, RPC_INVALID_PARAMS, no_data,
                          "Invalid params: _meta must have the string " META
                          "protocolVersion and the object " META "clientCapabilities");
            return false;
        }
    }
    if (has_header && !bytes_equal(header, version)) {
        respond_error(request, 400, RPC_HEADER_MISMATCH, no_data,
                      "Header mismatch: MCP-Protocol-Version does not match _meta");
        return false;
    }
    request->revision = revision_find(version);
    if (request->revision == NULL || !request->revision->modern)
        return unsupported(request, version);
    return true;
}

static bool check_method(struct request *request)
{
    struct bytes header = request->message->method;

    if (request->message->channel != NULL)
        return true;
    if (header.data != NULL && bytes_equal(header, request->method))
        return true;
    respond_error(request, 400, RPC_HEADER_MISMATCH, no_data, "Header mismatch: Mcp-Method %s",
                  header.data == NULL ? "is missing" : "does not match the method of the body");
    return false;
}

static bool check_name(struct request *request, const struct method *method)
{
    const struct json *json = &request->json;

    if (method->named_by == NULL || request->message->channel != NULL)
        return true;
    struct bytes name = json_string(json, json_get(json, request->params, method->named_by),
                                    request->message->arena);
    struct bytes header = request->message->name;
    if (name.data == NULL && header.data == NULL)
        return true; /* the method itself says what is missing */
    if (name.data != NULL && header.data != NULL &&
        header_matches(header, name, request->message->arena))
        return true;
    respond_error(request, 400, RPC_HEADER_MISMATCH, no_data,
                  "Header mismatch: Mcp-Name %s params.%s",
                  header.data == NULL ? "is missing for" : "does not match", method->named_by);
    return false;
}

void modern_receive(struct request *request)
{
    if (!read_revision(request) || !check_method(request))
        return;
    if (request->id.data == NULL) {
        respond_accepted(request->reply);
        return;
    }
    const struct method *method = method_find(request->method, METHOD_MODERN);
    if (method == NULL) {
        respond_error(request, 404, RPC_METHOD_NOT_FOUND, no_data, "Method not found: %.*s",
                      (int)(request->method.size > 100 ? 100 : request->method.size),
                      request->method.data);
        return;
    }
    if (check_name(request, method))
        method->run(request);
}

/* SPDX-License-Identifier: MIT */
/*
 * Where every field of the ABI is on a 64-bit machine, and how large each struct was in
 * each minor. Rows are only ever added, in sections of their own for later minors: what stands here
 * is built into plugins that nobody will build again.
 */
#define LAYOUT_1_0(FIELD, SIZE)                                                                    \
    FIELD(mcp_bytes, data, 0)                                                                      \
    FIELD(mcp_bytes, size, 8)                                                                      \
    SIZE(mcp_bytes, 16)                                                                            \
    FIELD(mcp_note_header, owner_size, 0)                                                          \
    FIELD(mcp_note_header, json_size, 4)                                                           \
    FIELD(mcp_note_header, type, 8)                                                                \
    FIELD(mcp_note_header, owner, 12)                                                              \
    SIZE(mcp_note_header, 16)                                                                      \
    FIELD(mcp_tool, struct_size, 0)                                                                \
    FIELD(mcp_tool, flags, 4)                                                                      \
    FIELD(mcp_tool, definition, 8)                                                                 \
    FIELD(mcp_tool, tag, 24)                                                                       \
    FIELD(mcp_tool, timeout_ms, 32)                                                                \
    FIELD(mcp_tool, concurrency, 36)                                                               \
    SIZE(mcp_tool, 40)                                                                             \
    FIELD(mcp_tool_sink, struct_size, 0)                                                           \
    FIELD(mcp_tool_sink, reserved, 4)                                                              \
    FIELD(mcp_tool_sink, host_data, 8)                                                             \
    FIELD(mcp_tool_sink, add, 16)                                                                  \
    SIZE(mcp_tool_sink, 24)                                                                        \
    FIELD(mcp_host, struct_size, 0)                                                                \
    FIELD(mcp_host, abi_minor, 4)                                                                  \
    FIELD(mcp_host, host_data, 8)                                                                  \
    FIELD(mcp_host, provider, 16)                                                                  \
    FIELD(mcp_host, server, 24)                                                                    \
    FIELD(mcp_host, log, 32)                                                                       \
    FIELD(mcp_host, fail, 40)                                                                      \
    FIELD(mcp_host, config, 48)                                                                    \
    FIELD(mcp_host, notify, 56)                                                                    \
    FIELD(mcp_host, get_extension, 64)                                                             \
    SIZE(mcp_host, 72)                                                                             \
    FIELD(mcp_caller, struct_size, 0)                                                              \
    FIELD(mcp_caller, authenticated, 4)                                                            \
    FIELD(mcp_caller, subject, 8)                                                                  \
    FIELD(mcp_caller, issuer, 24)                                                                  \
    FIELD(mcp_caller, roles, 40)                                                                   \
    FIELD(mcp_caller, client, 56)                                                                  \
    SIZE(mcp_caller, 72)                                                                           \
    FIELD(mcp_call, struct_size, 0)                                                                \
    FIELD(mcp_call, flags, 4)                                                                      \
    FIELD(mcp_call, ops, 8)                                                                        \
    FIELD(mcp_call, host_data, 16)                                                                 \
    FIELD(mcp_call, plugin_data, 24)                                                               \
    FIELD(mcp_call, name, 32)                                                                      \
    FIELD(mcp_call, tag, 48)                                                                       \
    FIELD(mcp_call, arguments, 56)                                                                 \
    FIELD(mcp_call, meta, 72)                                                                      \
    FIELD(mcp_call, caller, 88)                                                                    \
    FIELD(mcp_call, deadline_ns, 96)                                                               \
    FIELD(mcp_call, state, 104)                                                                    \
    FIELD(mcp_call, input_responses, 120)                                                          \
    SIZE(mcp_call, 136)                                                                            \
    FIELD(mcp_call_ops, struct_size, 0)                                                            \
    FIELD(mcp_call_ops, reserved, 4)                                                               \
    FIELD(mcp_call_ops, finish_text, 8)                                                            \
    FIELD(mcp_call_ops, finish_structured, 16)                                                     \
    FIELD(mcp_call_ops, finish_result, 24)                                                         \
    FIELD(mcp_call_ops, finish_failure, 32)                                                        \
    FIELD(mcp_call_ops, finish_need_input, 40)                                                     \
    FIELD(mcp_call_ops, progress, 48)                                                              \
    FIELD(mcp_call_ops, log, 56)                                                                   \
    FIELD(mcp_call_ops, is_cancelled, 64)                                                          \
    FIELD(mcp_call_ops, cancel_fd, 72)                                                             \
    FIELD(mcp_call_ops, on_cancel, 80)                                                             \
    FIELD(mcp_call_ops, argument, 88)                                                              \
    FIELD(mcp_call_ops, get_extension, 96)                                                         \
    SIZE(mcp_call_ops, 104)                                                                        \
    FIELD(mcp_plugin, magic, 0)                                                                    \
    FIELD(mcp_plugin, struct_size, 4)                                                              \
    FIELD(mcp_plugin, abi_major, 8)                                                                \
    FIELD(mcp_plugin, abi_minor, 10)                                                               \
    FIELD(mcp_plugin, min_minor, 12)                                                               \
    FIELD(mcp_plugin, reserved, 14)                                                                \
    FIELD(mcp_plugin, id, 16)                                                                      \
    FIELD(mcp_plugin, name, 24)                                                                    \
    FIELD(mcp_plugin, version, 32)                                                                 \
    FIELD(mcp_plugin, vendor, 40)                                                                  \
    FIELD(mcp_plugin, license, 48)                                                                 \
    FIELD(mcp_plugin, config_schema, 56)                                                           \
    FIELD(mcp_plugin, create, 64)                                                                  \
    FIELD(mcp_plugin, start, 72)                                                                   \
    FIELD(mcp_plugin, stop, 80)                                                                    \
    FIELD(mcp_plugin, reconfigure, 88)                                                             \
    FIELD(mcp_plugin, destroy, 96)                                                                 \
    FIELD(mcp_plugin, get_tools, 104)                                                              \
    FIELD(mcp_plugin, call_tool, 112)                                                              \
    FIELD(mcp_plugin, get_extension, 120)                                                          \
    SIZE(mcp_plugin, 128)

/* Numbers that plugins have compiled in. */
#define VALUES_1_0(VALUE)                                                                          \
    VALUE(MCP_PLUGIN_MAGIC, 0x3150434d)                                                            \
    VALUE(MCP_OK, 0)                                                                               \
    VALUE(MCP_EINVAL, -1)                                                                          \
    VALUE(MCP_EFAIL, -2)                                                                           \
    VALUE(MCP_ENOMEM, -3)                                                                          \
    VALUE(MCP_ENOENT, -4)                                                                          \
    VALUE(MCP_ENOTSUP, -5)                                                                         \
    VALUE(MCP_ECANCELLED, -6)                                                                      \
    VALUE(MCP_TOOL_THREAD_SAFE, 1)                                                                 \
    VALUE(MCP_TOOL_NONBLOCKING, 2)                                                                 \
    VALUE(MCP_LOG_EMERGENCY, 0)                                                                    \
    VALUE(MCP_LOG_ALERT, 1)                                                                        \
    VALUE(MCP_LOG_CRITICAL, 2)                                                                     \
    VALUE(MCP_LOG_ERROR, 3)                                                                        \
    VALUE(MCP_LOG_WARNING, 4)                                                                      \
    VALUE(MCP_LOG_NOTICE, 5)                                                                       \
    VALUE(MCP_LOG_INFO, 6)                                                                         \
    VALUE(MCP_LOG_DEBUG, 7)                                                                        \
    VALUE(MCP_CHANGED_TOOLS, 1)                                                                    \
    VALUE(MCP_CHANGED_RESOURCES, 2)                                                                \
    VALUE(MCP_CHANGED_PROMPTS, 4)                                                                  \
    VALUE(MCP_JSON_NULL, 0)                                                                        \
    VALUE(MCP_JSON_FALSE, 1)                                                                       \
    VALUE(MCP_JSON_TRUE, 2)                                                                        \
    VALUE(MCP_JSON_NUMBER, 3)                                                                      \
    VALUE(MCP_JSON_STRING, 4)                                                                      \
    VALUE(MCP_JSON_ARRAY, 5)                                                                       \
    VALUE(MCP_JSON_OBJECT, 6)

/* What 1.1 added, and what is as large as it was then. */
#define LAYOUT_1_1(FIELD)                                                                          \
    FIELD(mcp_offer, struct_size, 0)                                                               \
    FIELD(mcp_offer, flags, 4)                                                                     \
    FIELD(mcp_offer, definition, 8)                                                                \
    FIELD(mcp_offer, tag, 24)                                                                      \
    FIELD(mcp_offer, timeout_ms, 32)                                                               \
    FIELD(mcp_offer, concurrency, 36)                                                              \
    FIELD(mcp_offer_sink, struct_size, 0)                                                          \
    FIELD(mcp_offer_sink, reserved, 4)                                                             \
    FIELD(mcp_offer_sink, host_data, 8)                                                            \
    FIELD(mcp_offer_sink, add, 16)                                                                 \
    FIELD(mcp_call, client_capabilities, 136)                                                      \
    FIELD(mcp_call_ops, finish_error, 104)                                                         \
    FIELD(mcp_call_ops, start_task, 112)                                                           \
    FIELD(mcp_call_ops, close_stream, 120)                                                         \
    FIELD(mcp_call_ops, read, 128)                                                                 \
    FIELD(mcp_resources, struct_size, 0)                                                           \
    FIELD(mcp_resources, reserved, 4)                                                              \
    FIELD(mcp_resources, get_resources, 8)                                                         \
    FIELD(mcp_resources, get_resource_templates, 16)                                               \
    FIELD(mcp_resources, read_resource, 24)                                                        \
    FIELD(mcp_resources_host, struct_size, 0)                                                      \
    FIELD(mcp_resources_host, reserved, 4)                                                         \
    FIELD(mcp_resources_host, updated, 8)                                                          \
    FIELD(mcp_prompts, struct_size, 0)                                                             \
    FIELD(mcp_prompts, reserved, 4)                                                                \
    FIELD(mcp_prompts, get_prompts, 8)                                                             \
    FIELD(mcp_prompts, get_prompt, 16)                                                             \
    FIELD(mcp_completion, struct_size, 0)                                                          \
    FIELD(mcp_completion, reserved, 4)                                                             \
    FIELD(mcp_completion, complete, 8)                                                             \
    FIELD(mcp_skills, struct_size, 0)                                                              \
    FIELD(mcp_skills, reserved, 4)                                                                 \
    FIELD(mcp_skills, get_skills, 8)

#define SIZES_1_1(SIZE)                                                                            \
    SIZE(mcp_bytes, 16)                                                                            \
    SIZE(mcp_note_header, 16)                                                                      \
    SIZE(mcp_tool, 40)                                                                             \
    SIZE(mcp_tool_sink, 24)                                                                        \
    SIZE(mcp_offer, 40)                                                                            \
    SIZE(mcp_offer_sink, 24)                                                                       \
    SIZE(mcp_host, 72)                                                                             \
    SIZE(mcp_caller, 72)                                                                           \
    SIZE(mcp_call, 152)                                                                            \
    SIZE(mcp_call_ops, 136)                                                                        \
    SIZE(mcp_plugin, 128)                                                                          \
    SIZE(mcp_resources, 32)                                                                        \
    SIZE(mcp_resources_host, 16)                                                                   \
    SIZE(mcp_prompts, 24)                                                                          \
    SIZE(mcp_completion, 16)                                                                       \
    SIZE(mcp_skills, 16)

#define VALUES_1_1(VALUE)                                                                          \
    VALUE(MCP_TOOL_TASK_OPTIONAL, 4)                                                               \
    VALUE(MCP_TOOL_TASK_REQUIRED, 8)                                                               \
    VALUE(MCP_TOOL_TASK_LATE, 16)                                                                  \
    VALUE(MCP_TOOL_STATE_ONCE, 32)                                                                 \
    VALUE(MCP_PART_ARGUMENTS, 0)                                                                   \
    VALUE(MCP_PART_META, 1)                                                                        \
    VALUE(MCP_PART_INPUT_RESPONSES, 2)                                                             \
    VALUE(MCP_PART_CLIENT_CAPABILITIES, 3)                                                         \
    VALUE(MCP_ERROR_INVALID_PARAMS, -32602)                                                        \
    VALUE(MCP_ERROR_INTERNAL, -32603)                                                              \
    VALUE(MCP_ERROR_MISSING_CAPABILITY, -32021)                                                    \
    VALUE(MCP_ERROR_RESOURCE_NOT_FOUND, -32002)

/* The ids of extensions, which are compared as texts. */
#define IDS_1_1(ID)                                                                                \
    ID(MCP_RESOURCES, "mcp.resources/1")                                                           \
    ID(MCP_PROMPTS, "mcp.prompts/1")                                                               \
    ID(MCP_COMPLETION, "mcp.completion/1")                                                         \
    ID(MCP_SKILLS, "mcp.skills/1")

/* What came after the headers of 1.1 were frozen: extensions, which need no new minor. */
#define LAYOUT_LATER(FIELD)                                                                        \
    FIELD(mcp_health, struct_size, 0)                                                              \
    FIELD(mcp_health, flags, 4)                                                                    \
    FIELD(mcp_health, check, 8)

#define SIZES_LATER(SIZE) SIZE(mcp_health, 16)

#define IDS_LATER(ID) ID(MCP_HEALTH, "mcp.health/1")

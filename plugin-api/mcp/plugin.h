/* SPDX-License-Identifier: MIT */
/*
 * <mcp/plugin.h> - the provider plugin ABI of mcpd, version 1.
 *
 * A provider plugin is a shared object that offers tools to MCP clients
 * through mcpd. It is built against this one header, which needs nothing but
 * the C library's <stddef.h> and <stdint.h> and a compiler for C99 or C++11 or
 * newer, and it is dropped into mcpd's plugin directory. A plugin built against any 1.x header loads in every
 * later mcpd that serves ABI 1.
 *
 * The whole of a plugin:
 *
 *     #include <mcp/plugin.h>
 *
 *     MCP_PLUGIN_MANIFEST("{\"id\":\"hello\",\"version\":\"1.0.0\",\"abi\":\"1.0\"}");
 *
 *     static int32_t get_tools(void *self, const struct mcp_tool_sink *sink)
 *     {
 *         (void)self;
 *         const struct mcp_tool hello = {
 *             .struct_size = sizeof hello,
 *             .flags = MCP_TOOL_NONBLOCKING,
 *             .definition = MCP_STR("{\"name\":\"hello\",\"description\":\"Greets\","
 *                                   "\"inputSchema\":{\"type\":\"object\"}}"),
 *         };
 *         return sink->add(sink, &hello);
 *     }
 *
 *     static int32_t call_tool(void *self, struct mcp_call *call)
 *     {
 *         (void)self;
 *         return call->ops->finish_text(call, MCP_STR("Hello."));
 *     }
 *
 *     static const struct mcp_plugin plugin = {
 *         MCP_PLUGIN_HEADER, .id = "hello", .version = "1.0.0",
 *         .get_tools = get_tools, .call_tool = call_tool,
 *     };
 *     MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void) { return &plugin; }
 *
 * Rules that hold everywhere:
 *
 *  - Text is UTF-8 and is passed as struct mcp_bytes: a pointer and a length,
 *    not NUL-terminated unless a sentence says so. "JSON" means one JSON value
 *    in strict RFC 8259 syntax, UTF-8, without duplicate member names.
 *  - Who allocates frees. What one side passes to a function of the other is
 *    valid until that function returns, and is copied by the callee if it
 *    needs it for longer, unless a sentence says otherwise.
 *  - Functions that can fail return an int32_t: MCP_OK (0) or a negative
 *    MCP_E... code.
 *  - Structs grow at the end only. Every struct that crosses the border starts
 *    with its struct_size; a field that lies beyond the struct_size the other
 *    side gave does not exist. Set what you do not use to zero.
 *  - mcpd does not use C++ exceptions or longjmp across this border; a plugin
 *    must not let one of its own pass through a function of mcpd.
 *  - A plugin must not call exit, fork without exec, change the working
 *    directory, the locale, the umask, signal handlers or the environment:
 *    the process is not its own.
 *
 * Threads. "A control thread" below is a thread of mcpd that is not serving
 * clients; at any time at most one control function of an instance runs.
 * "A call thread" is a thread of mcpd that serves calls.
 *
 * The history of additions is in ABI-HISTORY, beside this header in the
 * source, and the manual pages are mcp-plugin(7) and mcp_plugin(3).
 */
#ifndef MCP_PLUGIN_H
#define MCP_PLUGIN_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The ABI this header describes. A plugin of another major does not load. A
 * plugin with a larger min_minor than mcpd's own minor does not load. */
#define MCP_ABI_MAJOR 1
#define MCP_ABI_MINOR 1

/* The first field of struct mcp_plugin: "MCP1" in memory order on a
 * little-endian machine. */
#define MCP_PLUGIN_MAGIC UINT32_C(0x3150434d)

/* Makes the one symbol mcpd looks for visible; plugin.mk hides all others. */
#if defined(__GNUC__)
#define MCP_EXPORT __attribute__((visibility("default")))
#else
#define MCP_EXPORT
#endif

/* ------------------------------------------------------------------------ */
/* Results of functions                                                       */

#define MCP_OK 0
/* The caller broke a rule of this header (a NULL it must not pass, a call
 * ended twice, ...). mcpd logs a sentence that names the function and the rule,
 * once a call, and not without end. Nothing of what was passed goes further. */
#define MCP_EINVAL (-1)
/* Not now and not by trying again: a plugin that returns it from create,
 * start, reconfigure or get_tools should have told why with host->fail. */
#define MCP_EFAIL (-2)
/* Memory, or a limit that mcpd keeps (size of a result, number of tools). */
#define MCP_ENOMEM (-3)
/* There is no such thing: an argument that is absent, an unknown tool. */
#define MCP_ENOENT (-4)
/* This mcpd, or this way of running the plugin, does not offer it. */
#define MCP_ENOTSUP (-5)
/* The call has been cancelled by its client, the client has gone, or mcpd has
 * answered for it after its deadline; what was passed has been dropped. Not a
 * mistake: finish the call and return. */
#define MCP_ECANCELLED (-6)

/* ------------------------------------------------------------------------ */
/* Bytes                                                                      */

/* `size` bytes at `data`. data may be NULL only when size is 0. */
struct mcp_bytes {
    const char *data;
    size_t size;
};

/* A string literal as bytes. For use in initialisers and as an argument. */
#ifdef __cplusplus
#define MCP_STR(literal) (mcp_bytes{"" literal, sizeof(literal) - 1})
#else
#define MCP_STR(literal) ((struct mcp_bytes){"" literal, sizeof(literal) - 1})
#endif

/* ------------------------------------------------------------------------ */
/* The manifest: what mcpd reads before it runs one instruction of the plugin */

/*
 * MCP_PLUGIN_MANIFEST(json) stands once, at file level, in one source file of
 * the plugin. It stores the JSON text in an ELF note (section .note.mcp, owner
 * "MCP", type 1) that mcpd reads from the file before it loads it. A file
 * without the note is refused.
 *
 * Members: "id" (required, the plugin's id: 1 to 64 of a-z 0-9 - _), "version"
 * (required), "abi" (required, "MAJOR.MINOR" it was built against),
 * "extensions" (optional array of the extension ids it offers), "requires"
 * (optional array of the host extension ids it cannot do without), "needs"
 * (optional object: what a sandboxed worker must let it reach). Unknown
 * members are ignored. id and version must equal those of struct mcp_plugin.
 *
 * Members of "needs", all optional: "read" and "write", arrays of the files and
 * directories that it reads, or changes as well; "network", true if it connects
 * to others; "unix_sockets", true if it does so by local sockets. An element of
 * the arrays is an absolute path or, for what the operator configures, an object
 * {"config": JSON Pointer into the configuration, to a string or an array of
 * strings}, and there optionally "prefix" (only strings that begin so count, and
 * without it), "parent": true (the directory that the path is in) and "if_false"
 * (a JSON Pointer: only while there is false there). "network" and
 * "unix_sockets" may be such an object too, or an array of them: they are needed
 * if it yields anything. "environment", an array of such objects alone, is for
 * strings that name environment variables: those of mcpd's that the process has.
 * For a plugin that reads what its configuration names:
 *
 *     \"needs\":{\"read\":[{\"config\":\"/directories\"}]}
 *
 * A path below /usr, and one that the configuration holds, is granted; any
 * other, a parent too, and sockets, if the operator agrees. What is not granted
 * fails with EACCES or EPERM when it is tried: a plugin says so, like of any
 * other failure.
 */
struct mcp_note_header {
    uint32_t owner_size; /* 4: "MCP" and its NUL */
    uint32_t json_size;
    uint32_t type; /* 1 */
    char owner[4];
};
#if defined(__GNUC__)
#define MCP_PLUGIN_MANIFEST(json)                                                                  \
    __attribute__((section(".note.mcp"), used, aligned(4))) static const struct {                  \
        struct mcp_note_header header;                                                             \
        char text[(sizeof(json) + 3) & ~(size_t)3];                                                \
    } mcp_plugin_manifest = {{4, sizeof(json), 1, {'M', 'C', 'P', 0}}, json}
#endif

/* ------------------------------------------------------------------------ */
/* Tools                                                                      */

/* Flags of a tool. Without any, a call may block and calls into one instance
 * are made one after the other. */

/* call_tool may run for this tool on several threads at once, also beside
 * calls of other tools of the instance. */
#define MCP_TOOL_THREAD_SAFE UINT32_C(1)
/* The tool is thread-safe, and call_tool returns for it within microseconds:
 * it does not wait for anything (files, sockets, locks that are held for
 * long). It is then called on the thread that reads the network, which saves
 * a hand-over; a tool that lies stops all clients of that thread. */
#define MCP_TOOL_NONBLOCKING UINT32_C(2)
/* Since 1.1. A call may, or must, go on as a task (MCP's tasks extension): the
 * client gets a handle at once and asks for the result when it likes, also
 * after mcpd was restarted in between. With OPTIONAL, clients that do not know
 * tasks wait for the result; with REQUIRED they are refused. */
#define MCP_TOOL_TASK_OPTIONAL UINT32_C(4)
#define MCP_TOOL_TASK_REQUIRED UINT32_C(8)
/* Since 1.1. With one of the two above: the call begins as an ordinary one and
 * becomes a task when the plugin says so (start_task); until then the client
 * is asked for input in its answer. */
#define MCP_TOOL_TASK_LATE UINT32_C(16)
/* Since 1.1. What the client brings back after finish_need_input counts once:
 * a second call with the same state is refused. For steps that must not be
 * taken twice. */
#define MCP_TOOL_STATE_ONCE UINT32_C(32)

/* One tool, as get_tools gives it. */
struct mcp_tool {
    uint32_t struct_size;
    uint32_t flags;
    /* The tool as MCP 2026-07-28 defines it (its Tool object), as JSON: name
     * (1 to 128 of A-Z a-z 0-9 _ - .), description, inputSchema (type must be
     * "object"), and where useful title, outputSchema, annotations, icons.
     * The name is the plugin's own: mcpd puts the provider's prefix before it
     * for clients, and call->name comes without the prefix. */
    struct mcp_bytes definition;
    /* Comes back as call->tag, so that call_tool need not compare names. */
    uint64_t tag;
    /* Longest time a call may take, in milliseconds; 0 for mcpd's default.
     * The operator's configuration may shorten it. */
    uint32_t timeout_ms;
    /* How many calls of this tool may be unfinished at once; 0 for no limit.
     * Further calls wait in mcpd. */
    uint32_t concurrency;
};

/* Where get_tools puts its tools. Valid until get_tools returns. */
struct mcp_tool_sink {
    uint32_t struct_size;
    uint32_t reserved;
    /* mcpd's own. */
    void *host_data;
    /* Adds one tool, in the order clients shall see. Copies everything.
     * MCP_EINVAL: the definition is illegal (mcpd has logged what is wrong and
     * leaves out this tool; the others stay); MCP_ENOMEM: too many tools. */
    int32_t (*add)(const struct mcp_tool_sink *sink, const struct mcp_tool *tool);
};

/*
 * Since 1.1. One of the other things that a provider offers through an
 * extension: a resource, a resource template (<mcp/resources.h>), a prompt
 * (<mcp/prompts.h>), a skill (<mcp/skills.h>). The fields mean what they mean
 * in struct mcp_tool; the extension's header says what the definition is.
 */
struct mcp_offer {
    uint32_t struct_size;
    uint32_t flags; /* MCP_TOOL_THREAD_SAFE, MCP_TOOL_NONBLOCKING, MCP_TOOL_STATE_ONCE */
    struct mcp_bytes definition;
    uint64_t tag;
    uint32_t timeout_ms;
    uint32_t concurrency;
};

/* Since 1.1. Where they are put. Valid until the function that got it returns. */
struct mcp_offer_sink {
    uint32_t struct_size;
    uint32_t reserved;
    /* mcpd's own. */
    void *host_data;
    /* As mcp_tool_sink's. */
    int32_t (*add)(const struct mcp_offer_sink *sink, const struct mcp_offer *offer);
};

/* ------------------------------------------------------------------------ */
/* What mcpd offers to an instance                                            */

/* Log levels: those of syslog (RFC 5424, 6.2.1), as in MCP. */
#define MCP_LOG_EMERGENCY 0
#define MCP_LOG_ALERT 1
#define MCP_LOG_CRITICAL 2
#define MCP_LOG_ERROR 3
#define MCP_LOG_WARNING 4
#define MCP_LOG_NOTICE 5
#define MCP_LOG_INFO 6
#define MCP_LOG_DEBUG 7

/* What has changed, for host->notify: one, or several added together. */
#define MCP_CHANGED_TOOLS UINT32_C(1)
#define MCP_CHANGED_RESOURCES UINT32_C(2)
#define MCP_CHANGED_PROMPTS UINT32_C(4)

/* Kinds of a JSON value, for host->config and a call's argument and read. */
#define MCP_JSON_NULL 0
#define MCP_JSON_FALSE 1
#define MCP_JSON_TRUE 2
#define MCP_JSON_NUMBER 3
#define MCP_JSON_STRING 4
#define MCP_JSON_ARRAY 5
#define MCP_JSON_OBJECT 6

/*
 * The host side of one instance. mcpd gives it to create; it stays valid until
 * destroy has returned. All its functions may be called from any thread.
 */
struct mcp_host {
    uint32_t struct_size;
    uint32_t abi_minor; /* of this mcpd, at most; struct_size decides a field */
    /* mcpd's own. */
    void *host_data;
    /* The name the operator gave this instance ("files"), NUL-terminated. */
    const char *provider;
    /* "mcpd/1.2.3", NUL-terminated; for a plugin's own messages. */
    const char *server;

    /* One line for the operator's log, at one of MCP_LOG_*. Newlines and
     * control characters are escaped, long lines are cut, floods are counted
     * instead of written. Never blocks for long. */
    void (*log)(const struct mcp_host *host, int32_t level, struct mcp_bytes text);

    /* Says why create, start, reconfigure or get_tools is about to return an
     * error. `pointer` names the place in the configuration as a JSON Pointer
     * (RFC 6901: "/allowed_paths/0"), which mcpd turns into file, line and
     * column; it is empty when the configuration is not at fault. The last
     * call counts. */
    void (*fail)(const struct mcp_host *host, struct mcp_bytes pointer, struct mcp_bytes text);

    /* Reads the configuration of this instance. `pointer` is a JSON Pointer
     * into the "config" object ("/url"); *kind becomes MCP_JSON_*, *value the
     * text: for a string its characters, decoded; for anything else its JSON.
     * The text stays valid until destroy returns, or until reconfigure does.
     * MCP_ENOENT when there is nothing at that place. */
    int32_t (*config)(const struct mcp_host *host, const char *pointer, int32_t *kind,
                      struct mcp_bytes *value);

    /* Tells mcpd that what the instance offers has changed (MCP_CHANGED_*):
     * mcpd asks again (get_tools on a control thread, soon, not in this call)
     * and tells clients if the list really differs. */
    void (*notify)(const struct mcp_host *host, uint32_t what);

    /* A further service of mcpd, by id and revision, such as "mcp.kv/1"; NULL
     * when this mcpd does not have it. The struct it points to is described in
     * the header of that extension and lives as long as the host. */
    const void *(*get_extension)(const struct mcp_host *host, const char *id);
};

/* ------------------------------------------------------------------------ */
/* Calls                                                                      */

/* On whose behalf a call is made. */
struct mcp_caller {
    uint32_t struct_size;
    /* 1 when mcpd has verified who it is; 0: anybody who can reach mcpd. */
    uint32_t authenticated;
    /* The verified subject and its issuer; empty when not authenticated. */
    struct mcp_bytes subject;
    struct mcp_bytes issuer;
    /* A JSON array of role names; "[]" when there are none. */
    struct mcp_bytes roles;
    /* What the client says of itself (MCP's Implementation object, JSON) or
     * empty. Not verified: for display and logs only, never for a decision. */
    struct mcp_bytes client;
};

struct mcp_call_ops;

/*
 * One call. mcpd makes it, and it is valid until it has been ended with one of
 * the finish functions; after that, only call_tool itself may still look at
 * it, until it returns. The fields are read-only.
 */
struct mcp_call {
    uint32_t struct_size;
    uint32_t flags; /* none defined yet */
    const struct mcp_call_ops *ops;
    /* mcpd's own. */
    void *host_data;
    /* The plugin's own, zero at first: for the state of a call that goes on
     * after call_tool has returned. */
    void *plugin_data;
    /* Which tool: the name as get_tools gave it, and its tag. */
    struct mcp_bytes name;
    uint64_t tag;
    /* The arguments: a JSON object ("{}" when the client sent none), as the
     * client wrote it. */
    struct mcp_bytes arguments;
    /* The request's _meta: a JSON object, or empty when there was none. */
    struct mcp_bytes meta;
    const struct mcp_caller *caller;
    /* When the call must have ended, in nanoseconds of CLOCK_MONOTONIC; 0 for
     * no limit. At that time mcpd cancels the call and answers for it. */
    int64_t deadline_ns;
    /* For a call that comes again after finish_need_input: what that gave as
     * state, and a JSON object of the client's answers, by the keys of the
     * requests. Both empty the first time. The answers have been checked
     * against the requests' schemas - those to a call that gave no state, only
     * for being legal answers - and are the client's words all the same. */
    struct mcp_bytes state;
    struct mcp_bytes input_responses;
    /* Since 1.1. What the client says it can do (MCP's ClientCapabilities, a
     * JSON object), or empty when it said nothing. */
    struct mcp_bytes client_capabilities;
};

/* Since 1.1. The JSON of a call that `read` looks into. */
#define MCP_PART_ARGUMENTS 0
#define MCP_PART_META 1
#define MCP_PART_INPUT_RESPONSES 2
#define MCP_PART_CLIENT_CAPABILITIES 3

/* Since 1.1. Codes for finish_error. They are those of MCP 2026-07-28; mcpd
 * gives clients of other revisions what these have in their place. */
#define MCP_ERROR_INVALID_PARAMS (-32602)
#define MCP_ERROR_INTERNAL (-32603)
/* The client lacks a capability; data is {"requiredCapabilities":{...}}, and
 * without that the error is not legal. */
#define MCP_ERROR_MISSING_CAPABILITY (-32021)
/* There is no such resource; data may be empty, mcpd adds the URI. */
#define MCP_ERROR_RESOURCE_NOT_FOUND (-32002)

/*
 * What a plugin may do with a call. Any thread, also several at once, until
 * the call has been ended.
 *
 * A call that call_tool accepted (by returning MCP_OK) is ended exactly once,
 * by one of the finish functions, on any thread, before or after
 * call_tool returns. What they are given is copied before they return. They
 * return MCP_OK; MCP_ECANCELLED when nobody waits for the answer any more (the
 * call is ended all the same); MCP_EINVAL when what was given is not legal
 * (the caller is then told that the provider failed, and the call is ended)
 * or when the call had been ended before; MCP_ENOMEM when there is too much of
 * it (as when it is not legal). Of these call_tool may return what it got: what
 * it returns no longer matters once the call has been ended.
 *
 * They do not wait to see what becomes of the answer: MCP_OK says that somebody
 * waited for it as far as was known here and then, not that anybody has got it.
 * That a call is_cancelled does not say that nobody waits: until a quarter of a
 * second after the deadline, and when mcpd stops or replaces the plugin, the
 * answer still counts (but for a task's, which begins anew then). progress, log
 * and close_stream return MCP_ECANCELLED when finish_text would, and MCP_EINVAL
 * after the end.
 */
struct mcp_call_ops {
    uint32_t struct_size;
    uint32_t reserved;

    /* Ends the call with a text: a result with one text block. */
    int32_t (*finish_text)(struct mcp_call *call, struct mcp_bytes text);

    /* Ends the call with a structured value, as JSON, that matches the tool's
     * outputSchema, and the same for people as text. Clients of revisions
     * without structured results get the text alone. An empty text stands for
     * the JSON itself. */
    int32_t (*finish_structured)(struct mcp_call *call, struct mcp_bytes text,
                                 struct mcp_bytes json);

    /* Ends the call with a whole CallToolResult of MCP 2026-07-28, as JSON:
     * "content" (required), "structuredContent", "isError", "_meta". mcpd adds
     * and removes what the client's revision demands. */
    int32_t (*finish_result)(struct mcp_call *call, struct mcp_bytes json);

    /* Ends the call with a failure that the model can read and correct: a
     * result with isError and this text. The right end for a file that does
     * not exist, a query that does not parse, a value out of range. */
    int32_t (*finish_failure)(struct mcp_call *call, struct mcp_bytes text);

    /* Ends the call because the client must be asked first (elicitation,
     * sampling, roots). `requests` is a JSON object of MCP's InputRequests, at
     * most 32; `state` is the plugin's own text, which comes back, sealed
     * meanwhile, in call->state. The call comes again, as a new call, with the
     * answers, perhaps not all of them. A client without the capability is
     * refused by mcpd. MCP_ENOTSUP: nobody can be asked here (a completion); the
     * call is not ended. MCP_ENOMEM: `state`, with the names and the
     * requestedSchemas of the requests, has more than 48000 bytes, and this
     * client would have to carry them (one of 2026-07-28, if it is no task). */
    int32_t (*finish_need_input)(struct mcp_call *call, struct mcp_bytes requests,
                                 struct mcp_bytes state);

    /* Reports progress. `progress` must grow from one report to the next, from
     * 0 on; `total` is 0 when unknown; neither is infinite or NaN. `message` may
     * be empty. Cheap when the client did not ask for progress; mcpd passes on
     * no more than a client can use. */
    int32_t (*progress)(struct mcp_call *call, double progress, double total,
                        struct mcp_bytes message);

    /* A log message for the client (not for the operator: that is host->log),
     * at one of MCP_LOG_*. `data` is JSON. Dropped when the client did not ask
     * for that level, or reads more slowly than such messages come. */
    int32_t (*log)(struct mcp_call *call, int32_t level, struct mcp_bytes data);

    /* 1 when the call has been cancelled (the client said so, has gone, the
     * deadline has passed, the plugin is being replaced), else 0. A cancelled
     * call is still to be ended, soon. */
    int32_t (*is_cancelled)(const struct mcp_call *call);

    /* A descriptor that becomes readable when the call is cancelled, for
     * poll(2). mcpd's own: do not read or close it; valid until the call has
     * been ended. Negative: MCP_ENOMEM. */
    int32_t (*cancel_fd)(struct mcp_call *call);

    /* Has `fn(data)` called once when the call is cancelled, on some thread of
     * mcpd, perhaps before this returns if it is cancelled already. fn must
     * not block and must not end the call. fn NULL takes it back; when that
     * returns, or a finish function has returned, fn is not running and will
     * not run. (Do not take it back or finish from inside fn.) */
    int32_t (*on_cancel)(struct mcp_call *call, void (*fn)(void *data), void *data);

    /* Reads the arguments without a JSON parser of one's own; as host->config,
     * with `pointer` into call->arguments ("/path"). The text stays valid
     * until the call has been ended. */
    int32_t (*argument)(struct mcp_call *call, const char *pointer, int32_t *kind,
                        struct mcp_bytes *value);

    /* A further service for this call, by id and revision; NULL when this mcpd
     * does not have it. */
    const void *(*get_extension)(const struct mcp_call *call, const char *id);

    /* Since 1.1. Ends the call with an error of the protocol, which a client
     * shows to its developer and not to the model: a MCP_ERROR_* code (another
     * is passed on as it is), a sentence, and JSON data or nothing. What the
     * model can correct is for finish_failure. */
    int32_t (*finish_error)(struct mcp_call *call, int32_t code, struct mcp_bytes message,
                            struct mcp_bytes data);

    /* Since 1.1. Makes a call of a tool with MCP_TOOL_TASK_LATE a task: the
     * client has its handle when this returns. The call goes on; its deadline
     * no longer counts. MCP_ENOTSUP: this client does not know tasks, or the
     * tool has none of the flags; MCP_EFAIL: it cannot be stored; in both cases
     * the call goes on as it is. MCP_OK again when it is a task already. */
    int32_t (*start_task)(struct mcp_call *call);

    /* Since 1.1. Lets the client hang up meanwhile, where its revision lets it
     * come back for the answer later (2025-11-25, basic/transports, "Resumability
     * and Redelivery"); elsewhere it does nothing. For calls of minutes. Returns
     * MCP_OK whether or not it did. */
    int32_t (*close_stream)(struct mcp_call *call);

    /* Since 1.1. As `argument`, into any JSON of the call: `part` is one of
     * MCP_PART_*, `pointer` a JSON Pointer into it, such as "/name/action" into
     * the input responses or "/elicitation" into the client's capabilities.
     * MCP_ENOENT also when the call has no such part. */
    int32_t (*read)(struct mcp_call *call, int32_t part, const char *pointer, int32_t *kind,
                    struct mcp_bytes *value);
};

/* ------------------------------------------------------------------------ */
/* The plugin                                                                 */

/*
 * What mcp_plugin_v1 returns: static, constant, the same at every call.
 *
 * The life of an instance: create, start, get_tools, then any number of
 * call_tool (and again get_tools, reconfigure), stop, destroy. There may be
 * several instances of one plugin at once, and instances of an old and a new
 * copy of the same plugin file: keep no state outside an instance. mcpd may
 * go through create, start, get_tools, stop, destroy once in a process that
 * it throws away, to see whether a new file is fit to be served.
 */
struct mcp_plugin {
    uint32_t magic; /* MCP_PLUGIN_MAGIC */
    uint32_t struct_size; /* sizeof(struct mcp_plugin) */
    uint16_t abi_major; /* MCP_ABI_MAJOR */
    uint16_t abi_minor; /* MCP_ABI_MINOR */
    uint16_t min_minor; /* the least mcpd's minor may be; usually 0 */
    uint16_t reserved;

    /* NUL-terminated. id and version are required and equal the manifest's. */
    const char *id;
    const char *name; /* for people; NULL: the id */
    const char *version;
    const char *vendor; /* may be NULL */
    const char *license; /* SPDX expression; may be NULL */

    /* JSON Schema (2020-12) of the "config" object, NUL-terminated, or NULL
     * for any. mcpd checks the configuration against it before create. */
    const char *config_schema;

    /* Makes an instance. `config` is the operator's "config" object, JSON,
     * "{}" when there is none; valid until create returns (see host->config).
     * Sets *instance, which mcpd passes back as `self`; NULL is allowed.
     * Should be quick: check the configuration, open nothing that can hang.
     * On an error nothing is left behind, and destroy is not called. NULL
     * function: there is nothing to make, self is NULL. Control thread. */
    int32_t (*create)(const struct mcp_host *host, struct mcp_bytes config, void **instance);

    /* Opens what the tools need. May start threads. May be NULL. After an
     * error mcpd calls destroy, not stop. Control thread. */
    int32_t (*start)(void *self);

    /* Ends everything that start and calls began: no thread of the plugin's
     * and nothing that could call into it is left when this returns. Called
     * when the last call has been ended or given up (see is_cancelled). May be
     * NULL. Control thread. */
    void (*stop)(void *self);

    /* Takes a new configuration without a new instance. Any calls may be
     * running. MCP_ENOTSUP, or a NULL function: mcpd makes a new instance
     * instead; any other error: the old configuration stays in force.
     * Control thread. */
    int32_t (*reconfigure)(void *self, struct mcp_bytes config);

    /* Frees the instance. May be NULL. Control thread. */
    void (*destroy)(void *self);

    /* Gives the tools, by sink->add, in a stable order. Must not block for
     * long, and not depend on who calls. Required. Control thread. */
    int32_t (*get_tools)(void *self, const struct mcp_tool_sink *sink);

    /* Accepts a call by returning MCP_OK, and then ends it exactly once, now
     * or later (see struct mcp_call_ops). Any other value refuses it: the call
     * must not have been ended, mcpd tells the client that the provider could
     * not take it. Required. Call thread; see the flags of the tool. */
    int32_t (*call_tool)(void *self, struct mcp_call *call);

    /* What the plugin offers beyond tools, by id and revision, such as
     * "mcp.resources/1"; NULL for what it does not have. Asked once, after
     * create; the struct lives as long as the instance. May be NULL. Control
     * thread. */
    const void *(*get_extension)(void *self, const char *id);
};

/* The first six fields of every struct mcp_plugin, in order. */
#define MCP_PLUGIN_HEADER                                                                          \
    MCP_PLUGIN_MAGIC, (uint32_t)sizeof(struct mcp_plugin), MCP_ABI_MAJOR, MCP_ABI_MINOR, 0, 0

/* The one symbol a plugin exports. The name carries the ABI's major. May be
 * called more than once; must not do anything but return the pointer. */
MCP_EXPORT const struct mcp_plugin *mcp_plugin_v1(void);

#ifdef __cplusplus
}
#endif

#endif /* MCP_PLUGIN_H */

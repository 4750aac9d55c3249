// SPDX-License-Identifier: MIT
// Validates what mcpd sends against the specification's own JSON Schemas, where
// they are (../shared/spec beside the project, or SPEC=directory).
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { ROOT } from './daemon.mjs';

const require = createRequire(import.meta.url);
const SPEC = process.env.SPEC || path.resolve(ROOT, '../shared/spec');

const file = (version) => path.join(SPEC, version, 'schema.json');
export const haveSchema = (version) => fs.existsSync(file(version));
export const noSchema = (version) => (haveSchema(version) ? null : `${file(version)} is not there`);

const compiled = new Map();

function compilerFor(version) {
    if (compiled.has(version)) return compiled.get(version);
    const document = JSON.parse(fs.readFileSync(file(version), 'utf8'));
    const draft7 = /draft-07/.test(document.$schema);
    const Ajv = require(draft7 ? 'ajv' : 'ajv/dist/2020').default;
    const ajv = new Ajv({ strict: false, allErrors: false });
    require('ajv-formats').default(ajv);
    ajv.addFormat('byte', /^[A-Za-z0-9+/]*={0,2}$/);
    ajv.addSchema(document, 'mcp');
    const definitions = document.$defs ? '$defs' : 'definitions';
    const entry = { ajv, definitions, names: Object.keys(document[definitions]) };
    compiled.set(version, entry);
    return entry;
}

/** Throws unless `value` matches the definition; silent without the schemas. */
export function conforms(version, name, value) {
    if (!haveSchema(version)) return;
    const { ajv, definitions, names } = compilerFor(version);
    if (!names.includes(name)) throw new Error(`${version} does not define ${name}`);
    const validate = ajv.getSchema(`mcp#/${definitions}/${name}`);
    if (!validate(value))
        throw new Error(`no ${name} of ${version}: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(value).slice(0, 2000)}`);
}

const RESULTS = {
    'server/discover': 'DiscoverResult',
    initialize: 'InitializeResult',
    'tools/list': 'ListToolsResult',
    'tools/call': 'CallToolResult',
    'prompts/list': 'ListPromptsResult',
    'prompts/get': 'GetPromptResult',
    'completion/complete': 'CompleteResult',
    'resources/list': 'ListResourcesResult',
    'resources/templates/list': 'ListResourceTemplatesResult',
    'resources/read': 'ReadResourceResult',
    'resources/subscribe': 'EmptyResult',
    'resources/unsubscribe': 'EmptyResult',
    'subscriptions/listen': 'SubscriptionsListenResult',
    ping: 'EmptyResult',
    'logging/setLevel': 'EmptyResult',
};

const NOTIFICATIONS = {
    'notifications/tools/list_changed': 'ToolListChangedNotification',
    'notifications/resources/list_changed': 'ResourceListChangedNotification',
    'notifications/resources/updated': 'ResourceUpdatedNotification',
    'notifications/prompts/list_changed': 'PromptListChangedNotification',
    'notifications/progress': 'ProgressNotification',
    'notifications/message': 'LoggingMessageNotification',
    'notifications/subscriptions/acknowledged': 'SubscriptionsAcknowledgedNotification',
    'notifications/cancelled': 'CancelledNotification',
};

const REQUESTS = {
    'elicitation/create': 'ElicitRequest',
    'sampling/createMessage': 'CreateMessageRequest',
    'roots/list': 'ListRootsRequest',
};

const ERRORS = { '-32020': 'HeaderMismatchError', '-32021': 'MissingRequiredClientCapabilityError', '-32022': 'UnsupportedProtocolVersionError', '-32042': 'URLElicitationRequiredError' };

/** Any message of the server's; `method` is that of the request it answers. */
export function conformsMessage(version, message, method) {
    if (!haveSchema(version)) return;
    const { names } = compilerFor(version);
    if ('method' in message) {
        /* 2026-07-28 has requests of servers only inside of results. */
        const isRequest = 'id' in message;
        if (isRequest && !/^2025/.test(version)) throw new Error(`a request from the server: ${JSON.stringify(message)}`);
        const name = (isRequest ? REQUESTS : NOTIFICATIONS)[message.method];
        if (isRequest) conforms(version, 'JSONRPCRequest', message);
        if (!name) throw new Error(`unknown message ${message.method}`);
        conforms(version, name, message);
    } else if ('result' in message) {
        conforms(version, names.includes('JSONRPCResultResponse') ? 'JSONRPCResultResponse' : 'JSONRPCResponse', message);
        const name = message.result.resultType === 'input_required' ? 'InputRequiredResult' : RESULTS[method];
        if (name) conforms(version, name, message.result);
    } else {
        conforms(version, names.includes('JSONRPCErrorResponse') ? 'JSONRPCErrorResponse' : 'JSONRPCError', message);
        const name = ERRORS[String(message.error.code)];
        if (name && names.includes(name)) conforms(version, name, message);
    }
}

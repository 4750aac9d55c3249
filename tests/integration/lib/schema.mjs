// SPDX-License-Identifier: MIT
// Validates what mcpd sends against the specification's own JSON Schemas, where
// they are (../shared/spec beside the project, or SPEC=directory). Which definition
// a message must meet is read from the schema, too: a request's by its method, its
// result's by the request's name, an error's by its code.
import fs from 'node:fs';
import path from 'node:path';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const require = createRequire(import.meta.url);
const here = path.dirname(fileURLToPath(import.meta.url));
const SPEC = process.env.SPEC || path.resolve(here, '../../../../shared/spec');

const file = (version) => path.join(SPEC, version, 'schema.json');
export const haveSchema = (version) => fs.existsSync(file(version));
export const noSchema = (version) => (haveSchema(version) ? null : `${file(version)} is not there`);

export const REVISIONS = ['2026-07-28', '2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'];
export const NEWEST = REVISIONS[0];
export const missingSchemas = REVISIONS.filter((version) => !haveSchema(version)).map(file);

const compiled = new Map();
const extensions = JSON.parse(fs.readFileSync(path.join(here, 'extensions.schema.json'), 'utf8'));

function compilerFor(version) {
    if (compiled.has(version)) return compiled.get(version);
    const document = JSON.parse(fs.readFileSync(file(version), 'utf8'));
    const draft7 = /draft-07/.test(document.$schema);
    const Ajv = require(draft7 ? 'ajv' : 'ajv/dist/2020').default;
    const ajv = new Ajv({ strict: false, allErrors: false });
    require('ajv-formats').default(ajv);
    ajv.addFormat('byte', /^[A-Za-z0-9+/]*={0,2}$/);
    ajv.addSchema(document, 'mcp');
    if (version === NEWEST) ajv.addSchema(extensions);
    const key = document.$defs ? '$defs' : 'definitions';
    const entry = { ajv, key, definitions: document[key], names: Object.keys(document[key]), ...readMethods(document[key]) };
    compiled.set(version, entry);
    return entry;
}

/** {method: name of the definition} for each union of messages. */
function readMethods(definitions) {
    const members = (name) => {
        if (!definitions[name]) return {};
        const refs = definitions[name].anyOf ?? [definitions[name]];
        const names = refs.filter((ref) => ref.$ref).map((ref) => ref.$ref.split('/').at(-1));
        return Object.fromEntries(names.map((one) => [definitions[one].properties.method?.const, one]));
    };
    const codeOf = (definition) => {
        const error = definition.properties?.error;
        return error?.allOf?.find((part) => part.properties?.code?.const !== undefined)?.properties.code.const;
    };
    /* "XError" describes either the whole message or its member "error". */
    const errors = {};
    for (const [name, definition] of Object.entries(definitions)) {
        const [code, whole] = definition.properties?.code?.const !== undefined ? [definition.properties.code.const, false] : [codeOf(definition), true];
        if (name.endsWith('Error') && code !== undefined) errors[code] = { name, whole };
    }
    return {
        clientRequests: members('ClientRequest'), serverRequests: members('ServerRequest'),
        serverNotifications: members('ServerNotification'), errors,
    };
}

/** null, or why `value` does not meet the definition. */
function fault(entry, name, value, base = `mcp#/${entry.key}`) {
    const validate = entry.ajv.getSchema(`${base}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`);
    if (!validate) return `there is no definition of ${name}`;
    return validate(value) ? null : `no ${name}: ${entry.ajv.errorsText(validate.errors, { dataVar: '' })}`;
}
const extensionFault = (entry, name, value) => fault(entry, name, value, 'extensions#/$defs');
const extends_ = (version, name) => version === NEWEST && name in extensions.$defs;

function resultFault(version, entry, message, method, asTask) {
    const { result } = message;
    const request = entry.clientRequests[method];
    let why = fault(entry, entry.names.includes('JSONRPCResultResponse') ? 'JSONRPCResultResponse' : 'JSONRPCResponse', message);
    if (why || method === undefined) return why;
    if (extends_(version, method)) return extensionFault(entry, method, result);
    if (!request) return `a result for ${method}, which ${version} does not have`;
    const base = request.replace(/Request$/, '');
    if (version === NEWEST && result.resultType === 'task') {
        return method === 'tools/call' ? extensionFault(entry, 'CreateTaskResult', result) : `${method} does not become a task`;
    }
    if (asTask && entry.names.includes('CreateTaskResult') && result.task !== undefined) return fault(entry, 'CreateTaskResult', result);
    /* This one says which results may be InputRequiredResult. */
    if (entry.names.includes(`${base}ResultResponse`)) why = fault(entry, `${base}ResultResponse`, message);
    if (version === NEWEST && result.resultType === 'input_required') {
        if (result.inputRequests === undefined && result.requestState === undefined) return 'neither inputRequests nor requestState';
        return why ?? fault(entry, 'InputRequiredResult', result);
    }
    if (version === NEWEST && result.resultType !== 'complete') return `resultType ${JSON.stringify(result.resultType)}`;
    const name = entry.names.includes(`${base}Result`) ? `${base}Result` : 'EmptyResult';
    return why ?? fault(entry, name, result);
}

function errorFault(entry, message) {
    const special = entry.errors[message.error?.code];
    const why = fault(entry, entry.names.includes('JSONRPCErrorResponse') ? 'JSONRPCErrorResponse' : 'JSONRPCError', message);
    return why ?? (special ? fault(entry, special.name, special.whole ? message : message.error) : null);
}

/** Why a message of mcpd's is none of this revision, or null; `method` is that of the
 * request it answers (undefined: not known), which asked for a task or not (2025-11-25). */
export function messageFault(version, message, method, asTask = false) {
    if (!haveSchema(version)) return null;
    const entry = compilerFor(version);
    if (message === null || typeof message !== 'object') return 'no object';
    if (Array.isArray(message)) {
        return fault(entry, 'JSONRPCMessage', message) ?? message.map((one) => messageFault(version, one, method)).find(Boolean) ?? null;
    }
    if ('method' in message) {
        if (!('id' in message) && extends_(version, message.method)) return extensionFault(entry, message.method, message);
        const list = 'id' in message ? entry.serverRequests : entry.serverNotifications;
        const name = list[message.method];
        if (!name) return `${version} has no ${'id' in message ? 'request' : 'notification'} ${message.method} of a server`;
        return fault(entry, 'id' in message ? 'JSONRPCRequest' : 'JSONRPCNotification', message) ?? fault(entry, name, message);
    }
    if ('result' in message === 'error' in message) return 'not one of result and error';
    return 'result' in message ? resultFault(version, entry, message, method, asTask) : errorFault(entry, message);
}

/** Throws unless `value` matches the definition; silent without the schemas. */
export function conforms(version, name, value) {
    if (!haveSchema(version)) return;
    const why = fault(compilerFor(version), name, value);
    if (why) throw new Error(`${version}: ${why}\n${JSON.stringify(value).slice(0, 2000)}`);
}

/** Any message of the server's; `method` is that of the request it answers. */
export function conformsMessage(version, message, method) {
    const why = messageFault(version, message, method);
    if (why) throw new Error(`${version}: ${why}\n${JSON.stringify(message).slice(0, 2000)}`);
}

// SPDX-License-Identifier: MIT
// The official TypeScript clients of both eras, for tests in other folders, which do
// not find this folder's node_modules.
export { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js';
export { StreamableHTTPClientTransport as TransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
export { Client as ClientV2, StreamableHTTPClientTransport as TransportV2 } from '@modelcontextprotocol/client';

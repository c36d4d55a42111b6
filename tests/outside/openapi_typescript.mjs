// A TypeScript client from the OpenAPI document: generated, compiled in strict mode, and used.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { adminToken, assert, check, text } from './lib.mjs';

const folder = 'generated-typescript';
const bin = (name) => `node_modules/.bin/${name}`;
const document = await text('/openapi.json');
const itemPath = Object.keys(JSON.parse(document).paths).find((path) => /^\/v1\/artists\/\{\w+\}$/.test(path));
const parameter = /\{(\w+)\}/.exec(itemPath ?? '{key}')[1];

const CLIENT = `
import createClient from 'openapi-fetch';
import type { paths } from './api.js';

const client = createClient<paths>({
  baseUrl: process.env.FOURFOLD_URL!,
  headers: { authorization: 'Bearer ' + process.env.FOURFOLD_ADMIN_TOKEN! },
});

const one = await client.GET('${itemPath}', { params: { path: { ${parameter}: 1 } } });
if (one.error) throw new Error(JSON.stringify(one.error));
const name: string | null | undefined = one.data.name;
const list = await client.GET('/v1/artists', { params: { query: { page_size: 2 } } });
if (list.error) throw new Error(JSON.stringify(list.error));
const missing = await client.GET('${itemPath}', { params: { path: { ${parameter}: 99999999 } } });
console.log(JSON.stringify({ name, items: list.data.items.length, missing: missing.response.status }));
`;

rmSync(folder, { recursive: true, force: true });
mkdirSync(folder);
writeFileSync(`${folder}/openapi.json`, document);
writeFileSync(`${folder}/client.ts`, CLIENT);

const run = (program, ...arguments_) => {
  try {
    return execFileSync(program, arguments_, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  } catch (error) {
    throw new Error(`${error.stdout}\n${error.stderr}`);
  }
};

await check('the document has the path of one row', () => assert.ok(itemPath));
await check('openapi-typescript generates types', () => run(bin('openapi-typescript'), `${folder}/openapi.json`, '-o', `${folder}/api.d.ts`));
await check('the client compiles in strict mode', () =>
  run(bin('tsc'), '--strict', '--noUncheckedIndexedAccess', '--target', 'es2022', '--module', 'nodenext', '--skipLibCheck', `${folder}/client.ts`));
await check('the client makes its calls', () => {
  assert.ok(adminToken);
  assert.deepEqual(JSON.parse(run('node', `${folder}/client.js`)), { name: 'AC/DC', items: 2, missing: 404 });
});

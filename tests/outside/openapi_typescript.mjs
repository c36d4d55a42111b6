// A TypeScript client from the OpenAPI document: generated, compiled in strict mode, and used.

import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { assert, check, freshKey, text } from './lib.mjs';

const folder = 'generated-typescript';
const bin = (name) => `node_modules/.bin/${name}`;
const document = await text('/openapi.json');
const itemPath = Object.keys(JSON.parse(document).paths).find((path) => /^\/v1\/artists\/\{\w+\}$/.test(path));
const parameter = /\{(\w+)\}/.exec(itemPath ?? '{key}')[1];
const key = freshKey();

// Every call is typed by the document: a path or a member that it does not have is an error of the compiler. A POST answers a
// row or, to NDJSON, a summary: hence the question which of them it is.
const CLIENT = `
import createClient from 'openapi-fetch';
import type { paths } from './api.js';

const client = (token?: string) =>
  createClient<paths>({ baseUrl: process.env.FOURFOLD_URL!, headers: token ? { authorization: 'Bearer ' + token } : {} });
const admin = client(process.env.FOURFOLD_ADMIN_TOKEN!);
const customer = client(process.env.FOURFOLD_CUSTOMER_TOKEN!);
const anonymous = client();
const row = (id: number) => ({ params: { path: { ${parameter}: id } } });
function data<T>(answer: { data?: T; error?: unknown }): T {
  if (answer.data === undefined) throw new Error(JSON.stringify(answer.error));
  return answer.data;
}

const name: string | null | undefined = data(await anonymous.GET('${itemPath}', row(1))).name;
const list = data(await anonymous.GET('/v1/artists', { params: { query: { page_size: 2 } } }));
const made = data(await admin.POST('/v1/artists', { body: { id: ${key}, name: 'one' } }));
const changed = data(await admin.PATCH('${itemPath}', { ...row(${key}), body: { name: 'two' } }));
const deleted = await admin.DELETE('${itemPath}', row(${key}));
const missing = await admin.GET('${itemPath}', row(${key}));
const refused = await anonymous.POST('/v1/artists', { body: { name: 'no' } });
const employees = '${itemPath?.replace('artists', 'employees')}' as const;
const masked = data(await customer.GET(employees, row(3)));
const seen = data(await admin.GET(employees, row(3)));
console.log(JSON.stringify({
  name, items: list.items.length, made: 'revision' in made && made.revision, changed: changed.name, deleted: deleted.response.status,
  missing: [missing.response.status, missing.error?.code], refused: [refused.response.status, refused.error?.code],
  masked: [masked.phone, masked.hire_date], seen: seen.hire_date?.slice(0, 10),
}));
`;

const EXPECTED = {
  name: 'AC/DC', items: 2, made: 1, changed: 'two', deleted: 204,
  missing: [404, 'not_found'], refused: [403, 'permission_denied'],
  masked: ['+1 (403) 262-3443', null], seen: '2002-04-01',
};

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
const OPTIONS = ['--strict', '--noUncheckedIndexedAccess', '--target', 'es2022', '--module', 'nodenext', '--skipLibCheck'];

await check('the document has the path of one row', () => assert.ok(itemPath));
await check('openapi-typescript generates types', () => run(bin('openapi-typescript'), `${folder}/openapi.json`, '-o', `${folder}/api.d.ts`));
await check('the client compiles in strict mode', () => run(bin('tsc'), ...OPTIONS, `${folder}/client.ts`));
await check('reads, writes, refusals and masks by the generated client', () => assert.deepEqual(JSON.parse(run('node', `${folder}/client.js`)), EXPECTED));

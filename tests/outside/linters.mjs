// The contracts under other people's linters, and the served ones against those that the command line prints.

import { execFile } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { assert, check, modelPackage, text, url } from './lib.mjs';

const folder = 'contracts';
const protoFolder = `${folder}/proto/${modelPackage.replaceAll('.', '/')}`;
const quiet = { ...process.env, REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' };

async function run(program, arguments_, options = {}) {
  try {
    return (await promisify(execFile)(program, arguments_, { env: quiet, maxBuffer: 64 << 20, ...options })).stdout;
  } catch (error) {
    throw new Error(`${error.stdout}\n${error.stderr}`);
  }
}
const bin = (name, arguments_, options) => run(`${process.cwd()}/node_modules/.bin/${name}`, arguments_, options);

const BUF = `version: v2
lint:
  use: [STANDARD]
  except: [RPC_RESPONSE_STANDARD_NAME, RPC_REQUEST_RESPONSE_UNIQUE]
`;

const served = { openapi: await text('/openapi.json'), graphql: await text('/schema.graphql'), proto: await text('/schema.proto') };
rmSync(folder, { recursive: true, force: true });
mkdirSync(protoFolder, { recursive: true });
writeFileSync(`${folder}/openapi.json`, served.openapi);
writeFileSync(`${folder}/spectral.json`, JSON.stringify({ extends: ['spectral:oas'] }));
writeFileSync(`${protoFolder}/schema.proto`, served.proto);
writeFileSync(`${folder}/proto/buf.yaml`, BUF);

/** The problems of a report that are errors. */
const errors = (problems, isError) => assert.deepEqual(problems.filter(isError).map((problem) => problem.message), []);

await check('OpenAPI: redocly has no error', async () => {
  const report = JSON.parse(await bin('redocly', ['lint', '--extends', 'recommended', '--format', 'json', `${folder}/openapi.json`]));
  errors(report.problems, (problem) => problem.severity === 'error');
  assert.equal(report.totals.errors, 0);
});

await check('OpenAPI: spectral has no error', async () => {
  const arguments_ = ['lint', '--quiet', '--format', 'json', '--fail-severity', 'error', '--ruleset', `${folder}/spectral.json`, `${folder}/openapi.json`];
  errors(JSON.parse(await bin('spectral', arguments_)), (problem) => problem.severity === 0);
});

await check('proto: buf lint is clean', () => bin('buf', ['lint'], { cwd: `${folder}/proto` }));

await check('proto: the descriptor set is the compiled .proto', async () => {
  await bin('buf', ['build', '-o', 'built.binpb'], { cwd: `${folder}/proto` });
  const built = shapes(readFileSync(`${folder}/proto/built.binpb`));
  const descriptor = shapes(new Uint8Array(await (await fetch(`${url}/descriptor.binpb`)).arrayBuffer()));
  assert.deepEqual(descriptor, built);
});

/** The messages, enums and services of the model's own package, with their numbers and types. */
function shapes(bytes) {
  const files = fromBinary(FileDescriptorSetSchema, new Uint8Array(bytes)).file.filter((file) => file.package === modelPackage);
  const field = (f) => [f.name, f.number, f.type, f.label, f.typeName, f.jsonName, f.proto3Optional];
  return files.map((file) => ({
    messages: file.messageType.map((m) => [m.name, m.field.map(field)]),
    enums: file.enumType.map((e) => [e.name, e.value.map((v) => [v.name, v.number])]),
    services: file.service.map((s) => [s.name, s.method.map((m) => [m.name, m.inputType, m.outputType, m.clientStreaming, m.serverStreaming])]),
  }));
}

for (const [kind, expected] of Object.entries(served)) {
  await check(`fourfold contract ${kind} prints what is served`, async () => assert.equal((await printed(kind)).toString(), expected));
}

await check('fourfold contract descriptor prints what is served', async () => {
  const descriptor = Buffer.from(await (await fetch(`${url}/descriptor.binpb`)).arrayBuffer());
  assert.ok((await printed('descriptor')).equals(descriptor));
});

/** What the command line prints, byte for byte. */
function printed(kind) {
  return run(process.env.FOURFOLD_BIN, ['contract', kind, process.env.FOURFOLD_MODEL], { encoding: 'buffer' });
}

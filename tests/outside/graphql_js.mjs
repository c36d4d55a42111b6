// The GraphQL contract as graphql-js reads it: the SDL builds, introspection says the same, verdicts agree.

import {
  buildClientSchema, buildSchema, getIntrospectionQuery, lexicographicSortSchema, parse, printSchema, validate, validateSchema,
} from 'graphql';
import { adminToken, assert, bearer, check, text, url } from './lib.mjs';

async function ask(query) {
  const headers = { 'content-type': 'application/json', accept: 'application/json', ...bearer(adminToken) };
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return response.json();
}

const sdl = buildSchema(await text('/schema.graphql'));
let introspected;

await check('the served SDL builds and is valid', () => assert.deepEqual(validateSchema(sdl), []));

await check('the standard introspection query builds a client schema', async () => {
  const answer = await ask(getIntrospectionQuery({ inputValueDeprecation: true, oneOf: true, schemaDescription: true, specifiedByUrl: true, directiveIsRepeatable: true }));
  assert.equal(answer.errors, undefined, JSON.stringify(answer.errors));
  introspected = buildClientSchema(answer.data);
});

await check('introspection and the SDL are one schema', () => {
  const print = (schema) => printSchema(lexicographicSortSchema(schema));
  assert.equal(print(introspected), print(sdl));
});

const DOCUMENTS = [
  '{ artists(first: 1) { nodes { id name revision } } }',
  '{ artist(id: 1) { name albums(first: 2) { nodes { title artist { name } } } } }',
  'query Named($first: Int = 2) { tracks(first: $first) { nodes { name album { title } } pageInfo { hasNextPage } } }',
  '{ artists(where: { name: { contains: "AC" } }, orderBy: [{ name: DESC }]) { totalCount edges { cursor node { id } } } }',
  '{ __typename artists(first: 1) { __typename nodes { ...Parts } } } fragment Parts on Artist { id name }',
  '{ artists { nodes { nothing } } }',
  '{ artist { name } }',
  '{ artists(first: "one") { nodes { id } } }',
  '{ artists { nodes } }',
  'query ($unused: Int) { artists(first: 1) { nodes { id } } }',
  '{ artists(first: $unknown) { nodes { id } } }',
  '{ ...Missing }',
  'fragment Unused on Artist { id } { __typename }',
  '{ artists(orderBy: [{ name: DESC, id: ASC }]) { nodes { id } } }',
  'query A { __typename } query A { __typename }',
  '{ artists(first: 1) { nodes { same: id same: name } } }',
  'mutation { createArtist(input: {}) { nothing } }',
  'mutation { createArtist(input: { unknown: 1 }) { cursor } }',
  '{ artists(first: 1) @include(if: true) { nodes { id } } }',
  '{ artists(first: 1) @unknown { nodes { id } } }',
  '{ a: artist(id: 1) { n: name } b: artist(id: 2) { n: name } }',
];

for (const [at, document] of DOCUMENTS.entries()) {
  await check(`verdict ${at + 1} agrees: ${document.slice(0, 60)}`, async () => {
    const expected = validate(sdl, parse(document));
    const answer = await ask(document);
    const refused = answer.data === undefined;
    assert.equal(refused, expected.length > 0, `graphql-js: ${expected.map((e) => e.message).join('; ') || 'valid'}; the server: ${JSON.stringify(answer.errors ?? 'valid')}`);
  });
}

// GraphQL by graphql-request: reads, writes, refusals.

import { GraphQLClient, gql } from 'graphql-request';
import { adminToken, assert, bearer, check, freshKey, rejection, url } from './lib.mjs';

const admin = new GraphQLClient(`${url}/graphql`, { headers: bearer(adminToken) });
const anonymous = new GraphQLClient(`${url}/graphql`);
const code = (error) => error.response?.errors?.[0]?.extensions?.code;

await check('a nested read', async () => {
  const { artist } = await admin.request(gql`{ artist(id: 1) { id name albums(first: 5) { nodes { title } } } }`);
  assert.equal(artist.name, 'AC/DC');
  assert.deepEqual(artist.albums.nodes.map((album) => album.title).sort(), ['For Those About To Rock We Salute You', 'Let There Be Rock']);
});

await check('a page, by variables, and the page after it', async () => {
  const page = gql`query Page($first: Int, $after: String) { artists(first: $first, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }`;
  const one = (await admin.request(page, { first: 3 })).artists;
  const two = (await admin.request(page, { first: 3, after: one.pageInfo.endCursor })).artists;
  assert.equal(one.pageInfo.hasNextPage, true);
  const ids = [...one.nodes, ...two.nodes].map((node) => Number(node.id));
  assert.deepEqual(ids, [1, 2, 3, 4, 5, 6]);
});

await check('a filter and a count', async () => {
  const { artists } = await admin.request(gql`{ artists(where: { name: { startsWith: "Iron" } }) { totalCount nodes { name } } }`);
  assert.equal(artists.totalCount, 1);
  assert.equal(artists.nodes[0].name, 'Iron Maiden');
});

await check('create, update, a stale update refused, delete', async () => {
  const id = freshKey();
  const made = await admin.request(`mutation { createArtist(input: { id: ${id}, name: "Ünïcode ✓" }) { artist { id name revision } } }`);
  assert.equal(made.createArtist.artist.name, 'Ünïcode ✓');
  const revision = made.createArtist.artist.revision;
  const changed = await admin.request(`mutation { updateArtist(id: ${id}, input: { name: "two" }, expectedRevision: ${revision}) { artist { name revision } } }`);
  assert.equal(changed.updateArtist.artist.name, 'two');
  assert.ok(Number(changed.updateArtist.artist.revision) > Number(revision));
  const stale = await rejection(admin.request(`mutation { updateArtist(id: ${id}, input: { name: "three" }, expectedRevision: ${revision}) { artist { name } } }`));
  assert.equal(code(stale), 'REVISION_MISMATCH');
  await admin.request(`mutation { deleteArtist(id: ${id}) { cursor } }`);
  assert.equal((await admin.request(`{ artist(id: ${id}) { id } }`)).artist, null);
});

await check('a write without a token is refused', async () => {
  const error = await rejection(anonymous.request(`mutation { createArtist(input: { id: ${freshKey()}, name: "no" }) { cursor } }`));
  assert.ok(['PERMISSION_DENIED', 'UNAUTHENTICATED'].includes(code(error)), JSON.stringify(error.response?.errors));
});

await check('a token that is none is refused', async () => {
  const error = await rejection(new GraphQLClient(`${url}/graphql`, { headers: bearer('not.a.token') }).request('{ __typename }'));
  assert.equal(error.response.status, 401);
});

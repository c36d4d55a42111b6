// GraphQL by graphql-request: the scenarios that all clients run.

import { GraphQLClient, gql } from 'graphql-request';
import { ACDC_ALBUMS, adminToken, assert, bearer, check, customerToken, freshKey, rejection, TRICKY, url } from './lib.mjs';

const client = (token) => new GraphQLClient(`${url}/graphql`, { headers: token ? bearer(token) : {} });
const admin = client(adminToken);
const customer = client(customerToken);
const anonymous = client();

/** The one error of a refused request. */
async function refusal(promise) {
  const { errors } = (await rejection(promise)).response;
  assert.equal(errors.length, 1, JSON.stringify(errors));
  return errors[0];
}
const code = async (promise) => (await refusal(promise)).extensions.code;

const CREATE = gql`mutation ($input: ArtistCreateInput!) { createArtist(input: $input) { artist { id name revision } } }`;
const UPDATE = gql`mutation ($id: Int!, $name: String, $revision: Revision) {
  updateArtist(id: $id, input: { name: $name }, expectedRevision: $revision) { artist { name revision } }
}`;
const DELETE = gql`mutation ($id: Int!) { deleteArtist(id: $id) { cursor } }`;
const NAME = gql`query ($id: Int!) { artist(id: $id) { name } }`;

await check('a row is read by its key', async () =>
  assert.deepEqual(await anonymous.request(gql`{ artist(id: 1) { id name revision } }`), { artist: { id: 1, name: 'AC/DC', revision: 1 } }));

await check('pages follow one another to the end', async () => {
  const page = gql`query ($after: String) { albums(filter: "id <= 10", first: 4, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }`;
  const pages = [];
  for (let after = null, more = true; more && pages.length < 5;) {
    const { nodes, pageInfo } = (await anonymous.request(page, { after })).albums;
    pages.push(nodes.map((node) => node.id));
    [after, more] = [pageInfo.endCursor, pageInfo.hasNextPage];
  }
  assert.deepEqual(pages, [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]);
});

await check('a filter reaches over a relation', async () => {
  const { albums } = await anonymous.request(gql`{ albums(where: { artist: { name: { eq: "AC/DC" } } }, orderBy: [{ title: ASC }]) { totalCount nodes { title } } }`);
  assert.deepEqual(albums, { totalCount: 2, nodes: ACDC_ALBUMS.map((title) => ({ title })) });
});

await check('a related row is read along', async () => {
  const { artist } = await anonymous.request(gql`{ artist(id: 1) { albums(first: 5, orderBy: [{ title: ASC }]) { nodes { title artist { name } } } } }`);
  assert.deepEqual(artist.albums.nodes, ACDC_ALBUMS.map((title) => ({ title, artist: { name: 'AC/DC' } })));
});

await check('a sum is over the rows the caller may see', async () => {
  const ask = gql`{ invoicesAggregate { count sum { total } } }`;
  const answers = await Promise.all([customer, anonymous, admin].map((who) => who.request(ask)));
  assert.deepEqual(answers.map(({ invoicesAggregate: [all] }) => [all.count, all.sum.total]), [[7, '39.62'], [0, null], [412, '2328.60']]);
});

await check('a row is created, updated and deleted', async () => {
  const id = freshKey();
  const made = (await admin.request(CREATE, { input: { id, name: 'one' } })).createArtist.artist;
  assert.deepEqual(made, { id, name: 'one', revision: 1 });
  const changed = (await admin.request(UPDATE, { id, name: 'two', revision: 1 })).updateArtist.artist;
  assert.deepEqual(changed, { name: 'two', revision: 2 });
  assert.equal((await anonymous.request(NAME, { id })).artist.name, 'two');
  await admin.request(DELETE, { id });
  assert.equal((await anonymous.request(NAME, { id })).artist, null);
});

await check('text and decimals come back as they went in', async () => {
  const input = { name: TRICKY.name, unitPrice: TRICKY.unit_price, mediaTypeId: 1, milliseconds: 1 };
  const made = await admin.request(gql`mutation ($input: TrackCreateInput!) { createTrack(input: $input) { track { id } } }`, { input });
  const { id } = made.createTrack.track;
  const { track } = await anonymous.request(gql`query ($id: Int!) { track(id: $id) { name unitPrice } }`, { id });
  assert.deepEqual(track, { name: TRICKY.name, unitPrice: TRICKY.unit_price });
  await admin.request(gql`mutation ($id: Int!) { deleteTrack(id: $id) { cursor } }`, { id });
});

await check('a write sent twice under one key is done once', async () => {
  const name = `once-${freshKey()}`;
  const headers = { 'idempotency-key': name };
  const [one, two] = [await admin.request(CREATE, { input: { name } }, headers), await admin.request(CREATE, { input: { name } }, headers)];
  assert.deepEqual(one, two);
  assert.equal((await anonymous.request(gql`query ($name: String) { artists(where: { name: { eq: $name } }) { totalCount } }`, { name })).artists.totalCount, 1);
  assert.equal(await code(admin.request(CREATE, { input: { name: 'other' } }, headers)), 'IDEMPOTENCY_MISMATCH');
  await admin.request(DELETE, { id: one.createArtist.artist.id });
});

await check('a stale revision is refused', async () => {
  const id = freshKey();
  await admin.request(CREATE, { input: { id, name: 'one' } });
  await admin.request(UPDATE, { id, name: 'two', revision: 1 });
  assert.equal(await code(admin.request(UPDATE, { id, name: 'three', revision: 1 })), 'REVISION_MISMATCH');
  assert.equal((await anonymous.request(NAME, { id })).artist.name, 'two');
  await admin.request(DELETE, { id });
});

await check('a missing row is not found', async () => {
  assert.equal((await admin.request(NAME, { id: 99_999_999 })).artist, null);
  assert.equal(await code(admin.request(UPDATE, { id: 99_999_999, name: 'x' })), 'NOT_FOUND');
});

await check('an unknown field in a filter is named', async () => {
  const error = await refusal(anonymous.request(gql`{ artists(filter: "nmae == 1") { nodes { id } } }`));
  assert.equal(error.extensions.code, 'INVALID_ARGUMENT');
  assert.match(error.message, /nmae/);
});

await check('a value too long is refused with its field', async () => {
  const input = { title: 'x'.repeat(161), artistId: 1 };
  const error = await refusal(admin.request(gql`mutation ($input: AlbumCreateInput!) { createAlbum(input: $input) { cursor } }`, { input }));
  assert.deepEqual([error.extensions.code, error.extensions.field, error.path], ['INVALID_ARGUMENT', 'title', ['createAlbum']]);
});

await check('a token that is none is refused', async () => {
  const { response } = await rejection(client('not.a.token').request('{ __typename }'));
  assert.deepEqual([response.status, response.errors[0].extensions.code], [401, 'UNAUTHENTICATED']);
});

await check('an anonymous write is refused', async () =>
  assert.equal(await code(anonymous.request(CREATE, { input: { name: 'no' } })), 'PERMISSION_DENIED'));

await check('hidden rows do not exist for others', async () => {
  const ask = gql`{ customer(id: 2) { id } customers(first: 100) { totalCount } }`;
  const answers = await Promise.all([anonymous, customer, admin].map((who) => who.request(ask)));
  assert.deepEqual(answers.map((answer) => [answer.customer, answer.customers.totalCount]), [[null, 0], [null, 1], [{ id: 2 }, 59]]);
});

await check('a masked field is null and cannot be asked for', async () => {
  const ask = gql`{ employee(id: 3) { phone hireDate } employees(where: { hireDate: { isNull: false } }) { totalCount } }`;
  const [masked, seen] = [await customer.request(ask), await admin.request(ask)];
  assert.deepEqual(masked, { employee: { phone: '+1 (403) 262-3443', hireDate: null }, employees: { totalCount: 0 } });
  assert.deepEqual([seen.employee.hireDate.slice(0, 10), seen.employees.totalCount], ['2002-04-01', 8]);
});

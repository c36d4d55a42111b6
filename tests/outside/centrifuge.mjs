// Calls over the WebSocket by the official client of the Centrifugo protocol: the scenarios that all clients run.

import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';
import { ACDC_ALBUMS, adminToken, assert, check, customerToken, freshKey, rejection, TRICKY, url } from './lib.mjs';

const endpoint = `${url.replace('http', 'ws')}/connection/websocket`;

/** A client that has connected. */
async function connected(options) {
  const client = new Centrifuge(endpoint, { websocket: WebSocket, ...options });
  client.connect();
  await client.ready(10_000);
  return client;
}

const admin = await connected({ token: adminToken });
const customer = await connected({ token: customerToken });
const anonymous = await connected({});

const call = async (method, data, client = admin) => (await client.rpc(method, data)).data;

/** A refusal with this number, whose text begins with the name of the code. */
async function refusal(number, code, promise) {
  const error = await rejection(promise);
  assert.equal(error.code, number, JSON.stringify(error));
  assert.ok(error.message.startsWith(code), error.message);
  return error;
}

await check('a row is read by its key', async () =>
  assert.deepEqual(await call('artists.get', { id: 1 }, anonymous), { id: 1, revision: 1, name: 'AC/DC' }));

await check('pages follow one another to the end', async () => {
  const pages = [];
  for (let token = {}; pages.length < 5;) {
    const page = await call('albums.list', { id__lte: 10, page_size: 4, ...token }, anonymous);
    pages.push(page.items.map((album) => album.id));
    if (!page.next_page_token) break;
    token = { page_token: page.next_page_token };
  }
  assert.deepEqual(pages, [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]);
});

await check('a filter reaches over a relation', async () => {
  const { items } = await call('albums.list', { filter: 'artist.name == "AC/DC"', order_by: 'title' }, anonymous);
  assert.deepEqual(items.map((album) => album.title), ACDC_ALBUMS);
});

await check('a related row is read along', async () => {
  const { items } = await call('albums.list', { id: 1, expand: 'artist' }, anonymous);
  assert.deepEqual(items[0].artist, { id: 1, revision: 1, name: 'AC/DC' });
});

await check('a sum is over the rows the caller may see', async () => {
  const answers = await Promise.all([customer, anonymous, admin].map((who) => call('invoices.aggregate', { count: '*', sum: 'total' }, who)));
  assert.deepEqual(answers.map(({ items: [all] }) => [all.count, all.sum_total]), [[7, '39.62'], [0, null], [412, '2328.60']]);
});

await check('a row is created, updated and deleted', async () => {
  const id = freshKey();
  assert.deepEqual(await call('artists.create', { data: { id, name: 'one' } }), { id, revision: 1, name: 'one' });
  assert.deepEqual(await call('artists.update', { id, data: { name: 'two' }, if_revision: 1 }), { id, revision: 2, name: 'two' });
  assert.equal((await call('artists.get', { id }, anonymous)).name, 'two');
  await call('artists.delete', { id, if_revision: 2 });
  await refusal(1404, 'not_found', call('artists.get', { id }));
});

await check('text and decimals come back as they went in', async () => {
  const { id } = await call('tracks.create', { data: { ...TRICKY, media_type_id: 1, milliseconds: 1 } });
  const { name, unit_price } = await call('tracks.get', { id }, anonymous);
  assert.deepEqual({ name, unit_price }, TRICKY);
  await call('tracks.delete', { id });
});

await check('a write sent twice under one key is done once', async () => {
  const key = `once-${freshKey()}`;
  const once = (name) => call('artists.create', { data: { name }, request_id: key });
  const [one, two] = [await once(key), await once(key)];
  assert.deepEqual(two, one);
  assert.equal((await call('artists.list', { name: key })).items.length, 1);
  await refusal(1422, 'idempotency_mismatch', once('other'));
  await call('artists.delete', { id: one.id });
});

await check('a stale revision is refused', async () => {
  const id = freshKey();
  const { revision } = await call('artists.create', { data: { id, name: 'one' } });
  await call('artists.update', { id, data: { name: 'two' }, if_revision: revision });
  await refusal(1412, 'revision_mismatch', call('artists.update', { id, data: { name: 'three' }, if_revision: revision }));
  assert.equal((await call('artists.get', { id })).name, 'two');
  await call('artists.delete', { id });
});

await check('a missing row is not found', () => refusal(1404, 'not_found', call('artists.get', { id: 99_999_999 })));

await check('an unknown field in a filter is named', async () =>
  assert.match((await refusal(107, 'invalid_argument', call('artists.list', { filter: 'nmae == 1' }))).message, /nmae/));

await check('a value too long is refused with its field', async () =>
  assert.match((await refusal(107, 'invalid_argument', call('albums.create', { data: { title: 'x'.repeat(161), artist_id: 1 } }))).message, /title/));

await check('a token that is none is refused', async () => {
  const refused = new Centrifuge(endpoint, { websocket: WebSocket, token: 'not.a.token' });
  const context = await new Promise((resolve) => {
    refused.on('disconnected', resolve);
    refused.connect();
  });
  assert.equal(context.code, 3500, JSON.stringify(context));
});

await check('an anonymous write is refused', () => refusal(103, 'permission_denied', call('artists.create', { data: { name: 'no' } }, anonymous)));

await check('hidden rows do not exist for others', async () => {
  for (const who of [anonymous, customer]) await refusal(1404, 'not_found', call('customers.get', { id: 2 }, who));
  assert.equal((await call('customers.get', { id: 2 })).id, 2);
  const pages = await Promise.all([anonymous, customer, admin].map((who) => call('customers.list', { page_size: 100 }, who)));
  assert.deepEqual(pages.map((page) => page.items.length), [0, 1, 59]);
});

await check('a masked field is null and cannot be asked for', async () => {
  const [masked, seen] = await Promise.all([customer, admin].map((who) => call('employees.get', { id: 3 }, who)));
  assert.deepEqual([masked.phone, masked.hire_date], ['+1 (403) 262-3443', null]);
  assert.equal(seen.hire_date.slice(0, 10), '2002-04-01');
  const known = await Promise.all([customer, admin].map((who) => call('employees.list', { hire_date__isnull: false }, who)));
  assert.deepEqual(known.map((page) => page.items.length), [0, 8]);
});

await check('an unknown call is 104', () => refusal(104, 'unimplemented', call('artists.nothing', {})));

await check('a malformed argument is 107', () => refusal(107, 'invalid_argument', call('artists.get', { nothing: 1 })));

await check('100 calls at once are all answered, each with its own', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => call('artists.get', { id: at + 1 })));
  answers.forEach((artist, at) => assert.equal(artist.id, at + 1));
});

for (const client of [admin, customer, anonymous]) client.disconnect();

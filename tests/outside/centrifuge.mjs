// The WebSocket by the official client of the Centrifugo protocol.

import { Centrifuge } from 'centrifuge';
import WebSocket from 'ws';
import { adminToken, assert, check, freshKey, rejection, url } from './lib.mjs';

const endpoint = `${url.replace('http', 'ws')}/connection/websocket`;

/** A client that has connected. */
async function connected(options) {
  const client = new Centrifuge(endpoint, { websocket: WebSocket, ...options });
  client.connect();
  await client.ready(10_000);
  return client;
}

const admin = await connected({ token: adminToken });
const call = async (method, data) => (await admin.rpc(method, data)).data;
const refusal = (method, data) => rejection(admin.rpc(method, data));

await check('it connects with a token', () => assert.equal(admin.state, 'connected'));

await check('get', async () => assert.equal((await call('artists.get', { id: 1 })).name, 'AC/DC'));

await check('list by the parameters of REST', async () => {
  const { items, next_page_token } = await call('artists.list', { page_size: 2, order_by: '-name' });
  assert.equal(items.length, 2);
  assert.ok(items[0].name > items[1].name);
  assert.ok(next_page_token);
});

await check('create, update, stale update, delete', async () => {
  const id = freshKey();
  const made = await call('artists.create', { data: { id, name: 'one' } });
  assert.equal(made.name, 'one');
  const changed = await call('artists.update', { id, data: { name: 'two' }, if_revision: made.revision });
  assert.equal(changed.name, 'two');
  const stale = await refusal('artists.update', { id, data: { name: 'three' }, if_revision: made.revision });
  assert.equal(stale.code, 1412);
  await call('artists.delete', { id });
  assert.equal((await refusal('artists.get', { id })).code, 1404);
});

await check('an unknown call is 104', async () => assert.equal((await refusal('artists.nothing', {})).code, 104));

await check('a malformed argument is 107', async () => assert.equal((await refusal('artists.get', { nothing: 1 })).code, 107));

await check('100 calls at once are all answered', async () => {
  const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => call('artists.get', { id: at + 1 })));
  answers.forEach((artist, at) => assert.equal(Number(artist.id), at + 1));
});

await check('anonymous: it connects, and may not write', async () => {
  const anonymous = await connected({});
  const error = await rejection(anonymous.rpc('artists.create', { data: { id: freshKey(), name: 'no' } }));
  assert.ok([101, 103].includes(error.code), JSON.stringify(error));
  anonymous.disconnect();
});

await check('a token that is none ends the connection', async () => {
  const refused = new Centrifuge(endpoint, { websocket: WebSocket, token: 'not.a.token' });
  const context = await new Promise((resolve) => {
    refused.on('disconnected', resolve);
    refused.connect();
  });
  assert.ok([3500, 101].includes(context.code), JSON.stringify(context));
});

admin.disconnect();

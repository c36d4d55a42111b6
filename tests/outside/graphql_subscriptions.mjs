// Queries, mutations and subscriptions by the official clients of both protocols: graphql-ws over a WebSocket, graphql-sse over HTTP.

import { createClient as createSse } from 'graphql-sse';
import { CloseCode, createClient as createWs } from 'graphql-ws';
import WebSocket from 'ws';
import { adminToken, assert, bearer, check, freshKey, rejection, url } from './lib.mjs';

const CHANGES = `subscription ($after: String, $initial: Boolean, $id: Int!) {
  artistChanges(where: { id: { eq: $id } }, after: $after, initial: $initial) { cursor change key revision item { name } }
}`;
const PUT = 'mutation ($id: Int!, $name: String) { upsertArtist(id: $id, input: { name: $name }) { artist { name } } }';
const DELETE = 'mutation ($id: Int!) { deleteArtist(id: $id) { cursor } }';
const NAME = 'query ($id: Int!) { artist(id: $id) { name } }';

/** A client of the WebSocket, and the sockets that it has opened. */
function overWs(connectionParams, options = {}) {
  const sockets = [];
  const on = { connected: (socket) => sockets.push(socket) };
  const endpoint = `${url.replace('http', 'ws')}/graphql`;
  return { client: createWs({ url: endpoint, webSocketImpl: WebSocket, connectionParams, retryAttempts: 0, on, ...options }), sockets };
}
const overSse = (token) => createSse({ url: `${url}/graphql`, headers: token ? bearer(token) : {}, retryAttempts: 0 });

/** The one result of a query or a mutation, and that nothing follows. */
async function one(client, query, variables) {
  const results = [];
  for await (const result of client.iterate({ query, variables })) results.push(result);
  assert.equal(results.length, 1, JSON.stringify(results));
  return results[0];
}

/** The change that a subscription tells next, within ten seconds. */
async function change(iterator) {
  let timer;
  const late = new Promise((_, reject) => { timer = setTimeout(() => reject(new Error('nothing is told')), 10_000); });
  const { value, done } = await Promise.race([iterator.next(), late]).finally(() => clearTimeout(timer));
  assert.ok(!done, 'it has ended');
  assert.equal(value.errors, undefined, JSON.stringify(value));
  return value.data.artistChanges;
}

const brief = ({ change, key, revision, item }) => [change, key, revision, item?.name ?? null];

for (const [form, open] of [['graphql-ws', (token) => overWs(token ? { token } : undefined).client], ['graphql-sse', overSse]]) {
  const admin = open(adminToken);
  const anonymous = open();

  await check(`a query and mutations are answered [${form}]`, async () => {
    const id = freshKey();
    assert.deepEqual(await one(admin, PUT, { id, name: 'one' }), { data: { upsertArtist: { artist: { name: 'one' } } } });
    assert.deepEqual(await one(anonymous, NAME, { id }), { data: { artist: { name: 'one' } } });
    await one(admin, DELETE, { id });
    assert.deepEqual(await one(anonymous, NAME, { id }), { data: { artist: null } });
  });

  await check(`a subscription sees what is written [${form}]`, async () => {
    const id = freshKey();
    const changes = anonymous.iterate({ query: CHANGES, variables: { id } });
    assert.deepEqual(brief(await change(changes)), ['BOOKMARK', null, null, null]);
    await one(admin, PUT, { id, name: 'one' });
    assert.deepEqual(brief(await change(changes)), ['ENTERED', id, 1, 'one']);
    await one(admin, PUT, { id, name: 'two' });
    assert.deepEqual(brief(await change(changes)), ['CHANGED', id, 2, 'two']);
    await one(admin, DELETE, { id });
    assert.deepEqual(brief(await change(changes)), ['LEFT', id, null, null]);
    await changes.return();
  });

  await check(`a subscription begins with the rows [${form}]`, async () => {
    const changes = anonymous.iterate({ query: CHANGES, variables: { id: 1, initial: true } });
    assert.deepEqual(brief(await change(changes)), ['ENTERED', 1, 1, 'AC/DC']);
    assert.deepEqual(brief(await change(changes)), ['BOOKMARK', null, null, null]);
    await changes.return();
  });

  await check(`a subscription goes on after its last cursor [${form}]`, async () => {
    const id = freshKey();
    const first = anonymous.iterate({ query: CHANGES, variables: { id } });
    await change(first);
    await one(admin, PUT, { id, name: 'one' });
    const { cursor: after } = await change(first);
    await first.return();
    await one(admin, PUT, { id, name: 'two' });
    const second = anonymous.iterate({ query: CHANGES, variables: { id, after } });
    assert.deepEqual(brief(await change(second)), ['CHANGED', id, 2, 'two']);
    await second.return();
    await one(admin, DELETE, { id });
  });

  await check(`an anonymous write is refused [${form}]`, async () => {
    const { errors } = await one(anonymous, PUT, { id: freshKey(), name: 'no' });
    assert.equal(errors[0].extensions.code, 'PERMISSION_DENIED');
  });

  await admin.dispose();
  await anonymous.dispose();
}

await check('a socket that was cut is opened again, without a gap and without a repeat', async () => {
  const id = freshKey();
  const { client, sockets } = overWs({ token: adminToken }, { retryAttempts: 5, retryWait: async () => {}, shouldRetry: () => true });
  let after;
  // The client sends the payload again as it is then: from the last cursor on.
  const changes = client.iterate({ query: CHANGES, get variables() { return { id, after }; } });
  const heard = [];
  const hear = async () => {
    const told = await change(changes);
    after = told.cursor;
    heard.push(told.change === 'BOOKMARK' ? 'BOOKMARK' : told.item.name);
  };
  const writer = overSse(adminToken);
  await hear();
  for (const name of ['one', 'two', 'three']) {
    sockets.at(-1).terminate();
    await one(writer, PUT, { id, name });
    await hear();
  }
  assert.deepEqual(heard, ['BOOKMARK', 'one', 'two', 'three']);
  assert.equal(sockets.length, 4);
  await changes.return();
  await one(writer, DELETE, { id });
  await client.dispose();
});

await check('what cannot be executed is an error with its code [graphql-ws]', async () => {
  const { client } = overWs();
  const codes = { '{ artist(id: ': 'INVALID_ARGUMENT', '{ nothing }': 'INVALID_ARGUMENT' };
  for (const [query, code] of Object.entries(codes)) {
    assert.equal((await rejection(one(client, query)))[0].extensions.code, code);
  }
  const expired = await rejection(one(client, CHANGES, { id: 1, after: 'otherlog.1' }));
  assert.equal(expired[0].extensions.code, 'CURSOR_EXPIRED');
  await client.dispose();
});

await check('a token that is none is refused', async () => {
  for (const params of [{ token: 'not.a.token' }, { authorization: 'Bearer not.a.token' }]) {
    assert.equal((await rejection(one(overWs(params).client, NAME, { id: 1 }))).code, CloseCode.Forbidden);
  }
  assert.equal((await rejection(one(overSse('not.a.token'), NAME, { id: 1 }))).response.status, 401);
});

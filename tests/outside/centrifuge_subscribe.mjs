// Subscriptions over the WebSocket by the official client of the Centrifugo protocol, in JSON and in Protobuf.

import { execFileSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { Centrifuge } from 'centrifuge';
import { Centrifuge as ProtobufCentrifuge } from 'centrifuge/build/protobuf';
import WebSocket from 'ws';
import { adminToken, assert, check, customerToken, freshKey, url } from './lib.mjs';

const endpoint = `${url.replace('http', 'ws')}/connection/websocket`;

/** The sockets that were opened, the newest last. */
const sockets = [];
class Noted extends WebSocket {
  constructor(...of) {
    super(...of);
    sockets.push(this);
  }
}

const FORMS = [
  { form: 'json', Client: Centrifuge, data: (value) => value, read: (data) => data },
  {
    form: 'protobuf',
    Client: ProtobufCentrifuge,
    data: (value) => new TextEncoder().encode(JSON.stringify(value)),
    read: (data) => JSON.parse(new TextDecoder().decode(data)),
  },
];

/** What is heard, one after the other. */
class Heard {
  #heard = [];
  #waiting = [];

  hear(what) {
    if (this.#waiting.length) this.#waiting.shift()(what);
    else this.#heard.push(what);
  }

  async next() {
    if (this.#heard.length) return this.#heard.shift();
    const late = new Promise((_, fail) => setTimeout(() => fail(new Error('nothing is heard')), 10_000).unref());
    return Promise.race([new Promise((resolve) => this.#waiting.push(resolve)), late]);
  }
}

/** A token of the outside customer that ends in some seconds. */
function token(seconds, more = {}) {
  const claims = { sub: 'outside-customer', customer_id: 1, exp: Math.floor(Date.now() / 1000) + seconds, ...more };
  const data = join(dirname(process.env.FOURFOLD_MODEL), 'data');
  return execFileSync(process.env.FOURFOLD_BIN, ['token', 'dev', '--claims', JSON.stringify(claims), '--data', data], { encoding: 'utf8' }).trim();
}

const short = ({ change, key, item }) => `${change} ${key} ${item?.name ?? ''}`.trim();

for (const { form, Client, data, read } of FORMS) {
  const connected = async (options) => {
    const client = new Client(endpoint, { websocket: Noted, minReconnectDelay: 10, maxReconnectDelay: 50, ...options });
    client.connect();
    await client.ready(10_000);
    return client;
  };
  const writer = await connected({ token: adminToken });
  const call = async (method, value) => read((await writer.rpc(method, data(value))).data);

  /** A subscription, and what it hears: changes in short, and each time that it has subscribed. */
  const listen = async (client, channel, options = {}) => {
    const [subscription, changes, subscribed] = [client.newSubscription(channel, options), new Heard(), new Heard()];
    subscription.on('publication', (publication) => changes.hear(short(read(publication.data))));
    subscription.on('subscribed', (context) => subscribed.hear(context));
    subscription.subscribe();
    await subscription.ready(10_000);
    return { subscription, changes, subscribed };
  };

  await check(`a call is answered (${form})`, async () =>
    assert.deepEqual(await call('artists.get', { id: 1 }), { id: 1, revision: 1, name: 'AC/DC' }));

  await check(`a channel hears of each change to its rows (${form})`, async () => {
    const client = await connected({ token: customerToken });
    const [id, other] = [freshKey(), freshKey()];
    const { changes } = await listen(client, `artists?name__startswith=${form}&fields=name`);
    await call('artists.create', { data: { id, name: `${form} one` } });
    await call('artists.create', { data: { id: other, name: 'another' } });
    await call('artists.update', { id, data: { name: `${form} two` } });
    await call('artists.delete', { id });
    await call('artists.delete', { id: other });
    const heard = [await changes.next(), await changes.next(), await changes.next()];
    assert.deepEqual(heard, [`entered ${id} ${form} one`, `changed ${id} ${form} two`, `left ${id}`]);
    client.disconnect();
  });

  await check(`who is cut off recovers what it missed, and hears nothing twice (${form})`, async () => {
    const client = await connected({});
    const socket = sockets.at(-1);
    const name = `cut ${form}`;
    const { changes, subscribed } = await listen(client, `artists?name__startswith=${encodeURIComponent(name)}`);
    const first = await subscribed.next();
    assert.deepEqual([first.recoverable, first.wasRecovering], [true, false]);
    const ids = [freshKey(), freshKey(), freshKey()];
    await call('artists.create', { data: { id: ids[0], name: `${name} 0` } });
    assert.equal(await changes.next(), `entered ${ids[0]} ${name} 0`);
    const gone = new Promise((resolve) => client.once('connecting', resolve));
    socket.terminate();
    await gone;
    await call('artists.create', { data: { id: ids[1], name: `${name} 1` } });
    const again = await subscribed.next();
    assert.deepEqual([again.wasRecovering, again.recovered], [true, true]);
    assert.equal(await changes.next(), `entered ${ids[1]} ${name} 1`);
    await call('artists.create', { data: { id: ids[2], name: `${name} 2` } });
    assert.equal(await changes.next(), `entered ${ids[2]} ${name} 2`);
    for (const id of ids) await call('artists.delete', { id });
    client.disconnect();
  });

  await check(`a token is refreshed, and its channels go on (${form})`, async () => {
    const asked = new Heard();
    const getToken = async () => {
      asked.hear('asked');
      return token(3600);
    };
    const [client, id] = [await connected({ token: token(2), getToken }), freshKey()];
    client.on('disconnected', ({ code }) => asked.hear(code));
    const { changes } = await listen(client, `genres/${id}`);
    assert.equal(await asked.next(), 'asked');
    await call('genres.create', { data: { id, name: form } });
    assert.equal(await changes.next(), `entered ${id} ${form}`);
    await call('genres.delete', { id });
    client.disconnect();
    assert.equal(await asked.next(), 0, 'only by itself');
  });

  await check(`a subscription's own token is refreshed, and it goes on (${form})`, async () => {
    const [client, id, asked] = [await connected({ token: token(3600) }), freshKey(), new Heard()];
    const channel = `genres/${id}`;
    let seconds = 2;
    const getToken = async (context) => {
      asked.hear(context.channel);
      const given = token(seconds, { channel });
      seconds += 1;
      return given;
    };
    const { subscription, changes } = await listen(client, channel, { getToken });
    subscription.on('subscribing', ({ code }) => asked.hear(code));
    subscription.on('unsubscribed', ({ code }) => asked.hear(code));
    // At the subscribe, and at the end of the first token and of the second.
    assert.deepEqual([await asked.next(), await asked.next(), await asked.next()], [channel, channel, channel]);
    await call('genres.create', { data: { id, name: form } });
    assert.equal(await changes.next(), `entered ${id} ${form}`);
    await call('genres.delete', { id });
    assert.equal(await changes.next(), `left ${id}`);
    client.disconnect();
  });

  await check(`a subscription whose token is refused ends, and its connection goes on (${form})`, async () => {
    const [client, ended] = [await connected({ token: token(3600) }), new Heard()];
    let given = token(2, { channel: 'genres' });
    const getToken = async () => {
      const token = given;
      given = 'nonsense';
      return token;
    };
    const { subscription } = await listen(client, 'genres', { getToken });
    subscription.on('unsubscribed', ({ code }) => ended.hear(code));
    assert.equal(await ended.next(), 103);
    assert.equal(client.state, 'connected');
    client.disconnect();
  });

  await check(`claims that matter to a channel reset it (${form})`, async () => {
    const getToken = async () => token(3600, { roles: ['staff'] });
    const [client, ended] = [await connected({ token: token(2), getToken }), new Heard()];
    const { subscription } = await listen(client, 'employees');
    subscription.on('subscribing', ({ code }) => ended.hear(code));
    subscription.on('subscribed', ({ recovered }) => ended.hear(recovered));
    assert.deepEqual([await ended.next(), await ended.next()], [2600, false]);
    client.disconnect();
  });

  await check(`a place in another log is not recovered, and the client is told (${form})`, async () => {
    const client = await connected({});
    const { subscribed } = await listen(client, 'genres', { since: { offset: 1, epoch: 'anotherlog' } });
    const context = await subscribed.next();
    assert.deepEqual([context.wasRecovering, context.recovered], [true, false]);
    client.disconnect();
  });

  await check(`a list's cursor is where a channel goes on (${form})`, async () => {
    const id = freshKey();
    const { cursor } = await call('genres.list', { page_size: 1 });
    await call('genres.create', { data: { id, name: form } });
    const [epoch, offset] = cursor.split('.');
    const client = await connected({});
    const { changes } = await listen(client, `genres/${id}`, { since: { offset: Number(offset), epoch } });
    assert.equal(await changes.next(), `entered ${id} ${form}`);
    await call('genres.delete', { id });
    assert.equal(await changes.next(), `left ${id}`);
    client.disconnect();
  });

  await check(`a channel begins with the rows as they are (${form})`, async () => {
    const client = await connected({});
    const { subscribed } = await listen(client, 'artists?id__in=1,2&fields=name', { data: data({ initial: true }) });
    assert.deepEqual(read((await subscribed.next()).data), { items: [{ name: 'AC/DC' }, { name: 'Accept' }] });
    client.disconnect();
  });

  await check(`a masked field is null in what is heard (${form})`, async () => {
    const [client, heard] = [await connected({ token: customerToken }), new Heard()];
    const subscription = client.newSubscription('employees/3?fields=phone,hire_date');
    subscription.on('publication', (publication) => heard.hear(read(publication.data).item));
    subscription.subscribe();
    await subscription.ready(10_000);
    const { phone } = await call('employees.get', { id: 3 });
    await call('employees.update', { id: 3, data: { phone: '1' } });
    assert.deepEqual(await heard.next(), { phone: '1', hire_date: null });
    await call('employees.update', { id: 3, data: { phone } });
    client.disconnect();
  });

  await check(`a channel that is none is refused for good (${form})`, async () => {
    const client = await connected({});
    const subscription = client.newSubscription('nothing');
    const ended = new Promise((resolve) => subscription.on('unsubscribed', resolve));
    subscription.subscribe();
    assert.equal((await ended).code, 103);
    client.disconnect();
  });

  await check(`a client that leaves a channel hears no more of it (${form})`, async () => {
    const [client, id] = [await connected({}), freshKey()];
    const [one, two] = [await listen(client, `genres/${id}`), await listen(client, `genres?id=${id}`)];
    one.subscription.unsubscribe();
    await call('genres.create', { data: { id, name: form } });
    assert.equal(await two.changes.next(), `entered ${id} ${form}`);
    one.changes.hear('nothing');
    assert.equal(await one.changes.next(), 'nothing');
    await call('genres.delete', { id });
    client.disconnect();
  });

  writer.disconnect();
}

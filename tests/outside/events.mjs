// The contracts of what is told of changes: the official parser takes them, and what the server tells is what they say.

import { execFileSync } from 'node:child_process';
import parser from '@asyncapi/parser';
import Ajv2020 from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import WebSocket from 'ws';
import { adminToken, assert, bearer, check, freshKey, text, url } from './lib.mjs';

const printed = (...kind) => execFileSync(process.env.FOURFOLD_BIN, ['contract', ...kind, process.env.FOURFOLD_MODEL], { encoding: 'utf8', maxBuffer: 64 << 20 });
const served = { '/asyncapi.json': ['asyncapi'], '/asyncapi.client.json': ['asyncapi', '--client'] };

for (const [path, kind] of Object.entries(served)) {
  const contract = await text(path);

  await check(`${path}: the official parser has no error`, async () => {
    const { document, diagnostics } = await new parser.Parser().parse(contract);
    assert.deepEqual(diagnostics.filter(({ severity }) => severity === 0).map(({ message, path }) => `${path.join('/')}: ${message}`), []);
    assert.equal(document.version(), '3.0.0');
    assert.ok(document.channels().all().length > 10);
    const actions = new Set(document.operations().all().map((operation) => operation.action()));
    assert.deepEqual([...actions], [kind.includes('--client') ? 'receive' : 'send']);
  });

  await check(`fourfold contract ${kind.join(' ')} prints what is served`, async () => assert.equal(printed(...kind), contract));
}

const schema = JSON.parse(printed('events'));

/** The same schema, but for members that it does not name: what the server tells, the contract has. */
function closed(value) {
  if (Array.isArray(value)) return value.map(closed);
  if (!value || typeof value !== 'object') return value;
  const own = Object.fromEntries(Object.entries(value).map(([name, part]) => [name, closed(part)]));
  return own.properties && own.type === 'object' ? { additionalProperties: false, ...own } : own;
}

const ajv = addFormats(new Ajv2020({ strict: false, allErrors: true }), { mode: 'full' });
ajv.addSchema(closed(schema), 'events');
const problems = (name, value) => {
  const validate = ajv.getSchema(`events#/$defs/${name}`);
  return validate(value) ? [] : validate.errors.map(({ instancePath, message }) => `${instancePath} ${message}`);
};
const holds = (name, value) => assert.deepEqual(problems(name, value), [], `${name}: ${JSON.stringify(value)}`);

/** A value with a fault in it: each must be seen. */
const FAULTS = {
  'a member that the contract does not have': (value) => ({ ...value, planted: 1 }),
  'a revision that is text': (value) => ({ ...value, revision: String(value.revision) }),
  'a moment that is none': (value) => ({ ...value, at: 'noon' }),
  'a row without its type': (value) => ({ ...value, item: { ...value.item, unit_price: 1.5 } }),
  'no key': ({ key: _, ...value }) => value,
};
const faultsAreSeen = (name, value) => {
  for (const [what, plant] of Object.entries(FAULTS)) assert.notDeepEqual(problems(name, plant(value)), [], `${name}: ${what}`);
};

const row = { name: 'Told', album_id: 1, media_type_id: 1, genre_id: 1, milliseconds: 1000, unit_price: '1.50' };

async function ask(method, path, body) {
  const headers = { ...bearer(adminToken), 'content-type': 'application/json' };
  const response = await fetch(`${url}/v1/${path}`, { method, headers, body: body && JSON.stringify(body) });
  assert.ok(response.ok, `${method} ${path} answers ${response.status}`);
}

/** A row is created, changed and deleted. */
async function changes(id) {
  await ask('POST', 'tracks', { id, ...row });
  await ask('PATCH', `tracks/${id}`, { composer: 'Nobody', bytes: 7 });
  await ask('DELETE', `tracks/${id}`);
}

/** The blocks of an event stream. */
async function* blocks(path) {
  const abort = new AbortController();
  const response = await fetch(`${url}/v1/${path}`, { headers: { ...bearer(adminToken), accept: 'text/event-stream' }, signal: abort.signal });
  assert.equal(response.status, 200);
  let rest = '';
  try {
    for await (const chunk of response.body.pipeThrough(new TextDecoderStream())) {
      const parts = (rest + chunk).split('\n\n');
      rest = parts.pop();
      for (const part of parts) {
        yield Object.fromEntries(part.split('\n').filter((line) => line && line[0] !== ':').map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 2)]));
      }
    }
  } finally {
    abort.abort();
  }
}

const late = (promise, what) => Promise.race([promise, new Promise((_, fail) => setTimeout(() => fail(new Error(`${what} does not come`)), 10_000).unref())]);

await check('event streams: each change is as the schema of events says', async () => {
  const id = freshKey();
  const stream = blocks(`tracks?id=${id}`);
  const next = async () => (await late(stream.next(), 'an event')).value;
  const first = await next();
  holds('cursor', first.id);
  await changes(id);
  for (const expected of ['entered', 'changed', 'left']) {
    const { event, id: cursor, data } = await next();
    assert.equal(event, expected);
    holds('cursor', cursor);
    const value = JSON.parse(data);
    holds(`Track.${event}`, value);
    if (value.item) assert.deepEqual(Object.keys(value.item).sort(), Object.keys(schema.$defs.Track.properties).sort());
    if (event === 'changed') faultsAreSeen('Track.changed', value);
  }
  await stream.return();
});

await check('event streams: rows to begin with, and the bookmark of their moment', async () => {
  const stream = blocks('genres?id=1&initial=true');
  const entered = (await late(stream.next(), 'a row')).value;
  assert.deepEqual([entered.event, entered.id], ['entered', undefined]);
  holds('Genre.entered', JSON.parse(entered.data));
  const bookmark = (await late(stream.next(), 'a bookmark')).value;
  assert.equal(bookmark.event, 'bookmark');
  holds('bookmark', JSON.parse(bookmark.data));
  await stream.return();
});

await check('event streams: a cursor of another log is refused with a problem', async () => {
  const headers = { accept: 'text/event-stream', 'last-event-id': 'anotherlog.1' };
  const response = await fetch(`${url}/v1/genres`, { headers });
  assert.equal(response.status, 410);
  holds('problem', await response.json());
});

await check('WebSocket: each frame of a change is as the schema of events says', async () => {
  const [id, heard, waiting] = [freshKey(), [], []];
  const socket = new WebSocket(`${url.replace('http', 'ws')}/connection/websocket`);
  const give = (line) => (waiting.length ? waiting.shift()(line) : heard.push(line));
  socket.on('message', (frame) => String(frame).split('\n').filter((line) => line !== '{}').forEach(give));
  const next = async () => JSON.parse(heard.shift() ?? (await late(new Promise((done) => waiting.push(done)), 'a frame')));
  try {
    await late(new Promise((done, fail) => socket.on('open', done).on('error', fail)), 'the connection');
    socket.send(JSON.stringify({ id: 1, connect: { token: adminToken } }));
    await next();
    socket.send(JSON.stringify({ id: 2, subscribe: { channel: 'tracks?id=1', data: { initial: true } } }));
    holds('Track.items', (await next()).subscribe.data);
    socket.send(JSON.stringify({ id: 3, subscribe: { channel: `tracks/${id}` } }));
    await next();
    await changes(id);
    for (const expected of ['entered', 'changed', 'left']) {
      const frame = await next();
      holds('Track.push', frame);
      assert.equal(frame.push.pub.data.change, expected);
      if (expected === 'changed') faultsAreSeen('Track.change', frame.push.pub.data);
    }
  } finally {
    socket.terminate();
  }
});

await check('the document takes a change of any entity, and none that is not one', () => {
  const validate = ajv.getSchema('events');
  assert.ok(validate({ change: 'left', key: 1, at: '2026-11-26T10:00:00.000000Z' }));
  assert.ok(!validate({ change: 'gone', key: 1, at: '2026-11-26T10:00:00.000000Z' }));
});

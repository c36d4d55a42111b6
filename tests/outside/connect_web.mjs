// Connect and gRPC-Web by @connectrpc/connect-web, its clients made from the served descriptor set: the scenarios that all
// clients run, over each transport.

import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web';
import { ACDC_ALBUMS, adminToken, assert, bearer, check, customerToken, freshKey, modelPackage, rejection, TRICKY, url } from './lib.mjs';

const descriptor = new Uint8Array(await (await fetch(`${url}/descriptor.binpb`)).arrayBuffer());
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptor));
const service = (name) => registry.getService(`${modelPackage}.${name}Service`);

const TRANSPORTS = {
  'Connect JSON': createConnectTransport({ baseUrl: url }),
  'Connect binary': createConnectTransport({ baseUrl: url, useBinaryFormat: true }),
  'Connect GET': createConnectTransport({ baseUrl: url, useHttpGet: true }),
  'gRPC-Web': createGrpcWebTransport({ baseUrl: url }),
};
const admin = { headers: bearer(adminToken) };
const customer = { headers: bearer(customerToken) };
const anonymous = {};

async function refusal(code, promise) {
  const error = ConnectError.from(await rejection(promise));
  assert.equal(Code[error.code], Code[code], error.message);
  assert.ok(error.details.length > 0, 'no details');
  return error;
}

const fields = (message, ...names) => names.map((field) => message[field]);

/** The clients of one transport, and its name in the names of checks. */
function clients(name, transport) {
  const client = (entity) => createClient(service(entity), transport);
  const artists = client('Artist');
  return {
    transport,
    scenario: (what, body) => check(`${what} (${name})`, body),
    artists,
    albums: client('Album'),
    tracks: client('Track'),
    invoices: client('Invoice'),
    customers: client('Customer'),
    employees: client('Employee'),
    create: (artist, requestId) => artists.createArtist({ artist, requestId }, admin),
    update: (id, text, etag) => artists.updateArtist({ artist: { id, name: text }, updateMask: { paths: ['name'] }, etag }, admin),
  };
}

async function reads({ scenario, artists, albums, invoices }) {
  await scenario('a row is read by its key', async () =>
    assert.deepEqual(fields(await artists.getArtist({ id: 1 }), 'id', 'revision', 'name'), [1, 1n, 'AC/DC']));

  await scenario('pages follow one another to the end', async () => {
    const pages = [];
    for (let pageToken = undefined; pages.length < 5;) {
      const page = await albums.listAlbums({ filter: 'id <= 10', pageSize: 4, pageToken });
      pages.push(page.albums.map((album) => album.id));
      pageToken = page.nextPageToken;
      if (!pageToken) break;
    }
    assert.deepEqual(pages, [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10]]);
  });

  await scenario('a filter reaches over a relation', async () => {
    const found = await albums.listAlbums({ filter: 'artist.name == "AC/DC"', orderBy: 'title' });
    assert.deepEqual(found.albums.map((album) => album.title), ACDC_ALBUMS);
  });

  await scenario('a related row is read along', async () => {
    const album = await albums.getAlbum({ id: 1, readMask: { paths: ['title', 'artist.name'] } });
    assert.deepEqual([album.title, album.artist.name], [ACDC_ALBUMS[0], 'AC/DC']);
  });

  await scenario('a sum is over the rows the caller may see', async () => {
    const answers = await Promise.all([customer, anonymous, admin].map((who) => invoices.aggregateInvoices({ count: ['*'], sum: ['total'] }, who)));
    assert.deepEqual(answers.map(({ groups: [all] }) => [all.count, all.sum?.total]), [[7n, '39.62'], [0n, undefined], [412n, '2328.60']]);
  });
}

async function writes({ scenario, artists, tracks, create, update }) {
  await scenario('a row is created, updated and deleted', async () => {
    const id = freshKey();
    assert.deepEqual(fields(await create({ id, name: 'one' }), 'id', 'revision', 'name'), [id, 1n, 'one']);
    assert.deepEqual(fields(await update(id, 'two', '1'), 'revision', 'name'), [2n, 'two']);
    assert.equal((await artists.getArtist({ id })).name, 'two');
    await artists.deleteArtist({ id, etag: '2' }, admin);
    await refusal(Code.NotFound, artists.getArtist({ id }));
  });

  await scenario('text and decimals come back as they went in', async () => {
    const track = { name: TRICKY.name, unitPrice: TRICKY.unit_price, mediaTypeId: 1, milliseconds: 1 };
    const { id } = await tracks.createTrack({ track }, admin);
    assert.deepEqual(fields(await tracks.getTrack({ id }), 'name', 'unitPrice'), [TRICKY.name, TRICKY.unit_price]);
    await tracks.deleteTrack({ id }, admin);
  });

  await scenario('a write sent twice under one key is done once', async () => {
    const key = `once-${freshKey()}`;
    const [one, two] = [await create({ name: key }, key), await create({ name: key }, key)];
    assert.equal(two.id, one.id);
    assert.equal((await artists.listArtists({ filter: `name == "${key}"` })).artists.length, 1);
    assert.match((await refusal(Code.FailedPrecondition, create({ name: 'other' }, key))).message, /idempotency key/);
    await artists.deleteArtist({ id: one.id }, admin);
  });

  await scenario('a stale revision is refused', async () => {
    const id = freshKey();
    await create({ id, name: 'one' });
    await update(id, 'two', '1');
    await refusal(Code.Aborted, update(id, 'three', '1'));
    assert.equal((await artists.getArtist({ id })).name, 'two');
    await artists.deleteArtist({ id }, admin);
  });
}

async function refusals({ scenario, transport, artists, albums }) {
  await scenario('a missing row is not found', () => refusal(Code.NotFound, artists.getArtist({ id: 99_999_999 })));

  await scenario('an unknown field in a filter is named', async () =>
    assert.match((await refusal(Code.InvalidArgument, artists.listArtists({ filter: 'nmae == 1' }))).message, /nmae/));

  await scenario('a value too long is refused with its field', async () => {
    const error = await refusal(Code.InvalidArgument, albums.createAlbum({ album: { title: 'x'.repeat(161), artistId: 1 } }, admin));
    assert.ok(error.details.some((detail) => detail.type === 'google.rpc.BadRequest'), JSON.stringify(error.details));
    assert.match(error.message, /title/);
  });

  await scenario('a token that is none is refused', () =>
    refusal(Code.Unauthenticated, artists.getArtist({ id: 1 }, { headers: bearer('not.a.token') })));

  await scenario('an anonymous write is refused', () => refusal(Code.PermissionDenied, artists.createArtist({ artist: { name: 'no' } })));

  await scenario('an unknown method', async () => {
    const method = { ...service('Artist').method.getArtist, name: 'Nothing' };
    const nothing = createClient({ ...service('Artist'), methods: [method], method: { getArtist: method } }, transport);
    assert.equal(ConnectError.from(await rejection(nothing.getArtist({ id: 1 }))).code, Code.Unimplemented);
  });
}

async function masks({ scenario, customers, employees }) {
  await scenario('hidden rows do not exist for others', async () => {
    for (const who of [anonymous, customer]) await refusal(Code.NotFound, customers.getCustomer({ id: 2 }, who));
    assert.equal((await customers.getCustomer({ id: 2 }, admin)).id, 2);
    const pages = await Promise.all([anonymous, customer, admin].map((who) => customers.listCustomers({ pageSize: 100 }, who)));
    assert.deepEqual(pages.map((page) => page.customers.length), [0, 1, 59]);
  });

  await scenario('a masked field is null and cannot be asked for', async () => {
    const [masked, seen] = await Promise.all([customer, admin].map((who) => employees.getEmployee({ id: 3 }, who)));
    assert.deepEqual([masked.phone, masked.hireDate], ['+1 (403) 262-3443', undefined]);
    assert.equal(new Date(Number(seen.hireDate.seconds) * 1000).toISOString().slice(0, 10), '2002-04-01');
    const known = await Promise.all([customer, admin].map((who) => employees.listEmployees({ filter: 'hire_date != null' }, who)));
    assert.deepEqual(known.map((page) => page.employees.length), [0, 8]);
  });
}

for (const [name, transport] of Object.entries(TRANSPORTS)) {
  const over = clients(name, transport);
  for (const part of [reads, writes, refusals, masks]) await part(over);
}

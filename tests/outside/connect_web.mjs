// Connect and gRPC-Web by @connectrpc/connect-web, its clients made from the served descriptor set.

import { createFileRegistry, fromBinary } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web';
import { adminToken, assert, bearer, check, freshKey, modelPackage, rejection, url } from './lib.mjs';

const descriptor = new Uint8Array(await (await fetch(`${url}/descriptor.binpb`)).arrayBuffer());
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptor));
const ArtistService = registry.getService(`${modelPackage}.ArtistService`);
const AlbumService = registry.getService(`${modelPackage}.AlbumService`);

const TRANSPORTS = {
  'Connect JSON': createConnectTransport({ baseUrl: url }),
  'Connect binary': createConnectTransport({ baseUrl: url, useBinaryFormat: true }),
  'Connect GET': createConnectTransport({ baseUrl: url, useHttpGet: true }),
  'gRPC-Web': createGrpcWebTransport({ baseUrl: url }),
};
const options = { headers: bearer(adminToken) };
const refusal = async (promise) => ConnectError.from(await rejection(promise));

await check('the descriptor set has the services', () => {
  assert.ok(ArtistService && AlbumService);
  for (const method of ['getArtist', 'listArtists', 'createArtist', 'updateArtist', 'deleteArtist']) {
    assert.ok(ArtistService.method[method], method);
  }
});

for (const [name, transport] of Object.entries(TRANSPORTS)) {
  const artists = createClient(ArtistService, transport);
  const albums = createClient(AlbumService, transport);

  await check(`${name}: get`, async () => {
    const artist = await artists.getArtist({ id: 1 }, options);
    assert.equal(artist.name, 'AC/DC');
    assert.ok(artist.revision >= 1n);
  });

  await check(`${name}: list, two pages`, async () => {
    const one = await artists.listArtists({ pageSize: 4 }, options);
    const two = await artists.listArtists({ pageSize: 4, pageToken: one.nextPageToken }, options);
    assert.deepEqual([...one.artists, ...two.artists].map((artist) => Number(artist.id)), [1, 2, 3, 4, 5, 6, 7, 8]);
  });

  await check(`${name}: list with a filter`, async () => {
    const { albums: found } = await albums.listAlbums({ filter: 'artist.id == 1', orderBy: 'title' }, options);
    assert.deepEqual(found.map((album) => album.title), ['For Those About To Rock We Salute You', 'Let There Be Rock']);
  });

  await check(`${name}: not found, with its reason`, async () => {
    const error = await refusal(artists.getArtist({ id: 99_999_999 }, options));
    assert.equal(error.code, Code.NotFound);
    assert.ok(error.details.length > 0, 'no details');
  });

  await check(`${name}: create, update, stale update, delete`, async () => {
    const id = freshKey();
    const made = await artists.createArtist({ artist: { id, name: 'one' } }, options);
    const etag = String(made.revision);
    const changed = await artists.updateArtist({ artist: { id, name: 'two' }, updateMask: { paths: ['name'] }, etag }, options);
    assert.equal(changed.name, 'two');
    const stale = await refusal(artists.updateArtist({ artist: { id, name: 'three' }, updateMask: { paths: ['name'] }, etag }, options));
    assert.equal(stale.code, Code.Aborted);
    await artists.deleteArtist({ id, etag: String(changed.revision) }, options);
    assert.equal((await refusal(artists.getArtist({ id }, options))).code, Code.NotFound);
  });

  await check(`${name}: a write without a token is refused`, async () => {
    const error = await refusal(artists.createArtist({ artist: { id: freshKey(), name: 'no' } }));
    assert.ok([Code.PermissionDenied, Code.Unauthenticated].includes(error.code), Code[error.code]);
  });
}

// Serves the page, the official client that it loads, and tokens. Whoever asks gets a token for the name that they give: a real
// application would ask for a password first.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const { PORT = '8090', API = 'http://127.0.0.1:8080', DATA = join(here, '.fourfold') } = process.env;
const NAME = /^[\p{L}\p{N} ._-]{1,20}$/u;

/** The browser build of the package, which is one file. */
const client = join(dirname(createRequire(import.meta.url).resolve('centrifuge')), '..', 'dist', 'centrifuge.js');

const FILES = {
  '/': ['text/html', () => readFileSync(join(here, 'index.html'), 'utf8').replace('http://127.0.0.1:8080', API)],
  '/chat.css': ['text/css', () => readFileSync(join(here, 'chat.css'))],
  '/chat.js': ['text/javascript', () => readFileSync(join(here, 'chat.js'))],
  '/centrifuge.js': ['text/javascript', () => readFileSync(client)],
};

/** A token of `fourfold dev`, whose key lies in the data folder. */
function token(name) {
  const args = ['token', 'dev', '--data', DATA, '--claims', JSON.stringify({ sub: name })];
  return new Promise((done, fail) => execFile('fourfold', args, (error, out) => (error ? fail(error) : done(out.trim()))));
}

async function answer(request, response) {
  const say = (status, type, body) => response.writeHead(status, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-cache' }).end(body);
  const file = FILES[request.url];
  if (request.method === 'GET' && file) return say(200, file[0], file[1]());
  if (request.method !== 'POST' || request.url !== '/token') return say(404, 'text/plain', 'there is no such page');
  const name = (await text(request)).trim();
  if (!NAME.test(name)) return say(400, 'text/plain', 'a name has 1 to 20 letters, digits, spaces, dots or dashes');
  return say(200, 'text/plain', await token(name));
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => response.writeHead(500).end(error.message));
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`open http://127.0.0.1:${server.address().port}/`));

// Serves the page, and a token of the staff to whoever asks: a real application would ask for a password first.

import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const { PORT = '8090', API = 'http://127.0.0.1:8080', DATA = join(here, '.fourfold') } = process.env;
const CLAIMS = { sub: 'till', roles: ['staff'] };

const FILES = {
  '/': ['text/html', () => readFileSync(join(here, 'index.html'), 'utf8').replace('http://127.0.0.1:8080', API)],
  '/live.css': ['text/css', () => readFileSync(join(here, 'live.css'))],
  '/live.js': ['text/javascript', () => readFileSync(join(here, 'live.js'))],
  '/plot.js': ['text/javascript', () => readFileSync(join(here, 'plot.js'))],
};

/** A token of `fourfold dev`, whose key lies in the data folder. */
function token() {
  const args = ['token', 'dev', '--data', DATA, '--claims', JSON.stringify(CLAIMS)];
  return new Promise((done, fail) => execFile('fourfold', args, (error, out) => (error ? fail(error) : done(out.trim()))));
}

async function answer(request, response) {
  const say = (status, type, body) => response.writeHead(status, { 'content-type': `${type}; charset=utf-8`, 'cache-control': 'no-cache' }).end(body);
  const file = FILES[request.url];
  if (request.method === 'GET' && file) return say(200, file[0], file[1]());
  if (request.method === 'POST' && request.url === '/token') return say(200, 'text/plain', await token());
  return say(404, 'text/plain', 'there is no such page');
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => response.writeHead(500).end(error.message));
});
server.listen(Number(PORT), '127.0.0.1', () => console.log(`open http://127.0.0.1:${server.address().port}/`));

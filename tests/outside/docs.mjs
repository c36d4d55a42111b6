// The examples of docs/*.md, run against the server as a reader would run them, and their answers compared.
//
// An example is a fenced block of `sh`, `python`, `js` or `graphql` whose next fence is its answer: `json`, or `text` (lines, perhaps
// with JSON among them). A block `text socket` is a talk over the WebSocket: `>` is sent, `<` is awaited. A block `sh server` starts
// a server of the page's own, at SECOND_HOST, which ends with the page. In an answer `…` stands for anything: further members,
// further elements, the rest of a string or line; alone on a line, any number of lines.

import { spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { basename, delimiter, dirname, join, resolve } from 'node:path';
import WebSocket from 'ws';
import { adminToken, assert, bearer, check, customerToken, url } from './lib.mjs';

const home = process.cwd();
const host = new URL(url).host;
const DOCS_HOST = '127.0.0.1:8080';
const SECOND_HOST = '127.0.0.1:8081';
const second = `127.0.0.1:${await freePort()}`;
const venv = join(home, 'venv', 'bin');
const work = join(home, 'docs-work');
const SECONDS_MAX = 60;

function freePort() {
  return new Promise((done) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => done(port));
    });
  });
}

/** What a reader of the pages has: `fourfold` on the path, two tokens, the example's folder. */
function prepare() {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, 'bin'), { recursive: true });
  symlinkSync(resolve(process.env.FOURFOLD_BIN), join(work, 'bin', 'fourfold'));
  symlinkSync(join(home, 'node_modules'), join(work, 'node_modules'));
}

function folderOf(page) {
  const folder = join(work, page);
  const model = resolve(process.env.FOURFOLD_MODEL);
  cpSync(model, join(folder, 'examples', 'chinook'), { recursive: true, filter: (file) => basename(file) !== '.fourfold' });
  const data = [join(dirname(model), 'data'), join(model, '.fourfold')].find(existsSync);
  if (data) symlinkSync(data, join(folder, 'examples', 'chinook', '.fourfold'));
  return folder;
}

/** The binary would take a variable of ours for a setting that it does not know. */
function environment() {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('FOURFOLD_'));
  const path = [join(work, 'bin'), venv, process.env.PATH].join(delimiter);
  return { ...Object.fromEntries(kept), PATH: path, TOKEN: adminToken, CUSTOMER: customerToken, NO_COLOR: '1' };
}

/** The fenced blocks of a page: info string, text, line. */
function fences(text) {
  const found = [];
  let open;
  text.split('\n').forEach((line, at) => {
    const fence = /^```(.*)$/.exec(line);
    if (fence && open) {
      found.push(open);
      open = undefined;
    } else if (fence) {
      open = { info: fence[1].trim(), lines: [], line: at + 1 };
    } else {
      open?.lines.push(line);
    }
  });
  return found.map(({ lines, ...block }) => ({ ...block, text: lines.join('\n') }));
}

/** The blocks that are run, each with its answer. */
function examples(blocks) {
  return blocks.flatMap((block, at) => {
    if (['text socket', 'sh server'].includes(block.info)) return [{ ...block, answer: block }];
    const answer = blocks[at + 1];
    const isAnswered = answer && ['json', 'text'].includes(answer.info);
    return isAnswered && block.info in RUNNERS ? [{ ...block, answer }] : [];
  });
}

const here = (text) => text.replaceAll(DOCS_HOST, host).replaceAll(SECOND_HOST, second);
const there = (text) => text.replaceAll(host, DOCS_HOST).replaceAll(second, SECOND_HOST);

const RUNNERS = {
  sh: (text, folder) => run('bash', ['-c', `set -e\n${text}`], folder),
  python: (text, folder) => script('example.py', text, folder, existsSync(join(venv, 'python')) ? join(venv, 'python') : 'python3'),
  js: (text, folder) => script('example.mjs', text, folder, 'node'),
  graphql: (text) => graphql(text),
};

function script(name, text, folder, program) {
  writeFileSync(join(folder, name), text);
  return run(program, [name], folder);
}

function run(program, args, cwd) {
  return new Promise((done, fail) => {
    const child = spawn(program, args, { cwd, env: environment(), stdio: ['ignore', 'pipe', 'pipe'] });
    const late = setTimeout(() => child.kill('SIGKILL'), SECONDS_MAX * 1000);
    let [out, err] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text) => (out += text));
    child.stderr.setEncoding('utf8').on('data', (text) => (err += text));
    child.on('error', fail);
    child.on('close', (code) => {
      clearTimeout(late);
      if (code === 0) return done(out);
      fail(new Error(`it ended with ${code}: ${(err || out).trim().slice(-300)}`));
    });
  });
}

/** The servers that a page has started. */
const started = [];

/** Starts a server, and waits until it answers. */
async function server(text, folder) {
  const child = spawn('bash', ['-c', `exec ${text.trim()}`], { cwd: folder, env: environment(), stdio: 'ignore' });
  started.push(child);
  for (let tries = 0; tries < 200 && child.exitCode === null; tries += 1) {
    if (await fetch(`http://${second}/ready`).then((response) => response.ok, () => false)) return;
    await new Promise((done) => setTimeout(done, 50));
  }
  throw new Error(`it does not serve: ${text}`);
}

async function endServers() {
  for (const child of started.splice(0)) {
    const ended = new Promise((done) => child.on('exit', done));
    if (child.exitCode === null && child.kill()) await ended;
  }
}

/** A document by itself: one that writes is sent as the admin. */
async function graphql(query) {
  const writes = /^\s*mutation\b/m.test(query);
  const headers = { 'content-type': 'application/json', ...(writes ? bearer(adminToken) : {}) };
  const response = await fetch(`${url}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query }) });
  return response.text();
}

/** Sends the lines that begin with `>`, and compares what comes with those that begin with `<`. */
async function talk(text) {
  const socket = new WebSocket(`ws://${host}/connection/websocket`);
  const [replies, waiting] = [[], []];
  const give = (line) => (waiting.length ? waiting.shift()(line) : replies.push(line));
  socket.on('message', (frame) => String(frame).split('\n').forEach(give));
  socket.on('close', (code, reason) => give(JSON.stringify({ closed: code, reason: String(reason) })));
  await new Promise((done, fail) => socket.on('open', done).on('error', fail));
  const reply = () => (replies.length ? replies.shift() : new Promise((done) => waiting.push(done)));
  try {
    for (const line of text.split('\n').filter((line) => line.trim())) {
      const [mark, rest] = [line[0], line.slice(1).trim()];
      assert.ok('<>'.includes(mark), `neither \`>\` nor \`<\`: ${line}`);
      if (mark === '>') socket.send(rest.replaceAll('$TOKEN', adminToken).replaceAll('$CUSTOMER', customerToken));
      else sameJson(rest, await within(reply(), `no reply came for ${rest}`));
    }
  } finally {
    socket.terminate();
  }
}

function within(promise, why) {
  const late = new Promise((_, fail) => setTimeout(() => fail(new Error(why)), 10_000).unref());
  return Promise.race([promise, late]);
}

const ANY = '…';

/** JSON in which a bare `…` may stand as a value, as an element, or for further members. */
function loose(text) {
  let [out, before] = ['', ''];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|…|\s+|[^"…\s]/gsu)) {
    if (token !== ANY) out += token;
    else out += before === ':' || inArray(out) ? `"${ANY}"` : `"${ANY}": 0`;
    if (token.trim()) before = token;
  }
  try {
    return JSON.parse(out);
  } catch (error) {
    throw new Error(`the page's answer is not JSON: ${error.message}: ${text.slice(0, 120)}`);
  }
}

/** Whether what comes next stands in an array. */
function inArray(text) {
  const open = [];
  for (const [mark] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{}]/gsu)) {
    if ('[{'.includes(mark)) open.push(mark);
    else if (']}'.includes(mark)) open.pop();
  }
  return open.at(-1) === '[';
}

const shown = (value) => JSON.stringify(value)?.slice(0, 160);

/** Throws where the answer is not what the page says. */
function same(wanted, found, at = '') {
  const differs = () => new Error(`at ${at || '/'} the page says ${shown(wanted)}, the answer is ${shown(found)}`);
  if (wanted === ANY) return;
  if (typeof wanted === 'string' && wanted.includes(ANY)) {
    if (typeof found !== 'string' || !pattern(wanted).test(found)) throw differs();
  } else if (Array.isArray(wanted)) {
    const open = wanted.at(-1) === ANY;
    const items = open ? wanted.slice(0, -1) : wanted;
    if (!Array.isArray(found) || (open ? found.length < items.length : found.length !== items.length)) throw differs();
    items.forEach((item, index) => same(item, found[index], `${at}/${index}`));
  } else if (wanted && typeof wanted === 'object') {
    if (!found || typeof found !== 'object' || Array.isArray(found)) throw differs();
    const names = Object.keys(wanted).filter((name) => name !== ANY);
    const further = Object.keys(found).filter((name) => !(name in wanted));
    if (further.length && !(ANY in wanted)) throw new Error(`at ${at || '/'} the answer also has ${further.join(', ')}`);
    names.forEach((name) => {
      if (!(name in found)) throw new Error(`at ${at || '/'} the answer has no ${name}`);
      same(wanted[name], found[name], `${at}/${name}`);
    });
  } else if (wanted !== found) {
    throw differs();
  }
}

function pattern(text) {
  const escaped = text.split(ANY).map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${escaped.join('.*')}$`, 'su');
}

function sameJson(wanted, found) {
  let answer;
  try {
    answer = JSON.parse(found);
  } catch {
    throw new Error(`the answer is not JSON: ${found.slice(0, 200)}`);
  }
  same(loose(wanted), answer);
}

const lines = (text) => text.replaceAll('\r', '').trimEnd().split('\n').map((line) => line.trimEnd());

/** Line by line; where a line begins JSON, so many lines as make it whole are compared as JSON. */
function sameText(wanted, found) {
  const [want, have] = [lines(wanted), lines(found)];
  let [at, next] = [0, 0];
  while (at < want.length) {
    const line = want[at];
    if (line === ANY) {
      const after = want[at + 1];
      if (after === undefined) return;
      next = have.findIndex((one, index) => index >= next && begins(after, one));
      assert.ok(next >= 0, `no line is \`${after}\` in: ${have.join(' ⏎ ').slice(0, 400)}`);
      at += 1;
    } else if (isJson(line)) {
      const [theirs, ours] = [whole(want, at, loose), whole(have, next, JSON.parse)];
      sameJson(theirs, ours ?? have.slice(next).join(' '));
      at += theirs.split('\n').length;
      next += ours.split('\n').length;
    } else {
      assert.ok(have[next] !== undefined && pattern(line).test(have[next]), `the page says \`${line}\`, the answer is \`${have[next]}\``);
      at += 1;
      next += 1;
    }
  }
  assert.equal(have.length, next, `the answer goes on: ${have[next]}`);
}

const isJson = (line) => /^(\{($|["}…\s])|\[($|[[\]{"\d…-]))/.test(line);

/** The fewest lines from one on that can be parsed. */
function whole(lines, from, parse) {
  for (let end = from + 1; end <= lines.length; end += 1) {
    const text = lines.slice(from, end).join('\n');
    try {
      parse(text);
      return text;
    } catch {
      // More lines may make it whole.
    }
  }
  if (parse === loose) throw new Error(`the page's answer is not JSON: ${lines[from]}`);
  return undefined;
}

const begins = (wanted, found) => (isJson(wanted) ? found.startsWith(wanted[0]) : pattern(wanted).test(found));

async function example(block, folder) {
  if (block.info === 'text socket') return talk(block.text);
  if (block.info === 'sh server') return server(here(block.text), folder);
  const answer = there(await RUNNERS[block.info](here(block.text), folder));
  return block.answer.info === 'json' ? sameJson(block.answer.text, answer) : sameText(block.answer.text, answer);
}

/** Whether an example needs the Python packages, which may not be installed here. */
const needsPython = (block) => block.info === 'python' || (block.info === 'sh' && /^python\b/m.test(block.text));

prepare();
const only = process.argv.slice(2);
const pages = readdirSync(process.env.FOURFOLD_DOCS).filter((file) => file.endsWith('.md')).sort();
for (const page of pages.filter((page) => !only.length || only.includes(page))) {
  const blocks = examples(fences(readFileSync(join(process.env.FOURFOLD_DOCS, page), 'utf8')));
  if (!blocks.length) continue;
  const folder = folderOf(basename(page, '.md'));
  for (const block of blocks) {
    const name = `${page}:${block.line} ${block.info}`;
    if (needsPython(block) && !existsSync(join(venv, 'python'))) console.log(`skip ${name}: the Python packages are not installed`);
    else await check(name, () => example(block, folder));
  }
  await endServers();
}

// What an example is played on: a copy of its folder, its server, its page's own server, and a wire that can be cut.

import { execFileSync, spawn } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { basename, delimiter, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';

const LOOPBACK = '127.0.0.1';
const START_MS = 60_000;
const work = join(process.cwd(), 'examples-work');
/** What was started, and by whom. */
const started = new Map();

/** An empty place for the copies, and `fourfold` on the path. */
export function prepare() {
  rmSync(work, { recursive: true, force: true });
  mkdirSync(join(work, 'bin'), { recursive: true });
  symlinkSync(resolve(process.env.FOURFOLD_BIN), join(work, 'bin', 'fourfold'));
}

/** A copy of an example, without what was made in it. */
export function copyOf(example) {
  const folder = join(work, example);
  const isOurs = (file) => !['.fourfold', 'node_modules'].includes(basename(file));
  cpSync(join(process.env.FOURFOLD_EXAMPLES, example), folder, { recursive: true, filter: isOurs });
  return folder;
}

/** A variable of the suites would be a setting that the binary does not know. */
function environment(more = {}) {
  const kept = Object.entries(process.env).filter(([name]) => !name.startsWith('FOURFOLD_'));
  return { ...Object.fromEntries(kept), PATH: [join(work, 'bin'), process.env.PATH].join(delimiter), ...more };
}

/** Starts a program, and gives the first address that it prints. */
function addressOf(program, args, more, owner = {}) {
  const child = spawn(program, args, { env: environment(more), stdio: ['ignore', 'pipe', 'pipe'] });
  started.set(owner, child);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text) => (said += text));
  return new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error(`${program} printed no address: ${said.slice(-300)}`)), START_MS);
    child.on('exit', (code) => fail(new Error(`${program} ended with ${code}: ${said.slice(-300)}`)));
    createInterface(child.stdout).on('line', (line) => {
      const found = /http:\/\/127\.0\.0\.1:\d+/.exec(line);
      if (!found) return;
      clearTimeout(late);
      done(found[0]);
    });
  });
}

/** `fourfold dev` over a folder, for pages of these origins, which wires lead to; it can be started again, also over an empty store. */
export class Server {
  #folder;
  #origins;
  #wires;
  url;

  static async started(folder, origins, wires) {
    const server = new Server();
    [server.#folder, server.#origins, server.#wires] = [folder, origins, wires];
    await server.#start();
    return server;
  }

  async #start() {
    const args = ['dev', this.#folder, '--listen', `${LOOPBACK}:0`, '--admin', 'off'];
    this.url = await addressOf('fourfold', args, { FOURFOLD_SERVER_ORIGINS: this.#origins.join(',') }, this);
    for (const wire of this.#wires) wire.target = this.url;
  }

  async again({ isEmpty = false } = {}) {
    await end(this);
    const data = join(this.#folder, '.fourfold');
    const store = isEmpty ? readdirSync(data).filter((file) => file.startsWith('data.db')) : [];
    for (const file of store) rmSync(join(data, file));
    await this.#start();
  }
}

/** The page's own server, which tells the page that the API is at `api`. */
export const pageFor = (folder, api) => addressOf('node', [join(folder, 'serve.mjs')], { PORT: '0', API: api });

/** A dev token with these claims. */
export function tokenOf(folder, claims) {
  const args = ['token', 'dev', '--data', join(folder, '.fourfold'), '--claims', JSON.stringify(claims)];
  return execFileSync('fourfold', args, { env: environment(), encoding: 'utf8' }).trim();
}

async function end(owner) {
  const child = started.get(owner);
  started.delete(owner);
  const ended = new Promise((done) => child.on('exit', done));
  if (child.exitCode === null && child.kill()) await ended;
}

export async function endAll() {
  for (const owner of [...started.keys()]) await end(owner);
}

/** A wire to a server: it can be cut and mended, and made to lose what goes one way. */
export class Wire {
  #sockets = new Set();
  #isCut = false;
  /** Which way everything is lost, and who is told of the first. */
  #lost;
  #server = createServer((near) => this.#join(near));
  /** Where it leads: an address such as `http://127.0.0.1:8080`. */
  target;

  static async laid() {
    const wire = new Wire();
    await new Promise((done) => wire.#server.listen(0, LOOPBACK, done));
    return wire;
  }

  get url() {
    return `http://${LOOPBACK}:${this.#server.address().port}`;
  }

  #join(near) {
    if (this.#isCut) return near.resetAndDestroy();
    const far = connect(Number(new URL(this.target).port), LOOPBACK);
    for (const [from, to] of [[near, far], [far, near]]) {
      this.#sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => { this.#sockets.delete(from); to.destroy(); });
    }
    near.on('data', (bytes) => this.#carry('questions', bytes, far));
    far.on('data', (bytes) => this.#carry('answers', bytes, near));
  }

  #carry(what, bytes, to) {
    if (this.#lost?.what === what) this.#lost.told();
    else to.write(bytes);
  }

  /** From now on `questions` to the server or its `answers` are lost; resolves as soon as one was. */
  lose(what) {
    return new Promise((told) => { this.#lost = { what, told }; });
  }

  /** Ends what is open, and lets nothing through. */
  cut() {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  mend() {
    [this.#isCut, this.#lost] = [false, undefined];
  }

  close() {
    this.cut();
    this.#server.close();
  }
}

// Sales as they come in. One GraphQL document lists the totals, the last sales and the cursor of their moment; a subscription over
// server-sent events goes on from that cursor, also after a lost connection.

import { drawBars, drawLine, money, safe, when } from './plot.js';

const ROWS_SHOWN = 60, SALES_LISTED = 7, SALES_WAITING_MAX = 20, BUYERS = 100;
// The server writes a line at least every 15 s. A stream that says nothing for longer is lost, even where no error says so.
const SILENCE_MS = 40_000, ANSWER_MS = 10_000, PAUSE_MIN_MS = 300, PAUSE_MAX_MS = 4_000, GOOD_MS = 1_000;

const $ = (id) => document.getElementById(id);
const api = document.querySelector('meta[name=api]').content;
const state = { cursor: undefined, count: 0, cents: 0, countries: new Map(), rows: [], buyers: [] };

const LIST = `query {
  invoicesAggregate(groupBy: [{ field: billingCountry }]) { keys { billingCountry } count sum { total } }
  invoices(orderBy: [{ id: DESC }], first: ${ROWS_SHOWN}) { nodes { id invoiceDate billingCountry total } cursor }
  buyers: invoices(orderBy: [{ id: ASC }], first: ${BUYERS}) { nodes { customerId billingCountry } }
}`;
const WATCH = 'subscription ($after: String!) { invoiceChanges(after: $after) { cursor change item { id invoiceDate billingCountry total } } }';
const SELL = 'mutation ($input: InvoiceCreateInput!) { createInvoice(input: $input) { invoice { id } } }';

/** The page must list again: what it shows can no longer be brought up to date by changes. */
class ListAgain extends Error {}
/** To ask again does not help. */
class Final extends Error {}

let token;
async function post(query, variables, signal, more) {
  token ??= await (await fetch('token', { method: 'POST' })).text();
  const headers = { 'content-type': 'application/json', accept: 'application/json', authorization: `Bearer ${token}`, ...more };
  return fetch(`${api}/graphql`, { method: 'POST', headers, body: JSON.stringify({ query, variables }), signal });
}

/** The data of a result, or the error that its code stands for. */
function dataOf({ data, errors }) {
  if (!errors?.length) return data;
  const [{ message, extensions }] = errors;
  if (['UNAUTHENTICATED', 'TOKEN_EXPIRED'].includes(extensions?.code)) token = undefined;
  if (extensions?.code === 'CURSOR_EXPIRED') throw new ListAgain(message);
  throw new (['INVALID_ARGUMENT', 'PERMISSION_DENIED', 'LIMIT_EXCEEDED'].includes(extensions?.code) ? Final : Error)(message);
}

async function ask(query, variables, more) {
  return dataOf(await (await post(query, variables, AbortSignal.timeout(ANSWER_MS), more)).json());
}

/** An amount is a text of two decimals: summed as whole cents, so that nothing is rounded. */
const cents = (text) => Math.round(Number(text) * 100);
const sum = (numbers) => numbers.reduce((a, b) => a + b, 0);
const rowOf = ({ id, invoiceDate, billingCountry, total }) => ({ id, at: invoiceDate, country: billingCountry, cents: cents(total) });

/** The totals and the last sales, and the cursor of their moment: one document is read from one snapshot. */
async function list() {
  const { invoicesAggregate: groups, invoices, buyers } = await ask(LIST);
  const countries = new Map(groups.map((group) => [group.keys.billingCountry, cents(group.sum.total)]));
  Object.assign(state, { countries, count: sum(groups.map(({ count }) => count)), cents: sum([...countries.values()]) });
  Object.assign(state, { rows: invoices.nodes.map(rowOf).reverse(), buyers: buyers.nodes, cursor: invoices.cursor });
  draw();
}

/** One change. The page knows sums and not every row: a sale is added, for one that was corrected or undone it lists again. */
function take({ cursor, change, item }) {
  if (change === 'ENTERED') {
    const row = rowOf(item);
    state.count += 1;
    state.cents += row.cents;
    state.countries.set(row.country, (state.countries.get(row.country) ?? 0) + row.cents);
    state.rows = [...state.rows, row].slice(-ROWS_SHOWN);
  } else if (change !== 'BOOKMARK') {
    throw new ListAgain(change);
  }
  state.cursor = cursor;
}

let stream = new AbortController();

/** Watches from the cursor on, until the stream ends. */
async function follow() {
  stream = new AbortController();
  let silence;
  const heard = () => { clearTimeout(silence); silence = setTimeout(() => stream.abort(new Error('nothing was heard')), SILENCE_MS); };
  heard();
  try {
    const answer = await post(WATCH, { after: state.cursor }, stream.signal, { accept: 'text/event-stream' });
    if (!answer.headers.get('content-type')?.startsWith('text/event-stream')) dataOf(await answer.json());
    say('live', 'live');
    let rest = '';
    for (const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader(); ;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop();
      const results = blocks.map((block) => /^data: (.+)$/m.exec(block)?.[1]).filter(Boolean).map((text) => JSON.parse(text));
      try { for (const result of results) take(dataOf(result).invoiceChanges); } finally { if (results.length) draw(); }
    }
  } finally { clearTimeout(silence); }
}

const rested = (ms) => new Promise((done) => { setTimeout(done, ms); addEventListener('online', done, { once: true }); });

/** Lists once, then watches; after a loss goes on from the last cursor. */
async function run() {
  for (let pause = PAUSE_MIN_MS; ; pause = Math.min(pause * 2, PAUSE_MAX_MS)) {
    const begun = Date.now();
    try {
      if (!state.cursor) await list();
      await follow();
    } catch (error) {
      if (error instanceof Final) return say('lost', error.message);
      if (error instanceof ListAgain) state.cursor = undefined;
    }
    if (!state.cursor || Date.now() - begun > GOOD_MS) pause = PAUSE_MIN_MS;
    if (state.cursor) say('lost', 'connection lost');
    await rested(pause * (0.5 + Math.random() / 2));
  }
}
addEventListener('offline', () => stream.abort(new Error('offline')));

function say(is, text) {
  $('state').dataset.is = is;
  $('state').textContent = text;
}

function draw() {
  $('takings').textContent = money(state.cents);
  $('sales').textContent = state.count.toLocaleString('en');
  $('average').textContent = state.count ? money(state.cents / state.count) : '–';
  const last = state.rows.slice(-SALES_LISTED).reverse();
  $('last').innerHTML = last.map((row) => `<tr><td>${when(row.at)}</td><td>${safe(row.country)}</td><td>${money(row.cents)}</td></tr>`).join('');
  drawLine($('line'), state);
  drawBars($('bars'), state.countries);
  $('span').textContent = state.count > state.rows.length ? `the last ${state.rows.length}` : '';
  $('countries').textContent = state.countries.size > 8 ? `the first 8 of ${state.countries.size}` : '';
}
addEventListener('resize', draw);

/** Sales that are not known to be stored, in their order. */
const waiting = [];

function sell() {
  if (!state.buyers.length || waiting.length >= SALES_WAITING_MAX) return;
  const { customerId, billingCountry } = state.buyers[Math.floor(Math.random() * state.buyers.length)];
  const tracks = 1 + Math.floor(Math.random() ** 2 * 14);
  waiting.push({ key: crypto.randomUUID(), input: { customerId, billingCountry, total: (tracks * 0.99).toFixed(2) } });
  send();
}

/** Sends what waits until it is answered. By its key a sale that had arrived is not made twice. */
let isSending = false;
async function send() {
  if (isSending) return;
  isSending = true;
  for (; waiting.length; note()) {
    note();
    const { key, input } = waiting[0];
    try {
      await ask(SELL, { input }, { 'idempotency-key': key });
      waiting.shift();
    } catch (error) {
      if (error instanceof Final) waiting.shift();
      await rested(PAUSE_MIN_MS);
    }
  }
  isSending = false;
}

const note = () => { $('note').textContent = waiting.length ? `${waiting.length} to be sent` : ''; };

$('sell').onclick = sell;
setInterval(() => { if ($('keep').checked) sell(); }, 1_000);
run();

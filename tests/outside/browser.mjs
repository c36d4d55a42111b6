// The pages of `dev` in a real browser: every example runs when clicked, and nothing else is asked of the network.

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

import { launch } from './chromium.mjs';
import { adminToken, assert, check, url } from './lib.mjs';

const browser = await launch('browser');

/** A page whose errors and requests are kept. */
async function opened(path, prepare = async () => {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  page.setDefaultTimeout(20_000);
  const seen = { errors: [], strangers: [] };
  page.on('pageerror', (error) => seen.errors.push(error.message));
  page.on('console', (message) => { if (message.type() === 'error') seen.errors.push(message.text()); });
  page.on('request', (request) => { if (!request.url().startsWith(url) && !request.url().startsWith('data:')) seen.strangers.push(request.url()); });
  await prepare(page);
  await page.goto(url + path);
  return { page, seen };
}

/** Clicks each of the four examples and gives what they show. */
async function runAll(page) {
  const apis = page.locator('.api');
  assert.equal(await apis.count(), 4, 'four APIs are shown');
  const answers = [];
  for (const api of await apis.all()) {
    await api.getByRole('button', { name: 'Run' }).click();
    await api.locator('.status .ok, .status .bad').waitFor();
    answers.push({ good: (await api.locator('.status .ok').count()) === 1, text: await api.locator('pre.answer').textContent() });
  }
  return answers;
}

await check('the four examples run when clicked and say the same', async () => {
  const { page, seen } = await opened('/');
  for (const { good, text } of await runAll(page)) {
    assert.ok(good, text);
    assert.match(text, /For Those About To Rock We Salute You/);
  }
  assert.deepEqual(seen, { errors: [], strangers: [] });
  await page.close();
});

await check('every entity has examples that run', async () => {
  const { page, seen } = await opened('/');
  const entities = await page.locator('#entities a').allTextContents();
  assert.equal(entities.length, 11);
  for (const entity of entities) {
    await page.locator('#entities').getByText(entity, { exact: true }).click();
    await page.locator('h1', { hasText: new RegExp(`^${entity}$`) }).waitFor();
    for (const { good, text } of await runAll(page)) assert.ok(good, `${entity}: ${text}`);
  }
  assert.deepEqual(seen, { errors: [], strangers: [] });
  await page.close();
});

await check('a token opens what nobody sees', async () => {
  const { page } = await opened('/');
  await page.locator('#entities').getByText('Invoice', { exact: true }).click();
  for (const { text } of await runAll(page)) assert.doesNotMatch(text, /"total": "/);
  await page.fill('#token', adminToken);
  await page.locator('#who', { hasText: 'you are outside-admin' }).waitFor();
  for (const { text } of await runAll(page)) assert.match(text, /"id": 1/);
  await page.close();
});

/** Serves GraphiQL's packages from where npm put them, under the addresses that the page names. */
const require = createRequire(import.meta.url);
const fromPackages = (page) => page.route('https://unpkg.com/**', (route) => {
  const [, name, file] = /^\/([a-z-]+)@[^/]+\/(.*)$/.exec(new URL(route.request().url()).pathname);
  const body = readFileSync(join(dirname(require.resolve(`${name}/package.json`)), file));
  const contentType = file.endsWith('.css') ? 'text/css' : 'text/javascript';
  return route.fulfill({ body, contentType, headers: { 'access-control-allow-origin': '*' } });
});

await check('GraphiQL loads by its checksums, reads the schema and runs a document', async () => {
  const { page, seen } = await opened('/graphql', fromPackages);
  await page.getByRole('button', { name: /Execute query/ }).click();
  await page.locator('.result-window', { hasText: 'albumsAggregate' }).waitFor();
  await page.getByRole('button', { name: /Documentation Explorer/ }).click();
  await page.locator('.graphiql-doc-explorer', { hasText: 'Query' }).waitFor();
  assert.deepEqual(seen.errors, []);
  await page.close();
});

await check('without a network the small editor runs a document', async () => {
  const { page } = await opened('/graphql', (page) => page.route('https://unpkg.com/**', (route) => route.abort()));
  await page.waitForFunction(() => document.getElementById('query').value.includes('albums'));
  await page.click('#run');
  await page.locator('#answer', { hasText: '"totalCount": ' }).waitFor();
  await page.close();
});

await browser.close();

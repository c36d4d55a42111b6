// examples/chat: what is said, who is there and who types, in two tabs.

import { assert, bearer, check } from './lib.mjs';
import { Server, Wire, copyOf, pageFor, tokenOf } from './stage.mjs';
import { picture, tabOf } from './tab.mjs';

/** What a tab shows as said. */
const said = (tab) => tab.page.locator('#messages .text').allTextContents();

/** Waits until a tab shows just these messages, each stored. */
async function shows(tab, texts) {
  const isShown = (texts) =>
    !document.querySelector('#messages .waits') &&
    JSON.stringify([...document.querySelectorAll('#messages .text')].map((line) => line.textContent)) === JSON.stringify(texts);
  await tab.page.waitForFunction(isShown, texts).catch(() => {});
  assert.deepEqual(await said(tab), texts);
  assert.equal(await tab.page.locator('#messages .waits').count(), 0);
}

async function write(tab, text) {
  await tab.page.fill('#text', text);
  await tab.page.press('#text', 'Enter');
}

async function signIn(tab, name) {
  await tab.page.fill('#name', name);
  await tab.page.click('#sign-in button');
  await connected(tab);
}

const connected = (tab) => tab.page.locator('#state[data-is=connected]').waitFor();
const here = (tab, names) => tab.page.waitForFunction(
  (names) => [...document.querySelectorAll('#people .here .who')].map((who) => who.textContent).sort().join() === names,
  names.join(),
);

/** The messages of the room as the server has them, for a member. */
async function stored(api, folder, name) {
  const headers = bearer(tokenOf(folder, { sub: name }));
  const list = await fetch(`${api}/v1/messages?order_by=number&page_size=1000`, { headers });
  return (await list.json()).items.map(({ text }) => text);
}

export async function chat(browser) {
  const folder = copyOf('chat');
  const [plain, wire] = [await Wire.laid(), await Wire.laid()];
  const pages = [await pageFor(folder, plain.url), await pageFor(folder, wire.url)];
  const server = await Server.started(folder, pages, [plain, wire]);
  const context = await browser.newContext();
  const [ann, bob] = [await tabOf(context, pages[0]), await tabOf(context, pages[1])];

  await check('a room that one makes the other sees, and joins (chat)', async () => {
    await signIn(ann, 'ann');
    await signIn(bob, 'bob');
    await ann.page.fill('#title', 'Tea');
    await ann.page.press('#title', 'Enter');
    await ann.page.locator('#room-title', { hasText: 'Tea' }).waitFor();
    await bob.page.locator('#rooms button', { hasText: 'Tea' }).click();
    await bob.page.locator('#join button').click();
    await bob.page.locator('#composer').waitFor();
    for (const tab of [ann, bob]) await here(tab, ['ann', 'bob']);
  });

  await check('what is said shows in both tabs (chat)', async () => {
    await write(ann, 'The kettle is on');
    await shows(bob, ['The kettle is on']);
    await write(bob, 'On my way <b>now</b>');
    for (const tab of [ann, bob]) await shows(tab, ['The kettle is on', 'On my way <b>now</b>']);
  });

  await check('the other sees who types, until it is said (chat)', async () => {
    await bob.page.locator('#text').pressSequentially('Milk');
    await ann.page.locator('#typing', { hasText: 'bob is typing' }).waitFor();
    await picture(ann, 'chat-desk');
    assert.equal(await bob.page.locator('#typing').textContent(), '');
    await bob.page.press('#text', 'Enter');
    await shows(ann, ['The kettle is on', 'On my way <b>now</b>', 'Milk']);
    await ann.page.waitForFunction(() => !document.getElementById('typing').textContent);
  });

  await check('a tab without network misses nothing, shows nothing twice, and sends what waited (chat)', async () => {
    const before = await said(ann);
    wire.cut();
    await bob.page.locator('#state[data-is=connecting]').waitFor();
    await here(ann, ['ann']);
    const meanwhile = Array.from({ length: 12 }, (_, at) => `meanwhile ${at}`);
    for (const text of meanwhile) await write(ann, text);
    await shows(ann, [...before, ...meanwhile]);
    const waiting = ['from the train', 'from the tunnel'];
    for (const text of waiting) await write(bob, text);
    assert.equal(await bob.page.locator('#messages .waits').count(), 2);
    assert.deepEqual(await said(bob), [...before, ...waiting]);
    await picture(bob, 'chat-lost');
    wire.mend();
    const all = [...before, ...meanwhile, ...waiting];
    for (const tab of [ann, bob]) await shows(tab, all);
    assert.deepEqual(await stored(server.url, folder, 'ann'), all);
    for (const tab of [ann, bob]) await here(tab, ['ann', 'bob']);
  });

  for (const [what, told] of [['questions', 'lost on its way is sent again'], ['answers', 'stored and not answered is stored once']]) {
    await check(`a message that was ${told} (chat)`, async () => {
      const before = await said(ann);
      const all = [...before, told];
      const lost = wire.lose(what);
      await write(bob, told);
      await lost;
      await shows(ann, what === 'answers' ? all : before);
      assert.equal(await bob.page.locator('#messages .waits').count(), 1);
      wire.cut();
      await bob.page.locator('#state[data-is=connecting]').waitFor();
      wire.mend();
      for (const tab of [ann, bob]) await shows(tab, all);
      assert.deepEqual(await stored(server.url, folder, 'bob'), all);
    });
  }

  await check('the server ends and is started again (chat)', async () => {
    const all = [...(await said(ann)), 'Is anybody there?'];
    await server.again();
    await write(ann, all.at(-1));
    for (const tab of [ann, bob]) await shows(tab, all);
    for (const tab of [ann, bob]) await here(tab, ['ann', 'bob']);
  });

  await check('nothing of the above was listed again (chat)', async () => {
    assert.equal(bob.lists('messages.list'), 1);
  });

  await check('another room, what is new in the first, and what was said earlier (chat)', async () => {
    const [all, many] = [await said(bob), 60];
    const roomOf = (tab, title) => tab.page.locator('#rooms button', { hasText: title });
    await bob.page.fill('#title', 'Cake');
    await bob.page.press('#title', 'Enter');
    await shows(bob, []);
    await here(bob, ['bob']);
    await here(ann, ['ann']);
    for (let at = 0; at < many; at += 1) all.push(`slice ${at}`);
    for (const text of all.slice(-many)) await write(ann, text);
    await shows(ann, all);
    await roomOf(bob, 'Tea').locator('.unread').waitFor();
    assert.equal(await ann.page.locator('.unread').count(), 0);
    await roomOf(bob, 'Tea').click();
    await shows(bob, all.slice(-50));
    assert.equal(await bob.page.locator('.unread').count(), 0);
    while (await bob.page.locator('#earlier').isVisible()) {
      const before = (await said(bob)).length;
      await bob.page.click('#earlier');
      await bob.page.waitForFunction((before) => document.querySelectorAll('#messages .text').length > before, before);
    }
    await shows(bob, all);
  });

  await check('a page that is loaded again shows the same (chat)', async () => {
    const all = await said(ann);
    await bob.page.reload();
    await connected(bob);
    await shows(bob, all.slice(-50));
  });

  await check('a room of many has its title, and names those who are there (chat)', async () => {
    const room = new URL(ann.page.url()).hash.slice(1);
    for (let at = 0; at < 12; at += 1) {
      const headers = { ...bearer(tokenOf(folder, { sub: `member ${at}` })), 'content-type': 'application/json' };
      const made = await fetch(`${server.url}/v1/members`, { method: 'POST', headers, body: JSON.stringify({ room_id: room }) });
      assert.equal(made.status, 201);
    }
    await ann.page.locator('#people .others', { hasText: '+9' }).waitFor();
    await here(ann, ['ann', 'bob']);
    const { width } = await ann.page.locator('#room-title').boundingBox();
    assert.ok(width >= 200, `${width} px for the title`);
    await picture(ann, 'chat-many');
  });

  await check('a room on a phone (chat)', async () => {
    await bob.page.setViewportSize({ width: 390, height: 780 });
    assert.ok(await bob.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'nothing is wider than the phone');
    await picture(bob, 'chat-phone');
  });

  await check('who has left is told nothing more (chat)', async () => {
    const all = await said(ann);
    await bob.page.click('#leave');
    await bob.page.locator('#join').waitFor();
    await here(ann, ['ann']);
    await write(ann, 'Has bob gone?');
    await shows(ann, [...all, 'Has bob gone?']);
    assert.deepEqual(await said(bob), []);
    assert.deepEqual(await stored(server.url, folder, 'bob'), []);
    await bob.page.locator('#join button').click();
    await shows(bob, [...all, 'Has bob gone?'].slice(-50));
  });

  await check('another log is listed anew (chat)', async () => {
    await server.again({ isEmpty: true });
    for (const tab of [ann, bob]) await tab.page.waitForFunction(() => !document.querySelector('#rooms button'));
    await ann.page.fill('#title', 'Coffee');
    await ann.page.press('#title', 'Enter');
    await bob.page.locator('#rooms button', { hasText: 'Coffee' }).waitFor();
    await write(ann, 'All is new');
    await shows(ann, ['All is new']);
  });

  await check('no error, and nothing asked of the network (chat)', async () => {
    for (const tab of [ann, bob]) assert.deepEqual([tab.errors, tab.strangers], [[], []]);
  });

  await context.close();
  for (const each of [plain, wire]) each.close();
}

// examples/live: sales as they come in, in two tabs, held against what the server sums up.

import { assert, bearer, check } from './lib.mjs';
import { Server, Wire, copyOf, pageFor, tokenOf } from './stage.mjs';
import { picture, tabOf } from './tab.mjs';

const ROWS_SHOWN = 60, COUNTRIES_SHOWN = 8;
const money = (cents) => (cents / 100).toLocaleString('en', { style: 'currency', currency: 'USD' });
const cents = (text) => Math.round(Number(text) * 100);

/** What a tab shows: the figures, the points of the line, and the bars from the top down. */
const shown = (tab) => tab.page.evaluate(() => {
  const text = (id) => document.getElementById(id).textContent;
  const top = (bar) => Number(/, (\d+)px/.exec(bar.style.transform)[1]);
  return {
    takings: text('takings'),
    sales: text('sales'),
    line: [...document.querySelectorAll('#line circle')].map((point) => point.textContent.split(' · ')[0]),
    bars: [...document.querySelectorAll('#bars g')].sort((a, b) => top(a) - top(b))
      .map((bar) => [bar.dataset.country, bar.querySelector('.amount').textContent]),
  };
});

/** The same as the server's aggregate has it, and its rows in their order. */
async function summed(api, headers) {
  const get = async (path) => (await (await fetch(`${api}/v1/invoices${path}`, { headers })).json()).items;
  const groups = await get(':aggregate?count=*&sum=total&group_by=billing_country');
  const countries = groups.map(({ billing_country, sum_total }) => [billing_country, cents(sum_total)]);
  const all = countries.reduce((sum, [, amount]) => sum + amount, 0);
  const rows = (await get(`?order_by=-id&page_size=${ROWS_SHOWN}&fields=total`)).reverse();
  let sum = all - rows.reduce((sum, { total }) => sum + cents(total), 0);
  return {
    takings: money(all),
    sales: groups.reduce((sum, { count }) => sum + count, 0).toLocaleString('en'),
    line: rows.map(({ total }) => money((sum += cents(total)))),
    bars: countries.sort((a, b) => b[1] - a[1] || (a[0] < b[0] ? -1 : 1)).slice(0, COUNTRIES_SHOWN).map(([name, amount]) => [name, money(amount)]),
  };
}

const is = (tab, state) => tab.page.locator(`#state[data-is=${state}]`).waitFor();

export async function live(browser) {
  copyOf('chinook');
  const folder = copyOf('live');
  const [plain, wire] = [await Wire.laid(), await Wire.laid()];
  const pages = [await pageFor(folder, plain.url), await pageFor(folder, wire.url)];
  const server = await Server.started(folder, pages, [plain, wire]);
  const headers = { ...bearer(tokenOf(folder, { roles: ['admin'] })), 'content-type': 'application/json' };
  const context = await browser.newContext();
  const [till, board] = [await tabOf(context, pages[0]), await tabOf(context, pages[1])];

  const send = async (method, path, body) => {
    const answer = await fetch(`${server.url}/v1/invoices${path}`, { method, headers, body: body && JSON.stringify(body) });
    assert.ok(answer.ok, `${method} answers ${answer.status}`);
    return method === 'DELETE' ? undefined : answer.json();
  };
  const sold = (total, billing_country = 'Norway') => send('POST', '', { customer_id: 4, billing_country, total });

  /** Waits until the tabs show what the server has, and nothing else. */
  const agree = async (...tabs) => {
    const wanted = await summed(server.url, headers);
    for (const tab of tabs) {
      const hasAll = ([takings, sales]) => document.getElementById('takings').textContent === takings && document.getElementById('sales').textContent === sales;
      await tab.page.waitForFunction(hasAll, [wanted.takings, wanted.sales]).catch(() => {});
      assert.deepEqual(await shown(tab), wanted);
    }
    return wanted;
  };

  await check('both tabs show what the server sums up (live)', async () => {
    for (const tab of [till, board]) await is(tab, 'live');
    const { takings, sales, line, bars } = await agree(till, board);
    assert.deepEqual([takings, sales, line.length, bars.length], ['$2,328.60', '412', ROWS_SHOWN, COUNTRIES_SHOWN]);
    await picture(board, 'live-desk');
  });

  await check('a sale in either tab moves the plots of both (live)', async () => {
    for (const [tab, count] of [[till, '413'], [board, '414']]) {
      await tab.page.click('#sell');
      for (const each of [till, board]) await each.page.locator('#sales', { hasText: count }).waitFor();
      await agree(till, board);
    }
  });

  await check('a country overtakes another (live)', async () => {
    await sold('600.00', 'Norway');
    const { bars } = await agree(till, board);
    assert.equal(bars[0][0], 'Norway');
  });

  await check('a tab without network misses no sale and counts none twice (live)', async () => {
    wire.cut();
    await is(board, 'lost');
    await picture(board, 'live-lost');
    for (let at = 0; at < 25; at += 1) await sold(`${at}.99`, at % 2 ? 'Norway' : 'Chile');
    await agree(till);
    assert.notDeepEqual(await shown(board), await shown(till));
    wire.mend();
    await is(board, 'live');
    await agree(till, board);
  });

  await check('sales go on while the network comes and goes (live)', async () => {
    const selling = new AbortController();
    const sales = (async () => {
      for (let at = 0; !selling.signal.aborted; at += 1) await sold(`${at % 20}.49`, ['USA', 'Canada', 'Brazil'][at % 3]);
    })();
    try {
      for (let cut = 0; cut < 3; cut += 1) {
        wire.cut();
        await is(board, 'lost');
        wire.mend();
        await is(board, 'live');
      }
    } finally {
      selling.abort();
      await sales;
    }
    await agree(till, board);
  });

  await check('the server ends and is started again (live)', async () => {
    await server.again();
    await sold('3.99');
    await agree(till, board);
  });

  await check('of all this the totals were asked once (live)', async () => {
    for (const tab of [till, board]) assert.equal(tab.lists('invoicesAggregate'), 1);
  });

  for (const [what, told] of [['questions', 'that was lost on its way is made'], ['answers', 'whose answer was lost is made once']]) {
    await check(`a sale ${told} (live)`, async () => {
      const before = await agree(till, board);
      const lost = wire.lose(what);
      await board.page.click('#sell');
      await lost;
      await board.page.locator('#note', { hasText: '1 to be sent' }).waitFor();
      const count = (Number(before.sales.replace(',', '')) + 1).toLocaleString('en');
      if (what === 'answers') await till.page.locator('#sales', { hasText: count }).waitFor();
      wire.cut();
      await is(board, 'lost');
      wire.mend();
      await board.page.waitForFunction(() => !document.getElementById('note').textContent);
      assert.equal((await agree(till, board)).sales, count);
    });
  }

  await check('a sale that is corrected or undone, also while away (live)', async () => {
    const [one, two] = [await sold('100.00'), await sold('200.00')];
    await send('PATCH', `/${one.id}`, { total: '1.00' });
    await agree(till, board);
    wire.cut();
    await is(board, 'lost');
    await send('PATCH', `/${one.id}`, { billing_country: 'Chile' });
    await send('DELETE', `/${two.id}`);
    wire.mend();
    await is(board, 'live');
    await agree(till, board);
  });

  await check('another log is listed anew (live)', async () => {
    await server.again({ isEmpty: true });
    assert.equal((await agree(till, board)).sales, '412');
    await board.page.click('#sell');
    await till.page.locator('#sales', { hasText: '413' }).waitFor();
    await agree(till, board);
  });

  await check('on a phone (live)', async () => {
    await board.page.setViewportSize({ width: 390, height: 844 });
    const wide = await board.page.evaluate(() => [document.documentElement, ...document.querySelectorAll('section')]
      .filter((box) => box.scrollWidth > box.clientWidth).map((box) => box.textContent.trim().slice(0, 40)));
    assert.deepEqual(wide, []);
    await picture(board, 'live-phone');
  });

  await check('no error, and nothing asked of the network (live)', async () => {
    for (const tab of [till, board]) assert.deepEqual([tab.errors, tab.strangers], [[], []]);
  });

  await context.close();
  for (const each of [plain, wire]) each.close();
}

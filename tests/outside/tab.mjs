// A tab of the browser, and what is noted of it.

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

const WAIT_MS = 20_000;

/** A tab with this page, its errors, what it asked of other machines, and what it sent. */
export async function tabOf(context, address) {
  const page = await context.newPage();
  page.setDefaultTimeout(WAIT_MS);
  const sent = [];
  const tab = { page, errors: [], strangers: [], lists: (text) => sent.filter((message) => message.includes(text)).length };
  const note = (url) => { if (!/^((http|ws):\/\/127\.0\.0\.1:|data:)/.test(url)) tab.strangers.push(url); };
  page.on('pageerror', (error) => tab.errors.push(error.message));
  page.on('request', (request) => { note(request.url()); sent.push(request.postData() ?? ''); });
  page.on('websocket', (socket) => {
    note(socket.url());
    socket.on('framesent', ({ payload }) => sent.push(String(payload)));
  });
  await page.goto(address);
  return tab;
}

/** A picture of the tab as it is, for who wants to look: in the folder that `PICTURES` names. */
export async function picture(tab, name) {
  if (!process.env.PICTURES) return;
  mkdirSync(process.env.PICTURES, { recursive: true });
  await tab.page.screenshot({ path: join(process.env.PICTURES, `${name}.png`), animations: 'disabled' });
}

// The examples with a page, in a real browser: two tabs, one of which loses its network for a while.

import { launch } from './chromium.mjs';
import { chat } from './examples_chat.mjs';
import { live } from './examples_live.mjs';
import { endAll, prepare } from './stage.mjs';

const only = process.argv.slice(2);
const browser = await launch('examples');
prepare();
try {
  for (const example of [chat, live].filter(({ name }) => !only.length || only.includes(name))) await example(browser);
} finally {
  await browser.close();
  await endAll();
}

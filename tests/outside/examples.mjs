// The examples with a page, in a real browser: two tabs, one of which loses its network for a while.

import { launch } from './chromium.mjs';
import { chat } from './examples_chat.mjs';
import { endAll, prepare } from './stage.mjs';

const browser = await launch('examples');
prepare();
try {
  for (const example of [chat]) await example(browser);
} finally {
  await browser.close();
  await endAll();
}

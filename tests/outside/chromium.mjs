// The browser of the suites, headless. Where there is none they are skipped, and say so.

import { existsSync } from 'node:fs';
import { chromium } from 'playwright-core';

const FLAGS = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];
const BROWSERS = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome', '/opt/google/chrome/chrome'];

/** The browser, started; without one the process ends with a line that says so. */
export async function launch(suite) {
  const executablePath = [process.env.CHROMIUM, ...BROWSERS].find((path) => path && existsSync(path));
  if (executablePath) return chromium.launch({ executablePath, args: FLAGS });
  console.log(`skip ${suite}: no Chromium; install it, or say where it is by CHROMIUM=PATH`);
  process.exit(0);
}

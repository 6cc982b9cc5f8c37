// Starts Chromium as the tests want it: without a window, and without words to its maker.
// CHROMIUM names the browser, by default /usr/bin/chromium.
import { chromium } from 'playwright-core';

export const launch = (...more) => chromium.launch({
  executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync', ...more],
});

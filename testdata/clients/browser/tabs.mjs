// Clients in the tabs of one real browser. Each is opened, and told what to do, by lines of JSON
// on stdin that name its tab; what it tells on stdout carries the name, too. The words are those of the
// clients in Node, see ../README.md; four are for the browser alone:
//
//   {"tab":"1","cmd":"open","library":"node9","url":"...","transport":"...","ack":true,"page":"http://localhost:8080","jar":"1","reload":true}
//   {"tab":"1","cmd":"leave"}     for an empty page; CometD's reload extension keeps the session
//   {"tab":"1","cmd":"return","channels":["/chat"]}
//   {"tab":"1","cmd":"close"}
//
// reload registers CometD's extension of that name. library is the directory of the client beside this one; page is the origin of its page, by default
// that of the URL; tabs that name the same jar have their cookies in common, the others each their own. The page and its scripts are given to the browser by this program, in the name of that
// origin; once they are there nothing stands between the browser and the server any more.
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { launch } from './chromium.mjs';

const scripts = {
  cometd: (library) => `<script type="module">
    import * as library from '/tab/${library}/node_modules/cometd/cometd.js';
    window.library = library;
  </script><script src="/tab/cometd.cjs"></script>`,
  umd: (library) => `<script src="/tab/${library}/node_modules/cometd/cometd.js"></script>
    <script src="/tab/${library}/node_modules/cometd/AckExtension.js"></script>
    <script src="/tab/${library}/node_modules/cometd/BinaryExtension.js"></script>
    <script src="/tab/${library}/node_modules/cometd/ReloadExtension.js"></script>
    <script>window.library = org.cometd;</script><script src="/tab/cometd.cjs"></script>`,
  faye: () => `<script src="/tab/faye/node_modules/faye/client/faye-browser-min.js"></script>
    <script>window.library = Faye;</script><script src="/tab/faye.cjs"></script>`,
};
const kinds = { node5: 'umd', node7: 'umd', node8: 'cometd', node9: 'cometd', faye: 'faye' };

// tell prints one event of a tab.
function tell(tab, event, fields) {
  process.stdout.write(JSON.stringify({ tab, event, at: Date.now(), ...fields }) + '\n');
}

// serve answers for the page's origin: the page, and what lies in the directory above this one.
async function serve(route, library) {
  const path = new URL(route.request().url()).pathname.replace(/^\/tab\//, '');
  if (path === '') {
    const html = `<!doctype html><head><link rel="icon" href="data:,"></head><script>var module = {};</script>${scripts[kinds[library]](library)}`;
    return route.fulfill({ contentType: 'text/html', body: html });
  }
  const body = await readFile(fileURLToPath(new URL('../' + path, import.meta.url)));
  return route.fulfill({ contentType: 'text/javascript', body });
}

const jars = new Map(); // name: a promise of the browser context that has the cookies

// open makes a tab and starts its client.
async function open(browser, c) {
  const jar = c.jar || c.tab;
  if (!jars.has(jar)) jars.set(jar, browser.newContext());
  const page = await (await jars.get(jar)).newPage();
  page.on('pageerror', (error) => tell(c.tab, 'pageerror', { error: String(error) }));
  page.on('console', (message) => process.stderr.write(`${c.tab}: ${message.text()}\n`));
  await page.exposeFunction('tell', (event, fields) => tell(c.tab, event, fields));
  const tab = { page, options: c };
  await load(tab);
  return tab;
}

// load brings the page of a client, and starts it.
async function load({ page, options }) {
  const origin = options.page || new URL(options.url).origin;
  await page.route(`${origin}/tab/**`, (route) => serve(route, options.library));
  await page.goto(`${origin}/tab/`);
  await page.waitForFunction(() => window.library && module.exports);
  // While anything is routed, Playwright answers preflights itself.
  await page.unrouteAll();
  await page.evaluate((c) => { window.commands = module.exports(window.library, c, window.tell); }, options);
}

// A page that came from no server counts as one from far away, to which Chromium denies what is near. Tabs of
// one jar share two processes; each of its own would cost more than its client does.
const browser = await launch('--disable-features=LocalNetworkAccessChecks', '--renderer-process-limit=2');
const tabs = new Map(); // name: a promise of the tab, which ends when all it was told is done

async function obey(tab, c) {
  switch (c.cmd) {
    case 'leave':
      await tab.page.evaluate(() => { window.commands.reload(); });
      await tab.page.goto('about:blank');
      tell(c.tab, 'left');
      break;
    case 'return':
      tab.options.channels = c.channels;
      await load(tab);
      break;
    case 'close':
      await tab.page.close();
      break;
    default:
      await tab.page.evaluate((command) => { window.commands[command.cmd](command); }, c);
  }
  return tab;
}

for await (const line of createInterface({ input: process.stdin })) {
  const c = JSON.parse(line);
  const next = c.cmd === 'open' ? open(browser, c) : tabs.get(c.tab).then((tab) => obey(tab, c));
  tabs.set(c.tab, next);
  next.catch((error) => tell(c.tab, 'pageerror', { error: String(error) }));
}
await browser.close();

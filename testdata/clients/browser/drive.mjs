// Drives the demo's page in a real browser, as a person would: by its buttons
// and its text. Prints one line of JSON per step, so that a failure tells how
// far it came; ends with status 1 on the first thing that is not so.
//
//   node drive.mjs BASE-URL websocket|long-polling [FOLDER FOR SCREENSHOTS]
import { join } from 'node:path';
import { launch } from './chromium.mjs';

const [base, transport, shots] = process.argv.slice(2);
const patience = 20_000;

const browser = await launch();

function step(name, facts = {}) {
  console.log(JSON.stringify({ step: name, ...facts }));
}

function must(condition, what) {
  if (!condition) throw new Error(what);
}

// Tab is one page in a browser context of its own: own cookies, own session.
class Tab {
  static async open(name, url) {
    const context = await browser.newContext({ viewport: { width: 1000, height: 900 } });
    const tab = new Tab();
    tab.name = name;
    tab.page = await context.newPage();
    tab.problems = [];
    tab.foreign = [];
    tab.page.on('pageerror', (error) => tab.problems.push(String(error)));
    const known = new Set(['localhost', '127.0.0.1']);
    tab.page.on('request', (request) => {
      if (!known.has(new URL(request.url()).hostname)) tab.foreign.push(request.url());
    });
    await tab.page.goto(url);
    await tab.page.fill('#who', name);
    await tab.until(() => document.getElementById('state').textContent === 'connected', 'connected');
    await tab.until(() => /^comet-/.test(document.getElementById('holder').textContent), 'held by a comet');
    return tab;
  }

  until(condition, what, arg) {
    return this.page.waitForFunction(condition, arg, { timeout: patience, polling: 25 })
      .catch((error) => { throw new Error(`${this.name}: never ${what}: ${error.message}`); });
  }

  holder() { return this.page.textContent('#holder'); }
  async handshakes() { return Number(await this.page.textContent('#handshakes')); }

  async say(text) {
    await this.page.fill('#text', text);
    await this.page.click('#say button');
  }

  // hears waits for a message, then makes sure that it stands there once.
  async hears(text) {
    await this.until((wanted) => document.getElementById('chat').textContent.includes(wanted), `hears ${text}`, text);
    const lines = await this.page.$$eval('#chat li', (items) => items.map((item) => item.textContent));
    must(lines.filter((line) => line.includes(text)).length === 1, `${this.name}: ${text} is there ${lines}`);
  }

  // move clicks the button and waits for another comet.
  async move() {
    const from = await this.holder();
    const handshakes = await this.handshakes();
    await this.page.click('#move');
    await this.until((n) => Number(document.getElementById('handshakes').textContent) > n, 'handshakes to move', handshakes);
    await this.until((old) => /^comet-/.test(document.getElementById('holder').textContent) &&
      document.getElementById('holder').textContent !== old, 'moved', from);
    await this.until(() => document.getElementById('state').textContent === 'connected', 'connected after the move');
    return { from, to: await this.holder() };
  }

  cometState(name, state) {
    return this.until(([n, s]) => [...document.querySelectorAll('#comets tr')]
      .some((row) => row.dataset.name === n && row.cells[1].textContent === s), `sees ${name} ${state}`, [name, state]);
  }

  async shot(name) {
    if (shots) await this.page.screenshot({ path: join(shots, `${transport}-${name}.png`), fullPage: true });
  }
}

async function chat(tabs, word) {
  for (const tab of tabs) {
    await tab.say(`${word} from ${tab.name}`);
    for (const other of tabs) await other.hears(`${word} from ${tab.name}`);
  }
}

try {
  const url = `${base}/?transport=${transport}`;
  const anna = await Tab.open('anna', url);
  const ben = await Tab.open('ben', url);
  if (await anna.holder() === await ben.holder()) await ben.move();
  must(await anna.holder() !== await ben.holder(), 'two tabs on one comet');
  step('two comets', { anna: await anna.holder(), ben: await ben.holder() });

  await ben.until(() => document.getElementById('state').textContent === 'connected', 'connected');
  await chat([anna, ben], 'first');
  await anna.shot('1-chat');
  step('chat');

  const moved = await ben.move();
  await chat([anna, ben], 'moved');
  step('moved', moved);
  // A stop is for the comet of one tab: where the move led to the other's, that one makes room.
  if (await anna.holder() === await ben.holder()) {
    await anna.move();
    must(await anna.holder() !== await ben.holder(), 'the move of anna led nowhere');
  }

  const dead = await ben.holder();
  const handshakes = await ben.handshakes();
  await anna.page.click(`#comets tr[data-name="${dead}"] button`);
  const from = Date.now();
  await ben.until((n) => Number(document.getElementById('handshakes').textContent) > n, 'handshakes again', handshakes);
  await ben.until((old) => /^comet-/.test(document.getElementById('holder').textContent) &&
    document.getElementById('holder').textContent !== old, 'held by another comet', dead);
  step('stopped', { comet: dead, now: await ben.holder(), millis: Date.now() - from });
  must(await ben.handshakes() === handshakes + 1, 'ben shook hands more than once');
  await anna.cometState(dead, 'down');
  await ben.until(() => document.getElementById('state').textContent === 'connected', 'connected');
  await chat([anna, ben], 'second');
  await ben.shot('2-after-the-kill');

  await anna.page.click(`#comets tr[data-name="${dead}"] button`);
  await anna.cometState(dead, 'healthy');
  await anna.shot('3-started-again');
  step('started again', { comet: dead });

  // The same page from another origin: localhost is not 127.0.0.1.
  const other = new URL(base);
  const cometd = `${base}/cometd`;
  other.hostname = other.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
  const cora = await Tab.open('cora', `${other.origin}/?transport=${transport}&cometd=${encodeURIComponent(cometd)}`);
  await chat([anna, ben, cora], 'third');
  await cora.shot('4-cross-origin');
  step('cross-origin', { page: other.origin, cometd });

  for (const tab of [anna, ben, cora]) {
    must(tab.problems.length === 0, `${tab.name}: ${tab.problems}`);
    must(tab.foreign.length === 0, `${tab.name} asked elsewhere: ${tab.foreign}`);
  }
  step('done');
} catch (error) {
  console.log(JSON.stringify({ failed: error.message }));
  process.exitCode = 1;
} finally {
  await browser.close();
}

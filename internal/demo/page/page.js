'use strict';

const $ = (id) => document.getElementById(id);
const channel = '/chat/demo';
// Another origin's balancer can be named: /?cometd=http://127.0.0.1:8080/cometd
const url = new URLSearchParams(location.search).get('cometd') || '/cometd';
const base = new URL('/', new URL(url, location.href));

let client = null;
let handshakes = 0;
let comets = [];

function line(list, ...parts) {
  const item = document.createElement('li');
  item.append(...parts);
  list.append(item);
  while (list.children.length > 200) list.firstChild.remove();
  list.scrollTop = list.scrollHeight;
}

function log(text) {
  line($('log'), `${new Date().toLocaleTimeString()}  ${text}`);
}

// A clientId begins with the tag of the comet that made it.
function holder() {
  const id = client && client.clientId;
  return id ? comets.find((comet) => comet.tag && id.startsWith(comet.tag)) : undefined;
}

function showHolder() {
  const comet = holder();
  $('holder').textContent = comet ? comet.name : client && client.clientId ? 'a comet that is gone' : 'nobody yet';
}

function show(state) {
  if ($('state').textContent === state) return;
  $('state').textContent = state;
  log(state);
}

function start() {
  client = new Bayeux(url, $('transport').value, {
    state: show,
    async handshake() {
      $('handshakes').textContent = ++handshakes;
      const reply = client.subscribe(channel); // subscriptions die with a session: ask anew
      if (!holder()) await refresh();
      const comet = holder();
      log(`handshake with ${comet ? comet.name : 'a comet'}`);
      showHolder();
      if (!(await reply).successful) log('the subscription was refused');
    },
    message(_, data) {
      const from = document.createElement('small');
      from.textContent = ` ${data.comet ? 'via ' + data.comet : ''}`;
      const name = document.createElement('strong');
      name.textContent = `${data.user}: `;
      line($('chat'), name, String(data.text), from);
    },
  });
}

async function refresh() {
  try {
    const response = await fetch(new URL('demo/comets', base), { credentials: 'include' });
    comets = await response.json();
  } catch {
    comets = [];
  }
  const mine = holder();
  const body = $('comets');
  comets.forEach((comet, at) => {
    let row = body.children[at];
    if (!row) {
      row = body.insertRow();
      for (let i = 0; i < 4; i++) row.insertCell();
      const button = document.createElement('button');
      button.type = 'button';
      button.onclick = () => command(`demo/comets/${row.dataset.name}/${row.dataset.next}`);
      row.cells[3].append(button);
    }
    row.dataset.name = comet.name;
    row.dataset.next = comet.running ? 'stop' : 'start';
    row.className = comet === mine ? 'mine' : '';
    row.cells[0].textContent = comet.name;
    row.cells[1].textContent = comet.state;
    row.cells[1].className = comet.state === 'healthy' ? 'up' : 'down';
    row.cells[2].textContent = comet.sessions;
    const button = row.cells[3].firstChild;
    button.textContent = comet.running ? 'Stop' : 'Start';
    button.setAttribute('aria-label', `${button.textContent} ${comet.name}`);
  });
  showHolder();
}

async function command(path) {
  const response = await fetch(new URL(path, base), { method: 'POST', credentials: 'include' });
  if (!response.ok) log(`${path}: ${await response.text()}`);
  await refresh();
  return response.ok;
}

async function restart() {
  const old = client;
  client = null;
  if (old) await old.stop();
  start();
}

$('move').onclick = async () => {
  const mine = holder();
  if (await command(`demo/move?from=${encodeURIComponent(mine ? mine.name : '')}`)) await restart();
};
$('transport').onchange = restart;
$('say').onsubmit = async (event) => {
  event.preventDefault();
  const text = $('text').value.trim();
  if (!text || !client) return;
  $('text').value = '';
  const comet = holder();
  try {
    const reply = await client.publish(channel, { user: $('who').value || 'somebody', text, comet: comet && comet.name });
    if (!reply.successful) log(`not sent: ${reply.error}`);
  } catch (failure) {
    log(`not sent: ${failure.message}`);
  }
};

$('who').value = `guest-${Math.random().toString(36).slice(2, 6)}`;
$('transport').value = new URLSearchParams(location.search).get('transport') || 'websocket';
refresh().then(start);
setInterval(refresh, 1000);

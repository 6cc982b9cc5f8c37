// A Bayeux client in one small file, over WebSocket or long-polling. It does
// what the demo page needs: handshake, connect loop, subscribe, publish, and
// the advice of the server. Real applications use CometD's client.
'use strict';

class Bayeux {
  // on: {message(channel, data), handshake(clientId), state(text)}
  constructor(url, transport, on) {
    this.url = new URL(url, location.href).href;
    this.transport = transport;
    this.on = on;
    this.nextId = 1;
    this.waiting = new Map(); // id → function that takes the reply
    this.stopped = false;
    this.socket = null;
    this.clientId = null;
    this.run();
  }

  // run lives as long as the client: handshake, then connect after connect.
  async run() {
    let pause = 0;
    let action = 'handshake';
    while (!this.stopped) {
      await new Promise((resolve) => setTimeout(resolve, pause));
      if (this.stopped) return;
      try {
        const reply = action === 'handshake' ? await this.handshake() : await this.connect();
        if (this.stopped) return; // the last word of a client that was replaced
        const advice = reply.advice || {};
        pause = advice.interval || 0;
        if (advice.reconnect === 'none') return this.on.state('refused');
        if (reply.successful) {
          if (action === 'connect') this.on.state('connected');
          action = 'connect';
        } else {
          action = advice.reconnect === 'handshake' ? 'handshake' : action;
          this.on.state(reply.error || 'refused');
          if (advice.reconnect !== 'handshake') pause += 1000;
        }
      } catch (failure) {
        if (this.stopped) return;
        this.on.state(failure.message || 'connection lost');
        this.connected = false;
        pause = 1000;
      }
    }
  }

  async handshake() {
    this.clientId = null;
    this.connected = false;
    const reply = await this.request({
      channel: '/meta/handshake', version: '1.0', supportedConnectionTypes: [this.transport],
    });
    if (reply.successful) {
      this.clientId = reply.clientId;
      this.on.handshake(reply.clientId);
    }
    return reply;
  }

  async connect() {
    const message = { channel: '/meta/connect', clientId: this.clientId, connectionType: this.transport };
    if (!this.connected) message.advice = { timeout: 0 };
    const reply = await this.request(message);
    this.connected = reply.successful === true;
    return reply;
  }

  subscribe(channel) {
    return this.request({ channel: '/meta/subscribe', clientId: this.clientId, subscription: channel });
  }

  publish(channel, data) {
    return this.request({ channel, clientId: this.clientId, data });
  }

  // stop says goodbye, so that the comet forgets the session at once.
  async stop() {
    this.stopped = true;
    if (this.clientId) {
      const goodbye = this.request({ channel: '/meta/disconnect', clientId: this.clientId }).catch(() => {});
      await Promise.race([goodbye, new Promise((resolve) => setTimeout(resolve, 1000))]);
    }
    if (this.socket) this.socket.close(1000);
  }

  request(message) {
    message.id = String(this.nextId++);
    return new Promise((resolve, reject) => {
      this.waiting.set(message.id, { resolve, reject });
      const send = this.transport === 'websocket' ? this.sendFrame(message) : this.post(message);
      send.catch((failure) => { this.waiting.delete(message.id); reject(failure); });
    });
  }

  async sendFrame(message) {
    if (!this.socket) {
      const socket = this.socket = new WebSocket(this.url.replace(/^http/, 'ws'));
      this.opened = new Promise((resolve, reject) => {
        socket.onopen = resolve;
        socket.onerror = () => reject(new Error('the socket did not open'));
      });
      socket.onmessage = (event) => this.receive(JSON.parse(event.data));
      socket.onclose = (event) => this.lost(socket, `the socket closed (${event.code})`);
    }
    const socket = this.socket;
    await this.opened;
    socket.send(JSON.stringify([message]));
  }

  async post(message) {
    const response = await fetch(this.url, {
      method: 'POST', credentials: 'include',
      headers: { 'Content-Type': 'application/json;charset=UTF-8' }, body: JSON.stringify([message]),
    });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    this.receive(await response.json());
    if (this.waiting.has(message.id)) throw new Error('no answer to the message');
  }

  receive(messages) {
    for (const message of messages) {
      const waiting = message.id && this.waiting.get(message.id);
      if (waiting) {
        this.waiting.delete(message.id);
        waiting.resolve(message);
      } else if (message.data !== undefined) {
        this.on.message(message.channel, message.data);
      }
    }
  }

  lost(socket, why) {
    if (this.socket !== socket) return;
    this.socket = null;
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    for (const { reject } of waiting) reject(new Error(why));
  }
}

'use strict';

// What the CometD clients beside this file have in common: one client a process, told what to do by
// lines of JSON on stdin, telling what happens by lines of JSON on stdout. README.md has the words.

const net = require('node:net');
const readline = require('node:readline');
const {parseArgs} = require('node:util');

function emit(event, fields) {
    process.stdout.write(JSON.stringify({event, at: Date.now(), ...fields}) + '\n');
}

// CometD logs to the console; stdout belongs to the conversation.
for (const level of ['log', 'debug', 'info', 'warn', 'error']) {
    console[level] = (...args) => process.stderr.write(args.map(String).join(' ') + '\n');
}

// Every connection of this process leaves from the given address, whichever library opens it, and
// tells where it did leave from.
function bind(localAddress) {
    const connect = net.Socket.prototype.connect;
    net.Socket.prototype.connect = function (...args) {
        const options = Array.isArray(args[0]) ? args[0][0] : args[0];
        if (options && typeof options === 'object' && options.port) {
            options.localAddress = localAddress;
            this.once('connect', () => emit('socket', {local: this.localAddress}));
        }
        return connect.apply(this, args);
    };
}

function options() {
    const {values} = parseArgs({options: {
        url: {type: 'string'},
        transport: {type: 'string', default: 'websocket'},
        localAddress: {type: 'string'},
        logLevel: {type: 'string', default: 'warn'},
    }});
    if (values.localAddress) {
        bind(values.localAddress);
    }
    return values;
}

function reason(reply) {
    if (reply.error) {
        return reply.error;
    }
    const f = reply.failure;
    if (!f) {
        return undefined;
    }
    return [f.reason, f.httpCode && 'HTTP ' + f.httpCode, f.websocketCode && 'WebSocket ' + f.websocketCode,
        f.exception && String(f.exception)].filter(Boolean).join(', ') || 'failed';
}

function run(CometD, opts) {
    const cometd = new CometD();
    cometd.unregisterTransport('callback-polling');
    if (opts.transport === 'long-polling') {
        cometd.unregisterTransport('websocket');
    }
    cometd.configure({url: opts.url, logLevel: opts.logLevel});

    const channels = new Set();
    const subscriptions = new Map(); // channel: CometD's handle, which unsubscribe wants
    const strays = new Map(); // channel: a listener for what comes though it was unsubscribed
    let handshaken = false;
    let connected = false;

    function hear(message) {
        emit('message', {channel: message.channel, data: message.data});
    }

    function subscribe(channel) {
        if (strays.has(channel)) {
            cometd.removeListener(strays.get(channel));
            strays.delete(channel);
        }
        subscriptions.set(channel, cometd.subscribe(channel, hear,
            reply => emit('subscribed', {channel, ok: !!reply.successful, error: reason(reply)})));
    }

    // As CometD's manual has it: what the application wants is subscribed here, after every handshake.
    cometd.addListener('/meta/handshake', reply => {
        handshaken = !!reply.successful;
        emit('handshake', {ok: handshaken, clientId: reply.clientId, error: reason(reply),
            transport: transport(), advice: reply.advice});
        if (handshaken) {
            cometd.batch(() => channels.forEach(subscribe));
        }
    });

    cometd.addListener('/meta/connect', reply => {
        if (cometd.isDisconnected()) {
            return;
        }
        const now = !!reply.successful;
        if (now !== connected || !now) {
            connected = now;
            emit(now ? 'connected' : 'broken', {clientId: cometd.getClientId(), transport: transport(),
                error: reason(reply), advice: reply.advice});
        }
    });

    cometd.addListener('/meta/unsuccessful', reply => {
        if (reply.channel !== '/meta/connect' && reply.channel !== '/meta/handshake') {
            emit('unsuccessful', {channel: reply.channel, error: reason(reply)});
        }
    });

    function transport() {
        const t = cometd.getTransport();
        return t ? t.type || t.getType() : undefined;
    }

    const commands = {
        subscribe(c) {
            channels.add(c.channel);
            if (handshaken) {
                subscribe(c.channel);
            }
        },
        unsubscribe(c) {
            channels.delete(c.channel);
            cometd.unsubscribe(subscriptions.get(c.channel),
                reply => emit('unsubscribed', {channel: c.channel, ok: !!reply.successful, error: reason(reply)}));
            // CometD passes over what comes for nobody; a test wants to see it. Not before the unsubscribe:
            // that is sent only when nobody else listens.
            strays.set(c.channel, cometd.addListener(c.channel, hear));
        },
        publish(c) {
            cometd.publish(c.channel, c.data, reply => emit('published', {
                ref: c.ref, ok: !!reply.successful, error: reason(reply),
            }));
        },
        state() {
            emit('state', {status: cometd.getStatus(), clientId: cometd.getClientId(), transport: transport()});
        },
        disconnect() {
            cometd.disconnect(reply => {
                emit('disconnected', {ok: !!reply.successful});
                process.exit(0);
            });
        },
    };

    readline.createInterface({input: process.stdin}).on('line', line => {
        const c = JSON.parse(line);
        commands[c.cmd](c);
    }).on('close', () => process.exit(0));

    cometd.handshake();
}

module.exports = {options, run};

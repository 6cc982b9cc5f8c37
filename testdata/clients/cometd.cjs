'use strict';

// Drives one client of CometD's JavaScript library, any version, in Node or in a page. library has
// its classes CometD, AckExtension and BinaryExtension; emit(event, fields) tells what happens; the commands are
// returned. README.md has the words.

module.exports = function (library, opts, emit) {
    const cometd = new library.CometD();
    // CometD's own order is WebSocket, long-polling, callback-polling; the last wants a page.
    const skipped = {
        'websocket': ['callback-polling'],
        'long-polling': ['callback-polling', 'websocket'],
        'callback-polling': ['long-polling', 'websocket'],
    };
    for (const name of skipped[opts.transport]) {
        cometd.unregisterTransport(name);
    }
    if (opts.ack) {
        cometd.registerExtension('ack', new library.AckExtension());
    }
    cometd.registerExtension('binary', new library.BinaryExtension());
    if (opts.reload) {
        cometd.registerExtension('reload', new library.ReloadExtension());
    }
    cometd.configure({url: opts.url, logLevel: opts.logLevel || 'warn'});

    const channels = new Set(opts.channels);
    const subscriptions = new Map(); // channel: CometD's handle, which unsubscribe wants
    const strays = new Map(); // channel: a listener for what comes though it was unsubscribed
    let handshaken = false;
    let connected = false;

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

    function transport() {
        const t = cometd.getTransport();
        return t ? t.type || t.getType() : undefined;
    }

    function hear(message) {
        let data = message.data;
        if (data && data.data instanceof ArrayBuffer) {
            data = {bytes: Array.from(new Uint8Array(data.data))};
        }
        emit('message', {channel: message.channel, data});
    }

    function subscribe(channel) {
        if (strays.has(channel)) {
            cometd.removeListener(strays.get(channel));
            strays.delete(channel);
        }
        subscriptions.set(channel, cometd.subscribe(channel, hear,
            reply => emit('subscribed', {channel, ok: !!reply.successful, error: reason(reply)})));
    }

    function publish(c) {
        const published = reply => emit('published', {ref: c.ref, ok: !!reply.successful, error: reason(reply)});
        if (c.bytes) {
            cometd.publishBinary(c.channel, Uint8Array.from(c.bytes), published);
        } else {
            cometd.publish(c.channel, c.data, published);
        }
    }

    // As CometD's manual has it: what the application wants is subscribed here, after every handshake.
    cometd.addListener('/meta/handshake', reply => {
        handshaken = !!reply.successful;
        emit('handshake', {ok: handshaken, clientId: reply.clientId, error: reason(reply),
            transport: transport(), advice: reply.advice, ext: reply.ext});
        if (handshaken) {
            cometd.batch(() => channels.forEach(subscribe));
        }
    });

    cometd.addListener('/meta/connect', reply => {
        if (cometd.isDisconnected()) {
            return;
        }
        if (reply.advice && reply.advice['multiple-clients']) {
            emit('crowded', {advice: reply.advice});
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

    cometd.handshake();

    return {
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
        publish,
        call(c) {
            cometd.remoteCall(c.channel, c.data, c.timeout,
                reply => emit('called', {ref: c.ref, ok: !!reply.successful, data: reply.data, error: reason(reply)}));
        },
        batch(c) {
            cometd.batch(() => c.messages.forEach(publish));
        },
        // Keeps the session for the page that comes next in this tab.
        reload() {
            cometd.reload();
        },
        state() {
            emit('state', {status: cometd.getStatus(), clientId: cometd.getClientId(), transport: transport()});
        },
        disconnect() {
            cometd.disconnect(reply => emit('disconnected', {ok: !!reply.successful}));
        },
    };
};

'use strict';

// Drives one client of Faye, in Node or in a page, as cometd.cjs drives CometD's. library is Faye.
// Faye says little to an application; what it does not say is read by an extension, which
// Faye's manual offers for that.

module.exports = function (library, opts, emit) {
    // Faye waits five seconds before it tries again, unless the application says otherwise.
    const client = new library.Client(opts.url, {retry: 0.5});
    const order = ['websocket', 'long-polling', 'callback-polling'];
    for (const name of order.slice(0, order.indexOf(opts.transport))) {
        client.disable(name);
    }
    const subscriptions = new Map(); // channel: Faye's handle
    const strays = new Set(); // channels that were unsubscribed
    let connected = false;

    function transport() {
        return client._dispatcher.connectionType;
    }

    function down(error, advice) {
        connected = false;
        emit('broken', {clientId: client._dispatcher.clientId, transport: transport(), error, advice});
    }

    const meta = {
        '/meta/handshake'(reply) {
            emit('handshake', {ok: !!reply.successful, clientId: reply.clientId, error: reply.error,
                advice: reply.advice, ext: reply.ext});
        },
        '/meta/connect'(reply) {
            if (!reply.successful) {
                down(reply.error, reply.advice);
            } else if (!connected) {
                connected = true;
                emit('connected', {clientId: reply.clientId, transport: transport(), advice: reply.advice});
            }
        },
        '/meta/subscribe'(reply) {
            emit('subscribed', {channel: reply.subscription, ok: !!reply.successful, error: reply.error});
        },
        '/meta/unsubscribe'(reply) {
            emit('unsubscribed', {channel: reply.subscription, ok: !!reply.successful, error: reply.error});
        },
    };

    client.addExtension({incoming(message, callback) {
        if (message.successful !== undefined) {
            meta[message.channel]?.(message);
        } else if (strays.has(message.channel)) {
            emit('message', {channel: message.channel, data: message.data});
        }
        callback(message);
    }});

    client.on('transport:down', () => down('transport down'));

    client.connect();

    function publish(c) {
        client.publish(c.channel, c.data).then(
            () => emit('published', {ref: c.ref, ok: true}),
            error => emit('published', {ref: c.ref, ok: false, error: String(error)}));
    }

    return {
        subscribe(c) {
            strays.delete(c.channel);
            subscriptions.set(c.channel, client.subscribe(c.channel).withChannel(
                (channel, data) => emit('message', {channel, data})));
        },
        unsubscribe(c) {
            subscriptions.get(c.channel).cancel();
            strays.add(c.channel);
        },
        publish,
        // Faye has no batches to ask for: what is said in one go leaves as one over HTTP.
        batch(c) {
            c.messages.forEach(publish);
        },
        state() {
            emit('state', {clientId: client._dispatcher.clientId, transport: transport()});
        },
        disconnect() {
            client.disconnect().then(() => emit('disconnected', {ok: true}),
                () => emit('disconnected', {ok: false}));
        },
    };
};

'use strict';

// One reference server, alone at /cometd of an HTTP server: cometd-nodejs-server with its extension for
// acknowledged messages, or Faye. It prints one line of JSON when it listens, and stops when stdin ends.
// --timeout is for how many milliseconds it holds a /meta/connect; everything else is as it comes.

const http = require('node:http');
const {parseArgs} = require('node:util');

const {values} = parseArgs({options: {
    server: {type: 'string'},
    listen: {type: 'string', default: '127.0.0.1:0'},
    timeout: {type: 'string', default: '5000'},
}});
const [host, port] = values.listen.split(':');
const timeout = Number(values.timeout);

const start = {
    cometd: server => {
        const cometd = require('cometd-nodejs-server');
        const {AcknowledgedMessagesExtension} = require('cometd-nodejs-server/ack-extension');
        const bayeux = cometd.createCometDServer({timeout});
        bayeux.addExtension(new AcknowledgedMessagesExtension());
        server.on('request', (request, response) => bayeux.handle(request, response));
    },
    faye: server => {
        const faye = require('faye');
        new faye.NodeAdapter({mount: '/cometd', timeout: timeout / 1000}).attach(server);
    },
}[values.server];
if (!start) {
    process.stderr.write('--server is cometd or faye\n');
    process.exit(2);
}

const server = http.createServer();
start(server);
server.listen(Number(port), host, () => {
    process.stdout.write(JSON.stringify({event: 'ready', url: 'http://' + host + ':' + server.address().port}) + '\n');
});

process.stdin.resume().on('close', () => process.exit(0)).on('end', () => process.exit(0));

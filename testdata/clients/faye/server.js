'use strict';

// Faye's server, unchanged, at /bayeux. It prints one line of JSON when it listens, and stops when
// stdin ends.

const http = require('node:http');
const {parseArgs} = require('node:util');
const faye = require('faye');

const {values} = parseArgs({options: {
    listen: {type: 'string', default: '127.0.0.1:0'},
    timeout: {type: 'string', default: '45'},
}});
const [host, port] = values.listen.split(':');

const server = http.createServer((request, response) => {
    response.statusCode = 404;
    response.end('no such page\n');
});
new faye.NodeAdapter({mount: '/bayeux', timeout: Number(values.timeout)}).attach(server);

// Many clients come at once.
server.listen({port: Number(port), host, backlog: 4096}, () => {
    process.stdout.write(JSON.stringify({event: 'ready', url: 'http://' + host + ':' + server.address().port + '/bayeux'}) + '\n');
});

process.stdin.resume().on('close', () => process.exit(0)).on('end', () => process.exit(0));

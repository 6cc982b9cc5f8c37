'use strict';

// One server of a fleet that knows nothing of Halley: cometd-nodejs-server at /cometd and a few pages
// beside it. It prints one line of JSON when it listens, and stops when stdin ends.

const http = require('node:http');
const {parseArgs} = require('node:util');
const cometd = require('cometd-nodejs-server');

const {values} = parseArgs({options: {
    listen: {type: 'string', default: '127.0.0.1:0'},
    name: {type: 'string', default: 'node'},
    timeout: {type: 'string', default: '30000'},
}});
const [host, port] = values.listen.split(':');

const bayeux = cometd.createCometDServer({timeout: Number(values.timeout)});
let handshakes = 0;
let unknown = 0;
bayeux.addListener('sessionAdded', () => handshakes++);

const pages = {
    // Which server answered.
    '/hello': (request, response) => response.end('hello from ' + values.name + '\n'),
    // The request's own body, whatever its size and method, once it is there to its end.
    '/echo': (request, response) => {
        const chunks = [];
        request.on('data', chunk => chunks.push(chunk));
        request.on('end', () => {
            response.setHeader('X-Method', request.method);
            chunks.forEach(chunk => response.write(chunk));
            response.end();
        });
    },
    // What this server itself has seen, for tests that believe nobody else.
    '/counters': (request, response) => {
        response.setHeader('Content-Type', 'application/json');
        response.end(JSON.stringify({name: values.name, handshakes, unknown}));
    },
};

const server = http.createServer((request, response) => {
    const path = request.url.split('?')[0];
    if (path === '/cometd' || path.startsWith('/cometd/')) {
        const end = response.end;
        response.end = function (chunk, ...rest) {
            if (chunk && String(chunk).includes('402::')) {
                unknown++;
            }
            return end.call(this, chunk, ...rest);
        };
        bayeux.handle(request, response);
        return;
    }
    const page = pages[path];
    if (page) {
        page(request, response);
        return;
    }
    response.statusCode = 404;
    response.end('no such page\n');
});

server.listen(Number(port), host, () => {
    process.stdout.write(JSON.stringify({event: 'ready', url: 'http://' + host + ':' + server.address().port}) + '\n');
});

process.stdin.resume().on('close', () => process.exit(0)).on('end', () => process.exit(0));

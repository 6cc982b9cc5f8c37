'use strict';

// What the Node clients beside this file have in common: one client a process, told what to do by
// lines of JSON on stdin, telling what happens by lines of JSON on stdout. README.md has the words.
// How to speak with a library is in cometd.cjs and faye.cjs, which know nothing of Node: the
// browser's tabs run them too.

const net = require('node:net');
const readline = require('node:readline');
const {parseArgs} = require('node:util');

function emit(event, fields) {
    process.stdout.write(JSON.stringify({event, at: Date.now(), ...fields}) + '\n');
}

// The libraries log to the console; stdout belongs to the conversation.
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
        ack: {type: 'boolean', default: false},
        localAddress: {type: 'string'},
        logLevel: {type: 'string', default: 'warn'},
    }});
    if (values.localAddress) {
        bind(values.localAddress);
    }
    return values;
}

// run drives one client: drive is what cometd.cjs or faye.cjs exports, library what it drives.
function run(drive, library, opts) {
    const commands = drive(library, opts, emit);
    readline.createInterface({input: process.stdin}).on('line', line => {
        const c = JSON.parse(line);
        commands[c.cmd](c);
    }).on('close', () => process.exit(0));
}

module.exports = {options, run};

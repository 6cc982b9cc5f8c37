'use strict';

const runner = require('../runner.cjs');

const options = runner.options();
require('cometd-nodejs-client').adapt();
require('cometd/AckExtension'); // each adds itself to the library
require('cometd/BinaryExtension');
runner.run(require('../cometd.cjs'), require('cometd'), options);

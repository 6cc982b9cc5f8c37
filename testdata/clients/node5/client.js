'use strict';

const runner = require('../runner.cjs');

const options = runner.options();
require('cometd-nodejs-client').adapt();
require('cometd/AckExtension'); // adds itself to the library
runner.run(require('../cometd.cjs'), require('cometd'), options);

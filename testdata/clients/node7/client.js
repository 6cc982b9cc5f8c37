'use strict';

const runner = require('../runner.cjs');

const options = runner.options();
require('cometd-nodejs-client').adapt();
runner.run(require('cometd').CometD, options);

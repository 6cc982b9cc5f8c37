'use strict';

const runner = require('../runner.cjs');

const options = runner.options();
runner.run(require('../faye.cjs'), require('faye'), options);

import {adapt} from 'cometd-nodejs-client';
import * as cometd from 'cometd';
import drive from '../cometd.cjs';
import runner from '../runner.cjs';

const options = runner.options();
adapt();
runner.run(drive, cometd, options);

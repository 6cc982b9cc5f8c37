import {adapt} from 'cometd-nodejs-client';
import {CometD} from 'cometd';
import runner from '../runner.cjs';

const options = runner.options();
adapt();
runner.run(CometD, options);

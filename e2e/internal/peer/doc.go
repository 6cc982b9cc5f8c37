// Package peer drives the clients and servers of others under testdata/clients:
// CometD's clients in JavaScript and Java, and Faye's, those in JavaScript also in the
// tabs of a browser; cometd-nodejs-server, and CometD's Java server with Oort. It
// installs what is missing, once for all test binaries (they run at the same time, so a
// lock file orders them), and skips by name what the machine cannot run.
package peer

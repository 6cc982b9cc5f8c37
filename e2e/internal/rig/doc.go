// Package rig is what proxies are measured with: clients that cost little, a backend
// that does next to nothing, and a look at what a process uses. It speaks as much HTTP
// and WebSocket as the measurements need, and takes every surprise for an error.
//
// A [Client] has many connections to one address and is used from one goroutine; all of
// its waiting is one epoll instance. Its runs are
//
//   - [Client.Closed]: each connection sends its next request when it has its answer;
//   - [Client.Open]: requests come at their own times, whatever becomes of the earlier
//     ones, and latency counts from when a request was due (no coordinated omission);
//   - [Client.Hold] and [Client.Wave]: polls that wait at the backend, and come back;
//   - [Client.Upgrade], [Client.EchoEach] and [Client.Echo]: WebSocket tunnels.
//
// Client n has an address of its own in 127.0.0.0/8, so that ports suffice.
//
// A [Backend] is one goroutine too. It answers a publish with 150 bytes, holds a
// /meta/connect until it is told to answer all that it holds, and echoes what comes in
// WebSocket frames. The program in the directory backend is nothing else.
//
// Linux only. There are no locks.
package rig

// Package handover passes listening sockets from one process to the next, so that a
// program can be restarted without refusing a connection. A socket that is passed on
// stays the same to the kernel: connections that nobody has accepted yet wait in its
// queue, whoever accepts them.
//
// There are two ways to come by sockets:
//
//   - [Activated]: a supervisor that holds them has started the process (LISTEN_PID,
//     LISTEN_FDS and LISTEN_FDNAMES, as systemd.socket(5) and sd_listen_fds(3)
//     describe them).
//   - [Ask]: the process that has them now gives them away, over a Unix socket at which
//     it offers them ([Offer]).
//
// # The protocol
//
// One line of text each, over a stream socket. N is the new process, O the old one:
//
//	N  {"version":1}
//	O  {"version":1,"sockets":[{"name":"listen","addr":"127.0.0.1:8080"}],"gossip":"10.0.0.1:7946"}
//	   with the descriptors of the sockets, in their order (SCM_RIGHTS)
//	N  yield      O is to leave the gossip, whose address both cannot have
//	O  yielded
//	N  ready      N accepts connections from now on
//	O  taken      O accepts none any more, and ends in its own time
//
// Nothing but the first two is required. Until "ready" O goes on as before. When N goes
// away before that, O takes the gossip up again. When O goes away, N goes on alone. When
// N is not ready within [Patience], O says "enough" and goes on; N is to end then.
//
// The sockets of both sides are for processes of one user, or of root: the file has mode
// 0600, and each side looks at who the other is (Linux).
//
// # Goroutines and locks
//
// [Offer.Run] is one goroutine, and has no others. There are no locks.
package handover

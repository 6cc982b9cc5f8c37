// Package park is for requests that wait, as held polls do: it notices the clients
// that go away meanwhile, which an HTTP server busy with a request does not.
//
// [New] starts nothing. [Watcher.Run] is one goroutine; it costs no thread, and a
// watched connection costs no goroutine. A Watcher has one lock, under which nobody
// is called.
//
// A client that only closed its sending half counts as gone: whether the other half
// still listens cannot be known. Only Linux is served; elsewhere nothing is noticed
// here, and that a client has gone shows when its answer is written.
package park

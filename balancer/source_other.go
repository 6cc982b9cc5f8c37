//go:build !unix

package balancer

const lazyReads = false

func (s *source) tryRead(uintptr) bool { return true }

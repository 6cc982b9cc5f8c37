//go:build !unix

package balancer

// openFilesLimit is not known here.
func openFilesLimit() int { return 0 }

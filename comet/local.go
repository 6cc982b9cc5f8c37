package comet

// LocalSession is a client in the program of the server itself.
type LocalSession struct{}

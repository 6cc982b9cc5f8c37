// Package discovery knows where the list of comets comes from: which comets are named in
// the settings of a balancer, in a file, and by the name servers. What the gossip tells is
// none of its business.
//
// A list has an entry for each comet, or for a name that stands for several:
//
//	http://host:port           one comet, likewise https
//	dns://name:port            a comet at each address (A, AAAA) of the name
//	srv://_service._proto.name a comet at each address of each target of the SRV records
//
// with dns+https and srv+https for comets that speak TLS, and after it, with blanks
// between, any of weight=N (0 to 65535), backup, and for a name ipv4 or ipv6. A file has
// one entry in a line, with comments after #, or a YAML sequence of the same texts or of
// mappings with url, weight, backup and family.
//
// [Parse] reads the entries of the settings. A [Finder] has the whole list: it looks at
// the file every second and has the names looked up again and again, and tells when the
// list may be another.
//
// # Guarantees
//
// A comet stands in [Finder.List] once, with what the first entry says that names it.
// What is new in an answer or in the file counts at once. What is missing in one answer
// stays until it is missing in the next, too. An answer that cannot be had whole, or that
// names no comet, and a file that cannot be used, change nothing. Lookups end after 5 s,
// and a name or a file has 4096 comets at most.
//
// # Goroutines and locks
//
// [New] starts none. [Finder.Run] is one, and has one that looks at the file and one for
// each name that is looked up. Finder.mu guards what the file and the names stand for;
// nobody is called under it.
package discovery

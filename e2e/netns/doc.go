// Package netns runs the scenario of the compose file without Docker: each program
// in a network namespace of its own, with the command, the settings, the service
// names and the health checks that docker-compose.yml gives it; and what only a
// network can do to a client. It needs Linux, root and the ip and ss commands, and is skipped
// by name elsewhere.
package netns

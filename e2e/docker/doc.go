// Package docker tests the Dockerfile and the compose file as they are, without a
// network: the builder image is made of this machine's Go toolchain and module
// cache. Needs docker, see internal/testenv.
package docker

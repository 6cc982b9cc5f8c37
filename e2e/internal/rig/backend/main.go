//go:build linux

// Command backend stands behind the proxies that are measured: see package rig. It
// prints its address first, and ends with its standard input.
package main

import (
	"fmt"
	"log"
	"os"

	"github.com/halleycomet/halley/e2e/internal/rig"
)

func main() {
	b, addr, err := rig.NewBackend()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(addr)
	if err := b.Run(os.Stdin, os.Stdout); err != nil {
		log.Fatal(err)
	}
}
